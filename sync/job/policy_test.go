package job

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/plan"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

// Every policy in every situation, as the table in the docs says it.
func TestPolicies(t *testing.T) {
	text, err := os.ReadFile("../../docs/explanation/how-it-decides.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| photo at its source |")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(table, "\n")
	if !found || len(rows) != 2+18 {
		t.Fatalf("the table of policies has %d lines", len(rows))
	}
	policies := cells("|" + rows[0])[1:]
	for _, row := range rows[2:] {
		c := cells(row)
		for i, policy := range policies {
			for _, after := range []int{1, 0} {
				t.Run(fmt.Sprintf("%s, %s, %s, removed after %d", c[0], c[1], policy, after), func(t *testing.T) {
					cell(t, c[0], c[1], plan.Existing(policy), after, 0, c[2+i])
				})
			}
			t.Run(fmt.Sprintf("%s, %s, %s, everybody looked up", c[0], c[1], policy), func(t *testing.T) {
				want := c[2+i]
				if c[0] == "unchanged" && c[1] == "none" && policy == string(plan.FillEmpty) {
					want = "drifted"
				}
				cell(t, c[0], c[1], plan.Existing(policy), 1, 1, want)
			})
		}
	}
}

// cells are the texts between the bars of a table's row.
func cells(row string) []string {
	parts := strings.Split(strings.ReplaceAll(strings.Trim(row, "| "), "`", ""), "|")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// cell brings about one situation and demands what the table says of it.
func cell(t *testing.T, source, picture string, policy plan.Existing, after int, refresh time.Duration, want string) {
	b := newBench(t, 1, simulator.Options{})
	change := func(o *Job) {
		o.Policy.Existing, o.Policy.RemovedAfter, o.Policy.Refresh = policy, after, refresh
	}
	if source != "new" {
		b.must(change)
	}
	if source == "unchanged, and image settings changed" {
		before := change
		source, change = "unchanged", func(o *Job) { before(o); o.Photos.MaxEdge = 1 }
	}
	b.situation(change, source, picture)
	switch {
	case source == "removed" && after == 0:
		want = "no_photo"
	case source == "back again" && after == 0: // our picture was never replaced: the user has the photo already
		want = ""
		if policy == plan.Enforce && picture != "our placeholder" || policy == plan.FillEmpty && picture == "none" {
			want = "drifted"
		}
	case want == "–":
		want = ""
	}
	uploads := b.sim.Counts().Accepted
	r, got := b.must(change), ""
	if len(r.Items) > 0 {
		got = string(r.Items[0].Reason)
	}
	theirs := (picture == "another" || picture == "adopted") && r.Totals.Uploaded > 0
	if said := slices.ContainsFunc(r.Findings, func(f outcome.Finding) bool { return f.Code == outcome.ReplacesPictures }); said != theirs {
		t.Errorf("replaces a picture that is not ours: %v; said: %v", theirs, said)
	}
	if got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
	sends := map[string]int{"new": 1, "changed": 1, "drifted": 1, "placeholder": 1, "rendering_changed": 1}[want]
	if n := b.sim.Counts().Accepted - uploads; n != sends {
		t.Errorf("%d uploads, want %d", n, sends)
	}
}

// adopt loses the record of a person and adopts the photo that was there.
func (b *bench) adopt(change func(*Job)) {
	b.t.Helper()
	r := b.record(0)
	if err := b.st.Write(state.Change{ForgetPeople: []string{email(0)}, ForgetUsers: []int64{r.ID}}); err != nil {
		b.t.Fatal(err)
	}
	had := &Memory{}
	had.Put(email(0), picture(0))
	o := b.options(1000)
	change(&o)
	o.Sources[0].Source = had
	found, err := Adoptable(b.t.Context(), o)
	if err != nil || len(found.Users) != 1 || found.Users[0].Sent.ImageID != r.Sent.ImageID {
		b.t.Fatalf("adoptable: %+v, %v", found, err)
	}
	if _, known, err := b.st.Person(email(0)); known || err != nil {
		b.t.Fatal("something was written before it was confirmed", err)
	}
	if n, err := Adopt(b.st, found); n != 1 || err != nil {
		b.t.Fatal(n, err)
	}
}

// situation makes the photo and the picture what a row of the table says.
func (b *bench) situation(change func(*Job), source, pic string) {
	b.t.Helper()
	photo := picture(0)
	switch source {
	case "changed":
		photo = picture(10)
		b.mem.Put(email(0), photo)
	case "removed":
		b.mem.Remove(email(0))
	case "back again":
		b.mem.Remove(email(0))
		b.must(change)
		b.mem.Put(email(0), photo)
	case "new", "unchanged":
	default:
		b.t.Fatalf("%q is no situation", source)
	}
	switch pic {
	case "another":
		b.sim.SetImage(email(0), picture(20))
	case "none":
		if source != "new" {
			b.rebuild(smartsheet.User{ID: b.record(0).ID, Email: email(0)})
		}
	case "adopted":
		b.adopt(change)
	case "ours", "our placeholder":
	default:
		b.t.Fatalf("%q is no situation", pic)
	}
}

// A run about one person sees that person's picture, and does not list everybody.
func TestEnforceForOne(t *testing.T) {
	b := newBench(t, 3000, simulator.Options{})
	enforce := func(o *Job) { o.Policy.Existing = plan.Enforce }
	one := func(o *Job) { enforce(o); o.Scope.Only = func(e string) bool { return e == email(7) } }
	b.must(one)
	b.sim.SetImage(email(7), picture(9999))
	before := b.sim.Counts().ByOp["users"]
	if r := b.must(one); r.Totals.Uploaded != 1 || r.Items[0].Reason != "drifted" || b.sim.Counts().ByOp["users"] != before+1 {
		t.Errorf("%+v, %d calls", r.Totals, b.sim.Counts().ByOp["users"]-before)
	}
}

// A user who got somebody else's picture, and goes back to the person who was that user
// before, gets that person's picture again, though nothing moved in the source.
func TestUserGoesToAnotherPersonAndBack(t *testing.T) {
	b := newBench(t, 0, simulator.Options{Users: []smartsheet.User{{ID: 7, Email: email(0)}}})
	b.mem.Put(email(0), picture(0))
	b.mem.Put(email(1), picture(1))
	was := 0
	for night, c := range []struct {
		owner int // of the user's address
		want  string
	}{{0, "new uploaded"}, {0, ""}, {1, "changed uploaded"}, {0, "changed uploaded"}, {0, ""}, {1, "changed uploaded"}} {
		b.sim.Rename(email(was), email(c.owner))
		was = c.owner
		r := b.must(nil)
		if got := reasons(r)[email(c.owner)]; got != c.want {
			t.Errorf("night %d: %q, want %q", night, got, c.want)
		}
		if img, _ := b.sim.Image(email(c.owner)); !bytes.Equal(img.Data, picture(c.owner)) {
			t.Errorf("night %d: the user shows somebody else's picture", night)
		}
	}
}

// Where image ids are not stable, every picture of ours counts as the user's own. That is said.
func TestImageIDsThatAreNotStable(t *testing.T) {
	for name, c := range map[string]struct {
		policy  plan.Policy
		changed int // photos that change every night
		days    int // between the nights
		stable  bool
		want    bool
	}{
		"respect_user, few photos change": {plan.Policy{Existing: plan.RespectUser}, 3, 1, false, false},
		"respect_user, photos change":     {plan.Policy{Existing: plan.RespectUser}, 12, 1, false, true},
		"respect_user, all looked up":     {plan.Policy{Existing: plan.RespectUser}, 0, 8, false, true},
		"placeholder, all looked up":      {plan.Policy{RemovedAfter: 3}, 0, 8, false, true},
		"it does not matter":              {plan.Policy{}, 12, 8, false, false},
		"they are stable":                 {plan.Policy{Existing: plan.RespectUser, RemovedAfter: 3}, 12, 8, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, 14, simulator.Options{})
				if !c.stable {
					if err := b.sim.AddQuirk("unstable-ids"); err != nil {
						t.Fatal(err)
					}
				}
				for night := range 2 {
					r := b.must(func(o *Job) { o.Policy = c.policy })
					said := slices.ContainsFunc(r.Findings, func(f outcome.Finding) bool { return f.Code == outcome.ImageIDsNotStable })
					if said != (c.want && night > 0) {
						t.Errorf("night %d: %+v, findings %+v", night, r.Totals, r.Findings)
					}
					time.Sleep(time.Duration(c.days) * 24 * time.Hour)
					for i := range c.changed {
						b.mem.Put(email(i), picture(100+i))
					}
				}
			})
		})
	}
}
