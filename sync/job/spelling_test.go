package job

import (
	"testing"

	"photosync/sync/outcome"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

// Addresses that only full case folding makes one are two people, whether a run lists all
// users or asks for some of them.
func TestRelatedLettersStayDifferent(t *testing.T) {
	for _, c := range []struct{ source, other string }{
		{"groß@example.com", "gross@example.com"},
		{"gross@example.com", "groß@example.com"},
		{"ﬁnn@example.com", "finn@example.com"},
		{"İlk@example.com", "ilk@example.com"},
		{"i\u0307lk@example.com", "İlk@example.com"},
	} {
		b := newBench(t, 3, simulator.Options{Users: []smartsheet.User{{Email: c.source}, {Email: c.other}}})
		for night := range 3 { // the first one lists all users
			b.mem.Put(c.source, picture(100+night))
			b.must(nil)
			if img, _ := b.sim.Image(c.source); img.Uploads != night+1 {
				t.Errorf("night %d: %q has %d uploads", night, c.source, img.Uploads)
			}
			if _, ok := b.sim.Image(c.other); ok {
				t.Fatalf("night %d: the picture of %q went to %q", night, c.source, c.other)
			}
		}
		b.sim.RemoveUser(c.source)
		b.mem.Put(c.source, picture(110))
		if why := reasons(b.must(nil))[c.source]; why != string(outcome.NotInSmartsheet)+" skipped" {
			t.Errorf("%q is %s when only %q is left", c.source, why, c.other)
		}
	}
}
