package job

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

// Users were deleted and invited again, which only a look-up of everybody finds. Who does not get
// the picture in that run gets it in the next one.
func TestLeftByALookUpOfEverybody(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*bench, *Job)
		left   int // for the next run
	}{
		"limit":      {func(_ *bench, o *Job) { o.Scope.Limit = 1 }, 2},
		"unreadable": {func(b *bench, _ *Job) { b.mem.ReadErr = map[string]error{email(1): errors.New("input/output error")} }, 1},
		"unusable":   {func(_ *bench, o *Job) { o.Smartsheet = unusable{o.Smartsheet} }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 3, simulator.Options{})
			b.must(nil)
			for i := range 3 {
				b.sim.RemoveUser(email(i))
				b.sim.AddUser(smartsheet.User{Email: email(i)})
			}
			week := b.must(func(o *Job) { o.Policy.Refresh = time.Nanosecond; c.change(b, o) })
			b.mem.ReadErr = nil
			night := b.must(nil)
			if week.Totals.Uploaded != 3-c.left || night.Totals.Uploaded != c.left {
				t.Errorf("first %+v, and then %+v; want %d of 3 uploaded, and then %d", week.Totals, night.Totals, 3-c.left, c.left)
			}
		})
	}
}

// unusable is a Smartsheet whose list has no ids.
type unusable struct{ Smartsheet }

func (u unusable) Users(ctx context.Context, each func(smartsheet.User) error) error {
	return u.Smartsheet.Users(ctx, func(x smartsheet.User) error {
		x.Unusable = "no user id"
		return each(x)
	})
}

func (u unusable) UsersByEmail(ctx context.Context, emails []string, each func(smartsheet.User) error) (bool, error) {
	return true, u.Users(ctx, each)
}

// secondPhoto gives another photo when photos are read the second time.
type secondPhoto struct {
	sources.Source
	photo []byte
	calls int
}

func (s *secondPhoto) Photos(ctx context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	s.calls++
	n := s.calls
	return s.Source.Photos(ctx, refs, func(p sources.Photo) error {
		if n > 1 {
			p.Data, p.Moved = bytes.Clone(s.photo), true
		}
		return each(p)
	})
}

// Bytes that neither the rules nor the guards have seen are not sent, such as a silhouette
// that an export puts in the place of all photos during a long run. The next run decides.
func TestPhotosReplacedDuringTheRun(t *testing.T) {
	for ignored, then := range map[bool]outcome.Reason{false: outcome.SharedImage, true: outcome.NoPhoto} {
		b := newBench(t, 20, simulator.Options{})
		policy := func(o *Job) {
			o.Policy.Guards = &plan.Guards{MaxShared: 3}
			if ignored {
				o.Policy.Ignored = []string{plan.Sum(picture(7777))}
			}
		}
		r := b.must(func(o *Job) {
			policy(o)
			o.How.Concurrency = 1
			o.Sources[0].Source = &secondPhoto{Source: &b.mem, photo: picture(7777)}
		})
		if n := b.sim.Counts().Accepted; n != 0 || r.Totals.Unfinished != 20 {
			t.Errorf("%d pictures sent that no guard saw: %+v", n, r.Totals)
		}
		if !r.NeedsSomebody() || len(r.Findings) != 1 || r.Findings[0].Code != outcome.NobodyNow || r.Findings[0].Count != 20 {
			t.Errorf("nobody got a picture, and it is green: %+v", r.Findings)
		}
		for i := range 20 {
			b.mem.Put(email(i), picture(7777))
		}
		r = b.must(policy)
		if n := b.sim.Counts().Accepted; n != 0 || !ignored && slices.ContainsFunc(r.Items, func(it report.Item) bool { return it.Reason != then }) {
			t.Errorf("%d pictures sent by the next run, %v", n, r.SkippedByReason)
		}
	}
}

