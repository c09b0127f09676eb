package job

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"photosync/sources"
	"photosync/sources/sourcetest"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet/simulator"
)

const crowd = 6 // people of the property test

// Random edits on both sides over many runs, under every policy: what a run may do,
// whatever happened before.
func TestNoHarm(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, rt)
		defer w.b.st.Close()
		for range rapid.IntRange(1, 7).Draw(rt, "runs") {
			for range rapid.IntRange(0, 6).Draw(rt, "edits") {
				w.edit()
			}
			switch rapid.IntRange(0, 5).Draw(rt, "run") {
			case 0:
				w.incomplete()
			case 1:
				w.onePerson()
			case 2:
				w.oneSource()
			case 3:
				w.anyOrder()
			default:
				w.whole(false)
				w.whole(true)
			}
		}
	})
}

// world is a bench with a second source, and what the test knows about it.
type world struct {
	rt     *rapid.T
	b      *bench
	second sourcetest.Memory
	photo  [2]map[string]bool // by source and email
	policy plan.Policy
	after  int

	ours    map[string]string // image id of our last upload, by email
	drawn   map[string]bool   // it is a placeholder
	missing map[string]int    // complete runs in a row without a photo, while ours is one
}

func newWorld(t *testing.T, rt *rapid.T) *world {
	w := &world{rt: rt, b: newBench(t, crowd, simulator.Options{}), ours: map[string]string{}, drawn: map[string]bool{}, missing: map[string]int{}}
	w.photo = [2]map[string]bool{{}, {}}
	for i := range crowd {
		w.photo[0][email(i)] = true
	}
	policies := []plan.Policy{plan.OnSourceChange, plan.Enforce, plan.RespectUser, plan.FillEmpty}
	w.policy = rapid.SampledFrom(policies).Draw(rt, "policy")
	w.after = rapid.IntRange(0, 3).Draw(rt, "removed after")
	return w
}

func (w *world) someone() string {
	return email(rapid.IntRange(0, crowd-1).Draw(w.rt, "person"))
}

// edit changes one picture or person on either side.
func (w *world) edit() {
	e, pic := w.someone(), picture(rapid.IntRange(0, 8).Draw(w.rt, "picture"))
	source := rapid.IntRange(0, 1).Draw(w.rt, "source")
	m := []*sourcetest.Memory{&w.b.mem, &w.second}[source]
	switch rapid.IntRange(0, 4).Draw(w.rt, "edit") {
	case 0, 1:
		m.Put(e, pic)
		w.photo[source][e] = true
	case 2:
		m.Put(e, nil)
		w.photo[source][e] = false
	case 3:
		m.Remove(e)
		w.photo[source][e] = false
	case 4:
		w.b.sim.SetImage(e, pic)
	}
}

// shuffled lists in another order.
type shuffled struct {
	*sourcetest.Memory
	seed uint64
}

func (s shuffled) List(ctx context.Context, each func(sources.Person) error) (sources.Listing, error) {
	var people []sources.Person
	l, err := s.Memory.List(ctx, func(p sources.Person) error {
		people = append(people, p)
		return nil
	})
	rand.New(rand.NewPCG(s.seed, 0)).Shuffle(len(people), func(i, j int) { people[i], people[j] = people[j], people[i] })
	for _, p := range people {
		if err := each(p); err != nil {
			return l, err
		}
	}
	return l, err
}

func (w *world) run(change func(*Options)) (*report.Report, error) {
	seed := rapid.Uint64().Draw(w.rt, "order")
	return w.b.run(w.b.t.Context(), 1_000_000, func(o *Options) {
		o.Existing, o.RemovedAfter = w.policy, w.after
		o.Sources = []sources.Named{{Name: "mem", Source: shuffled{&w.b.mem, seed}}, {Name: "second", Source: shuffled{&w.second, seed + 1}}}
		if change != nil {
			change(o)
		}
	})
}

// must runs, and demands that a picture changed exactly where the report says so,
// with a reason. It returns the reasons, by email, and the pictures before.
func (w *world) must(change func(*Options)) (reasons, before map[string]string) {
	before = w.b.images(crowd)
	r, err := w.run(change)
	if err != nil {
		w.rt.Fatal(err)
	}
	reasons = map[string]string{}
	for _, it := range r.Items {
		if it.Outcome == "uploaded" {
			reasons[it.Email] = it.Reason
		}
	}
	after := w.b.images(crowd)
	for e := range after {
		if (before[e] != after[e]) != (reasons[e] != "") {
			w.rt.Fatalf("%s: picture %q became %q with the reason %q", e, before[e], after[e], reasons[e])
		}
	}
	return reasons, before
}

// whole is a run over everyone. When it is run again, nothing is left to do but
// placeholders that have come due.
func (w *world) whole(again bool) {
	force := !again && rapid.IntRange(0, 3).Draw(w.rt, "force") == 0
	reasons, before := w.must(func(o *Options) { o.Force = force })
	for i := range crowd {
		e := email(i)
		if again && reasons[e] != "" && reasons[e] != "placeholder" {
			w.rt.Fatalf("%s: the second run uploaded for the reason %q", e, reasons[e])
		}
		w.check(e, reasons[e], before[e])
	}
}

