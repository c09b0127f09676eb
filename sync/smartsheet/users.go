package smartsheet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/tidwall/gjson"
)

// User is a Smartsheet user, as far as photosync needs one.
type User struct {
	ID              int64 // 64-bit: beyond what a float holds exactly
	Email           string
	Name            string
	Status          string           // ACTIVE, PENDING, DECLINED, DEACTIVATED, in any case; empty: hidden, as from a token without admin rights
	ImageID         string           // profileImage.imageId; empty: no picture
	External        bool             // isInternal is false: the user belongs to another organisation than the token
	AlternateEmails []AlternateEmail // only from Client.User and Client.Me
	// Unusable says why this entry of a list cannot be used; empty: it can. As the entry may be
	// anybody's, nobody whom it could be may be reported as "not in Smartsheet".
	Unusable string
}

// Active reports whether the account is active. An account without a status counts as active.
func (u User) Active() bool { return u.Status == "" || strings.EqualFold(u.Status, "ACTIVE") }

// AlternateEmail is a further address of a user, from GET /users/{id}. Without a confirmation it is
// only what somebody typed, and may belong to anybody.
type AlternateEmail struct {
	Email     string
	Confirmed bool
}

// Me is the token's own user, from GET /users/me.
type Me struct {
	User
	Admin       bool
	AccountID   int64 // if the answer names no account: the user's own id
	AccountName string
}

// get sends a GET and passes the answer to read. A fixed path is part of the API: 404 means that the address
// is not Smartsheet's. Any other path names one user: its failure counts in an outage only if other calls failed, too.
func (c *Client) get(ctx context.Context, path, op string, fixed bool, read func(gjson.Result) error) error {
	_, err := c.do(ctx, call{op: op, method: http.MethodGet, path: path, units: 1, unanswered: !fixed}, read)
	if e, ok := errors.AsType[*Error](err); ok && fixed && e.Status == http.StatusNotFound {
		e.advice = wrongAddress
	} else if ok && e.cause() == badHeader { // no header of this call is one user's
		e.advice = badHeader.hintForAll
	}
	return err
}

// Me asks who the token belongs to (GET /users/me).
func (c *Client) Me(ctx context.Context) (me Me, err error) {
	err = c.get(ctx, "/users/me", "ask Smartsheet who the token belongs to", true, func(v gjson.Result) error {
		me = Me{User: userOf(v), Admin: v.Get("admin").Type == gjson.True, AccountName: text(v.Get("account.name"))}
		id, named := integer(v.Get("account.id"))
		if !named {
			id, me.AccountName = me.ID, "the account of "+me.Email
		}
		me.AccountID = id
		if me.ID == 0 {
			return errors.New("the answer of /users/me has no user id")
		}
		return nil
	})
	return me, err
}

// User asks for one user, alternate emails included (GET /users/{id}). See NotFound.
func (c *Client) User(ctx context.Context, id int64) (u User, err error) {
	err = c.get(ctx, fmt.Sprint("/users/", id), fmt.Sprint("ask for user ", id), false, func(v gjson.Result) error {
		if u = listed(v); u.ID != id {
			return fmt.Errorf("the answer is about user %d", u.ID)
		}
		return nil
	})
	return u, err
}

// NotFound reports whether err means that there is no such user.
func NotFound(err error) bool { return Classify(err) == UserGone }

// Users calls each once for every user of the account (GET /users, all pages), and again for one who
// was renamed meanwhile, and shows up with another address: the later one counts. Without an error it
// has seen everybody who was there from the first page to the last.
func (c *Client) Users(ctx context.Context, each func(User) error) error {
	return c.list(ctx, &listing{each: each, seen: map[int64]sighting{}}, "")
}

// worthAsking is the number of email filters above which one more call is worthwhile, to find out
// whether a list of all users needs fewer calls.
const worthAsking = 10

