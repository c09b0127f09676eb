package job

import (
	"context"
	"testing"

	"photosync/sources"
	"photosync/sync/smartsheet/simulator"
)

// stuck is a source whose change marks never move.
type stuck struct{ *Memory }

func (s stuck) List(ctx context.Context, each func(sources.Person) error) (sources.Listing, error) {
	return s.Memory.List(ctx, func(p sources.Person) error {
		p.Stamp = "the same"
		return each(p)
	})
}

// A change that no mark shows is found with Checksum, and with it only.
func TestChecksumProvesTheMarks(t *testing.T) {
	b := newBench(t, 3, simulator.Options{})
	night := func(checksum bool) int {
		t.Helper()
		before := b.mem.Reads()
		r := b.must(func(o *Job) { o.Sources[0].Source, o.Scope.Checksum = stuck{&b.mem}, checksum })
		if reads := b.mem.Reads() - before; checksum == (reads == 0) && r.Totals.Uploaded == 0 {
			t.Errorf("%d photos were read, checksum %v", reads, checksum)
		}
		return r.Totals.Uploaded
	}
	if n := night(false); n != 3 {
		t.Fatalf("%d uploads, want 3", n)
	}
	b.mem.Put(email(1), picture(100))
	for _, c := range []struct {
		checksum bool
		uploads  int
	}{{false, 0}, {true, 1}, {true, 0}} {
		if n := night(c.checksum); n != c.uploads {
			t.Errorf("checksum %v: %d uploads, want %d", c.checksum, n, c.uploads)
		}
	}
}

// blind is a source whose server answers as if photos that may not be seen were not there.
type blind struct{ *Memory }

func (b blind) Photos(_ context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	for _, r := range refs {
		if err := each(sources.Photo{Ref: r, Err: sources.ErrNoPhoto}); err != nil {
			return err
		}
	}
	return nil
}

// A photo that does not show any more, and whose change mark has not moved, is hidden and
// not removed: nobody gets initials for it, however often every photo is read.
func TestUnmovedPhotoIsHidden(t *testing.T) {
	b := newBench(t, 3, simulator.Options{})
	b.must(nil)
	for range 4 {
		b.expect(func(o *Job) {
			placeholders(o)
			o.Sources[0].Source, o.Scope.Checksum = blind{&b.mem}, true
		}, 1, "photo_hidden skipped", 0)
	}
}
