package job

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/photo"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

func email(i int) string { return fmt.Sprintf("p%05d@example.com", i) }

// picture is the photo with a number. Drawn once, it is kept: the worlds ask for the
// same ones again and again.
func picture(seed int) []byte {
	if b, ok := drawn.Load(seed); ok {
		return bytes.Clone(b.([]byte))
	}
	img := image.NewRGBA(image.Rect(0, 0, 2, 2))
	for i := range 4 {
		img.SetRGBA(i%2, i/2, color.RGBA{uint8(seed), uint8(seed >> 8), uint8(seed>>16 + i), 255})
	}
	var b bytes.Buffer
	if err := pngs.Encode(&b, img); err != nil {
		panic(err)
	}
	drawn.Store(seed, b.Bytes())
	return bytes.Clone(b.Bytes())
}

var drawn sync.Map // pictures by their number

// pngs keeps its buffer, which is a megabyte: made anew for each picture, it would cost
// more than all else that some tests do. A sync.Pool forgets under the race detector.
var pngs = png.Encoder{BufferPool: new(buffer)}

type buffer struct {
	kept atomic.Pointer[png.EncoderBuffer]
}

func (b *buffer) Get() *png.EncoderBuffer     { return b.kept.Swap(nil) }
func (b *buffer) Put(used *png.EncoderBuffer) { b.kept.Store(used) }

// bench is a run's surroundings in memory, but for the state file.
type bench struct {
	t    *testing.T
	mem  Memory
	more []sources.Named // after mem
	sim  *simulator.Server
	st   *state.Store
	dir  string // of the state
}

func newBench(t *testing.T, people int, o simulator.Options) *bench {
	t.Helper()
	b := &bench{t: t, dir: memoryDir(t)}
	for i := range people {
		o.Users = append(o.Users, smartsheet.User{Email: email(i)})
		b.mem.Put(email(i), picture(i))
	}
	b.sim = simulator.New(o)
	st, err := state.Open(filepath.Join(b.dir, "state.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	b.st = st
	return b
}

// memoryDir is a folder in memory, where there is one: a test in virtual time should not
// wait for a disk.
func memoryDir(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "photosync-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (b *bench) client(rpm int) *smartsheet.Client { return client(b.t, b.sim, rpm) }

func client(t testing.TB, sim *simulator.Server, rpm int) *smartsheet.Client {
	c, err := smartsheet.New(smartsheet.Options{
		BaseURL: "https://api.example.test/2.0", Transport: sim.Transport(), Token: "t", RequestsPerMinute: rpm,
		Timeout: 30 * time.Second, MaxAttempts: 6, MaxWait: 5 * time.Minute, Grace: 25 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (b *bench) run(ctx context.Context, rpm int, change func(*Job)) (*report.Report, error) {
	o := b.options(rpm)
	if change != nil {
		change(&o)
	}
	made := 0
	o.Events.Made = func(_ string, _, unchanged int) { made = unchanged }
	r, err := Run(ctx, o)
	if n := r.Totals; err == nil && n.People != n.Unchanged+n.Uploaded+n.Planned+n.PartialSuccess+n.Failed+n.Skipped+n.Held+n.Unfinished {
		b.t.Errorf("not everybody is accounted for: %+v", n)
	}
	if err == nil && made != r.Totals.Unchanged { // the log and the report
		b.t.Errorf("the plan has %d people unchanged, the report %d", made, r.Totals.Unchanged)
	}
	return r, err
}

func (b *bench) options(rpm int) Job {
	return Job{
		Parts: Parts{
			State: b.st, Smartsheet: b.client(rpm), Root: "https://api.example.test/2.0", Photos: photo.Options{MaxBytes: 1_000_000},
			Sources: append([]sources.Named{{Name: "mem", Type: "memory", Source: &b.mem}}, b.more...),
		},
		How: How{Mode: Sync, RunID: "r", Concurrency: 4},
	}
}

func (b *bench) must(change func(*Job)) *report.Report {
	b.t.Helper()
	r, err := b.run(b.t.Context(), 1_000_000, change)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// A long backlog uses the quota and does not run into it.
func TestQuotaInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 3000, simulator.Options{RequestsPerMinute: 300})
		start := time.Now()
		r, err := b.run(t.Context(), 300, nil)
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		if r.Totals.Uploaded != 3000 || r.Totals.RateLimited != 0 {
			t.Errorf("totals %+v", r.Totals)
		}
		if ideal := 10 * time.Minute; took < ideal*99/100 || took > ideal*101/100 {
			t.Errorf("3000 uploads at 300 a minute took %v, want %v within 1 %%", took, ideal)
		}
	})
}

// A quota that another client has eaten pauses all workers; nobody fails.
func TestRateLimitedByOthers(t *testing.T) {
	for _, form := range []string{"", "seconds", "date"} {
		t.Run("Retry-After "+form, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, 400, simulator.Options{RequestsPerMinute: 100, RetryAfter: form})
				r, err := b.run(t.Context(), 300, nil) // believes in more than there is
				if err != nil || r.Totals.Uploaded != 400 || r.Totals.RateLimited == 0 {
					t.Fatalf("error %v, totals %+v", err, r.Totals)
				}
				// Four workers: at most four 429 answers a window.
				if r.Totals.RateLimited > 4*6 {
					t.Errorf("%d 429 answers: the pause does not hold all workers", r.Totals.RateLimited)
				}
			})
		})
	}
}

