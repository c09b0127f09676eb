package job

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"photosync/state"
	"photosync/sync/match"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

func alternate(emails ...string) (all []smartsheet.AlternateEmail) {
	for _, e := range emails {
		all = append(all, smartsheet.AlternateEmail{Email: e, Confirmed: true})
	}
	return all
}

func byAlternate(o *Job) { o.Policy.AlternateEmails = true }

// reasons are the reasons of the items by email.
func reasons(r *report.Report) map[string]string {
	all := map[string]string{}
	for _, it := range r.Items {
		all[it.Email] = string(it.Reason) + " " + string(it.Outcome)
	}
	return all
}

// Who is matched by an alternate address, and who is not.
func TestAlternateEmails(t *testing.T) {
	for name, c := range map[string]struct {
		users      []smartsheet.User
		also       []string // other people in the source, without a photo
		off        bool
		want       string // of p00000@example.com
		user       string // who gets the picture; empty: nobody
		candidates int
	}{
		"switched off":  {users: []smartsheet.User{{Email: "jo@example.com", AlternateEmails: alternate(email(0))}}, off: true, want: "not_in_smartsheet skipped"},
		"confirmed":     {users: []smartsheet.User{{Email: "jo@example.com", AlternateEmails: alternate("x@y.z", "P00000@Example.com")}}, want: "new uploaded", user: "jo@example.com"},
		"not confirmed": {users: []smartsheet.User{{Email: "jo@example.com", AlternateEmails: []smartsheet.AlternateEmail{{Email: email(0)}}}}, want: "not_in_smartsheet skipped"},
		"own address wins": {
			users: []smartsheet.User{{Email: "jo@example.com", AlternateEmails: alternate(email(0))}, {Email: email(0)}},
			want:  "new uploaded", user: email(0)},
		"two users": {
			users: []smartsheet.User{{Email: "jo@example.com", AlternateEmails: alternate(email(0))}, {Email: "al@example.com", AlternateEmails: alternate(email(0))}},
			want:  "ambiguous skipped", candidates: 2},
		"not active":            {users: []smartsheet.User{{Email: "jo@example.com", Status: "DEACTIVATED", AlternateEmails: alternate(email(0))}}, want: "not_in_smartsheet skipped"},
		"user of somebody else": {users: []smartsheet.User{{Email: "jo@example.com", AlternateEmails: alternate(email(0))}}, also: []string{"jo@example.com"}, want: "not_in_smartsheet skipped"},
		"alternate of somebody else, too": {
			users: []smartsheet.User{{Email: "jo@example.com", AlternateEmails: alternate(email(0), "al@example.com")}},
			also:  []string{"al@example.com"}, want: "ambiguous skipped", candidates: 1},
		"nobody": {users: []smartsheet.User{{Email: "jo@example.com"}}, want: "not_in_smartsheet skipped"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 0, simulator.Options{Users: c.users})
			b.mem.Put(email(0), picture(0))
			for _, e := range c.also {
				b.mem.Put(e, nil)
			}
			r := b.must(func(o *Job) { o.Policy.AlternateEmails = !c.off })
			if got := reasons(r)[email(0)]; got != c.want {
				t.Fatalf("%s, want %s", got, c.want)
			}
			for _, it := range r.Items {
				if it.Email == email(0) && len(it.Candidates) != c.candidates {
					t.Errorf("candidates %q", it.Candidates)
				}
			}
			for _, u := range c.users {
				if img, _ := b.sim.Image(u.Email); (img.Uploads == 1) != (u.Email == c.user) {
					t.Errorf("%s has %d uploads", u.Email, img.Uploads)
				}
			}
		})
	}
}

// staff are n users of whom every third is known to the source by an alternate
// address only, and every third by none.
func staff(n int) simulator.Options {
	var o simulator.Options
	for i := range n {
		u := smartsheet.User{ID: int64(1000 + i), Email: email(i)}
		if i%3 > 0 {
			u.Email = fmt.Sprintf("user%d@example.net", i)
		}
		if i%3 == 1 {
			u.AlternateEmails = alternate(email(i))
		}
		o.Users = append(o.Users, u)
	}
	return o
}

