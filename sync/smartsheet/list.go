package smartsheet

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"strconv"

	"github.com/tidwall/gjson"
)

const (
	pageSize = 1000 // asked for; the server may give less
	maxPages = 100_000
	maxGaps  = 100 // pages without overlap, before the list counts as one without an order
	maxIdle  = 3   // pages in a row without anybody new, while the total says that there are more
)

// The list of users comes in pages, and users come and go between two of them. A user who
// leaves moves all later ones up by one place: the first user of the next page moves to a
// page that was already read. So each page overlaps the one before by at least one user.
// If a user is on both, nothing was missed in between. If not, there is a gap, and the
// next page begins earlier. So the list is whole, whatever happened meanwhile. Whether it
// came to its end is compared with totalCount, where the server gives it.
//
// includeAll=true would put everybody on one page. Other endpoints deprecated it in
// August 2025 and lost it in June 2026; GET /users still has it (API changelog).

// listing is a list of users that is being read.
type listing struct {
	filter string           // value of email=; empty: everyone
	each   func(User) error // called once for each user
	// atMost, if set, is how many pages of this size the list may have; with more,
	// reading ends with errTooLong.
	atMost func(size int) (pages int)

	passes int32
	seen   map[int64]int32 // by key: the last pass that counts the user, or behindGap
}

// behindGap marks users who were seen after a gap: no pass counts them yet.
const behindGap = -1

var (
	errTooLong  = errors.New("the list is longer than wanted")
	errNotWhole = errors.New("the list is not whole")
)

// list reads l, and once more if it was not whole.
func (c *Client) list(ctx context.Context, l *listing) error {
	err := c.listOnce(ctx, l)
	if errors.Is(err, errNotWhole) {
		err = c.listOnce(ctx, l)
	}
	return err
}

func (c *Client) listOnce(ctx context.Context, l *listing) error {
	l.passes++
	if l.seen == nil {
		l.seen = map[int64]int32{}
	}
	w := pass{size: pageSize}
	for range maxPages {
		number, size := window(w.read, w.back, w.size)
		p, err := c.page(ctx, l.filter, number, size)
		if err != nil {
			return err
		}
		p.start, p.size = (number-1)*size, size
		p.known = l.known(p)
		gap := w.gap(p)
		if p.fresh, err = l.take(p, gap); err != nil {
			return err
		}
		if gap {
			err = w.goBack(p)
		} else if end, err := w.goOn(p); end {
			return err
		}
		if err != nil {
			return err
		}
		if l.atMost != nil && w.allPages(p) > l.atMost(w.size) {
			return errTooLong
		}
	}
	return &Error{Op: "list users", Err: fmt.Errorf("the list does not end after %d pages", maxPages)}
}

// known is how many users of p this pass counts already.
func (l *listing) known(p page) int {
	n := map[int64]bool{}
	for _, x := range p.Data {
		if l.seen[x.key] == l.passes {
			n[x.key] = true
		}
	}
	return len(n)
}

// take hands on the users of p who were not seen before. fresh is how many of them this
// pass did not count yet. After a gap it does not count them now, either.
func (l *listing) take(p page, gap bool) (fresh int, err error) {
	for _, x := range p.Data {
		before := l.seen[x.key]
		if before == l.passes {
			continue
		}
		fresh++
		l.seen[x.key] = l.passes
		if gap {
			l.seen[x.key] = behindGap
		}
		if before == 0 {
			if err := l.each(x.User); err != nil {
				return fresh, err
			}
		}
	}
	return fresh, nil
}

// pass is one way through the list.
type pass struct {
	size   int  // of the largest page that the server gives
	read   int  // places in the list that were read, from the first on
	users  int  // that it counts
	copies int  // users who stand twice on one page
	least  int  // of the totals that the server named; 0: it named none
	back   int  // places that the next page begins earlier, since there was a gap
	gaps   int  // so far
	idle   int  // pages in a row with nobody new
	end    int  // the place of a page without users; 0: there was none
	beyond bool // the last page came after a gap, with users on it: the list goes on there
}