// A run that was stopped says how long the rest takes, and when it sent what.
func TestWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 900, simulator.Options{RequestsPerMinute: 300})
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(ErrMaxDuration) })
		r, err := b.run(ctx, 300, nil)
		if !errors.Is(err, ErrMaxDuration) || r.Totals.Unfinished < 550 {
			t.Fatalf("error %v, totals %+v", err, r.Totals)
		}
		if want := int64(r.Totals.Unfinished / 5); r.Totals.ETA < want || r.Totals.ETA > want+2 {
			t.Errorf("eta %d s for %d people, want %d", r.Totals.ETA, r.Totals.Unfinished, want)
		}
		var sum report.Minute
		for _, m := range r.Timeline {
			sum.Requests += m.Requests
			sum.WaitMS += m.WaitMS
		}
		if sum.Requests != r.Totals.Requests || sum.WaitMS < r.Totals.QuotaWaitMS-10 || r.QuotaPerMinute != 300 {
			t.Errorf("timeline %+v, totals %+v, quota %d", r.Timeline, r.Totals, r.QuotaPerMinute)
		}
		if r, err = b.run(t.Context(), 300, nil); err != nil || r.Totals.ETA != 0 {
			t.Errorf("error %v, eta %d s when all is done", err, r.Totals.ETA)
		}
	})
}

// Rights that nobody has stop the run after five people.
func TestNoRightsForAnybody(t *testing.T) {
	b := newBench(t, 50, simulator.Options{})
	b.sim.AddFault(simulator.Fault{Kind: "status", Status: 403, Code: 1004})
	r, err := b.run(t.Context(), 1_000_000, nil)
	if smartsheet.Classify(err) != smartsheet.Stop || b.sim.Counts().ByOp["upload"] > 5+3 {
		t.Errorf("error %v after %d uploads", err, b.sim.Counts().ByOp["upload"])
	}
	if r.Result != report.Failed || r.Error.RefID == "" || len(r.Items) != 50 {
		t.Errorf("result %q, error %+v, %d items", r.Result, r.Error, len(r.Items))
	}
}

// What is reported once is reported by a run whose exit code shows it. A run that failed, or was
// stopped, does not count.
func TestNewsOfARunThatFailed(t *testing.T) {
	b := newBench(t, 50, simulator.Options{})
	for _, ref := range []string{"a", "b"} {
		b.mem.Set(Entry{Ref: ref, Own: []string{"two@example.com"}, Photo: picture(99)})
	}
	b.sim.AddFault(simulator.Fault{Kind: "status", Status: 403, Code: 1004, Count: 8})
	says := func(r *report.Report) bool {
		i := slices.IndexFunc(r.Items, func(it report.Item) bool { return it.Email == "two@example.com" && it.Reason == outcome.Ambiguous })
		return i >= 0 && !r.Items[i].AlreadyReported
	}
	if r, err := b.run(t.Context(), 1_000_000, nil); err == nil || !says(r) {
		t.Fatalf("error %v, says so: %v", err, says(r))
	}
	if r := b.must(nil); !says(r) || r.Result != report.Partial {
		t.Errorf("the next run says nothing: %s, %+v", r.Result, r.Totals)
	}
	if r := b.must(nil); says(r) || r.Result == report.Partial {
		t.Errorf("the run after it says it again: %s, %+v", r.Result, r.Totals)
	}
}

