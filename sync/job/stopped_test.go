package job

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"photosync/sync/outcome"
	"photosync/sync/report"
	"photosync/sync/smartsheet/simulator"
)

// saysStopped reports whether the report says that somebody has to find out why runs are stopped.
func saysStopped(r *report.Report) bool {
	return r.Result == report.Interrupted && slices.ContainsFunc(r.Findings, func(f outcome.Finding) bool {
		return f.Code == outcome.StoppedEarly && f.Severity == outcome.Attention
	})
}

// Uploads that nobody answers well end every run with 6. From the second night without a
// single upload on somebody has to know, as the runs get no further.
func TestNobodyIsServed(t *testing.T) {
	for _, fault := range []string{"status:503/4001", "status:429/4003", "status:500/4000"} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 30, simulator.Options{})
			f, err := simulator.ParseFault(fault)
			if err != nil {
				t.Fatal(err)
			}
			b.sim.AddFault(f)
			for night := range 3 {
				if r, err := b.run(t.Context(), 300, nil); !Stopped(err) || saysStopped(r) != (night > 0) {
					t.Errorf("%s, night %d: %s, error %v, findings %+v", fault, night, r.Result, err, r.Findings)
				}
			}
			b.sim.ClearFaults()
			if r, err := b.run(t.Context(), 300, nil); err != nil || r.Totals.Uploaded != 30 || r.NeedsSomebody() {
				t.Errorf("%s, at last: error %v, %+v", fault, err, r.Totals)
			}
		})
	}
}

// A run that is stopped before it has a plan did nothing, and the next one may come no
// further: somebody has to know, unless it was stopped by hand.
func TestStoppedBeforeThePlan(t *testing.T) {
	for name, c := range map[string]struct {
		fault string
		stop  error // after ten seconds
		says  bool
	}{
		"maintenance":                   {"maintenance,op=any,for=24h", nil, true},
		"time is over, no answer":       {"hang,op=users", ErrMaxDuration, true},
		"a signal":                      {"hang,op=users", ErrSignal, false},
		"time is over, after some work": {"hang,skip=2", ErrMaxDuration, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, 5, simulator.Options{})
				f, err := simulator.ParseFault(c.fault)
				if err != nil {
					t.Fatal(err)
				}
				b.sim.AddFault(f)
				ctx, cancel := context.WithCancelCause(t.Context())
				if c.stop != nil {
					time.AfterFunc(10*time.Second, func() { cancel(c.stop) })
				}
				r, err := b.run(ctx, 300, nil)
				cancel(nil)
				if !Stopped(err) || saysStopped(r) != c.says || r.NeedsSomebody() != c.says {
					t.Errorf("%s, error %v, findings %+v", r.Result, err, r.Findings)
				}
			})
		})
	}
}

// A photo that is refused in a run which is stopped, or killed, raises the exit code in the next
// run that comes to its end, once.
func TestRefusedInAStoppedRun(t *testing.T) {
	b := newBench(t, 3, simulator.Options{})
	b.mem.Put(email(0), []byte("no picture"))
	for range 2 { // the second one refuses nothing new
		ctx, cancel := context.WithCancelCause(t.Context())
		_, err := b.run(ctx, 1_000_000, func(o *Job) {
			o.How.Concurrency = 1
			o.Events.Item = func(report.Item) { cancel(ErrSignal) }
		})
		if !Stopped(err) {
			t.Fatal(err)
		}
	}
	for night, needs := range []bool{true, false, false} {
		if night > 0 {
			b.mem.Put(email(1), picture(100+night)) // so that there is something to upload
		}
		if r := b.must(nil); r.NeedsSomebody() != needs || r.SkippedByReason["known_bad"] != 1 {
			t.Errorf("night %d: needs somebody: %t, skipped %v", night, r.NeedsSomebody(), r.SkippedByReason)
		}
	}
}

// A photo that is refused in a quiet company, where nobody else's is sent, is refused for good the
// second time, and --retry-failed changes nothing about that. What is refused of many people is not
// about their photos; nor is what a gateway refuses, which gives no errorCode.
func TestRefusedAlone(t *testing.T) {
	for _, c := range []struct {
		people int
		fault  simulator.Fault
		final  bool
	}{
		{1, simulator.Fault{Status: 400, Code: 1128}, true}, {5, simulator.Fault{Status: 400, Code: 1128}, false}, {1, simulator.Fault{Status: 413}, false},
	} {
		b := newBench(t, 6, simulator.Options{})
		b.must(nil)
		for i := range c.people {
			b.mem.Put(email(i), picture(100+i))
			c.fault.Kind, c.fault.User = "status", email(i)
			b.sim.AddFault(c.fault)
		}
		for night, needs := range []bool{true, true, false, false, false} {
			r, err := b.run(t.Context(), 1_000_000, func(o *Job) { o.Scope.RetryFailed = night == 3 })
			if refused := err != nil || r.Totals.Failed > 0; refused != (!c.final || needs || night == 3) || c.final && err != nil {
				t.Errorf("%+v, night %d: error %v, %+v, skipped %v", c, night, err, r.Totals, r.SkippedByReason)
			}
		}
	}
}
