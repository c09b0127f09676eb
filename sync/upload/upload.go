// Package upload carries a plan out: a pool of workers takes steps, prepares each
// picture just before it is sent, announces it in the state, sends it, and records
// the answer before it goes on. A step goes in, exactly one report.Item comes out.
//
// A picture goes only to a user who was seen with the person's address at most
// plan.MaxAge before: older looks are repeated in batches while the run goes on.
package upload

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/photo"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
)

// Uploader sends a picture to Smartsheet, and begins no attempt after sendBefore.
type Uploader interface {
	Upload(ctx context.Context, u smartsheet.User, img smartsheet.Image, sendBefore time.Time) (smartsheet.UploadResult, error)
}

// Looker looks at users once more.
type Looker interface {
	// Again returns how the users of steps are now; the zero User for one who does not
	// have the step's address any more.
	Again(ctx context.Context, steps []*plan.Step) ([]plan.User, error)
	// One returns the user with an id; the zero User if there is none.
	One(ctx context.Context, id int64) (plan.User, error)
}

// Recorder makes rows of the state durable.
type Recorder interface {
	Write(c state.Change) error
}

// Pool uploads.
type Pool struct {
	Plan        *plan.Plan
	Sources     []sources.Named
	Photos      photo.Options
	Smartsheet  Uploader
	Users       Looker
	State       Recorder
	Concurrency int
	RunID       string
	Thumbnails  bool              // put small pictures of what is sent into the items
	Done        func(report.Item) // called for each item, one call at a time; may be nil

	mu       sync.Mutex
	items    []report.Item
	refused  []refusal
	refusals smartsheet.Refusals
	thumbs   atomic.Int32 // thumbnails made
}

const (
	// lookAhead is how many users are looked at together when the first look is old:
	// about as many addresses as one call takes.
	lookAhead = 200
	// lookMargin is how long before plan.MaxAge a look is repeated, so that what was
	// begun can be sent in time.
	lookMargin = time.Minute
)

// Run carries out steps, at most Concurrency at a time. Every step gets an item, those
// that were not begun too (unfinished). The error is why everything stopped, or nil;
// ctx being done is one such reason.
func (p *Pool) Run(ctx context.Context, steps []*plan.Step) ([]report.Item, error) {
	items, err := p.each(ctx, steps, p.freshen, p.one)
	if ferr := p.finish(); err == nil {
		err = ferr
	}
	return items, err
}

// Preview prepares the picture of each step as Run does, and sends and records
// nothing. The items are those that Run would begin with: planned, or what the picture
// already decides.
func (p *Pool) Preview(ctx context.Context, steps []*plan.Step) ([]report.Item, error) {
	return p.each(ctx, ByNeed(steps), nil, func(ctx context.Context, s *plan.Step) (report.Item, error) {
		return p.prepare(ctx, s).item, nil
	})
}

// ByNeed sorts steps by who needs a small picture first, as there are not enough for
// everybody: those who have a picture, and then, by hash, a sample of the others.
func ByNeed(steps []*plan.Step) []*plan.Step {
	return slices.SortedStableFunc(slices.Values(steps), func(a, b *plan.Step) int {
		if had, has := a.To.ImageID != "", b.To.ImageID != ""; had != has {
			return cmp.Compare(b.To.ImageID, a.To.ImageID) // the empty one last
		}
		return cmp.Compare(a.SHA256(), b.SHA256())
	})
}

// each calls one for every step. before, if any, is called in order, for the steps
// that are still to come.
func (p *Pool) each(ctx context.Context, steps []*plan.Step, before func(context.Context, []*plan.Step) error, one func(context.Context, *plan.Step) (report.Item, error)) ([]report.Item, error) {
	p.items = make([]report.Item, 0, len(steps))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(max(p.Concurrency, 1))
	for i, s := range steps {
		if before != nil && gctx.Err() == nil {
			if err := before(gctx, steps[i:]); err != nil {
				g.Go(func() error { return err })
			}
		}
		g.Go(func() error {
			if gctx.Err() != nil {
				p.done(p.unfinished(s))
				return nil
			}
			start := time.Now()
			it, err := one(gctx, s)
			it.DurationMS = time.Since(start).Milliseconds()
			p.done(it)
			return err
		})
	}
	err := g.Wait()
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return p.items, err
}

func (p *Pool) done(it report.Item) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.items = append(p.items, it)
	if p.Done != nil {
		p.Done(it)
	}
}

// freshen looks at the users of the next steps once more, if the look at the first of
// them is old.
func (p *Pool) freshen(ctx context.Context, next []*plan.Step) error {
	if next[0].Outcome != outcome.Planned || time.Since(next[0].To.Seen) < plan.MaxAge-lookMargin {
		return nil
	}
	next = next[:min(len(next), lookAhead)]
	users, err := p.Users.Again(ctx, next)
	if err != nil {
		return fmt.Errorf("look up users again: %w", err)
	}
	for i, s := range next {
		p.Plan.Renew(s, users[i])
	}
	return nil
}

// one carries out one step. Its error stops the whole run.
func (p *Pool) one(ctx context.Context, s *plan.Step) (report.Item, error) {
	if s.Outcome != outcome.Planned { // the second look decided otherwise
		return Item(p.Plan, s), nil
	}
	r := p.prepare(ctx, s)
	switch {
	case r.learn != nil:
		return r.item, p.record(&r.item, *r.learn)
	case r.item.Outcome != string(outcome.Planned):
		return r.item, nil
	}
	return p.send(ctx, s, r)
}

// record makes c durable. When that fails everything stops: going on would upload what
// nobody remembers.
func (p *Pool) record(it *report.Item, c state.Change) error {
	if err := p.State.Write(c); err != nil {
		if it.Message != "" {
			it.Message += "; "
		}
		it.Message += "not recorded: " + err.Error()
		return fmt.Errorf("record %q: %w", it.Email, err)
	}
	return nil
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