// A picture that counts as none in the first source leaves the way to the second one.
func TestIgnoredPictureGivesWay(t *testing.T) {
	b := newBench(t, 2, simulator.Options{})
	b.mem.Put(email(0), picture(7777))
	second := &Memory{}
	second.Put(email(0), picture(100))
	b.more = []sources.Named{{Name: "second", Type: "memory", Source: second}}
	ignoring := func(o *Job) { o.Policy.Ignored = []string{plan.Sum(picture(7777))} }
	for _, seed := range []int{100, 101} {
		second.Put(email(0), picture(seed))
		b.must(ignoring)
		if img, _ := b.sim.Image(email(0)); !bytes.Equal(img.Data, picture(seed)) {
			t.Errorf("not picture %d of the second source", seed)
		}
	}
	if r := b.must(ignoring); r.Totals.Unchanged != 2 {
		t.Errorf("a quiet night: %+v", r.Totals)
	}
	second.Put(email(0), nil)
	if got := reasons(b.must(ignoring))[email(0)]; got != "no_photo skipped" {
		t.Errorf("only the ignored picture is left: %s", got)
	}
}

// The second source is asked only where the first has no photo, and a photo that
// appears in the first wins.
func TestPrecedence(t *testing.T) {
	b := newBench(t, 3, simulator.Options{})
	b.mem.Unknown = true
	b.mem.Put(email(0), nil)
	second := &Memory{}
	second.Put(email(0), picture(100))
	second.Put(email(1), picture(101))
	b.more = []sources.Named{{Name: "second", Type: "memory", Source: second}}
	expect := func(i, seed int) {
		t.Helper()
		if img, _ := b.sim.Image(email(i)); !bytes.Equal(img.Data, picture(seed)) {
			t.Errorf("%s has not picture %d", email(i), seed)
		}
	}
	b.must(nil)
	expect(0, 100)
	expect(1, 1)
	reads := b.mem.Reads() + second.Reads()
	if r := b.must(nil); r.Totals.Unchanged != 3 || b.mem.Reads()+second.Reads() != reads {
		t.Errorf("a quiet run read %d photos: %+v", b.mem.Reads()+second.Reads()-reads, r.Totals)
	}
	b.mem.Put(email(0), picture(50))
	b.must(nil)
	expect(0, 50)
	b.mem.Put(email(0), nil) // and gone again
	b.must(nil)
	expect(0, 100)
}

// An incomplete or failed listing, however it shows, writes nothing.
func TestListingThatFails(t *testing.T) {
	down := errors.New("connection reset")
	for name, spoil := range map[string]func(*Memory){
		"error at once":   func(m *Memory) { m.ListErr = down },
		"error in middle": func(m *Memory) { m.ListErr, m.ListAfter = down, 5 },
		"incomplete":      func(m *Memory) { m.Incomplete = true },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 10, simulator.Options{})
			spoil(&b.mem)
			r, err := b.run(t.Context(), 1_000_000, nil)
			if err == nil || r.Result != report.Failed || r.Sources[0].Complete {
				t.Errorf("error %v, report %+v", err, r)
			}
			if n := b.sim.Counts().ByOp["upload"]; n != 0 {
				t.Errorf("%d uploads", n)
			}
		})
	}
}

// Changing the image settings sends pictures again only where they differ.
func TestOptions(t *testing.T) {
	b := newBench(t, 3, simulator.Options{})
	b.must(nil)
	for name, c := range map[string]struct {
		change   func(*Job)
		uploaded int
	}{
		"nothing":  {nil, 0},
		"checksum": {func(o *Job) { o.Scope.Checksum = true }, 0},
		"force":    {func(o *Job) { o.Scope.Force = true }, 3},
		"only one": {func(o *Job) { o.Scope.Force, o.Scope.Only = true, func(e string) bool { return e == email(1) } }, 1},
		"excluded": {func(o *Job) { o.Scope.Force, o.Policy.Excluded = true, func(e string) bool { return e != email(1) } }, 1},
		"settings": {func(o *Job) { o.Photos.MaxBytes-- }, 0},
	} {
		if r := b.must(c.change); r.Totals.Uploaded != c.uploaded || r.Totals.Failed != 0 {
			t.Errorf("%s: %+v, want %d uploads", name, r.Totals, c.uploaded)
		}
	}
}

