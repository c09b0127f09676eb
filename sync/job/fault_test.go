package job

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"photosync/sync/outcome"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

// broken is an error whose text panics.
type broken struct{}

func (broken) Error() string { return "broken" }
func (broken) Is(error) bool { panic("a fault while hashing") }

// breaks is a Smartsheet at whose second upload the program has a fault.
type breaks struct {
	Smartsheet
	uploads *atomic.Int32
}

func (b breaks) Upload(ctx context.Context, u smartsheet.User, img smartsheet.Image, before time.Time) (smartsheet.UploadResult, error) {
	if b.uploads.Add(1) == 2 {
		panic("a fault while sending")
	}
	return b.Smartsheet.Upload(ctx, u, img, before)
}

// A fault of the program itself ends the run, wherever it is. The report is complete: it
// has what was uploaded before.
func TestFaultOfOurOwn(t *testing.T) {
	for where, c := range map[string]struct {
		change   func(*bench, *Job)
		uploaded int
		others   int // unfinished
	}{
		"hashing": {func(b *bench, _ *Job) { b.mem.ReadErr = map[string]error{email(1): broken{}} }, 0, 0},
		"sending": {func(_ *bench, o *Job) { o.Smartsheet, o.How.Concurrency = breaks{o.Smartsheet, new(atomic.Int32)}, 1 }, 1, 2},
		"an item": {func(_ *bench, o *Job) {
			o.How.Concurrency = 1
			o.Events.Item = func(report.Item) { panic("a fault while showing") }
		}, 1, 2},
	} {
		t.Run(where, func(t *testing.T) {
			b := newBench(t, 3, simulator.Options{})
			r, err := b.run(t.Context(), 1_000_000, func(o *Job) { c.change(b, o) })
			if err == nil || !strings.Contains(err.Error(), "a fault of photosync itself, please report it: a fault while") || r.Result != report.Failed || r.Error == nil || r.FinishedAt.IsZero() {
				t.Fatalf("error %v, result %q of %+v", err, r.Result, r.Error)
			}
			if r.Totals.Uploaded != c.uploaded || r.Totals.Unfinished != c.others || len(r.Items) != c.uploaded+c.others {
				t.Errorf("totals %+v with %d items, want %d uploaded and %d unfinished", r.Totals, len(r.Items), c.uploaded, c.others)
			}
			for _, it := range r.Items {
				if it.Outcome == outcome.Unfinished && (it.Message == "" || it.Hint == "") {
					t.Errorf("item %+v says nothing", it)
				}
			}
		})
	}
}

// stopped is a Smartsheet whose first upload arrives, and the run is stopped before its answer.
type stopped struct {
	Smartsheet
	stop context.CancelFunc
}

func (s stopped) Upload(ctx context.Context, u smartsheet.User, img smartsheet.Image, before time.Time) (smartsheet.UploadResult, error) {
	_, err := s.Smartsheet.Upload(ctx, u, img, before)
	s.stop()
	return smartsheet.UploadResult{Unknown: true}, cmp.Or(err, context.Canceled)
}

// Somebody's first run ends before the answer to the upload, and the next one no longer lists them:
// their picture may be in Smartsheet, so they count as missing.
func TestMissingAfterAFirstRunThatWasStopped(t *testing.T) {
	b := newBench(t, 2, simulator.Options{})
	ctx, stop := context.WithCancel(t.Context())
	_, err := b.run(ctx, 1_000_000, func(o *Job) { o.Smartsheet, o.How.Concurrency = stopped{o.Smartsheet, stop}, 1 })
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	b.mem.Remove(email(0))
	b.expect(placeholders, 0, "no_photo skipped", 1)
}