// window is the page, of at most so many users, that gets furthest of those that overlap
// the places read, and begin at least back places earlier.
func window(read, back, most int) (number, size int) {
	from := max(read-1-back, 0)
	for end := 0; ; from = read { // with pages of one or two users, none that overlaps may get any further
		for s := most; s > 0; s-- {
			if e := (from/s + 1) * s; e > end {
				size, end = s, e
			}
		}
		if end > read || back > 0 {
			return from/size + 1, size
		}
	}
}

// gap reports whether somebody may stand between what was read and p.
func (w *pass) gap(p page) bool { return p.start > 0 && p.start < w.read && p.known == 0 }

// goBack lets the next page begin earlier than p.
func (w *pass) goBack(p page) error {
	if w.gaps++; len(p.Data) == 0 && p.Total > p.start || w.gaps > maxGaps {
		return w.notWhole()
	}
	w.back, w.beyond = 2*w.back+w.size/8+1, len(p.Data) > 0
	if !w.beyond {
		w.end = p.start
	}
	return nil
}

// goOn lets the next page begin where p ends. It reports whether the list ends there;
// the error is errNotWhole.
func (w *pass) goOn(p page) (end bool, err error) {
	w.users += p.fresh
	w.copies += len(p.Data) - p.known - p.fresh
	n := min(len(p.Data), p.size)
	if p.Total > 0 && (w.least == 0 || p.Total < w.least) {
		w.least = p.Total
	}
	if p.start == 0 && n < p.size {
		w.size = max(n, 1) // the server gives no more
	}
	if w.idle++; p.fresh > 0 {
		w.idle = 0
	}
	more := p.fresh > 0 || w.beyond || p.Total > 0 && w.idle <= maxIdle
	w.back, w.beyond = min(w.back, w.size/8), false
	if p.start+p.size <= w.read { // it began so early that it could not show more
		more, w.back = true, 0
	}
	w.read = p.start + n
	if w.end > 0 && w.read >= w.end {
		more = false
	}
	if n > 0 && (p.Total == 0 || w.read < p.Total) && more {
		return false, nil
	}
	if w.users+w.copies < w.least {
		return true, w.notWhole()
	}
	return true, nil
}

func (w *pass) notWhole() error {
	return &Error{
		Op: "list users", Err: fmt.Errorf("%w: Smartsheet says that there are %d users and lists %d", errNotWhole, w.least, w.users),
		advice: "retry by itself: nobody was taken for missing; if it does not go away, call Smartsheet support",
	}
}

// allPages is how many pages the whole list has, as far as is known after p.
func (w *pass) allPages(p page) int {
	if p.Total > 0 {
		return (p.Total + w.size - 1) / w.size
	}
	return w.read/w.size + 1
}

// page is an answer of GET /users.
type page struct {
	Total int // 0: unknown
	Data  []entry

	start, size  int // the places that were asked for
	known, fresh int // users on it whom the pass counts already, and the others
}

// entry is a user of a list, and what tells users apart: the id, or something below 0
// where there is none.
type entry struct {
	User
	key int64
}

// seed is of the keys of users without an id.
var seed = maphash.MakeSeed()

func (c *Client) page(ctx context.Context, filter string, number, size int) (page, error) {
	path := "/users?page=" + strconv.Itoa(number) + "&pageSize=" + strconv.Itoa(size)
	op := "list users, page " + strconv.Itoa(number)
	if filter != "" {
		path, op = path+"&email="+filter, "find users by email"
	}
	var p page
	_, err := c.do(ctx, call{op: op, method: http.MethodGet, path: path, units: 1}, func(b []byte) error {
		p = page{}
		answer := parse(b)
		data := answer.Get("data")
		if !data.IsArray() {
			return errors.New("the answer is not a list of users")
		}
		total, _ := whole(answer.Get("totalCount"))
		p.Total = int(max(total, 0)) // -1: unknown
		data.ForEach(func(_, v gjson.Result) bool {
			x := entry{User: listed(v)}
			if x.key = x.ID; x.key == 0 {
				x.key = -1 - int64(maphash.String(seed, v.Raw)>>1)
			}
			p.Data = append(p.Data, x)
			return true
		})
		return nil
	})
	return p, address(err)
}
