package smartsheet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	pageSize = 1000 // asked for; the server may give less
	maxPages = 100_000
	// maxFilterBytes keeps the whole URL below 6 KB, which gateways take.
	maxFilterBytes = 6<<10 - 256
)

// wireUser is a user as the API writes one.
type wireUser struct {
	ID           int64  `json:"id"`
	Email        string `json:"email"`
	Name         string `json:"name"`
	FirstName    string `json:"firstName"`
	LastName     string `json:"lastName"`
	Status       string `json:"status"`
	ProfileImage struct {
		ImageID string `json:"imageId"`
	} `json:"profileImage"`
	AlternateEmails []struct {
		Email     string `json:"email"`
		Confirmed bool   `json:"confirmed"`
	} `json:"alternateEmails"`
}

func (w wireUser) user() User {
	u := User{
		ID: w.ID, Email: w.Email, Name: w.Name, FirstName: w.FirstName, LastName: w.LastName,
		Status: w.Status, ImageID: w.ProfileImage.ImageID,
	}
	for _, a := range w.AlternateEmails {
		u.AlternateEmails = append(u.AlternateEmails, AlternateEmail(a))
	}
	return u
}

// Me asks who the token belongs to (GET /users/me).
func (c *Client) Me(ctx context.Context) (Me, error) {
	type answer struct {
		wireUser
		Admin   bool `json:"admin"`
		Account struct {
			ID   int64  `json:"id"`
			Name string `json:"name"`
		} `json:"account"`
	}
	var w answer
	q := call{op: "ask Smartsheet who the token belongs to", method: http.MethodGet, path: "/users/me", units: 1}
	_, err := c.do(ctx, q, func(b []byte) error {
		w = answer{}
		if err := json.Unmarshal(b, &w); err != nil {
			return fmt.Errorf("answer is not what /users/me gives: %w", err)
		}
		if w.ID == 0 {
			return fmt.Errorf("answer of /users/me without a user id")
		}
		return nil
	})
	return Me{User: w.user(), Admin: w.Admin, AccountID: w.Account.ID, AccountName: w.Account.Name}, address(err)
}

// address marks a 404 answer to a call whose path is always there: the address is
// not that of the API.
func address(err error) error {
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusNotFound {
		e.advice = "check the address: this is not the Smartsheet API (smartsheet.region, base_url)"
	}
	return err
}

// Users calls each for every user, once (GET /users, all pages).
func (c *Client) Users(ctx context.Context, each func(User) error) error {
	_, err := c.list(ctx, walk{seen: map[int64]bool{}, each: each})
	return err
}

// Find calls each, once, for the users with the given email addresses, and
// perhaps for others: it asks by email filter or lists everyone, whichever takes
// fewer calls. The caller compares the addresses. An address that may not stand
// in a filter is left out.
func (c *Client) Find(ctx context.Context, emails []string, each func(User) error) error {
	seen := map[int64]bool{}
	fs := filters(emails)
	if len(fs) > 2 {
		// One page of the whole list tells how many calls listing everyone takes.
		byFilter := func(pageSize int) (calls int) {
			for _, f := range fs {
				calls += (f.emails + pageSize - 1) / pageSize
			}
			return calls
		}
		if done, err := c.list(ctx, walk{seen: seen, each: each, limit: byFilter}); done || err != nil {
			return err
		}
	}
	for _, f := range fs {
		if _, err := c.list(ctx, walk{filter: f.query, most: f.emails, seen: seen, each: each}); err != nil {
			return err
		}
	}
	return nil
}

// filter is a value of email=, encoded, and how many addresses it holds.
type filter struct {
	query  string
	emails int
}

// filters packs addresses into as few values as the length of a URL allows.
func filters(emails []string) []filter {
	var all []filter
	var b strings.Builder
	n := 0
	flush := func() {
		if n > 0 {
			all = append(all, filter{b.String(), n})
		}
		b.Reset()
		n = 0
	}
	for _, e := range emails {
		if e == "" || strings.Contains(e, ",") {
			continue
		}
		q := url.QueryEscape(e)
		if b.Len()+len(q)+len("%2C") > maxFilterBytes {
			flush()
		}
		if n > 0 {
			b.WriteString("%2C")
		}
		b.WriteString(q)
		n++
	}
	flush()
	return all
}

// page is an answer of GET /users.
type page struct {
	PageNumber int        `json:"pageNumber"`
	PageSize   int        `json:"pageSize"`
	TotalPages int        `json:"totalPages"`
	TotalCount int        `json:"totalCount"`
	Data       []wireUser `json:"data"`
}

