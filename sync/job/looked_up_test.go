package job

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"photosync/sources"
	"photosync/sources/folder"
	"photosync/sync/outcome"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

// A photo that its source hides is listed in every run, and raises the exit code once,
// also if another source has a photo of the person.
func TestHiddenPhotoInEveryReport(t *testing.T) {
	for _, several := range []bool{false, true} {
		b := newBench(t, 2, simulator.Options{})
		dir := t.TempDir()
		file := filepath.Join(dir, email(0)+".png")
		for _, f := range []string{file, filepath.Join(dir, email(1)+".png")} { // one stays
			if err := os.WriteFile(f, picture(len(f)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		change := func(o *Job) {
			o.Sources = append([]sources.Named{{Name: "hr", Type: "folder", Source: folder.New(folder.Options{Path: dir})}}, o.Sources...)
			if !several {
				o.Sources = o.Sources[:1]
			}
		}
		b.must(change)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/none", file); err != nil {
			t.Fatal(err)
		}
		for night := range 3 {
			r := b.must(change)
			if len(r.Items) != 1 || r.Items[0].Reason != outcome.Hidden || r.Items[0].Outcome != outcome.Skipped || r.SkippedByReason[outcome.Hidden] != 1 {
				t.Fatalf("several sources %v, night %d: %+v", several, night, r.Items)
			}
			if it := r.Items[0]; it.AlreadyReported != (night > 0) || r.NeedsSomebody() != (night == 0) || strings.Contains(it.Message, "escapes") {
				t.Errorf("several sources %v, night %d: %+v", several, night, it)
			}
		}
		o := b.options(1_000_000)
		change(&o)
		x, err := Explain(t.Context(), o, email(0))
		if err != nil || x.Next.Reason != outcome.Hidden || x.Candidates[0].Photo == nil || strings.Contains(x.Candidates[0].Photo.Error, "escapes") {
			t.Errorf("several sources %v: %+v, %v", several, x, err)
		}
	}
}

// People whom --only names are looked up: the picture of somebody who is another user now is
// sent at once, and explain says no more than what is true.
func TestOnlyLooksUp(t *testing.T) {
	b := newBench(t, 3, simulator.Options{})
	b.must(nil)
	b.must(nil)
	for _, step := range [][2]string{{email(0), "x@example.com"}, {email(1), email(0)}, {"x@example.com", email(1)}} {
		b.sim.Rename(step[0], step[1])
	}
	x, err := Explain(t.Context(), b.options(1_000_000), email(0))
	if err != nil || x.Next.Outcome != outcome.Planned || !strings.Contains(x.Rule, "match.refresh") || strings.Contains(x.Rule, "already") {
		t.Errorf("%+v: %s, %v", x.Next, x.Rule, err)
	}
	r := b.must(func(o *Job) { o.Scope.Only = func(e string) bool { return e == email(0) } })
	if img, _ := b.sim.Image(email(0)); r.Totals.Uploaded != 1 || string(img.Data) != string(picture(0)) {
		t.Errorf("%d uploaded: %+v", r.Totals.Uploaded, r.Items)
	}
	x, err = Explain(t.Context(), b.options(1_000_000), email(2))
	if err != nil || x.Next.Reason != outcome.Unchanged || strings.Contains(x.Rule, "match.refresh") {
		t.Errorf("%+v: %s, %v", x.Next, x.Rule, err)
	}
}

// People whom the token may not change do not make every night a failed one: what is known
// of them is no sign that the token has no rights.
func TestRefusedAsBefore(t *testing.T) {
	for _, external := range []bool{false, true} {
		var o simulator.Options
		for i := range 40 {
			o.Users = append(o.Users, smartsheet.User{Email: fmt.Sprintf("u%02d@example.com", i), External: external && i < 20})
		}
		b := newBench(t, 0, o)
		for i, u := range o.Users {
			b.mem.Put(u.Email, picture(i))
			if i < 20 {
				b.sim.AddFault(simulator.Fault{Kind: "status", Status: 403, Code: 1004, User: u.Email})
			}
		}
		failed := 0
		for night := range 12 {
			r, err := b.run(t.Context(), 1_000_000, nil)
			if smartsheet.Classify(err) == smartsheet.Stop && err != nil {
				failed++
				continue
			}
			if err != nil || !r.NeedsSomebody() {
				t.Fatalf("night %d: %v, %+v", night, err, r.Totals)
			}
			if night > 6 && r.Totals.Failed != 20 {
				t.Errorf("night %d: %+v", night, r.Totals)
			}
		}
		if accepted := b.sim.Counts().Accepted; accepted != 20 || failed > 4 || external && failed > 0 {
			t.Errorf("external %v: %d nights failed, %d people were served", external, failed, accepted)
		}
	}
}

// Half of the people lose their users, as their addresses changed on one side only: that is not green.
// A folder that lists new addresses lists new people, who are not known to have had users.
func TestManyWhoLostTheirUsers(t *testing.T) {
	entry := func(i int, own string) Entry {
		return Entry{Ref: "cn=" + email(i), Key: "uuid" + email(i), Own: []string{own}, Photo: picture(i)}
	}
	for side, nights := range map[string]int{"directory": 1, "Smartsheet": 3} {
		b := newBench(t, 40, simulator.Options{})
		for i := range 40 {
			b.mem.Remove(email(i))
			b.mem.Set(entry(i, email(i)))
		}
		b.must(nil)
		for i := range 20 {
			renamed := strings.Replace(email(i), "@example.com", "@corp.local", 1)
			if side == "directory" {
				b.mem.Set(entry(i, renamed))
			} else {
				id := b.record(i).ID
				b.sim.RemoveUser(email(i))
				b.sim.AddUser(smartsheet.User{ID: id, Email: renamed})
			}
		}
		for night := range nights {
			r := b.must(func(o *Job) { o.Policy.Refresh = time.Nanosecond })
			if !r.NeedsSomebody() || len(r.Findings) == 0 || r.Findings[0].Code != outcome.FewInSmartsheet || r.Findings[0].Count != 20 || r.Findings[0].Of != 40 {
				t.Errorf("%s, night %d: %+v", side, night, r.Findings)
			}
		}
	}
}

// The remedy for a wrong domain is on every report, not only on that of the night that lists all users.
func TestDomainsThatDifferEveryNight(t *testing.T) {
	b := newBench(t, 14, simulator.Options{})
	for i := range 14 {
		b.mem.Remove(email(i))
		b.mem.Put(strings.Replace(email(i), "@example.com", "@new.com", 1), picture(i))
	}
	for night := range 3 {
		r := b.must(nil)
		if len(r.Findings) != 1 || r.Findings[0].Code != outcome.NobodyInSmartsheet || !strings.Contains(r.Findings[0].Hint, "match: {domains: {new.com: example.com}}") {
			t.Errorf("night %d: %+v", night, r.Findings)
		}
	}
}

// As long as nobody in the company can get a picture, somebody is needed: on every night.
func TestNobodyNowEveryNight(t *testing.T) {
	const people = 30
	shared := func(b *bench, i int) { b.mem.Put(email(i), picture(7777)) }
	empty := func(b *bench, i int) { b.mem.Put(email(i), []byte{}) }
	ambiguous := func(b *bench, i int) {
		for _, ref := range []string{"jpg", "png"} {
			b.mem.Set(Entry{Ref: email(i) + "." + ref, Own: []string{email(i)}, Photo: picture(i)})
		}
	}
	for name, c := range map[string]struct {
		put    func(*bench, int)
		reason outcome.Reason
	}{
		"one picture": {shared, outcome.SharedImage}, "empty": {empty, outcome.KnownBad}, "ambiguous": {ambiguous, outcome.Ambiguous},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 0, simulator.Options{Users: simulator.SampleUsers(0)})
			for i := range people {
				b.sim.AddUser(smartsheet.User{Email: email(i)})
				c.put(b, i)
			}
			for night := range 3 {
				r := b.must(guarded)
				if len(r.Items) != people || night > 0 && r.Items[0].Reason != c.reason || night == 0 && c.reason == outcome.KnownBad && r.Items[0].Code != "empty" {
					t.Fatalf("night %d: %d items, %+v", night, len(r.Items), r.Items[0])
				}
				if night > 0 && (!r.NeedsSomebody() || len(r.Findings) != 1 || r.Findings[0].Code != outcome.NobodyNow || r.Findings[0].Count != people) {
					t.Errorf("night %d: %+v", night, r.Findings)
				}
			}
		})
	}
}