// UsersByEmail calls each once for the users with the given addresses, and perhaps for others: it
// asks by email filter, or lists all users if that needs fewer calls or no filter works. all reports
// that it listed all users. The caller compares the addresses.
func (c *Client) UsersByEmail(ctx context.Context, emails []string, each func(User) error) (all bool, err error) {
	l := &listing{each: each, seen: map[int64]sighting{}}
	if slices.ContainsFunc(emails, unfit) {
		return true, c.list(ctx, l, "")
	}
	filters := filters(emails)
	if len(filters) > worthAsking {
		l.limit = func(size int) int { return len(filters) + len(emails)/size } // each filter has a last page
		if err := c.list(ctx, l, ""); !errors.Is(err, errTooLong) {
			return true, err
		}
		l.limit = nil
	}
	for _, f := range filters {
		err := c.list(ctx, l, f)
		// Smartsheet, or a firewall before it, may refuse one of the addresses or the length of the
		// URL; the total may be that of all users. A fault of every call will occur again.
		if e, ok := errors.AsType[*Error](err); ok && (errors.Is(err, errNotWhole) ||
			e.Status >= 400 && e.Status != http.StatusUnauthorized && !e.cause().class.Resumable()) {
			return true, c.list(ctx, l, "")
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

const maxFilterBytes = 6<<10 - 256 // keeps the whole URL below 6 KB, which gateways accept

// unfit reports whether an address cannot be part of a value of email=.
func unfit(email string) bool {
	return !strings.Contains(email, "@") || strings.ContainsFunc(email, func(r rune) bool {
		return r == ',' || unicode.IsSpace(r) || unicode.IsControl(r)
	})
}

// filters packs addresses into as few values of email= as the length of a URL allows.
func filters(emails []string) (all []string) {
	for _, e := range emails {
		e = url.QueryEscape(e)
		if n := len(all) - 1; n >= 0 && len(all[n])+len("%2C")+len(e) <= maxFilterBytes {
			all[n] += "%2C" + e
		} else {
			all = append(all, e)
		}
	}
	return all
}

// The list of users comes in pages. If a user is deleted between two pages, all later users move
// up, and the first one of the next page moves to a page that was already read. So each page
// overlaps the one before by at least one user. If a user is on both, nobody was missed in between.
// If not, there is a gap: the page is dropped, and the next one begins earlier. The end is compared
// with totalCount, if the server gives it.
//
// includeAll=true would put all users on one page. Other endpoints deprecated it in August 2025
// and lost it in June 2026; GET /users still has it (API changelog).

const (
	pageSize = 1000 // users to ask for; the server may give fewer
	maxGaps  = 100  // more than these mean that the list has no stable order
	maxIdle  = 2    // pages in a row without anybody new, although there should be more users
)

var (
	errTooLong  = errors.New("the list is longer than wanted")
	errNotWhole = errors.New("the list is not whole")
)

// listing is a list of users that is being read, perhaps in several passes.
type listing struct {
	each   func(User) error   // called once for each user, and again if a user is seen with another address
	limit  func(size int) int // of pages; with more, reading ends with errTooLong; nil: none
	passes int
	seen   map[int64]sighting // by key of an entry: the last one
}

type sighting struct {
	pass  int
	email string
}

// list reads the users that a filter selects; all users, if it is empty. If the list is not whole,
// it reads the list once more.
func (c *Client) list(ctx context.Context, l *listing, filter string) error {
	err := c.readPages(ctx, l, filter)
	if errors.Is(err, errNotWhole) {
		err = c.readPages(ctx, l, filter)
	}
	return err
}

func (c *Client) readPages(ctx context.Context, l *listing, filter string) error {
	l.passes++
	w := pass{listing: l, size: pageSize}
	for {
		number, size := window(max(w.read-1-w.back, 0), w.size)
		if number*size <= w.read && w.back == 0 { // pages of one or two users: an overlapping page shows nobody new
			number, size = window(w.read, w.size)
		}
		p, err := c.page(ctx, filter, number, size)
		if err != nil {
			return err
		}
		if over, err := w.add(p); over || err != nil {
			return err
		}
	}
}

// window returns the page of at most so many users that contains the place from and reaches furthest.
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
	read  int // how many places of the list were read
	users int // how many users were on them
	least int // the lowest total that the server gave; 0: it gave none
	back  int // by how many places the next page begins earlier than it has to
	gaps  int
	idle  int // pages in a row with nobody new; below 0: that many more are expected
}

// add passes on the users of p, and reports whether the list ends with this page.
func (w *pass) add(p page) (over bool, err error) {
	n, fresh := min(len(p.users), p.size), 0 // fresh: users who were on no page of this pass
	for _, x := range p.users {
		if w.seen[x.key].pass != w.passes {
			fresh++
		}
	}
	if overlaps := p.start > 0 && p.start < w.read; overlaps && fresh == len(p.users) {
		return w.gap(p)
	}
	for _, x := range p.users {
		before := w.seen[x.key]
		w.seen[x.key] = sighting{w.passes, x.Email}
		if before.pass > 0 && before.email == x.Email {
			continue
		}
		if err := w.each(x.User); err != nil {
			return true, err
		}
	}
	if p.start == 0 && n < p.size {
		w.size = max(n, 1) // the server gives no more
	}
	w.back = min(w.back, w.size/8)
	switch {
	case p.start+p.size <= w.read: // the page began too early to show anybody new
		w.back = 0
	case fresh > 0:
		w.idle = 0
	default:
		w.idle++
	}
	w.read, w.users = p.start+n, w.users+fresh
	pages := w.read/w.size + 1
	over = n == 0 || w.idle > 1 || w.idle > 0 && (n < p.size || w.gaps == 0)
	if p.total > 0 {
		w.least = min(cmp.Or(w.least, p.total), p.total)
		pages = (p.total + w.size - 1) / w.size
		over = n == 0 || w.read >= p.total || w.idle > maxIdle
	}
	switch {
	case over && w.users < w.least:
		return true, w.notWhole()
	case !over && w.limit != nil && pages > w.limit(w.size):
		return true, errTooLong
	}
	return over, nil
}

// gap drops a page that shares nobody with the page before it, and makes the next one begin earlier.
func (w *pass) gap(p page) (over bool, err error) {
	w.gaps++
	if w.gaps > maxGaps || len(p.users) == 0 && p.total > p.start {
		return true, w.notWhole()
	}
	w.back = 2*w.back + w.size/8 + 1
	if len(p.users) > 0 {
		w.idle = -w.back / w.size
	} else { // the list ends before this page
		w.read = p.start
	}
	return false, nil
}

func (w *pass) notWhole() error {
	return &Error{
		Op: "list users", Err: fmt.Errorf("%w: Smartsheet says that there are %d users and lists %d", errNotWhole, w.least, w.users),
		advice: "retry by itself: nobody was counted as missing; if it does not go away, call Smartsheet support",
	}
}

// page is an answer of GET /users.
type page struct {
	start, size int // the places in the list that were asked for
	total       int // of users; 0: unknown
	users       []entry
}

// entry is a user of a list. key distinguishes users: it is the id, or else a hash below 0.
type entry struct {
	User
	key int64
}

var seed = maphash.MakeSeed()

func (c *Client) page(ctx context.Context, filter string, number, size int) (p page, err error) {
	path, op := fmt.Sprintf("/users?page=%d&pageSize=%d", number, size), fmt.Sprint("list users, page ", number)
	if filter != "" {
		path, op = path+"&email="+filter, "find users by email"
	}
	err = c.get(ctx, path, op, true, func(v gjson.Result) error {
		total, _ := integer(v.Get("totalCount"))
		p = page{start: (number - 1) * size, size: size, total: int(max(total, 0))} // -1: unknown
		if !v.Get("data").IsArray() {
			return errors.New("the answer is not a list of users")
		}
		if p.total == 0 && textOrNumber(v.Get("lastKey")) != "" { // with a total, the list is counted at the end
			return errors.New("the answer is a part of the list, and the rest comes by another kind of paging")
		}
		for _, u := range v.Get("data").Array() {
			x := entry{User: listed(u)}
			if x.key = x.ID; x.key == 0 {
				x.key = -1 - int64(maphash.String(seed, u.Raw)>>1)
			}
			p.users = append(p.users, x)
		}
		return nil
	})
	return p, err
}