// What was asked once is remembered: the next night costs no call for those who were
// matched, and one for those who are still in no list.
func TestAlternateEmailsAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 0, staff(60))
		for i := range 60 {
			b.mem.Put(email(i), picture(i))
		}
		calls := func(change func(*Job)) map[string]int {
			return b.calls(func() {
				b.must(func(o *Job) {
					byAlternate(o)
					if change != nil {
						change(o)
					}
				})
			})
		}
		if c := calls(func(o *Job) { o.How.Mode = Plan }); c["upload"] != 0 || c["user"] != 40 {
			t.Errorf("planning: calls %v", c)
		}
		if c := calls(nil); c["upload"] != 40 || c["user"] != 40 || c["users"] != 1 {
			t.Errorf("first night: calls %v, want 40 uploads, 40 users asked, one list", c)
		}
		if c := calls(nil); c["upload"]+c["user"] != 0 || c["users"] != 1 {
			t.Errorf("second night: calls %v, want one list", c)
		}
		time.Sleep(time.Hour)
		if c := calls(func(o *Job) { o.Scope.Force, o.Policy.Existing = true, plan.RespectUser }); c["upload"] != 40 || c["user"] != 20 {
			t.Errorf("all again, under a policy that lists all users: calls %v, want each alternate address confirmed before it is used", c)
		}
		if c := calls(func(o *Job) { o.Policy.Existing = plan.Enforce }); c["upload"]+c["user"] != 0 || c["users"] != 1 {
			t.Errorf("enforced: calls %v", c)
		}
		b.sim.AddUser(smartsheet.User{Email: "late@example.net", AlternateEmails: alternate(email(2))})
		if c := calls(nil); c["upload"]+c["user"] != 0 {
			t.Errorf("within a week: calls %v", c)
		}
		b.sim.RemoveUser("user5@example.net")
		time.Sleep(7*24*time.Hour + time.Hour)
		if c := calls(nil); c["upload"] != 1 || c["user"] != 1 || c["users"] != 1 {
			t.Errorf("a week later: calls %v, want the new user asked", c)
		}
		b.mem.Put(email(99), picture(99))
		b.sim.AddUser(smartsheet.User{Email: "newer@example.net", AlternateEmails: alternate(email(99))})
		if c := calls(nil); c["upload"] != 1 || c["user"] != 1 {
			t.Errorf("somebody new: calls %v", c)
		}
		time.Sleep(30 * 24 * time.Hour)
		if c := calls(nil); c["upload"] != 0 || c["user"] != 41 { // all but those whom the source has, and the one who left
			t.Errorf("a month later: calls %v", c)
		}
	})
}

// Two users who are each somebody else, too: the conflict is named alike every night, and
// raises the code once.
func TestAlternateEmailsOverlapAlike(t *testing.T) {
	b := newBench(t, 0, simulator.Options{Users: []smartsheet.User{
		{Email: "jo@example.com", AlternateEmails: alternate(email(0), email(1))},
		{Email: "al@example.com", AlternateEmails: alternate(email(0), email(2))},
	}})
	for i := range 3 {
		b.mem.Put(email(i), picture(i))
	}
	for night := range 12 {
		if r := b.must(byAlternate); r.NeedsSomebody() != (night == 0) {
			t.Fatalf("night %d: %+v", night, r.Items)
		}
	}
}

// A search under a clock that was ahead does not put off all later ones.
func TestAlternateEmailsOfTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 0, simulator.Options{})
		b.mem.Put(email(0), picture(0))
		b.must(byAlternate)
		if err := b.st.SetMeta("alternate_emails", map[string]any{"searched": time.Now().AddDate(1, 0, 0), "users": map[string]any{}}); err != nil {
			t.Fatal(err)
		}
		b.sim.AddUser(smartsheet.User{Email: "jo@example.com", AlternateEmails: alternate(email(0))})
		if got := reasons(b.must(byAlternate))[email(0)]; got != "new uploaded" {
			t.Errorf("%s, want a search", got)
		}
	})
}