// A state of another account is refused before anything is read.
func TestOtherAccount(t *testing.T) {
	b := newBench(t, 1, simulator.Options{})
	b.must(nil)
	b.sim = simulator.New(simulator.Options{AccountID: 1, AccountName: "Other"})
	_, err := b.run(t.Context(), 1_000_000, nil)
	if _, ok := errors.AsType[*state.Error](err); !ok || outcome.Hint(err) == "" {
		t.Errorf("error %v", err)
	}
}

// A photo that cannot be read is an item of the report; one that is being written
// is left for the next run, which is normal life. Neither is taken for gone, and
// the mark of neither is remembered.
func TestPhotosThatCannotBeReadNow(t *testing.T) {
	b := newBench(t, 5, simulator.Options{})
	broken := errors.New("input/output error")
	b.mem.ReadErr = map[string]error{email(1): broken, email(2): fmt.Errorf("read: %w", sources.ErrUnstable)}
	r := b.must(nil)
	if r.Totals.Uploaded != 3 || r.Totals.Failed != 1 || r.SkippedByReason["being_written"] != 1 || r.NeedsAttention() != 1 {
		t.Errorf("first run: totals %+v, skipped %v", r.Totals, r.SkippedByReason)
	}
	for _, it := range r.Items {
		if hint := it.Hint; (it.Email == email(1) || it.Email == email(2)) && (hint == "" || it.Message == "") {
			t.Errorf("%s: message %q, hint %q", it.Email, it.Message, hint)
		}
	}
	b.mem.ReadErr = nil
	if r := b.must(nil); r.Totals.Uploaded != 2 || r.Totals.Unchanged != 3 {
		t.Errorf("when they can be read: totals %+v", r.Totals)
	}
	b.mem.Put(email(3), picture(9))
	b.mem.ReadErr = map[string]error{email(3): sources.ErrUnstable}
	if r := b.must(nil); r.SkippedByReason["being_written"] != 1 || r.Totals.Unchanged != 4 {
		t.Errorf("while it is written again: totals %+v, skipped %v", r.Totals, r.SkippedByReason)
	}
	b.mem.ReadErr = nil
	if r := b.must(nil); r.Totals.Uploaded != 1 {
		t.Errorf("when it is complete: totals %+v", r.Totals)
	}
}

// moving is a source whose photos are not those that its listing stands for.
type moving struct{ sources.Source }

func (m moving) Photos(ctx context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	return m.Source.Photos(ctx, refs, func(p sources.Photo) error {
		p.Moved = true
		return each(p)
	})
}

// A photo that is not what its mark stands for is uploaded, and read again in
// the next run.
func TestMovedPhoto(t *testing.T) {
	b := newBench(t, 3, simulator.Options{})
	behind := func(o *Job) { o.Sources[0].Source = moving{&b.mem} }
	if r := b.must(behind); r.Totals.Uploaded != 3 {
		t.Fatalf("first run: %+v", r.Totals)
	}
	for _, want := range []int{3, 0} {
		before := b.mem.Reads()
		if r := b.must(nil); r.Totals.Unchanged != 3 || b.mem.Reads()-before != want {
			t.Errorf("%d photos were read, want %d; totals %+v", b.mem.Reads()-before, want, r.Totals)
		}
	}
}

// Answers that are partial for everybody are not the fault of the photos: they are sent
// again, and the next night is as loud as the first.
func TestPartialForAll(t *testing.T) {
	b := newBench(t, 8, simulator.Options{})
	b.sim.AddFault(simulator.Fault{Kind: "partial"})
	for night := range 3 {
		if r := b.must(nil); r.Totals.PartialSuccess != 8 || r.Result != report.Partial {
			t.Errorf("night %d: result %s, %+v, %v", night, r.Result, r.Totals, r.SkippedByReason)
		}
	}
	b.sim.ClearFaults()
	b.sim.AddFault(simulator.Fault{Kind: "partial", User: email(3)})
	if r := b.must(nil); r.Totals.Uploaded != 7 || r.Totals.PartialSuccess != 1 {
		t.Errorf("the cause is mended: %+v, %v", r.Totals, r.SkippedByReason)
	}
	if r := b.must(nil); r.SkippedByReason["known_bad"] != 1 {
		t.Errorf("the one that is left: %+v, %v", r.Totals, r.SkippedByReason)
	}
}
