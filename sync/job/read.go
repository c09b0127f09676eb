package job

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"photosync/sources"
	"photosync/sync/plan"
)

// read reads and hashes the photos of those whose mark moved and who are an active
// user. The first candidate with a photo counts; the bytes are dropped again.
func (j *Job) read(ctx context.Context, rules *plan.Rules, ws []*plan.Work) error {
	return j.readPhotos(ctx, slices.DeleteFunc(slices.Clone(ws), func(w *plan.Work) bool { return !rules.NeedsRead(w) }))
}

// readPhotos reads the candidates of open, which it reorders, in rounds, until each has
// a photo or none is left.
func (j *Job) readPhotos(ctx context.Context, open []*plan.Work) error {
	for round := 0; len(open) > 0; round++ {
		bySource := make([][]*plan.Work, len(j.Sources))
		for _, w := range open {
			if c := w.Candidates[round]; c.HasPhoto != sources.Absent {
				bySource[c.Source] = append(bySource[c.Source], w)
			}
		}
		for src, wanted := range bySource {
			if err := j.readFrom(ctx, src, round, wanted); err != nil {
				return err
			}
		}
		open = slices.DeleteFunc(open, func(w *plan.Work) bool {
			if w.Photo == nil && round+1 == len(w.Candidates) {
				w.Photo = &plan.Photo{Candidate: round} // none of them has a photo
			}
			return w.Photo != nil
		})
	}
	return nil
}

// readFrom reads the photos that the candidates of the round have in one source.
// Photos come one at a time; they are hashed by all processors, each with one in hand.
func (j *Job) readFrom(ctx context.Context, src, round int, wanted []*plan.Work) error {
	if len(wanted) == 0 {
		return nil
	}
	ref := func(w *plan.Work) sources.Ref { return w.Candidates[round].Ref }
	slices.SortFunc(wanted, func(a, b *plan.Work) int { return ref(a).Compare(ref(b)) })
	refs := make([]sources.Ref, len(wanted))
	for i, w := range wanted {
		refs[i] = ref(w)
	}
	var hashing errgroup.Group
	hashing.SetLimit(runtime.GOMAXPROCS(0))
	err := j.Sources[src].Photos(ctx, refs, func(ph sources.Photo) error {
		hashing.Go(func() error {
			defer ph.Done()
			i, _ := slices.BinarySearchFunc(wanted, ph.Ref, func(w *plan.Work, r sources.Ref) int { return ref(w).Compare(r) })
			for ; i < len(wanted) && ref(wanted[i]) == ph.Ref; i++ {
				wanted[i].Photo = facts(ph, round, wanted[i])
			}
			return nil
		})
		return nil
	})
	hashing.Wait() // none of them fails
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("read photos from source %q: %w", j.Sources[src].Name, err)
	}
	return nil
}

// facts is what reading a candidate's photo came to; nil when the next candidate must
// be read.
func facts(ph sources.Photo, round int, w *plan.Work) *plan.Photo {
	f := &plan.Photo{Candidate: round, Err: ph.Err, Moved: ph.Moved}
	last, listed := w.Candidate()
	switch {
	case errors.Is(ph.Err, sources.ErrNoPhoto) && listed && last.Ref == ph.Ref && w.SHA256() != "" && !ph.Moved:
		// The change mark is that of the photo of the last look: it is there, and hidden.
		f.Err = fmt.Errorf("%w: its change mark has not moved", sources.ErrDenied)
	case errors.Is(ph.Err, sources.ErrNoPhoto):
		return nil
	case errors.Is(ph.Err, sources.ErrTooLarge):
		// Its bytes are not read, so its mark stands for them: it is reported once, and
		// not every night.
		f.SHA256 = plan.Sum([]byte("too large\n" + ph.Ref.Name + "\n" + w.Candidates[round].Stamp))
	case ph.Err == nil:
		f.SHA256 = plan.Sum(ph.Data)
	}
	if u, one := w.User(); one && ph.Emails != nil {
		c := w.Candidates[round]
		listed := slices.Contains(c.Own, u.Via) || slices.Contains(c.Aliases, u.Via)
		f.Elsewhere = listed && !slices.Contains(ph.Emails, u.Via)
	}
	return f
}
