package smartsheet

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// directory answers GET /users from a list of ids, with the quirks that the API
// reference leaves open. The email of user 7 is u7@example.com.
type directory struct {
	ids           []int64
	pageCap       int // most users on a page
	totalsUnknown bool
	totalsOfAsked bool // totalPages is counted in pages of the size asked for
	repeatLast    bool
	twice         bool                         // everybody who ends a page also begins the next
	between       func(d *directory, page int) // after a page was answered
	requests      int
	longest       int // URL
}

func addr(id int64) string { return fmt.Sprintf("u%d@example.com", id) }

func (d *directory) RoundTrip(r *http.Request) (*http.Response, error) {
	d.requests++
	d.longest = max(d.longest, len(r.URL.String()))
	q := r.URL.Query()
	n, _ := strconv.Atoi(q.Get("page"))
	asked, _ := strconv.Atoi(q.Get("pageSize"))
	size := min(asked, d.pageCap)
	ids := d.ids
	if f := q.Get("email"); f != "" {
		wanted := map[string]bool{}
		for e := range strings.SplitSeq(f, ",") {
			wanted[e] = true
		}
		ids = slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return !wanted[addr(id)] })
	}
	pages := (len(ids) + size - 1) / size
	if d.repeatLast && n > pages {
		n = max(pages, 1)
	}
	from := min((n-1)*size, len(ids))
	to := min(from+size, len(ids))
	if d.twice && from > 0 && from < to {
		from--
	}
	a := map[string]any{"pageNumber": n, "pageSize": size, "totalPages": pages, "totalCount": len(ids)}
	if d.totalsOfAsked {
		a["totalPages"] = (len(ids) + asked - 1) / asked
	}
	if d.totalsUnknown {
		a["totalPages"], a["totalCount"] = -1, -1
	}
	data := []map[string]any{}
	for _, id := range ids[from:to] {
		data = append(data, map[string]any{"id": id, "email": addr(id), "status": "ACTIVE", "isSheetCreator": true})
	}
	a["data"] = data
	b, err := json.Marshal(a)
	if d.between != nil {
		d.between(d, n)
	}
	return answer(200, string(b)), err
}

func people(n int) []int64 {
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = testID + int64(i)
	}
	return ids
}

func (d *directory) client(t *testing.T) *Client {
	return newTest(t, nil, func(o *Options) { o.Transport, o.RequestsPerMinute = d, 60_000_000 })
}

// Everyone is listed once, whatever the server does about pages.
func TestUsersSurvivesPaging(t *testing.T) {
	client := func(d *directory) *Client { return d.client(t) }
	rapid.Check(t, func(t *rapid.T) {
		d := &directory{
			ids:           people(rapid.IntRange(0, 60).Draw(t, "users")),
			pageCap:       rapid.IntRange(1, 30).Draw(t, "cap"),
			totalsUnknown: rapid.Bool().Draw(t, "totals unknown"),
			totalsOfAsked: rapid.Bool().Draw(t, "totals of the size asked for"),
			repeatLast:    rapid.Bool().Draw(t, "last page repeated"),
			twice:         rapid.Bool().Draw(t, "users twice"),
		}
		// With pages of one, a repeated user and a repeated last page look alike.
		d.twice = d.twice && d.pageCap > 1
		var got []int64
		if err := client(d).Users(t.Context(), func(u User) error { got = append(got, u.ID); return nil }); err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		if !slices.Equal(got, d.ids) {
			t.Fatalf("%d users of %d", len(got), len(d.ids))
		}
	})
}

// Finding yields everyone asked for who exists, in short URLs.
func TestFindSurvivesPaging(t *testing.T) {
	client := func(d *directory) *Client { return d.client(t) }
	rapid.Check(t, func(t *rapid.T) {
		d := &directory{
			ids:           people(rapid.IntRange(0, 900).Draw(t, "users")),
			pageCap:       rapid.SampledFrom([]int{7, 50, 100, 1000}).Draw(t, "cap"),
			totalsUnknown: rapid.Bool().Draw(t, "totals unknown"),
			totalsOfAsked: rapid.Bool().Draw(t, "totals of the size asked for"),
			repeatLast:    rapid.Bool().Draw(t, "last page repeated"),
		}
		emails := []string{"", "a,b@example.com", "nobody@example.com"}
		missing := map[string]bool{}
		for _, id := range d.ids {
			if rapid.Bool().Draw(t, "asked for") {
				emails = append(emails, addr(id))
				missing[addr(id)] = true
			}
		}
		seen := map[int64]bool{}
		err := client(d).Find(t.Context(), emails, func(u User) error {
			if seen[u.ID] {
				t.Fatalf("user %d twice", u.ID)
			}
			seen[u.ID] = true
			delete(missing, u.Email)
			return nil
		})
		if err != nil || len(missing) > 0 || d.longest > 6<<10 {
			t.Fatalf("error %v, %d not found, URL of %d bytes", err, len(missing), d.longest)
		}
	})
}