// A source whose people all lost their addresses to others is not an empty one.
func TestSourceThatLosesAllClaims(t *testing.T) {
	b := newBench(t, 12, simulator.Options{})
	second := &Memory{}
	for _, ref := range []string{"6.jpg", "6.png"} {
		second.Set(Entry{Ref: ref, Own: []string{email(6)}, Photo: picture(60)})
	}
	b.more = []sources.Named{{Name: "second", Type: "memory", Source: second}}
	for night := range 2 {
		for _, f := range b.must(nil).Findings {
			if f.Code == outcome.NobodyListed {
				t.Errorf("night %d: %+v", night, f)
			}
		}
	}
	second.Remove(email(6))
	if r := b.must(nil); len(r.Findings) != 1 || r.Findings[0].Code != outcome.NobodyListed {
		t.Errorf("it lists nobody: %+v", r.Findings)
	}
}

// What is on the user of an address is explained, also if nothing is remembered of the address.
func TestExplainAddressOfAUserOnly(t *testing.T) {
	b := newBench(t, 2, simulator.Options{})
	change := func(o *Job) { o.Policy.RemovedAfter = 1 }
	b.must(change)
	b.mem.Remove(email(0))
	b.must(change)
	b.must(change)
	x, err := Explain(t.Context(), b.options(1_000_000), email(0))
	if err != nil || !x.Known || x.Row != nil || x.Sent == nil || x.Sent.Sent == nil || !x.Sent.Sent.Placeholder {
		t.Errorf("%+v, %v", x, err)
	}
}

