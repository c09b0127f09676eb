package job

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"photosync/sources"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
)

func (r *run) planOptions() *plan.Options {
	names := make([]string, len(r.o.Sources))
	for i, s := range r.o.Sources {
		names[i] = s.Name
	}
	return &plan.Options{
		Rendering: r.o.Photos.Fingerprint(), Force: r.o.Force, Checksum: r.o.Checksum,
		RetryFailed: r.o.RetryFailed, Excluded: r.o.Excluded, Sources: names, Existing: r.o.Existing, Source: r.o.Source,
		RemovedAfter: r.o.RemovedAfter, Afresh: r.o.AssumeUser || r.o.AlternateEmails, Generation: r.generation,
	}
}

// list lists every source and joins their people.
func (r *run) list(ctx context.Context) error {
	people, listings, err := sources.Join(ctx, r.o.Sources)
	for i, l := range listings {
		src := report.Source{
			Name: r.o.Sources[i].Name, Type: r.o.Sources[i].Type, Complete: l.Complete,
			Listed: l.Entries, Pages: l.Pages, Warnings: append([]string{}, l.Warnings...),
		}
		r.report.Sources = append(r.report.Sources, src)
		if r.o.Listed != nil {
			r.o.Listed(src)
		}
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.people = people
	return err
}

// look reads and hashes the photos of those whose mark moved. The first candidate
// with a photo wins; the bytes are dropped again.
func (r *run) look(ctx context.Context) error {
	o := r.planOptions()
	var open []*plan.Subject // still without an answer
	for _, s := range r.subjects {
		if plan.NeedsLook(s, o) {
			open = append(open, s)
		}
	}
	for round := 0; len(open) > 0; round++ {
		bySource := make([][]*plan.Subject, len(r.o.Sources))
		for _, s := range open {
			if c := s.Candidates[round]; c.HasPhoto != sources.Absent {
				bySource[c.Source] = append(bySource[c.Source], s)
			}
		}
		for src, wanted := range bySource {
			if err := r.lookIn(ctx, src, round, wanted); err != nil {
				return err
			}
		}
		open = slices.DeleteFunc(open, func(s *plan.Subject) bool {
			if s.Look == nil && round+1 == len(s.Candidates) {
				s.Look = &plan.Look{Candidate: round} // none of them has a photo
			}
			return s.Look != nil
		})
	}
	return nil
}

// lookIn reads the photos that the candidates of the round have in one source. Photos
// come one at a time; they are hashed by all processors, each with one in hand.
func (r *run) lookIn(ctx context.Context, src, round int, wanted []*plan.Subject) error {
	if len(wanted) == 0 {
		return nil
	}
	ref := func(s *plan.Subject) sources.Ref { return s.Candidates[round].Ref }
	slices.SortFunc(wanted, func(a, b *plan.Subject) int { return ref(a).Compare(ref(b)) })
	refs := make([]sources.Ref, len(wanted))
	for i, s := range wanted {
		refs[i] = ref(s)
	}
	var hashing errgroup.Group
	hashing.SetLimit(runtime.GOMAXPROCS(0))
	err := r.o.Sources[src].Photos(ctx, refs, func(ph sources.Photo) error {
		hashing.Go(func() error {
			defer ph.Done()
			i, _ := slices.BinarySearchFunc(wanted, ph.Ref, func(s *plan.Subject, r sources.Ref) int { return ref(s).Compare(r) })
			for ; i < len(wanted) && ref(wanted[i]) == ph.Ref; i++ { // nobody is wanted by two
				s := wanted[i]
				if ph.Moved {
					s.Candidates[round].Stamp = "" // it is not of these bytes
				}
				if l := looked(ph, round, s); l != nil {
					s.Look = l
				}
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
		return fmt.Errorf("read photos from source %q: %w", r.o.Sources[src].Name, err)
	}
	return nil
}

// looked is what a photo tells; nil when the next candidate must be asked.
func looked(ph sources.Photo, round int, s *plan.Subject) *plan.Look {
	l := &plan.Look{Candidate: round, Err: ph.Err}
	switch {
	case errors.Is(ph.Err, sources.ErrNoPhoto):
		return nil
	case errors.Is(ph.Err, sources.ErrTooLarge):
		// Its bytes are not read, so its mark stands for them: it is reported once,
		// and not every night.
		l.Sum = sum([]byte("too large\n" + ph.Ref.Name + "\n" + s.Candidates[round].Stamp))
	case ph.Err == nil:
		l.Sum = sum(ph.Data)
	}
	return l
}

// sum is the hash of b as state.Sum has it.
func sum(b []byte) string {
	h := sha256.Sum256(b)
	return string(h[:])
}

// findUsers looks the users up who have one of the addresses of people: these meet
// them. each, which may be nil, sees them, too.
func (r *run) findUsers(ctx context.Context, people []*plan.Subject, each func(smartsheet.User, plan.User)) error {
	emails := make([]string, 0, len(people))
	byEmail := make(map[string]*plan.Subject, len(people))
	for _, s := range people {
		for _, e := range s.Emails {
			byEmail[e] = s
		}
		emails = append(emails, s.Emails...)
	}
	return r.o.Smartsheet.Find(ctx, append(emails, r.matched.own(emails)...), func(w smartsheet.User) error {
		u, ok := user(w)
		if !ok {
			return nil
		}
		if s := byEmail[u.Email]; s != nil {
			s.Meet(u)
		}
		r.matched.see(u)
		if each != nil {
			each(w, u)
		}
		return nil
	})
}

// user is what a plan needs to know of w; false if its address is none.
func user(w smartsheet.User) (plan.User, bool) {
	e, err := sources.Email(w.Email)
	// Without admin rights the status is not shown: then it is taken for active.
	active := w.Status == "" || w.Status == "ACTIVE"
	return plan.User{ID: w.ID, Email: e, Name: w.Name, Active: active, ImageID: w.ImageID}, err == nil
}
