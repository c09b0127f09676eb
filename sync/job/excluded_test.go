package job

import (
	"testing"

	"photosync/sources"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

// Whoever exclude_filter leaves out gets no picture, also if another source lists the person with
// one address more.
func TestExcludedInOneSource(t *testing.T) {
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
		t.Error("the picture of an excluded person was uploaded")
	}
}

// The picture of somebody whom exclude_filter leaves out stays, while another source lists the
// address, whatever other addresses that entry has.
func TestExcludedInOneSourceKeepsThePicture(t *testing.T) {
	for _, own := range [][]string{{email(0)}, {email(0), "a.lee@example.com"}, {email(0), "z.lee@example.com"}} {
		b := newBench(t, 20, simulator.Options{})
		second := &Memory{}
		second.Set(Entry{Ref: "ann", Own: own, Photo: picture(5)})
		b.more = []sources.Named{{Name: "second", Type: "memory", Source: second}}
		change := func(o *Job) { o.Policy.RemovedAfter = 1 }
		b.must(change)
		b.mem.Remove(email(0))
		b.mem.Reserved = []string{email(0)}
		for range 3 {
			b.must(change)
		}
		if img, _ := b.sim.Image(email(0)); string(img.Data) != string(picture(0)) {
			t.Errorf("%v: initials took the place of the picture", own)
		}
	}
}

// The first source lists somebody without a photo, and a later one lists two entries with the address
// and a photo. They are nobody's candidates, but the picture stays.
func TestTwoEntriesOfALaterSourceKeepThePicture(t *testing.T) {
	b := newBench(t, 20, simulator.Options{})
	second := &Memory{}
	b.more = []sources.Named{{Name: "second", Type: "memory", Source: second}}
	change := func(o *Job) { o.Policy.RemovedAfter = 1 }
	b.must(change)
	b.mem.Remove(email(0))
	b.mem.Set(Entry{Ref: "ann", Own: []string{email(0)}})
	for i, ref := range []string{"ann 1", "ann 2"} {
		second.Set(Entry{Ref: ref, Own: []string{email(0)}, Photo: picture(50 + i)})
	}
	for range 3 {
		b.must(change)
	}
	if img, _ := b.sim.Image(email(0)); string(img.Data) != string(picture(0)) {
		t.Error("initials took the place of the picture")
	}
}

// Somebody whom one source lists twice, and another one once, is ambiguous. That is reported once.
func TestAmbiguousIsNoLostClaimToo(t *testing.T) {
	b := newBench(t, 2, simulator.Options{})
	for _, ref := range []string{"ann.jpg", "ann.png"} {
		b.mem.Set(Entry{Ref: ref, Own: []string{"ann@example.com"}, Photo: picture(5)})
	}
	second := &Memory{}
	second.Put("ann@example.com", picture(6))
	b.more = []sources.Named{{Name: "second", Type: "memory", Source: second}}
	if r := b.must(nil); reasons(r)["ann@example.com"] != "ambiguous skipped" || len(r.Findings) > 0 {
		t.Errorf("%v, findings %+v", reasons(r), r.Findings)
	}
}
