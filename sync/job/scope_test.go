package job

import (
	"context"
	"testing"
	"time"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

// only limits a run to one person.
func only(o *Job, who string) { o.Scope.Only = func(e string) bool { return e == who } }

// A run about one person reports nobody else: a photo that a stopped run refused is still news in
// the next night.
func TestRefusedThenOnly(t *testing.T) {
	b := newBench(t, 3, simulator.Options{})
	b.mem.Put(email(0), []byte("no picture"))
	ctx, cancel := context.WithCancelCause(t.Context())
	if _, err := b.run(ctx, 1_000_000, func(o *Job) {
		o.How.Concurrency = 1
		o.Events.Item = func(report.Item) { cancel(ErrSignal) }
	}); !Stopped(err) {
		t.Fatal(err)
	}
	b.must(func(o *Job) { o.How.RunID = "hand"; only(o, email(1)) })
	for night, needs := range []bool{true, false} {
		if r := b.must(func(o *Job) { o.How.RunID = "night" }); r.NeedsSomebody() != needs {
			t.Errorf("night %d: %s %v", night, r.Result, r.SkippedByReason)
		}
	}
}

// An announced picture did not arrive, and is not sent again, as it is held or --limit leaves it
// out. What the user sets later is the user's own.
func TestAnnouncedAndThenHeld(t *testing.T) {
	for _, policy := range []plan.Existing{plan.RespectUser, plan.FillEmpty} {
		for limit, photo := range map[int]func(int) []byte{
			0: func(int) []byte { return picture(777) }, // one picture for more than MaxShared
			1: func(i int) []byte { return picture(500 + i) },
		} {
			b := newBench(t, 6, simulator.Options{})
			rules := func(o *Job) {
				o.Policy.Existing, o.Scope.Limit = policy, limit
				o.Policy.Guards = &plan.Guards{MaxShared: 2, MaxReplaced: plan.Limit{N: 100}, MaxRemoved: plan.Limit{N: 100}}
			}
			b.must(func(o *Job) { rules(o); o.Scope.Limit = 0 })
			u, row := b.record(0), b.row(0)
			u.Intent, u.Sent = &state.Intent{Origin: u.Sent.Origin, SourceSHA256: "other", UploadSHA256: "other", RunID: "killed", At: time.Now().Add(-time.Hour)}, nil
			row.Fingerprint = state.Fingerprint{}
			if err := b.st.Write(state.Change{Users: []state.User{u}, People: []state.Person{row}}); err != nil {
				t.Fatal(err)
			}
			b.sim.RemoveUser(email(0)) // and its picture
			b.sim.AddUser(smartsheet.User{Email: email(0), ID: u.ID})
			for i := range 6 {
				b.mem.Put(email(i), photo(i))
			}
			for range 2 {
				b.must(rules)
			}
			b.sim.SetImage(email(0), picture(4242))
			b.must(rules)
			b.mem.Put(email(0), picture(5))
			b.must(func(o *Job) { rules(o); o.Scope.Limit = 0 })
			if img, _ := b.sim.Image(email(0)); string(img.Data) != string(picture(4242)) {
				t.Errorf("%s, limit %d: the user's own picture was replaced", policy, limit)
			}
		}
	}
}

// stopsAtSecond calls stop when photos are read for the second time: to be prepared.
type stopsAtSecond struct {
	sources.Source
	stop  func()
	reads int
}

func (s *stopsAtSecond) Photos(ctx context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	if s.reads++; s.reads == 2 {
		s.stop()
	}
	return s.Source.Photos(ctx, refs, each)
}

// A plan sends nothing: that it is stopped says nothing about who is served.
func TestPlanStoppedAfterStoppedRuns(t *testing.T) {
	b := newBench(t, 3, simulator.Options{})
	if err := b.st.SetMeta(unendedKey, []string{"a", "b"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	r, err := b.run(ctx, 1_000_000, func(o *Job) {
		o.How.Mode, o.How.Concurrency = Plan, 1
		o.Sources[0].Source = &stopsAtSecond{Source: &b.mem, stop: func() { cancel(ErrMaxDuration) }}
	})
	if !Stopped(err) || saysStopped(r) {
		t.Errorf("%v, %+v", err, r.Findings)
	}
}

// A run about one person knows nothing of the other photos that the source has lost.
func TestOnlyOfASourceWithoutPhotos(t *testing.T) {
	b := newBench(t, 20, simulator.Options{})
	b.must(guarded)
	for i := range 20 {
		b.mem.Put(email(i), nil)
	}
	for range 4 {
		if r := b.must(func(o *Job) { guarded(o); placeholders(o); only(o, email(0)) }); r.Totals.Uploaded != 0 {
			t.Fatalf("%+v", r.Items)
		}
	}
}

// nobody lists nobody.
type nobody struct{ sources.Source }

func (s nobody) List(ctx context.Context, _ func(sources.Person) error) (sources.Listing, error) {
	return s.Source.List(ctx, func(sources.Person) error { return nil })
}

// A source that the configuration lost still holds the run of everybody after one of somebody.
func TestLostSourceAndOnly(t *testing.T) {
	b := newBench(t, 20, simulator.Options{})
	rules := func(o *Job) { guarded(o); placeholders(o) }
	b.must(rules)
	other := func(o *Job) {
		rules(o)
		o.Sources[0] = sources.Named{Name: "other", Type: "memory", Source: nobody{&b.mem}, MayBeEmpty: true}
	}
	b.held(other, "max_removed")
	b.must(func(o *Job) { other(o); only(o, "x@y.example") })
	b.held(other, "max_removed")
}

// A run that cannot read somebody's photo, when initials are due, does not count. Nor does it
// begin the count of runs anew. The same holds for apply.
func TestCountOfRunsGoesOn(t *testing.T) {
	for name, broken := range map[string]error{"being written": sources.ErrUnstable, "gone": sources.ErrGone} {
		b := newBench(t, 5, simulator.Options{})
		b.mem.Put("zoe@elsewhere.example", picture(900))
		b.must(placeholders)
		b.mem.Remove(email(0))
		for night, missing := range []int{1, 2, 2, 3} {
			b.mem.ReadErr = nil
			if night == 2 {
				b.mem.ReadErr = map[string]error{"zoe@elsewhere.example": broken}
			}
			r := b.must(placeholders)
			if got := b.record(0).Missing; got != missing || r.Totals.Uploaded != missing/3 {
				t.Errorf("%s, night %d: missing in %d runs, want %d; %d uploaded", name, night, got, missing, r.Totals.Uploaded)
			}
		}
	}
	b := newBench(t, 5, simulator.Options{})
	b.must(placeholders)
	b.mem.Remove(email(0))
	b.must(placeholders)
	b.must(placeholders)
	b.mem.Put(email(1), picture(77))
	var f *plan.File
	b.must(func(o *Job) { placeholders(o); o.How.Mode, o.Events.File = Plan, func(x *plan.File) { f = x } })
	b.must(func(o *Job) { placeholders(o); o.How.Mode, o.How.Apply, o.How.RunID = Apply, f, "apply" })
	if now := b.record(0).Missing; now < 2 {
		t.Errorf("after apply: missing in %d runs, want 2", now)
	}
}

// failsFirst fails to read each photo the first time: for the plan.
type failsFirst struct {
	sources.Source
	reads int
}

func (s *failsFirst) Photos(ctx context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	s.reads++
	first := s.reads == 1
	return s.Source.Photos(ctx, refs, func(p sources.Photo) error {
		if first {
			p.Data, p.Err = nil, context.DeadlineExceeded
		}
		return each(p)
	})
}

// A photo that the plan could not read is not sent, as no guard has seen it: it failed, and the
// exit code says so.
func TestUnreadForThePlanAlone(t *testing.T) {
	b := newBench(t, 1, simulator.Options{})
	for range 2 {
		r := b.must(func(o *Job) { o.Sources[0].Source = &failsFirst{Source: &b.mem} })
		if r.Totals.Failed != 1 || r.Totals.Uploaded != 0 || !r.NeedsSomebody() {
			t.Errorf("%+v", r.Totals)
		}
	}
	if r := b.must(nil); r.Totals.Uploaded != 1 {
		t.Errorf("at last: %+v", r.Totals)
	}
}

// Nor does a run about the one person who had a photo in a source.
func TestOnlyKeepsTheCount(t *testing.T) {
	b := newBench(t, 1, simulator.Options{})
	rules := func(o *Job) { o.Policy.RemovedAfter = 3 }
	b.must(rules)
	b.mem.Put(email(0), nil)
	b.must(rules)
	b.must(rules)
	b.must(func(o *Job) { rules(o); only(o, email(0)) })
	if got := b.record(0).Missing; got != 2 {
		t.Errorf("missing in %d runs, want 2", got)
	}
	b.expect(rules, 0, "placeholder uploaded", 3)
}

// An approved plan passes once, also if no run of everybody has passed yet.
func TestApprovedOnceBeforeTheFirstNight(t *testing.T) {
	b := newBench(t, 29, simulator.Options{})
	for i := range 29 {
		b.mem.Put(email(i), picture(7777))
	}
	some := func(o *Job) { guarded(o); o.Scope.Only, o.Scope.Force = func(string) bool { return true }, true }
	id := b.must(func(o *Job) { some(o); o.How.Mode = Plan }).PlanID
	again := func(o *Job) { some(o); o.How.Approve = id }
	if r := b.must(again); r.Totals.Uploaded != 29 {
		t.Fatalf("%+v", r.Totals)
	}
	if r, err := b.run(t.Context(), 1_000_000, again); !Held(err) || r.Totals.Uploaded != 0 {
		t.Errorf("again: %v, %+v", err, r.Totals)
	}
}
