package smartsheet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"github.com/tidwall/gjson"
)

// Me asks who the token belongs to (GET /users/me).
func (c *Client) Me(ctx context.Context) (Me, error) {
	var me Me
	q := call{op: "ask Smartsheet who the token belongs to", method: http.MethodGet, path: "/users/me", units: 1}
	_, err := c.do(ctx, q, func(b []byte) error {
		v := parse(b)
		me = Me{User: userOf(v), Admin: v.Get("admin").Type == gjson.True, AccountName: text(v.Get("account.name"))}
		me.AccountID, me.HasAccount = whole(v.Get("account.id"))
		if me.ID == 0 {
			return errors.New("the answer of /users/me has no user id")
		}
		return nil
	})
	return me, address(err)
}

// address marks a 404 answer to a call whose path is always there: the address is
// not that of the API.
func address(err error) error {
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusNotFound {
		e.advice = "check the address: this is not the Smartsheet API (smartsheet.region, base_url)"
	}
	return err
}

// User asks for one user, alternate emails included (GET /users/{id}). NotFound
// recognises that there is none with this id.
func (c *Client) User(ctx context.Context, id int64) (User, error) {
	var u User
	q := call{op: fmt.Sprintf("ask for user %d", id), method: http.MethodGet, path: "/users/" + strconv.FormatInt(id, 10), units: 1}
	_, err := c.do(ctx, q, func(b []byte) error {
		if u = userOf(parse(b)); u.ID != id {
			return fmt.Errorf("the answer is about user %d", u.ID)
		}
		return nil
	})
	return u, err
}

// NotFound reports whether err is Smartsheet's word that there is no such user.
func NotFound(err error) bool { return Classify(err) == UserGone }

// Users calls each for every user of the account, once (GET /users, all pages).
// Without error the list is whole: everybody who was there from the first page to the
// last has been seen. Entries that cannot be understood come too, see User.Unusable.
func (c *Client) Users(ctx context.Context, each func(User) error) error {
	return c.list(ctx, &listing{each: each})
}

// worthAsking is how many calls a search by email filter may take before it is worth
// one call more to see whether a list of everyone takes fewer.
const worthAsking = 10

// UsersByEmail calls each, once, for the users with the given addresses, and perhaps
// for others: it asks by email filter or lists everyone, whichever takes fewer calls;
// all says that it was everyone. The caller compares the addresses. If one of them may
// not stand in a filter, or Smartsheet refuses the filter, everyone is listed.
func (c *Client) UsersByEmail(ctx context.Context, emails []string, each func(User) error) (all bool, err error) {
	l := &listing{each: each}
	fs, fit := filters(emails)
	if !fit {
		return true, c.list(ctx, l)
	}
	if len(fs) > worthAsking {
		l.atMost = func(size int) (calls int) {
			for _, f := range fs {
				calls += (f.emails + size - 1) / size
			}
			return calls
		}
		if err := c.list(ctx, l); !errors.Is(err, errTooLong) {
			return true, err
		}
		l.atMost = nil
	}
	for _, f := range fs {
		l.filter = f.query
		err := c.list(ctx, l)
		if filterRefused(err) {
			l.filter = ""
			return true, c.list(ctx, l)
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// filterRefused reports whether err is about the email filter: its value (1018, an
// invalid parameter), the length of the URL, which a gateway may not take, or a total
// that is not that of the users found.
func filterRefused(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (errors.Is(err, errNotWhole) || e.Status == http.StatusBadRequest && e.Code == codeParameter || e.Status == http.StatusRequestURITooLong)
}

// filter is a value of email=, encoded, and how many addresses it holds.
type filter struct {
	query  string
	emails int
}

// maxFilterBytes keeps the whole URL below 6 KB, which gateways take.
const maxFilterBytes = 6<<10 - 256

// filters packs addresses into as few values as the length of a URL allows. fit is
// false if one of them may not stand in such a list.
func filters(emails []string) (all []filter, fit bool) {
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
		if !strings.Contains(e, "@") || strings.ContainsFunc(e, func(r rune) bool { return r == ',' || unicode.IsSpace(r) || unicode.IsControl(r) }) {
			return nil, false
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
	return all, true
}