// A source that is lost from the configuration holds the run, once, whatever the policy.
func TestHeldLostSource(t *testing.T) {
	for _, after := range []int{0, 1, 3} {
		b := newBench(t, 30, simulator.Options{})
		more := &Memory{}
		for i := 30; i < 36; i++ {
			b.sim.AddUser(smartsheet.User{Email: email(i)})
			more.Put(email(i), picture(i))
		}
		policy := func(o *Job) {
			guarded(o)
			o.Policy.RemovedAfter = after
			o.Sources = append(o.Sources, sources.Named{Name: "b", Type: "memory", Source: more})
		}
		b.must(policy)
		b.must(policy)
		lost := func(id string) func(*Job) {
			return func(o *Job) { policy(o); o.Sources = o.Sources[1:]; o.How.Approve = id }
		}
		var id string
		for range 2 {
			r, err := b.run(t.Context(), 1_000_000, lost(""))
			if !Held(err) || len(r.Guards) != 1 || r.Guards[0].Guard != "max_removed" {
				t.Fatalf("after %d: %v, %+v", after, err, r.Guards)
			}
			id = r.PlanID
		}
		r, err := b.run(t.Context(), 1_000_000, func(o *Job) { // a share that is not mounted is another matter
			policy(o)
			o.Sources[0].Source, o.How.Approve = &Memory{}, id
		})
		if !Held(err) || r.PlanID == id {
			t.Fatalf("after %d: the plan without the source is also that of an empty source: %v", after, err)
		}
		uploads := b.sim.Counts().Accepted
		b.must(lost(id))
		for range 4 { // it was meant
			b.must(lost(""))
		}
		if n := b.sim.Counts().Accepted - uploads; n > 0 {
			t.Errorf("after %d: %d pictures were replaced", after, n)
		}
	}
}

// That people lost their users names no domain, so nobody lists all users for it.
func TestLostUsersAreNotListed(t *testing.T) {
	const people = 1500 // more than a page of users
	b := newBench(t, people, simulator.Options{})
	for i := range people {
		b.mem.Remove(email(i))
		b.mem.Set(Entry{Ref: "cn=" + email(i), Key: "uuid" + email(i), Own: []string{email(i)}, Photo: picture(i % 30)})
	}
	b.must(nil)
	for i := range 200 {
		b.mem.Set(Entry{Ref: "cn=" + email(i), Key: "uuid" + email(i), Own: []string{strings.Replace(email(i), "@example.com", "@corp.local", 1)}, Photo: picture(i % 30)})
	}
	before := b.sim.Counts().ByOp["users"]
	r := b.must(nil)
	if len(r.Findings) != 1 || r.Findings[0].Code != outcome.FewInSmartsheet || r.Findings[0].Count != 200 {
		t.Errorf("%+v", r.Findings)
	}
	if calls := b.sim.Counts().ByOp["users"] - before; calls != 2 { // the look-ups of 200 addresses
		t.Errorf("%d calls", calls)
	}
}
