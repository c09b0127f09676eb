package smartsheet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strconv"

	"github.com/tidwall/gjson"
)

// The list of users comes in pages, and users come and go between two of them. A user who
// leaves moves all later ones up by one place, so that the first user of the next page
// moves to a page that was already read. So each page overlaps the one before by at least
// one user. If a user is on both, nothing was missed in between. If not, there is a gap:
// the page is dropped, and the next one begins earlier. So the list is whole, whatever
// happened meanwhile. Whether it came to its end is compared with totalCount, where the
// server gives it.
//
// includeAll=true would put everybody on one page. Other endpoints deprecated it in
// August 2025 and lost it in June 2026; GET /users still has it (API changelog).

const (
	pageSize = 1000 // asked for; the server may give less
	maxPages = 100_000
	maxGaps  = 100 // before the list counts as one without an order
	maxIdle  = 2   // pages in a row without anybody new, while there should be more
)

var (
	errTooLong  = errors.New("the list is longer than wanted")
	errNotWhole = errors.New("the list is not whole")
)

// listing is a list of users that is being read, perhaps in several passes.
type listing struct {
	each func(User) error // called once for each user
	// limit, if set, is how many pages of a size may be read; with more, reading ends
	// with errTooLong.
	limit  func(size int) int
	passes int
	seen   map[int64]int // by key of an entry: the last pass that met it
}

// list reads the users whom a value of email= selects, or everyone if it is empty. It
// reads once more if the list was not whole.
func (c *Client) list(ctx context.Context, l *listing, filter string) error {
	err := c.readPages(ctx, l, filter)
	if errors.Is(err, errNotWhole) {
		err = c.readPages(ctx, l, filter)
	}
	return err
}

func (c *Client) readPages(ctx context.Context, l *listing, filter string) error {
	if l.seen == nil {
		l.seen = map[int64]int{}
	}
	l.passes++
	w := pass{listing: l, size: pageSize}
	for range maxPages {
		number, size := window(max(w.read-1-w.back, 0), w.size)
		if number*size <= w.read && w.back == 0 { // pages of one or two users: none that overlaps gets any further
			number, size = window(w.read, w.size)
		}
		p, err := c.page(ctx, filter, number, size)
		if err != nil {
			return err
		}
		if over, err := w.take(p); over || err != nil {
			return err
		}
	}
	return &Error{Op: "list users", Err: fmt.Errorf("the list does not end after %d pages", maxPages)}
}

// window is the page that shows the place from and, of those with at most so many users,
// gets furthest.
func window(from, most int) (number, size int) {
	for s := most; s > 0; s-- {
		if n := from/s + 1; n*s > number*size {
			number, size = n, s
		}
	}
	return number, size
}

// pass is one way through the list.
type pass struct {
	*listing
	size  int // of the largest page that the server gives
	read  int // places in the list that were read, from the first on
	users int // on them
	least int // of the totals that the server named; 0: it named none
	back  int // places by which the next page begins earlier than it need
	gaps  int
	idle  int // pages in a row with nobody new; below 0: pages that are known to be such
}

// take adds p, and reports whether the list ends with it.
func (w *pass) take(p page) (over bool, err error) {
	known := 0
	for _, x := range p.users {
		if w.seen[x.key] == w.passes {
			known++
		}
	}
	if p.start > 0 && p.start < w.read && known == 0 { // a gap
		if w.gaps++; w.gaps > maxGaps || len(p.users) == 0 && p.total > p.start {
			return true, w.notWhole()
		}
		w.back = 2*w.back + w.size/8 + 1
		w.idle = -w.back / w.size
		return false, nil
	}
	for _, x := range p.users {
		before := w.seen[x.key]
		w.seen[x.key] = w.passes
		if before == 0 {
			if err := w.each(x.User); err != nil {
				return true, err
			}
		}
	}
	return w.goOn(p, len(p.users)-known)
}

// goOn lets the next page begin where p, with so many fresh users, ends. It reports
// whether the list ends there.
func (w *pass) goOn(p page, fresh int) (over bool, err error) {
	n := min(len(p.users), p.size)
	if p.start == 0 && n < p.size {
		w.size = max(n, 1) // the server gives no more
	}
	w.back = min(w.back, w.size/8)
	if p.start+p.size <= w.read { // it began so early that it could not show more
		w.back = 0
	}
	w.read = p.start + n
	w.users += fresh
	if w.idle++; fresh > 0 {
		w.idle = 0
	}
	pages, over := w.read/w.size+1, n == 0 || w.idle > 0
	if p.total > 0 {
		w.least = min(cmp.Or(w.least, p.total), p.total)
		pages, over = (p.total+w.size-1)/w.size, n == 0 || w.read >= p.total || w.idle > maxIdle
	}
	switch {
	case over && w.users < w.least:
		return true, w.notWhole()
	case !over && w.limit != nil && pages > w.limit(w.size):
		return true, errTooLong
	}
	return over, nil
}

func (w *pass) notWhole() error {
	return &Error{
		Op: "list users", Err: fmt.Errorf("%w: Smartsheet says that there are %d users and lists %d", errNotWhole, w.least, w.users),
		advice: "retry by itself: nobody was taken for missing; if it does not go away, call Smartsheet support",
	}
}

// page is an answer of GET /users.
type page struct {
	start, size int // the places in the list that were asked for
	total       int // of users; 0: unknown
	users       []entry
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
	q := get("/users?page="+strconv.Itoa(number)+"&pageSize="+strconv.Itoa(size), "list users, page %d", number)
	if filter != "" {
		q.path, q.op = q.path+"&email="+filter, "find users by email"
	}
	var p page
	_, err := c.do(ctx, q, func(b []byte) error {
		answer := parse(b)
		data := answer.Get("data")
		if !data.IsArray() {
			return errors.New("the answer is not a list of users")
		}
		total, _ := whole(answer.Get("totalCount"))
		p = page{start: (number - 1) * size, size: size, total: int(max(total, 0))} // -1: unknown
		data.ForEach(func(_, v gjson.Result) bool {
			x := entry{User: listed(v)}
			if x.key = x.ID; x.key == 0 {
				x.key = -1 - int64(maphash.String(seed, v.Raw)>>1)
			}
			p.users = append(p.users, x)
			return true
		})
		return nil
	})
	return p, address(err)
}
