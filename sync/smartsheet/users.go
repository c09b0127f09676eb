package smartsheet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/tidwall/gjson"
)

// get is a call that only asks.
func get(path, op string, args ...any) call {
	return call{op: fmt.Sprintf(op, args...), method: http.MethodGet, path: path, units: 1}
}

// Me asks who the token belongs to (GET /users/me).
func (c *Client) Me(ctx context.Context) (Me, error) {
	var me Me
	_, err := c.do(ctx, get("/users/me", "ask Smartsheet who the token belongs to"), func(b []byte) error {
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
		e.advice = wrongAddress
	}
	return err
}

// User asks for one user, alternate emails included (GET /users/{id}). NotFound
// recognises that there is none with this id.
func (c *Client) User(ctx context.Context, id int64) (User, error) {
	var u User
	_, err := c.do(ctx, get("/users/"+strconv.FormatInt(id, 10), "ask for user %d", id), func(b []byte) error {
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
	return c.list(ctx, &listing{each: each}, "")
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
		if filterRefused(err) {
			return true, c.list(ctx, l, "")
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

// maxFilterBytes keeps the whole URL below 6 KB, which gateways take.
const maxFilterBytes = 6<<10 - 256

// unfit reports whether an address may not stand in a value of email=.
func unfit(email string) bool {
	return !strings.Contains(email, "@") || strings.ContainsFunc(email, func(r rune) bool {
		return r == ',' || unicode.IsSpace(r) || unicode.IsControl(r)
	})
}

// filters packs addresses into as few values of email=, encoded, as the length of a URL
// allows.
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