// Finding takes few calls.
func TestFindIsFrugal(t *testing.T) {
	for name, c := range map[string]struct {
		users, asked, pageCap int
		totalsUnknown         bool
		most                  int
	}{
		"40 of 100000":            {100_000, 40, 1000, false, 1},
		"40 of 100000, cap 100":   {100_000, 40, 100, false, 1},
		"40 of 100000, no totals": {100_000, 40, 1000, true, 2},
		"all of 20000":            {20_000, 20_000, 1000, false, 21},
		"all of 20000, no totals": {20_000, 20_000, 1000, true, 21},
		"all of 10000, cap 100":   {10_000, 10_000, 100, false, 105},
		"nobody":                  {1000, 0, 100, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := &directory{ids: people(c.users), pageCap: c.pageCap, totalsUnknown: c.totalsUnknown}
			emails := make([]string, c.asked)
			for i := range emails {
				emails[i] = addr(d.ids[len(d.ids)-1-i])
			}
			if err := d.client(t).Find(t.Context(), emails, func(User) error { return nil }); err != nil {
				t.Fatal(err)
			}
			if d.requests > c.most {
				t.Errorf("%d calls, want at most %d", d.requests, c.most)
			}
		})
	}
}

// Somebody leaves while the pages are read: the one who moved onto a page that
// was already read is found all the same.
func TestUsersChangingBetweenPages(t *testing.T) {
	d := &directory{ids: people(30), pageCap: 10}
	d.between = func(d *directory, page int) {
		if page == 1 && len(d.ids) == 30 {
			d.ids = d.ids[1:]
		}
	}
	seen := map[int64]bool{}
	if err := d.client(t).Users(t.Context(), func(u User) error { seen[u.ID] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 30 {
		t.Errorf("%d users seen, want 30", len(seen))
	}
}

// A listing that cannot be finished is an error, never a short list.
func TestUsersFailHalfway(t *testing.T) {
	d := &directory{ids: people(30), pageCap: 10}
	c := newTest(t, func(r *http.Request) (*http.Response, error) {
		if r.URL.Query().Get("page") == "2" {
			return refusal(403, 1004, "r4"), nil
		}
		return d.RoundTrip(r)
	}, nil)
	err := c.Users(t.Context(), func(User) error { return nil })
	if e, ok := errors.AsType[*Error](err); !ok || e.RefID != "r4" {
		t.Errorf("error %v", err)
	}
	stop := errors.New("enough")
	if err := d.client(t).Users(t.Context(), func(User) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("error %v, want the callback's", err)
	}
}

// An address that is not the API's is named as such, not taken for a lost user.
func TestWrongAddress(t *testing.T) {
	c := newTest(t, func(*http.Request) (*http.Response, error) { return answer(404, "<html>Not Found"), nil }, nil)
	_, err := c.Me(t.Context())
	for _, err := range []error{err, c.Users(t.Context(), func(User) error { return nil })} {
		if e, ok := errors.AsType[*Error](err); !ok || VerdictOf(err) != StopRun || !strings.HasPrefix(e.Hint(), "check the address") {
			t.Errorf("%v, verdict %v", err, VerdictOf(err))
		}
	}
}

// A garbled answer leaves nothing behind in the one that follows it.
func TestMeAndUser(t *testing.T) {
	n := 0
	c := newTest(t, func(*http.Request) (*http.Response, error) {
		if n++; n%2 == 1 {
			return answer(200, `{"id":48569348493401200,"admin":true,"name":"Old","alternateEmails":[{"email":"x@y"}],"account":`), nil
		}
		return answer(200, `{"id":48569348493401200,"email":"a@b.c","account":{"id":7031425868359556,"name":"Example"}}`), nil
	}, nil)
	me, err := c.Me(t.Context())
	if err != nil || me.ID != testID || me.Admin || me.Name != "" || me.AccountID != 7031425868359556 || me.AccountName != "Example" {
		t.Errorf("%+v, %v", me, err)
	}
	u, err := c.User(t.Context(), testID)
	if err != nil || u.Email != "a@b.c" || len(u.AlternateEmails) != 0 {
		t.Errorf("%+v, %v", u, err)
	}
	c = newTest(t, func(*http.Request) (*http.Response, error) { return answer(200, `{"id":1}`), nil },
		func(o *Options) { o.MaxAttempts = 1 })
	if _, err := c.User(t.Context(), testID); err == nil {
		t.Error("another user's answer is taken")
	}
}

// Whatever a page holds, listing ends, and nobody is named twice or without an id.
func FuzzPages(f *testing.F) {
	for _, s := range []string{
		`{"data":[{"id":1}],"totalPages":1}`, `{"data":[],"totalPages":9}`, `{"data":null}`, `{"data":[null,{"id":0}],"totalPages":-1}`,
		`{"data":[{"id":1},{"id":1}],"totalPages":2,"totalCount":-1}`, `{"data":[{"id":9223372036854775808}]}`, `{"data":[{"id":1}]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c := newTest(t, func(*http.Request) (*http.Response, error) { return answer(200, string(b)), nil },
			func(o *Options) { o.MaxAttempts, o.RequestsPerMinute = 1, 60_000_000 })
		seen := map[int64]bool{}
		_ = c.Users(t.Context(), func(u User) error {
			if u.ID == 0 || seen[u.ID] {
				t.Errorf("user %d", u.ID)
			}
			seen[u.ID] = true
			return nil
		})
		if n := c.Stats().Requests; n > 2 {
			t.Errorf("%d requests for one page that repeats", n)
		}
	})
}
