package job

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet/simulator"
)

// planned makes a plan and reads it back from its file.
func (b *bench) planned(change func(*Job)) *plan.File {
	b.t.Helper()
	var f *plan.File
	generation := b.st.Generation()
	_, err := b.run(b.t.Context(), 1_000_000, func(o *Job) {
		if change != nil {
			change(o)
		}
		o.How.Mode, o.Events.File = Plan, func(p *plan.File) { f = p }
	})
	if err != nil || f == nil || b.st.Generation() > generation+1 { // the first run binds the state
		b.t.Fatalf("plan: %v, %v", f, err)
	}
	return reread(b.t, f)
}

func reread(t *testing.T, f *plan.File) *plan.File {
	t.Helper()
	var file bytes.Buffer
	if err := f.Encode(&file); err != nil {
		t.Fatal(err)
	}
	again, err := plan.Decode(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func applying(f *plan.File, strict bool, more ...func(*Job)) func(*Job) {
	return func(o *Job) {
		for _, change := range more {
			change(o)
		}
		o.How.Mode, o.How.Apply, o.How.Strict = Apply, f, strict
	}
}

// notApplied demands that the plan is refused as a whole, and why.
func (b *bench) notApplied(f *plan.File, strict bool, why string, more ...func(*Job)) {
	b.t.Helper()
	uploads, generation := b.sim.Counts().ByOp["upload"], b.st.Generation()
	r, err := b.run(b.t.Context(), 1_000_000, applying(f, strict, more...))
	refused, ok := errors.AsType[*HeldError](err)
	if !ok || !strings.Contains(refused.Why, why) || r.Result != report.Held || outcome.Hint(err) == "" {
		b.t.Fatalf("error %v, want %q", err, why)
	}
	if b.sim.Counts().ByOp["upload"] != uploads || b.st.Generation() != generation {
		b.t.Error("a refused plan wrote")
	}
}

// Exactly the plan, once, whatever is new since; and the same plan is the same file.
func TestApply(t *testing.T) {
	b := newBench(t, 4, simulator.Options{})
	b.mem.Remove(email(3))
	f, same := b.planned(nil), b.planned(nil)
	var one, two bytes.Buffer
	if err := errors.Join(f.Encode(&one), same.Encode(&two)); err != nil || one.String() != two.String() || len(f.Steps) != 3 {
		t.Fatalf("%v\n%s\n%s", err, one.String(), two.String())
	}
	b.mem.Put(email(3), picture(3)) // is not in it
	r := b.must(applying(f, false))
	if r.Totals.Uploaded != 3 || r.Totals.Held != 0 || r.SkippedByReason["held"] != 1 || r.Mode != Apply {
		t.Errorf("totals %+v, skipped %v", r.Totals, r.SkippedByReason)
	}
	b.notApplied(f, false, "carried it out")
	if r := b.must(nil); r.Totals.Uploaded != 1 {
		t.Errorf("the next sync: %+v", r.Totals)
	}
}

// A person about whom anything changed since the plan was made is left out; with --strict everyone is.
func TestApplyWhatMoved(t *testing.T) {
	for name, move := range map[string]func(*bench){
		"bytes":     func(b *bench) { b.mem.Put(email(0), picture(50)) },
		"no photo":  func(b *bench) { b.mem.Put(email(0), nil) },
		"person":    func(b *bench) { b.mem.Remove(email(0)) },
		"picture":   func(b *bench) { b.sim.SetImage(email(0), picture(60)) },
		"user gone": func(b *bench) { b.sim.RemoveUser(email(0)) },
		"state": func(b *bench) {
			rec := b.record(0)
			sent := *rec.Sent
			sent.RunID, rec.Sent = "another", &sent
			if err := b.st.Write(state.Change{Users: []state.User{rec}}); err != nil {
				b.t.Fatal(err)
			}
		},
		"done meanwhile": func(b *bench) { b.must(func(o *Job) { o.Scope.Only = func(e string) bool { return e == email(0) } }) },
	} {
		t.Run(name, func(t *testing.T) {
			enforce := func(o *Job) { o.Policy.Existing = plan.Enforce }
			b := newBench(t, 3, simulator.Options{})
			b.must(enforce)
			for i := range 3 {
				b.mem.Put(email(i), picture(10+i))
			}
			f := b.planned(enforce)
			b.mem.Put(email(1), picture(11)) // the bytes count
			move(b)
			b.notApplied(f, true, "changed", enforce)
			before, _ := b.sim.Image(email(0))
			r := b.must(applying(f, false, enforce))
			after, _ := b.sim.Image(email(0))
			if r.Totals.Uploaded != 2 || before.ID != after.ID || r.Items[0].Message == "" {
				t.Errorf("totals %+v, item %+v", r.Totals, r.Items[0])
			}
			if s := r.Totals; s.Uploaded+s.Held+s.Skipped+s.Unchanged != s.People {
				t.Errorf("somebody is counted twice: %+v", s)
			}
			if held := name != "done meanwhile"; held != (r.Totals.Held == 1) {
				t.Errorf("totals %+v, item %+v", r.Totals, r.Items[0])
			}
		})
	}
}

// A plan for another account, or made with other image settings, is refused.
func TestApplyElsewhere(t *testing.T) {
	b := newBench(t, 2, simulator.Options{})
	f := b.planned(nil)
	f.Account.ID++
	b.notApplied(f, false, "it is for account")
	f = b.planned(nil)
	f.Rendering = "other"
	b.notApplied(f, false, "image settings")
}

// To apply the plan of a held run approves it. Pictures that max_shared holds stay held.
func TestApplyHeld(t *testing.T) {
	b := newBench(t, 60, simulator.Options{})
	b.must(guarded)
	for i := range 60 {
		b.mem.Put(email(i), picture(1000+max(i, 20))) // 21 people share a picture
	}
	var f *plan.File
	b.held(func(o *Job) { guarded(o); o.Events.File = func(p *plan.File) { f = p } }, "max_replaced")
	f = reread(t, f)
	if len(f.Guards) != 1 || len(f.Steps) != 39 || len(f.Held) != 21 {
		t.Fatalf("%d guards, %d steps, %d held", len(f.Guards), len(f.Steps), len(f.Held))
	}
	r := b.must(applying(f, true, guarded))
	if r.Totals.Uploaded != 39 {
		t.Errorf("totals %+v", r.Totals)
	}
	b.notApplied(f, false, "carried it out")
}

// People who vanished are counted by the plan that says so, and by no other; the
// listing of that plan is the one to compare with from then on.
func TestApplyMissing(t *testing.T) {
	change := func(o *Job) { guarded(o); o.Policy.RemovedAfter = 3 }
	b := newBench(t, 50, simulator.Options{})
	b.must(change)
	for i := range 20 {
		b.mem.Remove(email(i))
	}
	f := b.planned(change)
	b.mem.Remove(email(30))
	r := b.must(applying(f, false, change))
	if b.record(0).Missing != 1 || b.record(30).Missing != 0 || r.Totals.Uploaded != 0 {
		t.Errorf("counted %d and %d: %+v", b.record(0).Missing, b.record(30).Missing, r.Totals)
	}
	b.held(change, "min_listed") // one more is missing than the plan said
	b.mem.Put(email(30), picture(30))
	f = b.planned(change)
	b.must(applying(f, true, change))
	b.must(change)
}

// A plan that was stopped on the way goes on when it is applied again.
func TestApplyAgain(t *testing.T) {
	b := newBench(t, 8, simulator.Options{})
	f := b.planned(nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	done := 0
	stopped := func(o *Job) {
		o.How.Concurrency = 2
		o.Events.Item = func(report.Item) {
			if done++; done == 3 {
				cancel(ErrSignal)
			}
		}
	}
	first, err := b.run(ctx, 1_000_000, applying(f, false, stopped))
	if !Stopped(err) || first.Totals.Unfinished == 0 {
		t.Fatalf("error %v, totals %+v", err, first.Totals)
	}
	if r := b.must(applying(f, false)); r.Totals.Uploaded != first.Totals.Unfinished || r.Totals.Held != 0 {
		t.Errorf("first %+v, then %+v", first.Totals, r.Totals)
	}
	b.notApplied(f, false, "carried it out")
}

// plan shows what would be refused, keeps to the limit, and writes nothing.
func TestPlanPreview(t *testing.T) {
	b := newBench(t, 5, simulator.Options{})
	b.mem.Put(email(1), picture(1)[:30])
	f := b.planned(func(o *Job) { o.Scope.Limit = 3 })
	if len(f.Steps) != 3 || f.Steps[0].UploadSHA256 == "" || f.Steps[1].Refused != "truncated" || f.Steps[1].UploadSHA256 != "" {
		t.Errorf("steps %+v", f.Steps)
	}
	r := b.must(func(o *Job) { o.How.Mode, o.Scope.Limit = Plan, 3 })
	if r.Totals.Planned != 2 || r.Totals.Failed != 1 || r.Totals.Unfinished != 2 || r.Items[0].Image == nil || r.Items[1].Code != "truncated" {
		t.Errorf("totals %+v, items %+v", r.Totals, r.Items)
	}
	kept := b.must(func(o *Job) {
		o.How.Mode, o.Scope.Limit, o.Events.File = Plan, 3, func(*plan.File) {}
	})
	for i := range kept.Items { // a plan that nobody keeps drops its steps on the way, and says the same
		kept.Items[i].DurationMS, r.Items[i].DurationMS = 0, 0
	}
	if diff := cmp.Diff(kept.Items, r.Items); diff != "" || kept.PlanID != r.PlanID {
		t.Errorf("kept, and not: %s", diff)
	}
	b.must(func(o *Job) { o.Scope.Limit = 3 })
	if r := b.must(func(o *Job) { o.How.Mode = Plan }); r.SkippedByReason["known_bad"] != 1 || r.Totals.Planned != 2 {
		t.Errorf("totals %+v, skipped %v", r.Totals, r.SkippedByReason)
	}
}

func TestPlanFileErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "not a plan, or damaged",
		"[]":                    "not a plan, or damaged",
		"{}":                    "not a plan",
		`{"schema_version":99}`: "knows 1",
		`{"schema_version":1,"plan_id":"x","steps":[],"more":1}`:                           "unknown field",
		`{"schema_version":1,"plan_id":"x","steps":[{"email":"b@x"},{"email":"a@x"}]}`:     "checksum",
		`{"schema_version":1,"plan_id":"x","steps":[{"email":"b@x"},{"email":"b@x"}]}`:     "checksum",
		`{"schema_version":1,"run_id":"x","items":[]}`:                                     "not a plan",
		fmt.Sprintf(`{"schema_version":1,"plan_id":"x","steps":[{"user_id":%s}]}`, "1e99"): "damaged",
	} {
		if _, err := plan.Decode([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