// A run asks so many users at most; the next one goes on.
func TestAlternateEmailsAreBounded(t *testing.T) {
	o := simulator.Options{}
	for i := range 2500 {
		o.Users = append(o.Users, smartsheet.User{Email: fmt.Sprintf("user%d@example.net", i), Name: fmt.Sprint("User ", i)})
	}
	o.Users[2400].Email = "p00000@example.org"
	o.Users[2400].AlternateEmails = alternate(email(0))
	o.Users[1500].AlternateEmails = alternate(email(1))
	b := newBench(t, 0, o)
	b.mem.Put(email(0), picture(0))
	b.mem.Put(email(1), picture(1))
	b.mem.Put(email(2), picture(2))
	for night, want := range []struct{ asked, uploads int }{{1000, 0}, {2000, 1}, {2500, 2}, {2500, 2}} {
		b.must(byAlternate)
		if c := b.sim.Counts(); c.ByOp["user"] != want.asked || c.Accepted != want.uploads {
			t.Errorf("night %d: %d asked, %d uploads, want %+v", night, c.ByOp["user"], c.Accepted, want)
		}
	}
}

// A held run writes nothing, and the plan that is approved is the one that was held.
func TestAlternateEmailsAndApproval(t *testing.T) {
	b := newBench(t, 20, staff(30))
	b.must(byAlternate)
	for i := range 20 {
		b.mem.Put(email(i), picture(100+i))
	}
	b.mem.Put(email(23), picture(23))
	b.sim.AddUser(smartsheet.User{Email: "late@example.net", AlternateEmails: alternate(email(23))})
	guarded := func(o *Job) {
		byAlternate(o)
		o.Policy.Guards = &plan.Guards{MaxReplaced: plan.Limit{N: 1}}
	}
	generation := b.st.Generation()
	r, err := b.run(t.Context(), 1_000_000, guarded)
	if !Held(err) || b.st.Generation() != generation {
		t.Fatalf("error %v, generation %d and %d", err, generation, b.st.Generation())
	}
	r = b.must(func(o *Job) { guarded(o); o.How.Approve = r.PlanID })
	if got := reasons(r)[email(23)]; got != "new uploaded" {
		t.Errorf("%s, totals %+v", got, r.Totals)
	}
}

// A user whom somebody was matched to is left alone when the owner of the user's own
// address turns up.
func TestAlternateEmailsGiveWay(t *testing.T) {
	b := newBench(t, 0, simulator.Options{Users: []smartsheet.User{{Email: email(1), AlternateEmails: alternate(email(0))}}})
	for night, c := range []struct {
		person int
		want   string
	}{{0, "new uploaded"}, {0, "changed uploaded"}, {1, "changed uploaded"}, {0, "not_in_smartsheet skipped"}, {1, "changed uploaded"}} {
		b.mem.Put(email(c.person), picture(night))
		if got := reasons(b.must(byAlternate))[email(c.person)]; got != c.want {
			t.Errorf("night %d: %s, want %s", night, got, c.want)
		}
	}
}

// What was remembered finds a user, and never is enough to upload: an alternate address
// may be taken away, or pass to another user.
func TestAlternateEmailsTakenAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jo, al := smartsheet.User{ID: 7, Email: "jo@example.com"}, smartsheet.User{ID: 8, Email: "al@example.com"}
		holds := func(u smartsheet.User) smartsheet.User {
			u.AlternateEmails = alternate(email(0))
			return u
		}
		b := newBench(t, 0, simulator.Options{Users: []smartsheet.User{holds(jo), al}})
		for day, c := range []struct {
			users []smartsheet.User // who is now as told; nil: as before
			pause time.Duration
			want  string
		}{
			{nil, 0, "new uploaded"},
			{nil, time.Hour, "changed uploaded"},
			{[]smartsheet.User{jo, holds(al)}, time.Hour, "not_in_smartsheet skipped"},
			{nil, time.Hour, "not_in_smartsheet skipped"},
			{nil, 31 * 24 * time.Hour, "new uploaded"}, // to al, who is asked again by then
		} {
			for _, u := range c.users {
				b.sim.RemoveUser(u.Email)
				b.sim.AddUser(u)
			}
			time.Sleep(c.pause)
			b.mem.Put(email(0), picture(day))
			if got := reasons(b.must(byAlternate))[email(0)]; got != c.want {
				t.Errorf("day %d: %s, want %s", day, got, c.want)
			}
		}
		if img, _ := b.sim.Image(jo.Email); img.Uploads != 0 {
			t.Errorf("%d uploads to the user who lost the address", img.Uploads)
		}
	})
}

