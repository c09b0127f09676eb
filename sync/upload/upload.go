// Package upload carries a plan out: a pool of workers takes steps, prepares each picture just
// before it is sent, announces it in the state, sends it, and records the answer before it goes on.
// A step goes in, exactly one report.Item comes out:
//
//	step            prepare         state: intent   send        state: sent    item
//	ann@x, changed  read, scaled    u1 is to come   SUCCESS     u1, image i1   uploaded
//	bob@x, new      not an image    –               –           refused        failed
//	cy@x, changed   u3, as before   –               –           u3 stays       skipped, same_picture
//	di@x, new       read, scaled    u4 is to come   no answer   u4 is to come  failed, or unfinished
//
// A picture goes only to a user who was seen with the person's address at most plan.MaxAge before.
// Users seen earlier are looked up again, in batches, while the run goes on. The plan decides who
// gets a picture, not this package.
package upload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/photo"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
)

// Uploader sends a picture to Smartsheet. It begins no attempt after sendBefore.
type Uploader interface {
	Upload(ctx context.Context, u smartsheet.User, img smartsheet.Image, sendBefore time.Time) (smartsheet.UploadResult, error)
}

// Users looks users up once more: the users of steps, or one user by id. The zero User means that
// there is no such user, or that the user no longer has the step's address.
type Users interface {
	LookUpAgain(ctx context.Context, steps []*plan.Step) ([]plan.User, error)
	ByID(ctx context.Context, id int64) (plan.User, error)
}

// Recorder makes rows of the state durable.
type Recorder interface{ Write(c state.Change) error }

// Pool carries out the uploads of a plan.
type Pool struct {
	Plan        *plan.Plan
	Photos      photo.Options
	Smartsheet  Uploader
	Users       Users
	State       Recorder
	Concurrency int
	RunID       string
	Thumbnails  bool              // put small pictures of what is sent into the items
	Empty       bool              // Preview clears each step once it has its item, to free memory
	MaxShared   int               // users who may have one identical picture; 0: any number
	Same        map[string]int    // users who have each picture, by its SHA-256; Run counts on
	Done        func(report.Item) // called by Run for each item, one call at a time; may be nil

	mu       sync.Mutex
	items    []report.Item
	later    []*plan.Step   // whose picture others get, too; they come last, when it is known how many
	last     bool           // they are carried out now
	rows     []state.Person // see together
	refused  []refusal
	refusals smartsheet.Refusals
	thumbs   atomic.Int32 // thumbnails made
}

const (
	freshenAtOnce = 200         // users; about as many addresses as one call takes
	freshenBefore = time.Minute // how long before plan.MaxAge: time to send what was begun
	newAtOnce     = 100         // rows in one transaction
)

// Run carries out steps, at most Concurrency at a time. Every step gets an item, even a step that
// was not begun (unfinished). The error says why the run stopped.
func (p *Pool) Run(ctx context.Context, steps []*plan.Step) ([]report.Item, error) {
	items, err := p.each(ctx, steps, true)
	return items, cmp.Or(err, p.finish())
}

// Preview prepares the picture of each step as Run does, and sends and records nothing. An item is
// planned, unless the picture itself decides otherwise.
func (p *Pool) Preview(ctx context.Context, steps []*plan.Step) ([]report.Item, error) {
	return p.each(ctx, ByNeed(steps), false)
}

// ByNeed sorts steps by who needs a thumbnail first: those that replace a picture, then a sample by
// hash. The rest are by address, as they lie in memory, so that emptying them frees it.
func ByNeed(steps []*plan.Step) []*plan.Step {
	sorted := slices.SortedStableFunc(slices.Values(steps), func(a, b *plan.Step) int {
		return cmp.Or(cmp.Compare(b.To.ImageID, a.To.ImageID), cmp.Compare(a.SHA256(), b.SHA256())) // no picture comes last
	})
	slices.SortFunc(sorted[min(len(sorted), MaxThumbnails):], func(a, b *plan.Step) int { return cmp.Compare(a.Key(), b.Key()) })
	return sorted
}

// each prepares the picture of every step, and carries the step out if pictures are to be sent.
func (p *Pool) each(ctx context.Context, steps []*plan.Step, send bool) ([]report.Item, error) {
	p.items = make([]report.Item, 0, len(steps))
	var failed error // why the run stopped: the first error of a step
	work, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stopIf := func(err error) {
		if err != nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			failed = cmp.Or(failed, err)
			cancel(err)
		}
	}
	for ; len(steps) > 0; steps, p.later, p.last = p.later, nil, true {
		next := make(chan *plan.Step)
		var workers sync.WaitGroup
		for range max(p.Concurrency, 1) {
			workers.Go(func() {
				for s := range next {
					stopIf(p.one(work, s, send))
				}
			})
		}
		for i, s := range steps {
			if send && work.Err() == nil {
				stopIf(p.freshen(work, steps[i:]))
			}
			next <- s
		}
		close(next)
		workers.Wait()
	}
	return p.items, cmp.Or(failed, context.Cause(ctx))
}