// check demands that a complete run about this person did what it may and must, and
// notes what it did.
func (w *world) check(e, reason, before string) {
	photo := w.photo[0][e] || w.photo[1][e]
	counted := !photo && w.ours[e] != "" && !w.drawn[e]
	due := counted && w.after > 0 && w.missing[e]+1 >= w.after
	placeholder := w.drawn[e] && before == w.ours[e]
	switch {
	case (reason == "placeholder") != (due && before == w.ours[e]):
		w.rt.Fatalf("%s: reason %q; due %v, picture %q, ours %q", e, reason, due, before, w.ours[e])
	case reason == "":
	case w.policy == plan.FillEmpty && before != "" && !placeholder && reason != "placeholder",
		w.policy == plan.RespectUser && before != w.ours[e]:
		w.rt.Fatalf("%s: %s touched picture %q, ours was %q", e, w.policy, before, w.ours[e])
	}
	switch {
	case reason != "":
		img, _ := w.b.sim.Image(e)
		w.ours[e], w.drawn[e] = img.ID, reason == "placeholder"
	case due: // and the picture is not ours any more
		w.ours[e], counted = "", false
	}
	if counted {
		w.missing[e]++
	} else {
		w.missing[e] = 0
	}
	rec, _, err := w.b.st.Lookup(e)
	if want := min(w.missing[e], max(w.after, 1)); err != nil || rec.Missing != want && !w.drawn[e] || rec.ImageID != w.ours[e] {
		w.rt.Fatalf("%s: record %+v, %v; want %d runs, picture %q", e, rec, err, want, w.ours[e])
	}
}

// incomplete: a listing that is not complete changes nothing and counts nothing.
func (w *world) incomplete() {
	m := rapid.SampledFrom([]*sourcetest.Memory{&w.b.mem, &w.second}).Draw(w.rt, "source")
	pictures, generation := w.b.images(crowd), w.b.st.Generation()
	if m.Incomplete = true; rapid.Bool().Draw(w.rt, "error") {
		m.ListErr, m.ListAfter = fmt.Errorf("down"), rapid.IntRange(0, crowd).Draw(w.rt, "after")
	}
	_, err := w.run(nil)
	m.Incomplete, m.ListErr = false, nil
	bound := generation == 0 // the first run of all binds the state to the account
	if now := w.b.images(crowd); err == nil || !maps.Equal(pictures, now) || !bound && w.b.st.Generation() > generation+1 {
		w.rt.Fatalf("a run with an incomplete listing: error %v, pictures %v became %v", err, pictures, now)
	}
}

// onePerson: a run that is about one person leaves the others alone.
func (w *world) onePerson() {
	who, others := w.someone(), w.records()
	reasons, before := w.must(func(o *Options) { o.Only = func(e string) bool { return e == who } })
	delete(others, who)
	now := w.records()
	for e, rec := range others {
		if reasons[e] != "" || now[e] != rec {
			w.rt.Fatalf("%s: a run about %s did %q; record %s became %s", e, who, reasons[e], rec, now[e])
		}
	}
	w.check(who, reasons[who], before[who])
}

// oneSource: a run that is limited to a source neither counts nor removes.
func (w *world) oneSource() {
	reasons, _ := w.must(func(o *Options) { o.Source = "second" })
	for i := range crowd {
		e := email(i)
		rec, _, err := w.b.st.Lookup(e)
		back := w.photo[0][e] || w.photo[1][e]
		if err != nil || reasons[e] == "placeholder" || rec.Missing > w.missing[e] && !w.drawn[e] || !back && !w.drawn[e] && rec.Missing < min(w.missing[e], max(w.after, 1)) {
			w.rt.Fatalf("%s: reason %q, record %+v, %v; counted %d before", e, reasons[e], rec, err, w.missing[e])
		}
		if w.missing[e] = rec.Missing; reasons[e] != "" {
			w.ours[e], w.drawn[e] = rec.ImageID, false
		}
	}
}

// anyOrder: the plan is the same in whatever order the sources list.
func (w *world) anyOrder() {
	var plans [2]string
	for i := range plans {
		r, err := w.run(func(o *Options) { o.Mode = Plan })
		if err != nil {
			w.rt.Fatal(err)
		}
		for j := range r.Items {
			r.Items[j].DurationMS = 0
		}
		items, err := json.Marshal(r.Items)
		if err != nil {
			w.rt.Fatal(err)
		}
		plans[i] = fmt.Sprint(r.PlanID, r.Totals.Planned, string(items))
	}
	if plans[0] != plans[1] {
		w.rt.Fatalf("two plans of the same:\n%s\n%s", plans[0], plans[1])
	}
}

func (w *world) records() map[string]string {
	all := map[string]string{}
	for i := range crowd {
		rec, _, err := w.b.st.Lookup(email(i))
		if err != nil {
			w.rt.Fatal(err)
		}
		rec.Failure = nil
		all[email(i)] = fmt.Sprintf("%+v", rec)
	}
	return all
}

func (b *bench) images(people int) map[string]string {
	ids := map[string]string{}
	for i := range people {
		img, _ := b.sim.Image(email(i))
		ids[email(i)] = img.ID
	}
	return ids
}
