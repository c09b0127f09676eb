// Package upload carries a plan out: a pool of workers takes steps, prepares each
// picture just before it is sent, announces it in the state, sends it, and records
// the answer before it goes on. A step goes in, exactly one report.Item comes out:
//
//	step            prepare         state: intent   send        state: sent    item
//	ann@x, changed  read, scaled    u1 is to come   SUCCESS     u1, image i1   uploaded
//	bob@x, new      not an image    –               –           refused        failed
//	cy@x, changed   u3, as before   –               –           u3 stays       skipped, same_picture
//	di@x, new       read, scaled    u4 is to come   no answer   u4 is to come  failed, or unfinished
//
// A picture goes only to a user who was seen with the person's address at most
// plan.MaxAge before: older users are looked up again, in batches, while the run goes on.
// The package does not decide who gets a picture; that is the plan's.
package upload

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

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

// Users looks users up once more: those of steps, or one by its id. The zero User
// stands for one who is not there, or does not have the step's address any more.
type Users interface {
	LookUpAgain(ctx context.Context, steps []*plan.Step) ([]plan.User, error)
	ByID(ctx context.Context, id int64) (plan.User, error)
}

// Recorder makes rows of the state durable.
type Recorder interface{ Write(c state.Change) error }

// Pool uploads.
type Pool struct {
	Plan        *plan.Plan
	Rules       *plan.Rules
	Photos      photo.Options
	Smartsheet  Uploader
	Users       Users
	State       Recorder
	Concurrency int
	RunID       string
	Thumbnails  bool              // put small pictures of what is sent into the items
	Done        func(report.Item) // called by Run for each item, one call at a time; may be nil

	mu       sync.Mutex
	items    []report.Item
	refused  []refusal
	refusals smartsheet.Refusals
	thumbs   atomic.Int32 // thumbnails made
}

const (
	freshenAtOnce = 200         // users: about as many addresses as one call takes
	freshenBefore = time.Minute // plan.MaxAge, so that what was begun can be sent in time
)

// Run carries out steps, at most Concurrency at a time. Every step gets an item, also one
// that was not begun (unfinished). The error is why everything stopped, such as ctx's.
func (p *Pool) Run(ctx context.Context, steps []*plan.Step) ([]report.Item, error) {
	items, err := p.each(ctx, steps, true)
	return items, cmp.Or(err, p.finish())
}

// Preview prepares the picture of each step as Run does, and sends and records nothing.
// The items are planned, or what the picture already decides.
func (p *Pool) Preview(ctx context.Context, steps []*plan.Step) ([]report.Item, error) {
	return p.each(ctx, ByNeed(steps), false)
}

// ByNeed sorts steps by who needs a small picture first, as there are not enough for
// everybody: those whose picture in Smartsheet is replaced, then, by hash, a sample of the others.
func ByNeed(steps []*plan.Step) []*plan.Step {
	return slices.SortedStableFunc(slices.Values(steps), func(a, b *plan.Step) int {
		return cmp.Or(cmp.Compare(b.To.ImageID, a.To.ImageID), cmp.Compare(a.SHA256(), b.SHA256())) // no picture comes last
	})
}

// each prepares the picture of every step, and carries the step out if pictures are to be sent.
func (p *Pool) each(ctx context.Context, steps []*plan.Step, send bool) ([]report.Item, error) {
	p.items = make([]report.Item, 0, len(steps))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(max(p.Concurrency, 1))
	for i, s := range steps {
		if send && gctx.Err() == nil {
			if err := p.freshen(gctx, steps[i:]); err != nil {
				g.Go(func() error { return err })
			}
		}
		g.Go(func() (err error) {
			start, a := time.Now(), &attempt{Pool: p, step: s, item: Item(p.Rules, s)}
			switch {
			case gctx.Err() != nil:
				a.end(outcome.Unfinished, "stopped before this upload", nextRun)
			case send:
				err = a.carryOut(gctx)
			default:
				a.prepare(gctx)
			}
			a.item.DurationMS = time.Since(start).Milliseconds()
			p.mu.Lock()
			defer p.mu.Unlock()
			p.items = append(p.items, a.item)
			if send && p.Done != nil {
				p.Done(a.item)
			}
			return err
		})
	}
	err := g.Wait()
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return p.items, err
}

// freshen looks the users of the next steps up again, if they were seen long ago.
func (p *Pool) freshen(ctx context.Context, next []*plan.Step) error {
	if next[0].Outcome != outcome.Planned || time.Since(next[0].To.Seen) < plan.MaxAge-freshenBefore {
		return nil
	}
	next = next[:min(len(next), freshenAtOnce)]
	users, err := p.Users.LookUpAgain(ctx, next)
	if err != nil {
		return fmt.Errorf("look up users again: %w", err)
	}
	for i, s := range next {
		p.Plan.Renew(s, users[i])
	}
	return nil
}
