package job

import (
	"testing"
	"testing/synctest"

	"photosync/sync/report"
	"photosync/sync/smartsheet/simulator"
)

// Users whose upload always fails hold up everybody else for one night at most: then they
// come last, and are failed for themselves, with a refId of their own.
func TestUsersThatAreNeverServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 30, simulator.Options{RequestsPerMinute: 300})
		for i := 3; i < 8; i++ {
			b.sim.AddFault(simulator.Fault{Kind: "status", Status: 500, Code: 4000, User: email(i)})
		}
		first, err := b.run(t.Context(), 300, nil)
		if err != nil && !Stopped(err) { // waits are drawn: some may have failed before it was an outage
			t.Fatalf("the first night: %v, %+v", err, first.Totals)
		}
		refs := map[string]bool{}
		for _, it := range first.Items {
			if it.RefID != nil && refs[*it.RefID] {
				t.Errorf("%s has the refId of somebody else", it.Email)
			} else if it.RefID != nil {
				refs[*it.RefID] = true
			}
		}
		if len(refs) == 0 {
			t.Error("no refId is left")
		}
		for range 2 {
			r, err := b.run(t.Context(), 300, nil)
			if err != nil || r.Result != report.Partial || r.Totals.Failed != 5 || r.Totals.Unfinished != 0 {
				t.Fatalf("the next night: %v, %s, %+v", err, r.Result, r.Totals)
			}
			for _, it := range r.Items {
				if it.Outcome == "failed" && (it.RefID == nil || it.HTTPStatus != 500) {
					t.Errorf("%+v", it)
				}
			}
		}
		for i := range 30 {
			if served := b.record(i).Sent != nil; served != (i < 3 || i >= 8) {
				t.Errorf("%s was served: %v", email(i), served)
			}
		}
		b.sim.ClearFaults()
		if r := b.must(nil); r.Totals.Uploaded != 5 || r.Result != report.Success {
			t.Errorf("served again: %s, %+v", r.Result, r.Totals)
		}
	})
}

// A header that is made of the user's address, and that Smartsheet refuses, is that user's alone.
func TestHeaderOfOneUser(t *testing.T) {
	for _, f := range []simulator.Fault{{Status: 400, Code: 1272}, {Status: 400, Code: 1011}, {Status: 401, Code: 1030}} {
		b := newBench(t, 30, simulator.Options{})
		f.Kind, f.User = "status", email(3)
		b.sim.AddFault(f)
		for night := range 3 {
			r := b.must(nil)
			if uploaded := []int{29, 0, 0}[night]; r.Totals.Failed != 1 || r.Totals.Uploaded != uploaded || r.Result != report.Partial {
				t.Errorf("%d, night %d: %s, %+v", f.Code, night, r.Result, r.Totals)
			}
		}
	}
}

// Nor do they take the place of changed photos, night for night, under --limit.
func TestUsersThatAreNeverServedUnderALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 20, simulator.Options{RequestsPerMinute: 300})
		for i := 10; i < 15; i++ {
			b.sim.AddFault(simulator.Fault{Kind: "status", Status: 500, Code: 4000, User: email(i)})
		}
		limited := func(o *Job) { o.Scope.Limit = 5 }
		for range 6 {
			if _, err := b.run(t.Context(), 300, limited); err != nil && !Stopped(err) {
				t.Fatal(err)
			}
		}
		for i := range 2 {
			b.mem.Put(email(i), picture(100+i))
		}
		r, err := b.run(t.Context(), 300, limited)
		if err != nil || r.Totals.Uploaded != 2 {
			t.Errorf("error %v, %+v", err, r.Totals)
		}
	})
}