// one makes the item of a step. Its error stops the run: the steps after it are not begun.
func (p *Pool) one(ctx context.Context, s *plan.Step, send bool) (err error) {
	defer outcome.Recover(&err) // of a panic in Done
	start := time.Now()
	a := &attempt{Pool: p, step: s, item: Item(p.Plan.Rules, s)}
	err = a.execute(ctx, send)
	if err != nil && a.item.Outcome == outcome.Planned {
		a.end(outcome.Unfinished, cmp.Or(a.item.Message, "stopped by a fault of photosync itself"), nextRun)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.later {
		p.later = append(p.later, s)
		return err
	}
	if p.Empty {
		*s = plan.Step{}
	}
	a.item.DurationMS = time.Since(start).Milliseconds()
	p.items = append(p.items, a.item)
	if send && p.Done != nil {
		p.Done(a.item)
	}
	return err
}

// execute carries out the step, or, without send, only prepares its picture.
func (a *attempt) execute(ctx context.Context, send bool) (err error) {
	defer outcome.Recover(&err)
	switch {
	case ctx.Err() != nil:
		a.end(outcome.Unfinished, "stopped before this upload", nextRun)
		return nil
	case send && a.step.Outcome != outcome.Planned: // freshen decided otherwise
		return nil
	}
	change := a.prepare(ctx)
	switch {
	case !send:
		a.step.Dropped = a.item.Reason == outcome.SamePicture || a.item.Reason == outcome.InvalidImage
		return nil
	case a.item.Outcome != outcome.Planned:
		return a.record(change)
	}
	return a.send(ctx)
}

// freshen looks up the users of the next steps again, if they were seen too long ago.
func (p *Pool) freshen(ctx context.Context, next []*plan.Step) error {
	now := time.Now()
	soon := next[0].To.Seen.Add(plan.MaxAge - freshenBefore)
	fresh := now.Before(soon) && now.Round(0).Before(soon.Round(0)) // by both clocks, see ErrTooLate
	if fresh || next[0].Outcome != outcome.Planned {
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

// WrongUserError means that the answer shows another person than the one whose picture was sent.
// The run stops at once: every other upload may go wrong in the same way.
type WrongUserError struct {
	Email  string // whose picture it was
	UserID int64  // to whom it was sent
	Shown  string // what the answer shows instead
	RefID  string
}

func (e *WrongUserError) Error() string {
	text := fmt.Sprintf("the picture of %s was sent to user %d, and the answer shows %s", e.Email, e.UserID, e.Shown)
	if e.RefID != "" {
		text += fmt.Sprintf(" (refId %s)", e.RefID)
	}
	return text
}

func (e *WrongUserError) Hint() string {
	return "look at the pictures of both people in Smartsheet; if one is wrong, call Smartsheet support with the refId and run photosync explain for both addresses"
}

// failed handles an upload without a good answer.
func (a *attempt) failed(ctx context.Context, err error) error {
	class, it := smartsheet.Classify(err), &a.item
	a.end(outcome.Failed, err.Error(), outcome.Hint(err))
	e, answered := errors.AsType[*smartsheet.Error](err)
	if answered {
		it.Message = strings.TrimSpace(earlier(e).Message + " " + e.Detail)
		if first := a.failedItems(); first != nil && e.Code == 0 && e.RefID == "" {
			e = first
		}
		it.ErrorCode, it.RefID = orNull(e.Code), orNull(e.RefID)
	} else {
		e = &smartsheet.Error{}
	}
	stopped := ctx.Err() != nil && class != smartsheet.Stop
	switch {
	case ctx.Err() != nil:
		a.end(outcome.Unfinished, it.Message, nextRun)
	case class.Resumable(), class.EndsRun() && it.HTTPStatus == 0: // not this upload's fault, such as an access token that is not given
		it.Outcome = outcome.Unfinished
	case !class.EndsRun():
		return a.failedAlone(ctx, e, err)
	}
	if rerr := a.record(a.withdrawn()); rerr != nil || stopped {
		return rerr
	}
	return err
}

// earlier returns the report's entry for an attempt that failed.
func earlier(e *smartsheet.Error) report.AttemptError {
	out := report.AttemptError{HTTPStatus: e.Status, ErrorCode: e.Code, RefID: e.RefID, Message: e.Message}
	if e.Err != nil && (e.Message == "" || e.Code == 0 && errors.Is(e.Err, smartsheet.ErrContradiction)) {
		out.Message = e.Err.Error() // it quotes a message like SUCCESS, which alone would mislead
	}
	return out
}

// failedAlone handles an upload that failed for this user alone.
func (a *attempt) failedAlone(ctx context.Context, e *smartsheet.Error, err error) error {
	it, s := &a.item, a.step
	if a.onWire && !errors.Is(err, smartsheet.ErrContradiction) { // a contradiction is a failure, whatever is shown
		u, lerr := a.Users.ByID(ctx, s.To.ID)
		switch {
		case lerr != nil: // whether it arrived stays unknown
		case newPicture(s, u):
			it.EarlierErrors = append(it.EarlierErrors, report.AttemptError{HTTPStatus: it.HTTPStatus, ErrorCode: e.Code, RefID: e.RefID, Message: it.Message})
			return a.arrived(u.ImageID)
		case e.Code != 0 && smartsheet.Classify(err) < smartsheet.Foreign && (u.ImageID == "" || u.ImageID == s.To.ImageID && a.row().Intent == nil):
			a.intent = nil // Smartsheet refused the picture, and does not show it
		}
	}
	u := a.row()
	foreign := smartsheet.Classify(err) == smartsheet.Permission && s.To.External
	known := u.Failure != nil && u.Failure.Status == it.HTTPStatus && u.Failure.Code == codeText(e.Code)
	stop := a.refusals.Refused(s.To.ID, a.pic.ContentType(), err, known || foreign)
	u.Failure = a.failure(state.Failure{Message: it.Message, Status: it.HTTPStatus, RefID: e.RefID, Code: codeText(e.Code)})
	if a.onWire {
		u.Intent = a.intent
	}
	a.refuse(u, false)
	if foreign {
		it.Hint = "fix the rights: this user belongs to another organisation (isInternal is false), whose members alone can change it; match.exclude leaves them out"
	}
	return cmp.Or(a.recordUser(u, ""), stop)
}

// newPicture reports whether u, looked up after an upload without an answer, shows its picture.
func newPicture(s *plan.Step, u plan.User) bool {
	return u.ID == s.To.ID && u.Email == s.To.Email && u.ImageID != "" && u.ImageID != s.To.ImageID
}

// arrived handles an upload that got no answer, although its picture is there.
func (a *attempt) arrived(image string) error {
	a.item.Hint, a.item.ImageID = "", image
	a.item.Message = "no usable answer, but Smartsheet shows a new picture: " + a.item.Message
	return a.sent(image)
}

// refusal is a photo that was refused in this run, perhaps for good.
type refusal struct {
	step    *plan.Step
	user    state.User
	partial bool // Smartsheet took a part of it
}

func (a *attempt) refuse(u state.User, partial bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused = append(a.refused, refusal{a.step, u, partial})
}

// failure fills in the fields of f that all failures have.
func (a *attempt) failure(f state.Failure) *state.Failure {
	f.Hash = a.source
	f.Rendering = a.Plan.Policy.Rendering
	f.At = time.Now().UTC()
	f.RunID = a.RunID
	f.Count = 1
	if u := a.step.Record; u.Failure != nil && u.Failure.Hash == a.source {
		f.Count = u.Failure.Count + 1
	}
	return &f
}

// codeText is an errorCode as the state stores it; empty if a gateway answered without one.
func codeText(code int) string {
	if code == 0 {
		return ""
	}
	return strconv.Itoa(code)
}

// manyPartial is how many partial successes, without a whole one, show that no photo is the cause.
const manyPartial = 5

// finish records the rows that still wait, and which refusals are for good: those of photos in a
// run that had others accepted. If all uploads fail in the same way, a header or a gateway is at fault.
func (p *Pool) finish() error {
	n := map[outcome.Outcome]int{}
	for _, it := range p.items {
		n[it.Outcome]++
	}
	partialForAll := n[outcome.Uploaded] == 0 && n[outcome.PartialSuccess] >= manyPartial
	c := state.Change{People: p.rows}
	for _, r := range p.refused {
		before, code := r.step.Record, r.user.Failure.Code // a gateway gives no code
		again := r.user.Failure.Count > 1 && code != "" && before.Failure.Code == code
		if r.partial && partialForAll || !r.partial && !p.refusals.Final(r.user.ID, again) {
			continue
		}
		f := *r.user.Failure
		f.Final, r.user.Failure = true, &f
		c.Users = append(c.Users, r.user)
		p.Plan.ResultRow(&c, r.step, outcome.KnownBad)
	}
	return p.State.Write(c)
}
