package smartsheet

import (
	"context"
	"errors"
	"fmt"
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
	Status          string           // ACTIVE, PENDING, DECLINED, DEACTIVATED, in any case; empty: not shown, as to a token without admin rights
	ImageID         string           // profileImage.imageId; empty: no picture
	External        bool             // isInternal is false: the user belongs to another organisation than the token
	AlternateEmails []AlternateEmail // only from Client.User and Client.Me
	// Unusable says why this entry of a list cannot be used; empty: it can. It may be anybody's, so
	// that nobody it could be may be reported as "not in Smartsheet".
	Unusable string
}

// Active reports whether the account is in use. One without a status counts as active.
func (u User) Active() bool { return u.Status == "" || strings.EqualFold(u.Status, "ACTIVE") }

// AlternateEmail is a further address of a user, from GET /users/{id}. One that is
// not confirmed is what somebody typed: it may belong to anybody.
type AlternateEmail struct {
	Email     string
	Confirmed bool
}

// Me is the token's own user, from GET /users/me.
type Me struct {
	User
	Admin       bool
	AccountID   int64 // of an answer that names no account, the user's own id: the next best thing
	AccountName string
}

// get sends a GET and hands the answer to read. The API always has a fixed path: 404 means another address.
func (c *Client) get(ctx context.Context, path, op string, fixed bool, read func(gjson.Result) error) error {
	_, err := c.do(ctx, call{op: op, method: http.MethodGet, path: path, units: 1}, read)
	if e, ok := errors.AsType[*Error](err); ok && fixed && e.Status == http.StatusNotFound {
		e.advice = wrongAddress
	}
	return err
}

// Me asks who the token belongs to (GET /users/me).
func (c *Client) Me(ctx context.Context) (me Me, err error) {
	err = c.get(ctx, "/users/me", "ask Smartsheet who the token belongs to", true, func(v gjson.Result) error {
		me = Me{User: userOf(v), Admin: v.Get("admin").Type == gjson.True, AccountName: text(v.Get("account.name"))}
		id, named := whole(v.Get("account.id"))
		if me.AccountID = id; !named {
			me.AccountID, me.AccountName = me.ID, "the account of "+me.Email
		}
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
		if u = userOf(v); u.ID != id {
			return fmt.Errorf("the answer is about user %d", u.ID)
		}
		return nil
	})
	return u, err
}

// NotFound reports whether err is Smartsheet's word that there is no such user.
func NotFound(err error) bool { return Classify(err) == UserGone }

// Users calls each for every user of the account, once (GET /users, all pages). Without
// error everybody who was there from the first page to the last has been seen.
func (c *Client) Users(ctx context.Context, each func(User) error) error {
	return c.list(ctx, &listing{each: each, seen: map[int64]int{}}, "")
}

// worthAsking is how many email filters make it worth one more call to find out whether a list of
// everyone needs fewer.
const worthAsking = 10

// UsersByEmail calls each, once, for the users with the given addresses, and perhaps for
// others: it asks by email filter, or lists everyone where that needs fewer calls or no
// filter works. all reports that it was everyone. The caller compares the addresses.
func (c *Client) UsersByEmail(ctx context.Context, emails []string, each func(User) error) (all bool, err error) {
	l := &listing{each: each, seen: map[int64]int{}}
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
		// Refused are its value and the length of the URL; a total may be that of everyone.
		if e, ok := errors.AsType[*Error](err); ok && (errors.Is(err, errNotWhole) ||
			e.Status == http.StatusBadRequest && e.Code == codeParameter || e.Status == http.StatusRequestURITooLong) {
			return true, c.list(ctx, l, "")
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

const maxFilterBytes = 6<<10 - 256 // keeps the whole URL below 6 KB, which gateways take

// unfit reports whether an address may not stand in a value of email=.
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