// A run is killed after it announced a picture that did not arrive. Later runs cannot send it, and
// see that the user has none: from then on, a picture there is the user's own.
func TestAnnouncedAndNeverArrived(t *testing.T) {
	for _, policy := range []plan.Existing{plan.RespectUser, plan.FillEmpty} {
		for _, runs := range []int{0, 1} {
			b := newBench(t, 1, simulator.Options{})
			rules := func(o *Job) { o.Policy.Existing = policy }
			b.must(rules)
			u, row := b.record(0), b.row(0)
			u.Intent = &state.Intent{Origin: u.Sent.Origin, SourceSHA256: "h", UploadSHA256: "h", RunID: "killed", At: time.Now().Add(-time.Hour)}
			u.Sent, row.Fingerprint = nil, state.Fingerprint{}
			if err := b.st.Write(state.Change{Users: []state.User{u}, People: []state.Person{row}}); err != nil {
				t.Fatal(err)
			}
			b.sim.RemoveUser(email(0))
			b.sim.AddUser(smartsheet.User{Email: email(0), ID: u.ID})
			b.mem.Put(email(0), []byte("no picture"))
			for range runs {
				b.must(rules)
				b.must(rules)
			}
			b.sim.SetImage(email(0), picture(4242))
			b.mem.Put(email(0), picture(5))
			r := b.must(rules)
			if img, _ := b.sim.Image(email(0)); bytes.Equal(img.Data, picture(4242)) != (runs > 0) {
				t.Errorf("%s, %d runs in between: %+v", policy, runs, r.Items)
			}
		}
	}
}

// Bytes that changed without their change mark wait for the next run, which reads them anew.
func TestBytesChangedWithoutTheMark(t *testing.T) {
	b := newBench(t, 1, simulator.Options{})
	b.must(nil)
	b.sim.RemoveUser(email(0))
	b.sim.AddUser(smartsheet.User{Email: email(0)})
	source := &secondPhoto{Source: &b.mem, photo: picture(99), calls: 1}
	change := func(o *Job) { o.Sources[0].Source, o.Policy.Refresh = source, time.Nanosecond }
	first, second := b.must(change), b.must(change)
	if img, _ := b.sim.Image(email(0)); first.Totals.Unfinished != 1 || second.Totals.Uploaded != 1 || !bytes.Equal(img.Data, picture(99)) {
		t.Errorf("first %+v, then %+v", first.Totals, second.Totals)
	}
}

// Runs in which the same picture is listed for somebody else are no runs without the photo.
func TestSamePictureEndsTheCount(t *testing.T) {
	b := newBench(t, 3, simulator.Options{})
	b.must(placeholders)
	b.mem.Remove(email(0))
	b.mem.Put("new@example.com", picture(0))
	for range 4 {
		b.expect(placeholders, 0, "no_photo skipped", 0)
	}
	b.mem.Put("new@example.com", picture(50))
	for missing := range 2 {
		b.expect(placeholders, 0, "no_photo skipped", missing+1)
	}
}

// Somebody ambiguous may be the person under another address, by any of the candidates.
func TestSamePictureOfSomebodyAmbiguous(t *testing.T) {
	for _, same := range []string{"a", "b"} {
		b := newBench(t, 2, simulator.Options{})
		rules := func(o *Job) { o.Policy.RemovedAfter = 1 }
		b.must(rules)
		b.mem.Remove(email(0))
		for i, ref := range []string{"a", "b"} {
			e := Entry{Ref: ref, Own: []string{"new@example.com"}, Photo: picture(90 + i)}
			if ref == same {
				e.Photo = picture(0)
			}
			b.mem.Set(e)
		}
		b.must(rules)
		if img, _ := b.sim.Image(email(0)); !bytes.Equal(img.Data, picture(0)) {
			t.Errorf("initials, though candidate %s has the picture", same)
		}
	}
}

// A renamed file has the same picture. In a run in which it cannot be read, nobody knows that,
// and no initials take the place of the picture.
func TestSamePictureThatCannotBeRead(t *testing.T) {
	b := newBench(t, 2, simulator.Options{})
	rules := func(o *Job) { o.Policy.RemovedAfter = 1 }
	b.must(rules)
	b.mem.Remove(email(0))
	b.mem.Put("new@example.com", picture(0))
	for night := range 3 {
		b.mem.ReadErr = map[string]error{}
		if night == 1 {
			b.mem.ReadErr["new@example.com"] = errors.New("input/output error")
		}
		b.must(rules)
		if img, _ := b.sim.Image(email(0)); !bytes.Equal(img.Data, picture(0)) {
			t.Fatalf("night %d: the picture was replaced", night)
		}
	}
}
