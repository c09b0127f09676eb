package job

import (
	"context"
	"testing"
	"time"

	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

// timed notes by when pictures are to be sent.
type timed struct {
	Smartsheet
	before []time.Time
}

func (s *timed) Upload(ctx context.Context, u smartsheet.User, img smartsheet.Image, before time.Time) (smartsheet.UploadResult, error) {
	s.before = append(s.before, before)
	return s.Smartsheet.Upload(ctx, u, img, before)
}

// The age of a look-up is measured by the monotonic clock, too, from the answer to the upload: a
// wall clock that is set back in between makes no look-up younger. See TestClockThatJumps of
// sync/upload.
func TestLookUpsAreTimedByTheMonotonicClock(t *testing.T) {
	o := simulator.Options{Users: []smartsheet.User{{Email: email(0)}, {Email: "jo@example.com", AlternateEmails: alternate(email(1))}}}
	b := newBench(t, 0, o)
	b.mem.Put(email(0), picture(0))
	b.mem.Put(email(1), picture(1))
	var s *timed
	b.must(func(j *Job) {
		byAlternate(j)
		j.How.Concurrency = 1
		s = &timed{Smartsheet: j.Smartsheet}
		j.Smartsheet = s
	})
	if len(s.before) != 2 {
		t.Fatalf("%d uploads", len(s.before))
	}
	for _, at := range s.before {
		if at == at.Round(0) {
			t.Errorf("%v has no reading of the monotonic clock", at)
		}
	}
}
