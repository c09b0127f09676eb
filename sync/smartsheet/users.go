package smartsheet

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	pageSize     = 1000 // asked for; the server may give less
	maxPages     = 100_000
	maxURLBytes  = 6 << 10 // of a query, below what gateways take
	filterOfPage = 100     // the server's default page size: a filter of no more fits one page
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
		Email string `json:"email"`
	} `json:"alternateEmails"`
}

func (w wireUser) user() User {
	u := User{
		ID: w.ID, Email: w.Email, Name: w.Name, FirstName: w.FirstName, LastName: w.LastName,
		Status: w.Status, ImageID: w.ProfileImage.ImageID,
	}
	for _, a := range w.AlternateEmails {
		u.AlternateEmails = append(u.AlternateEmails, a.Email)
	}
	return u
}

// Me asks who the token belongs to (GET /users/me).
func (c *Client) Me(ctx context.Context) (Me, error) {
	var w struct {
		wireUser
		Admin   bool `json:"admin"`
		Account struct {
			ID   int64  `json:"id"`
			Name string `json:"name"`
		} `json:"account"`
	}
	q := call{op: "ask Smartsheet who the token belongs to", method: http.MethodGet, path: "/users/me", units: 1}
	_, err := c.do(ctx, q, func(b []byte) error {
		if err := json.Unmarshal(b, &w); err != nil {
			return fmt.Errorf("answer is not what /users/me gives: %w", err)
		}
		if w.ID == 0 {
			return fmt.Errorf("answer of /users/me without a user id")
		}
		return nil
	})
	return Me{User: w.user(), Admin: w.Admin, AccountID: w.Account.ID, AccountName: w.Account.Name}, err
}

// Users calls each for every user, once (GET /users, all pages).
func (c *Client) Users(ctx context.Context, each func(User) error) error {
	_, err := c.pages(ctx, "", map[int64]bool{}, 0, each)
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
		if done, err := c.pages(ctx, "", seen, len(fs), each); done || err != nil {
			return err
		}
	}
	for _, f := range fs {
		if _, err := c.pages(ctx, f, seen, 0, each); err != nil {
			return err
		}
	}
	return nil
}

// filters packs addresses into email= values that keep the URL short and the
// answer on one page of the default size.
func filters(emails []string) []string {
	var all []string
	var b strings.Builder
	n := 0
	for _, e := range emails {
		if e == "" || strings.Contains(e, ",") {
			continue
		}
		q := url.QueryEscape(e)
		if n > 0 && (n == filterOfPage || b.Len()+len(q)+len("%2C") > maxURLBytes-200) {
			all = append(all, b.String())
			b.Reset()
			n = 0
		}
		if n > 0 {
			b.WriteString("%2C")
		}
		b.WriteString(q)
		n++
	}
	if n > 0 {
		all = append(all, b.String())
	}
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

// pages walks the user list. It ends at a page without anyone new: past the end
// the API answers with an empty page or repeats the last one, totals may be -1,
// and people may come and go between pages. With limit > 0 it gives up (done is
// false) when the first page shows that more than limit pages would be needed.
func (c *Client) pages(ctx context.Context, filter string, seen map[int64]bool, limit int, each func(User) error) (done bool, err error) {
	for n := 1; n <= maxPages; n++ {
		p, err := c.page(ctx, filter, n)
		if err != nil {
			return false, err
		}
		fresh := 0
		for _, w := range p.Data {
			if w.ID == 0 || seen[w.ID] {
				continue
			}
			seen[w.ID] = true
			fresh++
			if err := each(w.user()); err != nil {
				return false, err
			}
		}
		switch {
		case len(p.Data) == 0, p.TotalPages == n:
			return true, nil
		case n > 1 && fresh == 0 && p.TotalPages <= n:
			return true, nil // the last page again
		case filter != "" && p.TotalPages <= 0 && len(p.Data) < filterOfPage:
			return true, nil
		case limit > 0 && n == 1 && (p.TotalPages <= 0 || p.TotalPages-1 > limit):
			return false, nil
		}
	}
	return false, &Error{Op: "list users", Err: fmt.Errorf("the list does not end after %d pages", maxPages)}
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
	return p, err
}

// User asks for one user, alternate emails included (GET /users/{id}).
func (c *Client) User(ctx context.Context, id int64) (User, error) {
	var w wireUser
	q := call{op: fmt.Sprintf("ask for user %d", id), method: http.MethodGet, path: "/users/" + strconv.FormatInt(id, 10), units: 1}
	_, err := c.do(ctx, q, func(b []byte) error {
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
