package match

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/plan"
	"photosync/sync/smartsheet"
)

// company is a Smartsheet that counts the users it is asked for by id.
type company struct {
	users []smartsheet.User
	asked []int64
	fails func(id int64) error // may be nil
}

func (c *company) Users(_ context.Context, each func(smartsheet.User) error) error {
	for _, u := range c.users {
		u.AlternateEmails = nil // only a user asked for by id shows them
		if err := each(u); err != nil {
			return err
		}
	}
	return nil
}

func (c *company) UsersByEmail(_ context.Context, emails []string, each func(smartsheet.User) error) (bool, error) {
	for _, u := range c.users {
		if u.AlternateEmails = nil; slices.Contains(emails, strings.ToLower(u.Email)) {
			if err := each(u); err != nil {
				return false, err
			}
		}
	}
	return false, nil
}

func (c *company) User(_ context.Context, id int64) (smartsheet.User, error) {
	c.asked = append(c.asked, id)
	if c.fails != nil && c.fails(id) != nil {
		return smartsheet.User{}, c.fails(id)
	}
	for _, u := range c.users {
		if u.ID == id {
			return u, nil
		}
	}
	return smartsheet.User{}, &smartsheet.Error{Status: http.StatusNotFound, Code: 1006}
}

// parseUser reads a user, written as "101 ann@x", with "off" behind it for one who is not active, and
// "+bob@x" for an alternate address that is confirmed, "?bob@x" for one that is not.
func parseUser(t *testing.T, text string) (u smartsheet.User) {
	t.Helper()
	fields := strings.Fields(text)
	if _, err := fmt.Sscan(fields[0], &u.ID); err != nil {
		t.Fatal(err)
	}
	u.Email, u.Status = fields[1], "ACTIVE"
	for _, f := range fields[2:] {
		switch f[0] {
		case '+', '?':
			u.AlternateEmails = append(u.AlternateEmails, smartsheet.AlternateEmail{Email: f[1:], Confirmed: f[0] == '+'})
		default:
			u.Status = "DEACTIVATED"
		}
	}
	return u
}

func parseUsers(t *testing.T, texts []string) (us []smartsheet.User) {
	for _, text := range texts {
		us = append(us, parseUser(t, text))
	}
	return us
}

// parsePerson reads a person, written as own addresses, and aliases behind a bar: "ann@x.org | a@x.org".
func parsePerson(text string) *plan.Work {
	own, aliases, _ := strings.Cut(text, "|")
	return &plan.Work{Joined: sources.Joined{Own: strings.Fields(own), Aliases: strings.Fields(aliases), Candidates: []sources.Candidate{{}}}}
}

// describe is what w is matched to: "101 via ann@x.org", "nobody", or "101 or 102".
func describe(w *plan.Work) string {
	if w.Unusable != "" && len(w.Users) == 0 {
		return "unusable"
	}
	if u := w.User(); u != nil {
		return fmt.Sprintf("%d via %s", u.ID, u.Via)
	}
	var ids []string
	for _, u := range w.Users {
		ids = append(ids, fmt.Sprint(u.ID))
	}
	if len(ids) == 0 {
		return "nobody"
	}
	return strings.Join(ids, " or ")
}

