package job

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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

func (r *run) planOptions() plan.Options {
	names := make([]string, len(r.o.Sources))
	for i, s := range r.o.Sources {
		names[i] = s.Name
	}
	return plan.Options{
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
	var open []int // subjects still without an answer
	for i, s := range r.subjects {
		if plan.NeedsLook(s, o) {
			open = append(open, i)
		}
	}
	for round := 0; len(open) > 0; round++ {
		bySource := make([]map[sources.Ref][]int, len(r.o.Sources))
		for _, i := range open {
			c := r.subjects[i].Candidates[round]
			if c.HasPhoto == sources.Absent {
				continue
			}
			if bySource[c.Source] == nil {
				bySource[c.Source] = map[sources.Ref][]int{}
			}
			bySource[c.Source][c.Ref] = append(bySource[c.Source][c.Ref], i)
		}
		for src, want := range bySource {
			if err := r.lookIn(ctx, src, round, want); err != nil {
				return err
			}
		}
		open = slices.DeleteFunc(open, func(i int) bool {
			s := &r.subjects[i]
			if s.Look == nil && round+1 == len(s.Candidates) {
				s.Look = &plan.Look{Candidate: round} // none of them has a photo
			}
			return s.Look != nil
		})
	}
	return nil
}

// lookIn reads photos of one source for the subjects that want tells. Photos come
// one at a time; they are hashed by all processors, each with one in hand.
func (r *run) lookIn(ctx context.Context, src, round int, want map[sources.Ref][]int) error {
	refs := make([]sources.Ref, 0, len(want))
	for ref := range want {
		refs = append(refs, ref)
	}
	slices.SortFunc(refs, func(a, b sources.Ref) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	var hashing errgroup.Group
	hashing.SetLimit(runtime.GOMAXPROCS(0))
	err := r.o.Sources[src].Photos(ctx, refs, func(ph sources.Photo) error {
		hashing.Go(func() error {
			defer ph.Done()
			for _, i := range want[ph.Ref] { // nobody is wanted by two
				if ph.Moved {
					r.subjects[i].Candidates[round].Stamp = "" // it is not of these bytes
				}
				if l := looked(ph, round, r.subjects[i]); l != nil {
					r.subjects[i].Look = l
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
func looked(ph sources.Photo, round int, s plan.Subject) *plan.Look {
	l := &plan.Look{Candidate: round, Err: ph.Err}
	switch {
	case errors.Is(ph.Err, sources.ErrNoPhoto):
		return nil
	case errors.Is(ph.Err, sources.ErrTooLarge):
		// Its bytes are not read, so its mark stands for them: it is reported once,
		// and not every night.
		l.SHA256 = sum([]byte("too large\n" + ph.Ref.Name + "\n" + s.Candidates[round].Stamp))
	case ph.Err == nil:
		l.SHA256 = sum(ph.Data)
	}
	return l
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// findByEmail puts the users with these addresses, and perhaps others, among those of
// the run; each, which may be nil, sees them, too.
func (r *run) findByEmail(ctx context.Context, emails []string, each func(smartsheet.User, plan.User)) error {
	return r.o.Smartsheet.Find(ctx, emails, func(w smartsheet.User) error {
		u, ok := user(w)
		if !ok {
			return nil
		}
		if !slices.ContainsFunc(r.users[u.Email], func(o plan.User) bool { return o.ID == u.ID }) { // met
			r.users[u.Email] = append(r.users[u.Email], u)
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
