package smartsheet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// directory answers GET /users from a list of ids, with the quirks that the API
// reference leaves open. The email of user 7 is u7@example.com.
type directory struct {
	ids           []int64
	pageCap       int // most users on a page
	totalsUnknown bool
	totalsOfAsked bool // totalPages is counted in pages of the size asked for
	totalsOfAll   bool // totals are of everyone, also with a filter
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
	if d.totalsOfAll {
		a["totalPages"], a["totalCount"] = (len(d.ids)+size-1)/size, len(d.ids)
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

// The same for every short list, whatever the pages and totals. One whose last page is full and
// begins with a user of the page before seemed to have an end that moved each time.
func TestUsersOfShortLists(t *testing.T) {
	for n := range 14 {
		for i := range 6 << 3 {
			d := &directory{ids: people(n), pageCap: 1 + i>>3, totalsUnknown: i&1 > 0, repeatLast: i&2 > 0, twice: i&4 > 0 && i>>3 > 0}
			seen := map[int64]int{}
			err := d.client(t).Users(t.Context(), func(u User) error { seen[u.ID]++; return nil })
			if err != nil || len(seen) != n || d.requests > 2*n+8 {
				t.Errorf("%d users, pages of %d, totals unknown %t, last page repeated %t, users twice %t: %d listed in %d requests, error %v",
					n, d.pageCap, d.totalsUnknown, d.repeatLast, d.twice, len(seen), d.requests, err)
			}
		}
	}
}

// Everyone who is looked for and exists is found, in short URLs.
func TestUsersByEmailSurvivesPaging(t *testing.T) {
	client := func(d *directory) *Client { return d.client(t) }
	rapid.Check(t, func(t *rapid.T) {
		d := &directory{
			ids:           people(rapid.IntRange(0, 900).Draw(t, "users")),
			pageCap:       rapid.SampledFrom([]int{7, 50, 100, 1000}).Draw(t, "cap"),
			totalsUnknown: rapid.Bool().Draw(t, "totals unknown"),
			totalsOfAsked: rapid.Bool().Draw(t, "totals of the size asked for"),
			repeatLast:    rapid.Bool().Draw(t, "last page repeated"),
			totalsOfAll:   rapid.Bool().Draw(t, "totals of everyone"),
		}
		emails := []string{"nobody@example.com"}
		if rapid.Bool().Draw(t, "one that no filter takes") {
			emails = append(emails, "a,b@example.com")
		}
		missing := map[string]bool{}
		for _, id := range d.ids {
			if rapid.Bool().Draw(t, "asked for") {
				emails = append(emails, addr(id))
				missing[addr(id)] = true
			}
		}
		seen := map[int64]bool{}
		_, err := client(d).UsersByEmail(t.Context(), emails, func(u User) error {
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

// A search takes few calls.
func TestUsersByEmailIsFrugal(t *testing.T) {
	for name, c := range map[string]struct {
		users, asked, pageCap int
		totalsUnknown         bool
		most                  int
	}{
		"40 of 100000":            {100_000, 40, 1000, false, 1},
		"40 of 100000, cap 100":   {100_000, 40, 100, false, 1},
		"40 of 100000, no totals": {100_000, 40, 1000, true, 2},
		"all of 20000":            {20_000, 20_000, 1000, false, 21},
		"all of 20000, no totals": {20_000, 20_000, 1000, true, 22},
		"all of 10000, cap 100":   {10_000, 10_000, 100, false, 115},
		"nobody":                  {1000, 0, 100, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := &directory{ids: people(c.users), pageCap: c.pageCap, totalsUnknown: c.totalsUnknown}
			emails := make([]string, c.asked)
			for i := range emails {
				emails[i] = addr(d.ids[len(d.ids)-1-i])
			}
			if _, err := d.client(t).UsersByEmail(t.Context(), emails, func(User) error { return nil }); err != nil {
				t.Fatal(err)
			}
			if d.requests > c.most {
				t.Errorf("%d calls, want at most %d", d.requests, c.most)
			}
		})
	}
}

// Users come and go between two pages: nobody who was there all the time is missed,
// also when the total stays the same.
func TestUsersChangingBetweenPages(t *testing.T) {
	const newcomer = 7
	for name, change := range map[string]func(ids []int64) []int64{
		"the first leaves":                func(ids []int64) []int64 { return ids[1:] },
		"the whole first page leaves":     func(ids []int64) []int64 { return ids[10:] },
		"one leaves, one joins":           func(ids []int64) []int64 { return append(slices.Clone(ids[1:]), newcomer) },
		"many leave, as many join":        func(ids []int64) []int64 { return append(slices.Clone(ids[4:]), 1, 2, 3, newcomer) },
		"one joins at the head":           func(ids []int64) []int64 { return append([]int64{newcomer}, ids...) },
		"the last of the page leaves":     func(ids []int64) []int64 { return slices.Concat(ids[:9], ids[10:]) },
		"the last of the page, one joins": func(ids []int64) []int64 { return slices.Concat(ids[:9], ids[10:], []int64{newcomer}) },
	} {
		for _, unknown := range []bool{false, true} {
			for after := 1; after < 4; after++ {
				t.Run(fmt.Sprint(name, " after page ", after, ", totals unknown ", unknown), func(t *testing.T) {
					d := &directory{ids: people(100), pageCap: 20, totalsUnknown: unknown}
					calls := 0
					d.between = func(d *directory, _ int) {
						if calls++; calls == after {
							d.ids = change(d.ids)
						}
					}
					seen := map[int64]int{}
					if err := d.client(t).Users(t.Context(), func(u User) error { seen[u.ID]++; return nil }); err != nil {
						t.Fatal(err)
					}
					for _, id := range d.ids {
						if seen[id] != 1 && (seen[id] != 0 || id != newcomer) {
							t.Errorf("user %d was seen %d times", id-testID, seen[id])
						}
					}
					if calls > 15 {
						t.Errorf("%d calls", calls)
					}
				})
			}
		}
	}
}

// Whoever is there from the first page to the last is listed once, or the list is an error,
// however many join and leave at random places between two pages.
func TestUsersComeAndGo(t *testing.T) {
	client := func(d *directory) *Client { return d.client(t) }
	rapid.Check(t, func(t *rapid.T) {
		d := &directory{
			ids:           people(rapid.IntRange(0, 120).Draw(t, "users")),
			pageCap:       rapid.IntRange(8, 30).Draw(t, "cap"),
			totalsUnknown: rapid.Bool().Draw(t, "totals unknown"),
			repeatLast:    rapid.Bool().Draw(t, "last page repeated"),
		}
		stay := map[int64]bool{}
		for _, id := range d.ids {
			stay[id] = true
		}
		next := int64(1)
		d.between = func(d *directory, _ int) {
			if rapid.IntRange(0, 3).Draw(t, "changes") > 0 || d.requests > 300 {
				return
			}
			for range rapid.IntRange(0, 12).Draw(t, "leave") {
				if len(d.ids) > 0 {
					i := rapid.IntRange(0, len(d.ids)-1).Draw(t, "who")
					delete(stay, d.ids[i])
					d.ids = slices.Delete(slices.Clone(d.ids), i, i+1)
				}
			}
			if rapid.Bool().Draw(t, "joins at the end") {
				d.ids = append(slices.Clone(d.ids), next)
				next++
			}
		}
		seen := map[int64]int{}
		err := client(d).Users(t.Context(), func(u User) error { seen[u.ID]++; return nil })
		if err != nil {
			return // and nobody is taken for missing
		}
		for id := range stay {
			if seen[id] != 1 {
				t.Fatalf("user %d of %d was seen %d times", id-testID, len(d.ids), seen[id])
			}
		}
		if d.requests > 300 {
			t.Fatalf("%d calls", d.requests)
		}
	})
}

// A list that ends before the total that it names is read once more, and is an error
// when it does so again: nobody is missing because of it.
func TestUsersShortOfTheTotal(t *testing.T) {
	for name, c := range map[string]struct {
		empty int // requests for a later page that are answered with nobody; -1: all
		ok    bool
	}{"once": {1, true}, "always": {-1, false}} {
		t.Run(name, func(t *testing.T) {
			d := &directory{ids: people(35), pageCap: 25}
			emptied := 0
			c2 := newTest(t, func(r *http.Request) (*http.Response, error) {
				if r.URL.Query().Get("page") != "1" && emptied != c.empty {
					emptied++
					return answer(200, `{"totalCount":35,"totalPages":2,"data":[]}`), nil
				}
				return d.RoundTrip(r)
			}, func(o *Options) { o.RequestsPerMinute = 60_000_000 })
			n := 0
			err := c2.Users(t.Context(), func(User) error { n++; return nil })
			if (err == nil) != c.ok || c.ok && n != 35 || c2.Stats().Requests != 4 {
				t.Errorf("%d users, error %v, %d requests", n, err, c2.Stats().Requests)
			}
			if e, ok := errors.AsType[*Error](err); !c.ok && (!ok || Classify(err) != Stop || !strings.Contains(err.Error(), "35") || !strings.Contains(e.Hint(), "nobody was counted as missing")) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// A user who cannot be understood is named, with what can be read, and the others are
// listed. Unknown shapes of what is not needed do not matter.
func TestUnusableUsers(t *testing.T) {
	for entry, want := range map[string]User{
		`{"id":7,"email":"a@b.c","isInternal":true,"sheetCount":-1}`:                                       {ID: 7, Email: "a@b.c"},
		`{"id":7,"email":"a@b.c","isInternal":false}`:                                                      {ID: 7, Email: "a@b.c", External: true},
		`{"id":"48569348493401201","email":"a@b.c"}`:                                                       {ID: testID + 1, Email: "a@b.c"},
		`{"id":7,"email":"a@b.c","name":{},"status":1,"isInternal":"x"}`:                                   {ID: 7, Email: "a@b.c"},
		`{"id":7,"email":"a@b.c","profileImage":"x"}`:                                                      {ID: 7, Email: "a@b.c", ImageID: `"x"`},
		`{"id":7,"email":"a@b.c","profileImage":["x"]}`:                                                    {ID: 7, Email: "a@b.c", ImageID: `["x"]`},
		`{"id":7,"email":"a@b.c","profileImage":{"url":"x"}}`:                                              {ID: 7, Email: "a@b.c", ImageID: `{"url":"x"}`},
		`{"id":7,"email":"a@b.c","profileImage":{"imageId":{"id":"x"}}}`:                                   {ID: 7, Email: "a@b.c", ImageID: `{"id":"x"}`},
		`{"id":7,"email":"a@b.c","profileImage":{"imageId":null,"height":0}}`:                              {ID: 7, Email: "a@b.c"},
		`{"id":7,"email":"a@b.c","profileImage":{"imageId":""}}`:                                           {ID: 7, Email: "a@b.c"},
		`{"id":7,"email":"a@b.c","profileImage":{}}`:                                                       {ID: 7, Email: "a@b.c"},
		`{"id":7,"email":"a@b.c","profileImage":null}`:                                                     {ID: 7, Email: "a@b.c"},
		`{"id":7,"email":"a@b.c","profileImage":{"imageId":5,"height":[]},"alternateEmails":7}`:            {ID: 7, Email: "a@b.c", ImageID: "5"},
		`{"id":7,"email":"a@b.c","alternateEmails":[null,3,{"email":"x@y","confirmed":true},{"email":1}]}`: {ID: 7, Email: "a@b.c", AlternateEmails: []AlternateEmail{{"x@y", true}}},
		`{"id":7,"email":"a@b.c","alternateEmails":{"email":"x@y","confirmed":false}}`:                     {ID: 7, Email: "a@b.c", AlternateEmails: []AlternateEmail{{"x@y", false}}},
		`{"id":"x7","email":"a@b.c","name":"Ann"}`:                                                         {Email: "a@b.c", Name: "Ann", Unusable: `user id "x7" is not a whole number`},
		`{"id":1.5e3,"email":"a@b.c"}`:                                                                     {Email: "a@b.c", Unusable: `user id 1.5e3 is not a whole number`},
		`{"email":"a@b.c"}`:                                                                                {Email: "a@b.c", Unusable: "no user id"},
		`{"id":7,"email":["a@b.c"]}`:                                                                       {ID: 7, Unusable: "no email address"},
		`null`:                                                                                             {Unusable: "the entry is null, not a user"},
		`"a@b.c"`:                                                                                          {Unusable: `the entry is "a@b.c", not a user`},
	} {
		c := newTest(t, func(*http.Request) (*http.Response, error) {
			return answer(200, `{"totalCount":2,"data":[`+entry+`,{"id":9,"email":"last@b.c"}]}`), nil
		}, nil)
		var got []User
		err := c.Users(t.Context(), func(u User) error { got = append(got, u); return nil })
		if d := cmp.Diff([]User{want, {ID: 9, Email: "last@b.c"}}, got); d != "" || err != nil {
			t.Errorf("%s: error %v\n%s", entry, err, d)
		}
	}
}

// Where Smartsheet, or a gateway, does not take the filter, everyone is listed; an
// address that may not stand in it keeps no other from being found.
func TestFilterRefused(t *testing.T) {
	for name, c := range map[string]struct {
		refuse *http.Response
		emails []string
		most   int64
	}{
		"1018":         {refusal(400, 1018, "r"), []string{addr(testID)}, 2},
		"too long":     {answer(414, ""), []string{addr(testID)}, 2},
		"other code":   {refusal(400, 1012, "r"), []string{addr(testID)}, 2},
		"firewall":     {answer(403, "<html>blocked: |"), []string{addr(testID)}, 2},
		"no such page": {answer(404, ""), []string{addr(testID)}, 2},
		"fails":        {refusal(500, 4000, "r"), []string{addr(testID)}, 7},
		"comma":        {nil, []string{addr(testID), `"a,b"@example.com`}, 1},
		"space":        {nil, []string{addr(testID), "a b@example.com"}, 1},
		"no address":   {nil, []string{addr(testID), "ann"}, 1},
		"good filters": {nil, []string{addr(testID)}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			d := &directory{ids: people(30), pageCap: 100}
			cl := newTest(t, func(r *http.Request) (*http.Response, error) {
				if f := r.URL.Query().Get("email"); f != "" && c.refuse != nil {
					return c.refuse, nil
				}
				return d.RoundTrip(r)
			}, nil)
			found := false
			_, err := cl.UsersByEmail(t.Context(), c.emails, func(u User) error { found = found || u.ID == testID; return nil })
			if err != nil || !found || cl.Stats().Requests > c.most {
				t.Errorf("found %v, error %v, %d requests", found, err, cl.Stats().Requests)
			}
		})
	}
	c := newTest(t, func(*http.Request) (*http.Response, error) { return refusal(403, 1004, "r"), nil }, nil)
	if _, err := c.UsersByEmail(t.Context(), []string{"a@b.c"}, nil); Classify(err) != Permission || c.Stats().Requests != 2 {
		t.Errorf("refused without a filter, too: %v", err)
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
		if e, ok := errors.AsType[*Error](err); !ok || Classify(err) != Stop || !strings.HasPrefix(e.Hint(), "check the address") {
			t.Errorf("%v, class %v", err, Classify(err))
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
	if _, err := c.User(t.Context(), testID); err == nil || strings.Contains(err.Error(), "wireUser") {
		t.Errorf("another user's answer is taken: %v", err)
	}
	c = newTest(t, func(*http.Request) (*http.Response, error) { return refusal(404, 1020, "r"), nil }, nil)
	if _, err := c.User(t.Context(), testID); !NotFound(err) {
		t.Errorf("a user who left: %v", err)
	}
	if NotFound(nil) || NotFound(&Error{Status: 404, Message: "<html>"}) {
		t.Error("a page that is not found is no user who left")
	}
}

// /users/me is understood as the OpenAPI document writes it and as the SDKs do, and
// without an account.
func TestMeInAllShapes(t *testing.T) {
	work := []AlternateEmail{{"w@b.c", true}}
	for body, want := range map[string]Me{
		`{"id":7,"email":"a@b.c","admin":true,"account":{"id":9,"name":"E"},"alternateEmails":{"id":3,"email":"w@b.c","confirmed":true}}`:   {User: User{ID: 7, Email: "a@b.c", AlternateEmails: work}, Admin: true, AccountID: 9, AccountName: "E"},
		`{"id":7,"email":"a@b.c","admin":true,"account":{"id":9,"name":"E"},"alternateEmails":[{"id":3,"email":"w@b.c","confirmed":true}]}`: {User: User{ID: 7, Email: "a@b.c", AlternateEmails: work}, Admin: true, AccountID: 9, AccountName: "E"},
		`{"id":7,"email":"a@b.c"}`:                         {User: User{ID: 7, Email: "a@b.c"}, AccountID: 7, AccountName: "the account of a@b.c"},
		`{"id":7,"account":null,"admin":"yes"}`:            {User: User{ID: 7}, AccountID: 7, AccountName: "the account of "},
		`{"id":7,"account":"E","locale":5,"timeZone":{}}`:  {User: User{ID: 7}, AccountID: 7, AccountName: "the account of "},
		`{"id":"7","account":{"id":"9"},"profileImage":1}`: {User: User{ID: 7}, AccountID: 9},
	} {
		c := newTest(t, func(*http.Request) (*http.Response, error) { return answer(200, body), nil }, nil)
		me, err := c.Me(t.Context())
		if d := cmp.Diff(want, me); d != "" || err != nil {
			t.Errorf("%s: error %v\n%s", body, err, d)
		}
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
			if u.ID == 0 && u.Unusable == "" || seen[u.ID] && u.ID != 0 {
				t.Errorf("user %+v", u)
			}
			seen[u.ID] = true
			return nil
		})
		if n := c.Stats().Requests; n > 10 {
			t.Errorf("%d requests for one page that repeats", n)
		}
	})
}

// A page that names the key of the next one, as other endpoints do, is a part of the list.
func TestUsersWithALastKey(t *testing.T) {
	c := newTest(t, func(*http.Request) (*http.Response, error) {
		return answer(200, `{"totalCount":-1,"lastKey":"k","data":[{"id":9,"email":"a@b.c"}]}`), nil
	}, func(o *Options) { o.RequestsPerMinute, o.MaxAttempts = 60_000_000, 1 })
	if err := c.Users(t.Context(), func(User) error { return nil }); err == nil || !strings.Contains(err.Error(), "a part of the list") {
		t.Errorf("error %v", err)
	}
}

// A key beside pages that work changes nothing: the list is as long as it says.
func TestUsersWithALastKeyBesidePages(t *testing.T) {
	c := newTest(t, func(r *http.Request) (*http.Response, error) {
		if r.URL.Query().Get("page") == "1" {
			return answer(200, `{"totalCount":2,"totalPages":2,"lastKey":"k","data":[{"id":9,"email":"a@b.c"}]}`), nil
		}
		return answer(200, `{"totalCount":2,"totalPages":2,"data":[{"id":10,"email":"b@b.c"}]}`), nil
	}, func(o *Options) { o.RequestsPerMinute, o.MaxAttempts = 60_000_000, 1 })
	users := 0
	if err := c.Users(t.Context(), func(User) error { users++; return nil }); err != nil || users != 2 {
		t.Errorf("%d users, error %v", users, err)
	}
}

// renaming is a Smartsheet that lists a user before and after a new address moved it to the end.
type renaming struct{}

func (renaming) RoundTrip(r *http.Request) (*http.Response, error) {
	const list = `{"pageNumber":1,"totalPages":1,"totalCount":3,"data":[{"id":1,"email":"ann@x"},{"id":2,"email":"bob@x"},{"id":1,"email":"zoe@x"}]}`
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(list)), Request: r}, nil
}

// Of two sightings of a user in one list, the later one counts.
func TestUserWhoIsRenamedInTheList(t *testing.T) {
	c := newTest(t, nil, func(o *Options) { o.Transport = renaming{} })
	last := map[int64]string{}
	err := c.Users(t.Context(), func(u User) error { last[u.ID] = u.Email; return nil })
	if err != nil || last[1] != "zoe@x" || last[2] != "bob@x" {
		t.Errorf("%v, error %v", last, err)
	}
}