// Which user a person is, by the section "Who is who" of docs/explanation/how-it-decides.md.
func TestResolve(t *testing.T) {
	for _, c := range []struct {
		name, person string
		users        []string
		want         string
	}{
		{"own address", "ann@x.org", []string{"101 ann@x.org", "102 bob@x.org"}, "101 via ann@x.org"},
		{"in any case", "ann@x.org", []string{"101 Ann@X.org"}, "101 via ann@x.org"},
		{"nobody has it", "ann@x.org", []string{"102 bob@x.org"}, "nobody"},
		{"the whole address", "ann@x.org", []string{"102 ann@y.org", "103 joann@x.org"}, "nobody"},
		{"a related letter is another one", "gross@x.org", []string{"101 groß@x.org"}, "nobody"},
		{"second own address", "ann@x.org ann@y.org", []string{"101 ann@y.org"}, "101 via ann@y.org"},
		{"two own addresses, two users", "ann@x.org ann@y.org", []string{"101 ann@y.org", "102 ann@x.org"}, "101 or 102"},
		{"two own addresses, one active", "ann@x.org ann@y.org", []string{"101 ann@y.org off", "102 ann@x.org"}, "102 via ann@x.org"},
		{"not active", "ann@x.org", []string{"101 ann@x.org off"}, "101 via ann@x.org"},
		{"an active user beats an inactive one", "ann@x.org", []string{"101 ann@x.org off", "102 ann@x.org"}, "102 via ann@x.org"},
		{"two active ones", "ann@x.org", []string{"102 ann@x.org", "101 ann@x.org"}, "101 or 102"},
		{"two inactive ones", "ann@x.org", []string{"102 ann@x.org off", "101 ann@x.org off"}, "101 or 102"},
		{"alias", "ann@x.org | a@x.org", []string{"101 a@x.org"}, "101 via a@x.org"},
		{"an own address beats an alias", "ann@x.org | a@x.org", []string{"101 a@x.org", "102 ann@x.org"}, "102 via ann@x.org"},
		{"even of an inactive user", "ann@x.org | a@x.org", []string{"101 a@x.org", "102 ann@x.org off"}, "102 via ann@x.org"},
		{"two aliases, two users", "ann@x.org | a@x.org b@x.org", []string{"101 a@x.org", "102 b@x.org"}, "101 or 102"},
		{"two aliases, one user", "ann@x.org | a@x.org b@x.org", []string{"101 b@x.org"}, "101 via b@x.org"},
		{"alternate addresses do not count unless asked for", "ann@x.org", []string{"101 old@x.org +ann@x.org"}, "nobody"},
		{"what nobody can read may be anybody", "ann@x.org", []string{"101 not-an-address"}, "nobody"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, all := range []bool{false, true} { // everybody listed, or looked up by address
				api := &company{users: parseUsers(t, c.users)}
				us, w := New(api), parsePerson(c.person)
				if all {
					if err := us.List(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if err := us.Resolve(t.Context(), []*plan.Work{w}); err != nil {
					t.Fatal(err)
				}
				if got := describe(w); got != c.want {
					t.Errorf("everybody listed %t: %s, want %s", all, got, c.want)
				}
				if len(api.asked) > 0 {
					t.Errorf("asked for %v by id", api.asked)
				}
			}
		})
	}
}

// An entry of Smartsheet's list that cannot be used stands for the person whose address it
// has: that person is not "not in Smartsheet".
func TestUnusableEntry(t *testing.T) {
	api := &company{users: []smartsheet.User{{Email: "ann@x.org", Unusable: "it has no id"}}}
	us, ann, bob := New(api), parsePerson("ann@x.org"), parsePerson("bob@x.org")
	if err := us.Resolve(t.Context(), []*plan.Work{ann, bob}); err != nil {
		t.Fatal(err)
	}
	if ann.Unusable == "" || bob.Unusable != "" || len(us.NotUnderstood) == 0 {
		t.Errorf("ann %q, bob %q, not understood %q", ann.Unusable, bob.Unusable, us.NotUnderstood)
	}
}

// How a user is at a second look-up, just before the picture is sent: 0 means that it must not
// be sent. The step's user is 101, found by ann@x.org.
func TestLookUpAgain(t *testing.T) {
	t.Run("alternate, and the user cannot be asked", func(t *testing.T) {
		api := &company{fails: func(int64) error { return &smartsheet.Error{Status: 403, Code: 1004} }}
		us := withAlternates(t, New(api), time.Now(), "ann@x.org")
		step := &plan.Step{Work: parsePerson("ann@x.org"), To: &plan.User{ID: 101, Via: "ann@x.org", Alternate: true}}
		if found, err := us.LookUpAgain(t.Context(), []*plan.Step{step}); err != nil || found[0].ID != 0 {
			t.Errorf("%+v, %v", found, err)
		}
	})
	for _, c := range []struct {
		name      string
		users     []string
		alternate bool
		want      int64
	}{
		{"as before", []string{"101 ann@x.org"}, false, 101},
		{"the address went to another user", []string{"101 a@x.org", "102 ann@x.org"}, false, 0},
		{"the user has another address now", []string{"101 a@x.org"}, false, 0},
		{"the user is gone", nil, false, 0},
		{"a second active user has the address", []string{"101 ann@x.org", "102 ann@x.org"}, false, 0},
		{"listed before it", []string{"102 ann@x.org", "101 ann@x.org"}, false, 0},
		{"a second user who is not active", []string{"102 ann@x.org off", "101 ann@x.org"}, false, 101},
		{"alternate, as before", []string{"101 old@x.org +ann@x.org"}, true, 101},
		{"alternate, not confirmed any more", []string{"101 old@x.org ?ann@x.org"}, true, 0},
		{"alternate, taken away", []string{"101 old@x.org"}, true, 0},
		{"alternate, the user got somebody else's address", []string{"101 bob@x.org +ann@x.org"}, true, 0},
		{"alternate, and somebody else's besides", []string{"101 old@x.org +ann@x.org +bob@x.org"}, true, 0},
		{"alternate, and an unconfirmed one of somebody else", []string{"101 old@x.org +ann@x.org ?bob@x.org"}, true, 101},
		{"alternate, the user is gone", nil, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			us := withAlternates(t, New(&company{users: parseUsers(t, c.users)}), time.Now(), "ann@x.org", "bob@x.org")
			step := &plan.Step{Work: parsePerson("ann@x.org"), To: &plan.User{ID: 101, Via: "ann@x.org", Alternate: c.alternate}}
			found, err := us.LookUpAgain(t.Context(), []*plan.Step{step})
			if err != nil || len(found) != 1 || found[0].ID != c.want {
				t.Fatalf("%+v, %v; want %d", found, err, c.want)
			}
			if c.want != 0 && (found[0].Via != "ann@x.org" || found[0].Alternate != c.alternate || found[0].Seen.IsZero()) {
				t.Errorf("found %+v", found[0])
			}
		})
	}
}