// Whoever was matched by an alternate address and is in no source any more gets the
// placeholder all the same.
func TestAlternateEmailsAndPlaceholders(t *testing.T) {
	b := newBench(t, 0, simulator.Options{Users: []smartsheet.User{{Email: "jo@example.com", AlternateEmails: alternate(email(0))}}})
	b.mem.Put(email(0), picture(0))
	b.mem.Put(email(1), nil)
	b.must(byAlternate)
	b.mem.Remove(email(0))
	r := b.must(func(o *Job) { byAlternate(o); o.Policy.RemovedAfter = 1 })
	if got := reasons(r)[email(0)]; got != "placeholder uploaded" {
		t.Errorf("%s", got)
	}
}

// Who is forgotten is in no fact of the state, and found again by asking again.
func TestAlternateEmailsAreForgotten(t *testing.T) {
	b := newBench(t, 0, staff(9))
	b.mem.Put(email(1), picture(1))
	b.must(byAlternate)
	var export strings.Builder
	for _, e := range []string{email(4), email(1)} { // who is only known as an alternate address, and who is known
		if known, err := match.ForgetAlternates(b.st, false, e); err != nil || !known {
			t.Errorf("%s: %v, error %v", e, known, err)
		}
		if _, err := match.ForgetAlternates(b.st, true, e); err != nil {
			t.Fatal(err)
		}
		row, _, err := b.st.Person(e)
		if err == nil {
			err = b.st.Write(state.Change{ForgetPeople: []string{e}, ForgetUsers: []int64{row.UserID}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := b.st.Export(&export); err != nil {
		t.Fatal(err)
	}
	for _, e := range []string{email(1), email(4), "user1@", "user4@", "user2@"} {
		if strings.Contains(export.String(), e) {
			t.Errorf("%s is in %s", e, export.String())
		}
	}
	if got := reasons(b.must(byAlternate))[email(1)]; got != "new uploaded" {
		t.Errorf("afterwards: %s", got)
	}
}

// village is some users, and the people whose photo is new or changed in each night.
type village struct {
	users  []smartsheet.User
	nights [3][]int
}

var villages = rapid.Custom(func(t *rapid.T) (w village) {
	address := rapid.SampledFrom([]string{email(0), email(1), email(2), email(3), "a@example.net", "b@example.net", "c@example.net"})
	some := func(least, most int) []string {
		return rapid.SliceOfNDistinct(address, least, most, rapid.ID).Draw(t, "addresses")
	}
	for i, own := range some(2, 4) {
		u := smartsheet.User{ID: int64(1 + i), Email: own}
		for _, e := range some(1, 2) {
			u.AlternateEmails = append(u.AlternateEmails, smartsheet.AlternateEmail{Email: e, Confirmed: rapid.IntRange(0, 3).Draw(t, "") > 0})
		}
		w.users = append(w.users, u)
	}
	for i := range w.nights {
		w.nights[i] = rapid.SliceOfDistinct(rapid.IntRange(0, 3), rapid.ID).Draw(t, "people")
	}
	return w
})

// Whoever has which addresses, nobody's picture goes to a user who is, by an address
// of their own or a confirmed one, somebody else in the source.
func TestAlternateEmailsHarmNobody(t *testing.T) {
	matched := 0
	for seed := range 25 { // each takes several writes to the disk
		w := villages.Example(seed)
		b := newBench(t, 0, simulator.Options{Users: w.users})
		there := map[string]bool{}
		for night, people := range w.nights {
			for _, i := range people {
				b.mem.Put(email(i), picture(10*night+i))
				there[email(i)] = true
			}
			got := map[int64]string{}
			for _, it := range b.must(byAlternate).Items {
				if it.Outcome != "uploaded" {
					continue
				}
				u := w.users[it.UserID-1]
				confirmed := slices.Contains(u.AlternateEmails, smartsheet.AlternateEmail{Email: it.Email, Confirmed: true})
				if u.Email != it.Email && (!confirmed || there[u.Email]) || got[u.ID] != "" {
					t.Fatalf("village %d, night %d: the picture of %s went to %+v, who has %q", seed, night, it.Email, u, got[u.ID])
				}
				if got[u.ID] = it.Email; u.Email != it.Email {
					matched++
				}
			}
		}
	}
	if matched < 8 {
		t.Errorf("%d people matched by an alternate address: that shows nothing", matched)
	}
}
