package job

import (
	"slices"
	"testing"
	"testing/synctest"

	"photosync/sync/smartsheet/simulator"
)

// No refId is lost: not that of a call that went well in the end, and not that of an email
// filter which was refused until all users were listed in its place.
func TestErrorsOfOtherCallsAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 2, simulator.Options{})
		for op, count := range map[string]int{"me": 1, "users": 5} {
			b.sim.AddFault(simulator.Fault{Kind: "status", Status: 500, Code: 4004, Op: op, Count: count})
		}
		r := b.must(nil)
		var refs []string
		for _, e := range r.CallErrors {
			if e.HTTPStatus != 500 || e.ErrorCode != 4004 || e.RefID == "" || e.Message == "" {
				t.Errorf("%+v", e)
			}
			refs = append(refs, e.RefID)
		}
		if slices.Sort(refs); r.Totals.Uploaded != 2 || len(slices.Compact(refs)) != 6 {
			t.Errorf("%d uploaded, refIds %q", r.Totals.Uploaded, refs)
		}
	})
}