// withAlternates makes alternate addresses count in a run that begins at now, of a state
// that remembers nobody.
func withAlternates(t *testing.T, us *Users, now time.Time, listed ...string) *Users {
	t.Helper()
	if err := us.UseAlternates(emptyState(t), now, func(e string) bool { return slices.Contains(listed, e) }, nil); err != nil {
		t.Fatal(err)
	}
	return us
}

func emptyState(t *testing.T) *state.Store {
	t.Helper()
	st, err := state.Open(filepath.Join(t.TempDir(), "state.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

// Whom alternate addresses lead to. ann@x.org and bob@x.org stand in the sources.
func TestResolveByAlternates(t *testing.T) {
	for _, c := range []struct {
		name, person string
		users        []string
		want         string
		overlap      []string
	}{
		{"confirmed", "ann@x.org", []string{"101 old@x.org +ann@x.org"}, "101 via ann@x.org", nil},
		{"not confirmed", "ann@x.org", []string{"101 old@x.org ?ann@x.org"}, "nobody", nil},
		{"an own address is enough", "ann@x.org", []string{"101 old@x.org +ann@x.org", "102 ann@x.org"}, "102 via ann@x.org", nil},
		{"of two users", "ann@x.org", []string{"101 old@x.org +ann@x.org", "102 older@x.org +ann@x.org"}, "101 or 102", nil},
		{"of a user who is not active", "ann@x.org", []string{"101 old@x.org off +ann@x.org"}, "nobody", nil},
		{"of a user who is somebody else", "ann@x.org", []string{"101 bob@x.org +ann@x.org"}, "nobody", nil},
		{"with somebody else's address", "ann@x.org", []string{"101 old@x.org +ann@x.org +bob@x.org"}, "101", []string{"bob@x.org"}},
		{"with an address of nobody", "ann@x.org", []string{"101 old@x.org +ann@x.org +zoe@x.org"}, "101 via ann@x.org", nil},
		{"alias", "ann@x.org | a@x.org", []string{"101 old@x.org +a@x.org"}, "101 via a@x.org", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			us := withAlternates(t, New(&company{users: parseUsers(t, c.users)}), time.Now(), "ann@x.org", "bob@x.org")
			w := parsePerson(c.person)
			if err := us.Resolve(t.Context(), []*plan.Work{w}); err != nil {
				t.Fatal(err)
			}
			if got := describe(w); got != c.want || !slices.Equal(w.Overlap, c.overlap) {
				t.Errorf("%s, overlap %q; want %s, %q", got, w.Overlap, c.want, c.overlap)
			}
			if u := w.User(); u != nil && u.Alternate == slices.ContainsFunc(parseUsers(t, c.users), func(x smartsheet.User) bool { return x.Email == u.Via }) {
				t.Errorf("found by an alternate address: %t", u.Alternate)
			}
		})
	}
}

// A user's alternate addresses are remembered, so that the next night asks nobody; what
// was remembered only finds the user, as it is looked up again before an upload.
func TestAlternatesAreRemembered(t *testing.T) {
	st := emptyState(t)
	api := &company{users: parseUsers(t, []string{"101 old@x.org +ann@x.org", "102 other@x.org"})}
	listed := func(e string) bool { return e == "ann@x.org" }
	row := &state.Person{Email: "ann@x.org"}
	begin := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	night := func(now time.Time, row *state.Person) *plan.Work {
		t.Helper()
		api.asked = nil
		us, w := New(api), parsePerson("ann@x.org")
		if w.Row = row; us.UseAlternates(st, now, listed, nil) != nil {
			t.Fatal("not readable")
		}
		if err := errors.Join(us.Resolve(t.Context(), []*plan.Work{w}), us.SaveAlternates(st)); err != nil {
			t.Fatal(err)
		}
		return w
	}
	for _, step := range []struct {
		name  string
		after time.Duration
		row   *state.Person
		seen  bool // in this run, with this address
		asked []int64
	}{
		{"first night", 0, nil, true, []int64{101, 102}},
		{"next night", 24 * time.Hour, row, false, nil},
		{"a month later: found by what is remembered", 31 * 24 * time.Hour, row, false, nil},
		{"the clock went back: nobody is trusted", -24 * time.Hour, row, true, []int64{101, 102}},
	} {
		w := night(begin.Add(step.after), step.row)
		u := w.User()
		if u == nil || u.ID != 101 || !u.Alternate || u.Seen.IsZero() == step.seen || !slices.Equal(api.asked, step.asked) {
			t.Errorf("%s: %+v, asked %v, want %v", step.name, u, api.asked, step.asked)
		}
	}
	for _, step := range []struct{ write, forgotten bool }{{false, true}, {true, true}, {true, false}} {
		if forgotten, err := ForgetAlternates(st, step.write, "ann@x.org"); err != nil || forgotten != step.forgotten {
			t.Errorf("forget %+v: %t, %v", step, forgotten, err)
		}
	}
	if night(begin, nil); !slices.Equal(api.asked, []int64{101}) {
		t.Errorf("a person who is new again: asked %v", api.asked)
	}
}

// A user who may not be read shows no alternate addresses, and the others are asked all the same.
func TestUsersWhoCannotBeAsked(t *testing.T) {
	forbidden, down := &smartsheet.Error{Status: 403, Code: 1004}, &smartsheet.Error{Status: 500, Code: 4000}
	outage := &smartsheet.Error{Status: 503, Code: 4001}
	only := func(ids ...int64) func(int64) bool { return func(id int64) bool { return slices.Contains(ids, id) } }
	from := func(first int64) func(int64) bool { return func(id int64) bool { return id >= first } }
	for _, c := range []struct {
		name    string
		err     error
		fails   func(id int64) bool
		guests  int64 // users with a lower id belong to another organisation
		want    string
		ends    bool
		askedIn string // the next run asks these
	}{
		{"one is forbidden", forbidden, only(1), 0, "10 via ann@x.org", false, "[1]"},
		{"the first five are forbidden", forbidden, only(1, 2, 3, 4, 5), 0, "10 via ann@x.org", false, "[1 2 3 4 5]"},
		{"all fail", down, from(1), 0, "nobody", false, "[6 7 8 9 10 1 2 3 4 5]"},
		{"one fails", down, only(1), 0, "10 via ann@x.org", false, "[1]"},
		{"one is not found, though the list has it", &smartsheet.Error{Status: 404, Code: 1006}, only(1), 0, "10 via ann@x.org", false, "[1]"},
		{"an outage", outage, only(1), 0, "", true, "[1 2 3 4 5 6 7 8 9 10]"},
		{"guests are forbidden", forbidden, only(1, 2, 3, 4, 5, 6, 7, 8, 9), 10, "10 via ann@x.org", false, "[]"},
		{"all are forbidden, and they are few", forbidden, from(1), 0, "nobody", false, "[1 2 3 4 5 6 7 8 9 10]"},
		{"all but the first are forbidden", forbidden, from(2), 0, "nobody", false, "[2 3 4 5 6 7 8 9 10]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			api, st := &company{}, emptyState(t)
			for id := range int64(9) {
				u := parseUser(t, fmt.Sprintf("%d u%d@x.org", id+1, id))
				u.External = u.ID < c.guests
				api.users = append(api.users, u)
			}
			api.users = append(api.users, parseUser(t, "10 old@x.org +ann@x.org"))
			run := func(person string) (*plan.Work, error) {
				us, w := New(api), parsePerson(person)
				api.asked = nil
				if err := us.UseAlternates(st, time.Now(), func(string) bool { return false }, nil); err != nil {
					t.Fatal(err)
				}
				return w, errors.Join(us.Resolve(t.Context(), []*plan.Work{w}), us.SaveAlternates(st))
			}
			api.fails = func(id int64) error {
				if c.fails(id) {
					return c.err
				}
				return nil
			}
			w, err := run("ann@x.org")
			if (err != nil) != c.ends || err == nil && describe(w) != c.want {
				t.Errorf("%s, %v", describe(w), err)
			}
			if api.fails = nil; c.ends {
				st = emptyState(t)
			}
			if _, err := run("new@x.org"); err != nil || fmt.Sprint(api.asked) != c.askedIn {
				t.Errorf("then asked %v, want %s; %v", api.asked, c.askedIn, err)
			}
		})
	}
}

// Nights on which only users who may not be read are left to be asked do not fail: they may all
// be guests of other organisations.
func TestOnlyUsersWhoCannotBeAskedAreLeft(t *testing.T) {
	for _, c := range []struct{ forbidden, others int }{{1, 0}, {20, 0}, {60, 1}, {60, 0}} {
		api, st := &company{}, emptyState(t)
		for id := range c.forbidden + c.others {
			api.users = append(api.users, parseUser(t, fmt.Sprintf("%d u%d@x.org", id+1, id)))
		}
		api.fails = func(id int64) error {
			if id > int64(c.others) {
				return &smartsheet.Error{Status: 403, Code: 1004}
			}
			return nil
		}
		for night := range 3 {
			us := New(api)
			if err := us.UseAlternates(st, time.Now(), func(string) bool { return false }, nil); err != nil {
				t.Fatal(err)
			}
			w := parsePerson("ann@x.org")
			if err := errors.Join(us.Resolve(t.Context(), []*plan.Work{w}), us.SaveAlternates(st)); err != nil {
				t.Errorf("%+v, night %d: %v", c, night, err)
			}
		}
	}
}

// At most a thousand users are asked in a run; the next one goes on.
func TestSearchIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, api := emptyState(t), &company{}
		for i := range 1500 {
			api.users = append(api.users, parseUser(t, fmt.Sprintf("%d u%d@x.org", i+1, i)))
		}
		api.users = append(api.users, parseUser(t, "9000 old@x.org +ann@x.org"))
		for night, want := range []struct {
			asked int
			found string
		}{{1000, "nobody"}, {501, "9000 via ann@x.org"}} {
			us, w := New(api), parsePerson("ann@x.org")
			api.asked = nil
			calls := 0
			if err := us.UseAlternates(st, time.Now(), func(string) bool { return false }, func(int, int) { calls++ }); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(us.Resolve(t.Context(), []*plan.Work{w}), us.SaveAlternates(st)); err != nil {
				t.Fatal(err)
			}
			if len(api.asked) != want.asked || describe(w) != want.found || calls != want.asked {
				t.Errorf("night %d: asked %d, %s, %d calls of progress; want %v", night, len(api.asked), describe(w), calls, want)
			}
			time.Sleep(24 * time.Hour)
		}
	})
}

// Whoever has a user's address now is the user's owner, whatever was seen earlier in the run.
func TestLookUpForgetsWhoHadTheAddress(t *testing.T) {
	api := &company{users: parseUsers(t, []string{"101 ann@x.org"})}
	us, w := New(api), parsePerson("ann@x.org")
	if err := us.Resolve(t.Context(), []*plan.Work{w}); err != nil {
		t.Fatal(err)
	}
	api.users = parseUsers(t, []string{"101 a@x.org", "102 ann@x.org"})
	if err := us.lookUp(t.Context(), []string{"ann@x.org"}); err != nil {
		t.Fatal(err)
	}
	us.Match(w)
	if got := describe(w); got != "102 via ann@x.org" {
		t.Error(got)
	}
}