// walk is one way through the pages of the user list.
type walk struct {
	filter string                 // value of email=; empty: everyone
	most   int                    // users that the filter can match; 0: no filter
	limit  func(pageSize int) int // pages after which it is given up; nil: none
	seen   map[int64]bool
	each   func(User) error

	met map[int64]bool // in this pass
}

// list walks the pages, and once more when so many users left on the way that it
// cannot tell who moved onto a page that was already read. It is not done when w.limit
// ended it.
func (c *Client) list(ctx context.Context, w walk) (done bool, err error) {
	done, lost, err := c.pages(ctx, w)
	if err == nil && done && lost {
		_, _, err = c.pages(ctx, w)
	}
	return done, err
}

// pages walks the pages once. The totals may be unknown (-1), or be counted in
// pages of the size asked for and not of the size given; past the end the API
// answers with an empty page or repeats the last one. Somebody may be lost who moved
// to a page that was read before.
func (c *Client) pages(ctx context.Context, w walk) (done, lost bool, err error) {
	w.met = map[int64]bool{}
	var last page
	for n := 1; n <= maxPages; n++ {
		p, err := c.page(ctx, w.filter, n)
		if err != nil {
			return false, false, err
		}
		if err := w.take(p); err != nil {
			return false, lost, err
		}
		if left := last.TotalCount - p.TotalCount; p.TotalCount > 0 && left > 0 {
			// They may be on any page if so many left.
			found := left <= len(last.Data)
			if found {
				found, err = c.moved(ctx, w, n-1, p.TotalCount)
			}
			if err != nil {
				return false, lost, err
			}
			lost = lost || !found
		}
		switch {
		case len(p.Data) == 0, n > 1 && p.within(last):
			return true, lost, nil
		case p.TotalPages > 0 && n >= p.TotalPages && len(w.met) >= p.TotalCount:
			return true, lost, nil
		case w.most > 0 && len(w.met) >= w.most:
			return true, lost, nil
		case w.limit != nil && max(p.TotalPages-1, n) > w.limit(len(p.Data)):
			return false, lost, nil
		}
		last = p
	}
	return false, false, &Error{Op: "list users", Err: fmt.Errorf("the list does not end after %d pages", maxPages)}
}

// take hands on whoever of p was not seen before.
func (w *walk) take(p page) error {
	for _, x := range p.Data {
		w.met[x.ID] = true
		if x.ID == 0 || w.seen[x.ID] {
			continue
		}
		w.seen[x.ID] = true
		if err := w.each(x.user()); err != nil {
			return err
		}
	}
	return nil
}

// moved looks for those who moved to the end of page n since it was read: some users
// left before the next page was, when there were total, and everybody behind them moved
// up. Page n has them when there are no more than that again.
func (c *Client) moved(ctx context.Context, w walk, n, total int) (found bool, err error) {
	for range 3 {
		p, err := c.page(ctx, w.filter, n)
		if err == nil {
			err = w.take(p)
		}
		if err != nil || p.TotalCount <= total {
			return err == nil, err
		}
	}
	return false, nil
}

// within tells whether everybody on p is on the page before, too.
func (p page) within(before page) bool {
	ids := make(map[int64]bool, len(before.Data))
	for _, x := range before.Data {
		ids[x.ID] = true
	}
	return !slices.ContainsFunc(p.Data, func(x wireUser) bool { return !ids[x.ID] })
}

func (c *Client) page(ctx context.Context, filter string, n int) (page, error) {
	path := "/users?page=" + strconv.Itoa(n) + "&pageSize=" + strconv.Itoa(pageSize)
	op := "list users, page " + strconv.Itoa(n)
	if filter != "" {
		path, op = path+"&email="+filter, "find users by email"
	}
	var p page
	_, err := c.do(ctx, call{op: op, method: http.MethodGet, path: path, units: 1}, func(b []byte) error {
		p = page{}
		if err := json.Unmarshal(b, &p); err != nil {
			return fmt.Errorf("answer is not a list of users: %w", err)
		}
		if p.Data == nil {
			return fmt.Errorf("answer without a list of users")
		}
		return nil
	})
	return p, address(err)
}

// User asks for one user, alternate emails included (GET /users/{id}).
func (c *Client) User(ctx context.Context, id int64) (User, error) {
	var w wireUser
	q := call{op: fmt.Sprintf("ask for user %d", id), method: http.MethodGet, path: "/users/" + strconv.FormatInt(id, 10), units: 1}
	_, err := c.do(ctx, q, func(b []byte) error {
		w = wireUser{}
		if err := json.Unmarshal(b, &w); err != nil {
			return fmt.Errorf("answer is not a user: %w", err)
		}
		if w.ID != id {
			return fmt.Errorf("answer is about user %d", w.ID)
		}
		return nil
	})
	return w.user(), err
}
