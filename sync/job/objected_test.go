package job

import (
	"testing"

	"photosync/sources"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

// Who objected by exclude_filter gets no picture, also if another source lists the person with
// one address more.
func TestObjectedInOneSource(t *testing.T) {
	b := newBench(t, 1, simulator.Options{Users: []smartsheet.User{{Email: "a.lee@example.com"}}})
	b.mem.Reserved = []string{"ann@example.com"}
	second := &Memory{}
	second.Set(Entry{Ref: "ann", Own: []string{"ann@example.com", "a.lee@example.com"}, Photo: picture(5)})
	b.more = []sources.Named{{Name: "second", Type: "memory", Source: second}}
	for range 2 {
		if r := b.must(nil); r.SkippedByReason["excluded"] != 1 || r.NeedsSomebody() {
			t.Errorf("skipped: %v, findings %+v", r.SkippedByReason, r.Findings)
		}
	}
	if _, ok := b.sim.Image("a.lee@example.com"); ok {
		t.Error("the picture of a person who objected was uploaded")
	}
}
