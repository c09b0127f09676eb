package job

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image/jpeg"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"photosync/sync/report"
	"photosync/sync/smartsheet/simulator"
)

func withBefore(more func(*Job)) func(*Job) {
	return func(o *Job) {
		if more != nil {
			more(o)
		}
		o.How.Thumbnails, o.How.Before = true, true
	}
}

// red is how red the first pixel of a small picture is, 0 to 255.
func red(t *testing.T, uri string) int {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(uri, "data:image/jpeg;base64,"))
	if err != nil {
		t.Fatalf("%q: %v", uri, err)
	}
	img, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("%q: %v", uri, err)
	}
	r, _, _, _ := img.At(0, 0).RGBA()
	return int(r >> 8)
}

// replaced is a bench where 130 people have a picture, and a guard holds the run that
// would replace them; five more are new.
func replaced(t *testing.T, o simulator.Options) *bench {
	b := newBench(t, 135, o)
	for i := 130; i < 135; i++ {
		b.mem.Put(email(i), nil)
	}
	b.must(nil)
	for i := range 135 {
		b.mem.Put(email(i), picture(200))
	}
	return b
}

// A held run, a plan and an apply show each picture beside the one that it replaces; the
// addresses are asked for together, and nowhere to be seen.
func TestBefore(t *testing.T) {
	noShared := func(o *Job) {
		guarded(o)
		g := *o.Policy.Guards
		g.MaxShared = 0
		o.Policy.Guards = &g
	}
	check := func(b *bench, r *report.Report, calls int) {
		t.Helper()
		if n := b.sim.Counts().ByOp["imageurls"]; n != calls {
			t.Errorf("%d calls for addresses, want %d", n, calls)
		}
		pairs := 0
		for i, it := range r.Items {
			switch {
			case it.Image == nil || it.Image.Thumbnail == "":
				t.Fatalf("%+v has no picture", it)
			case it.Image.Before == "":
				if i < 130 {
					t.Fatalf("%s: no picture from before", it.Email)
				}
			default:
				pairs++
				if was, is := red(t, it.Image.Before), red(t, it.Image.Thumbnail); was < i-8 || was > i+8 || is < 192 || is > 208 {
					t.Fatalf("%s: from %d to %d", it.Email, was, is)
				}
			}
		}
		if text, err := json.Marshal(r); err != nil || pairs != 130 || bytes.Contains(text, []byte("/images/")) {
			t.Errorf("%d pairs, or an address shows; %v", pairs, err)
		}
	}
	b := replaced(t, simulator.Options{})
	r := b.held(withBefore(noShared), "max_replaced")
	check(b, r, 2)
	if it := r.Items[0]; it.Reason != "held" || it.Message != "Changed at the source" || r.Items[134].Message != "New" {
		t.Errorf("%+v", it)
	}
	check(b, b.must(withBefore(func(o *Job) { o.How.Mode = Plan })), 4)
	f := b.planned(nil)
	check(b, b.must(withBefore(applying(f, false))), 6)
	if b.must(withBefore(nil)); b.sim.Counts().ByOp["imageurls"] != 6 {
		t.Error("a sync that nothing holds asks for pictures")
	}
}

// Without Before nobody is asked.
func TestNoBefore(t *testing.T) {
	b := replaced(t, simulator.Options{})
	b.must(func(o *Job) { o.How.Mode, o.How.Thumbnails = Plan, true })
	if n := b.sim.Counts().ByOp["imageurls"]; n != 0 {
		t.Errorf("%d calls", n)
	}
}

// Whatever happens to these pictures, the plan is the same and comes in time.
func TestBeforeFails(t *testing.T) {
	for name, c := range map[string]struct {
		fault   simulator.Fault
		warning bool
	}{
		"refused":      {simulator.Fault{Op: "imageurls", Kind: "status", Status: 403, Code: 1004}, true},
		"out of order": {simulator.Fault{Op: "imageurls", Kind: "status", Status: 500, Code: 4000}, true},
		"throttled":    {simulator.Fault{Op: "imageurls", Kind: "status", Status: 429, Code: 4003}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := replaced(t, simulator.Options{})
				want := b.must(func(o *Job) { o.How.Mode = Plan })
				b.sim.AddFault(c.fault)
				start := time.Now()
				r := b.must(withBefore(func(o *Job) { o.How.Mode = Plan }))
				if took := time.Since(start); took > fetchWithin+time.Second {
					t.Errorf("it took %v", took)
				}
				if r.Result != want.Result || r.PlanID != want.PlanID || r.Totals.Planned != want.Totals.Planned || (len(r.Warnings) == 1) != c.warning {
					t.Errorf("%s, plan %s, %+v, warnings %q", r.Result, r.PlanID, r.Totals, r.Warnings)
				}
			})
		})
	}
}

// Small pictures go to those whose picture is replaced, and then to a sample of the
// others, not to whoever comes first.
func TestPicturesGoWhereTheyAreNeeded(t *testing.T) {
	const people = 1300
	b := newBench(t, people, simulator.Options{})
	b.sim.SetImage(email(people-1), picture(5))
	r := b.must(withBefore(func(o *Job) { o.How.Mode = Plan }))
	with, first := 0, 0
	for i, it := range r.Items {
		if it.Image.Thumbnail != "" {
			with++
			if i < 1000 {
				first++
			}
		}
	}
	if last := r.Items[people-1].Image; last.Thumbnail == "" || last.Before == "" || with != 1000 || first > 900 {
		t.Errorf("%d pictures, %d of them of the first thousand; the one that is replaced: %q, %q", with, first, last.Thumbnail, last.Before)
	}
}

// Of a picture that too many people have, one of them shows it, until it was reported.
func TestSharedPictureIsShown(t *testing.T) {
	b := newBench(t, 30, simulator.Options{})
	for i := range 30 {
		b.mem.Put(email(i), picture(7))
	}
	shown := func(r *report.Report) (n int) {
		for _, it := range r.Items {
			if it.Reason != "shared_image" || it.Outcome != "held" {
				t.Errorf("%+v", it)
			}
			if it.Image != nil && it.Image.Thumbnail != "" {
				n++
			}
		}
		return n
	}
	with := func(o *Job) { guarded(o); o.How.Thumbnails = true }
	if n := shown(b.must(with)); n != 1 {
		t.Errorf("%d people show it on the first night", n)
	}
	if n := shown(b.must(with)); n != 0 {
		t.Errorf("%d people show it on the second night", n)
	}
}
