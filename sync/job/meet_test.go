package job

import (
	"testing"

	"photosync/sync/plan"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

// The photo of somebody who is not in Smartsheet is not read, nothing is remembered of
// them, and they are uploaded as new once they are there.
func TestAbsentPeople(t *testing.T) {
	b := newBench(t, 3, simulator.Options{})
	b.mem.Put("ann@example.com", picture(100))
	b.mem.Put("bob@example.com", picture(101))
	for _, policy := range []plan.Policy{plan.OnSourceChange, plan.Enforce, plan.RespectUser, plan.FillEmpty} {
		r := b.must(func(o *Options) { o.Existing = policy })
		if r.Totals.People != 5 || r.SkippedByReason["not_in_smartsheet"] != 2 || len(r.Items) < 2 {
			t.Fatalf("%s: %+v, skipped %v", policy, r.Totals, r.SkippedByReason)
		}
		if it := r.Items[0]; it.Email != "ann@example.com" || it.Source != "mem" || it.Ref != "mem/ann@example.com" ||
			it.Reason != string(plan.NotInSmartsheet) || it.Outcome != string(plan.Skipped) {
			t.Errorf("%s: item %+v", policy, it)
		}
	}
	if b.mem.Reads() != 2*3 { // to compare and to send
		t.Errorf("%d photos were read", b.mem.Reads())
	}
	if _, known, err := b.st.Lookup("ann@example.com"); known || err != nil {
		t.Errorf("Ann is remembered: %v, %v", known, err)
	}
	x, err := Explain(t.Context(), b.options(1_000_000), "ann@example.com")
	if err != nil || x.Next == nil || x.Next.Reason != string(plan.NotInSmartsheet) || x.Rule == "" {
		t.Errorf("explained: %+v, error %v", x, err)
	}
	b.sim.AddUser(smartsheet.User{Email: "ann@example.com"})
	if r := b.must(nil); r.Totals.Uploaded != 1 || r.SkippedByReason["not_in_smartsheet"] != 1 {
		t.Errorf("when Ann is there: %+v, %v", r.Totals, r.SkippedByReason)
	}
}
