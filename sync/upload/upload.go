// Package upload carries a plan out: a pool of workers takes actions, prepares
// each picture just before it is sent, sends it, and records the confirmed answer
// before it goes on. An action goes in, exactly one report.Item comes out.
package upload

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/photo"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
)

// permissionLimit is how many different people in a row, from the first on, may
// be refused for lack of rights before the run stops: then it is not about them.
const permissionLimit = 5

// Uploader sends a picture to Smartsheet.
type Uploader interface {
	SetProfileImage(ctx context.Context, u smartsheet.User, img smartsheet.Image) (smartsheet.Upload1, error)
}

// Finder looks users up by email.
type Finder interface {
	Find(ctx context.Context, emails []string, each func(smartsheet.User) error) error
}

// Recorder makes records durable.
type Recorder interface {
	Put(records ...state.Record) error
}

// Pool uploads.
type Pool struct {
	Sources     []sources.Named
	Photos      photo.Options
	Smartsheet  Uploader
	Users       Finder
	State       Recorder
	Concurrency int
	RunID       string
	Thumbnails  bool              // put small pictures of what is sent into the items
	Done        func(report.Item) // called for each item, one call at a time

	mu      sync.Mutex
	items   []report.Item
	refused atomic.Int32 // people refused for lack of rights; negative once anybody was not
	thumbs  atomic.Int32 // thumbnails made
}

// Run carries out actions, at most Concurrency at a time. Every action gets an
// item, those that were not begun too (unfinished). The error is why everything
// stopped, or nil; ctx being done is one such reason.
func (p *Pool) Run(ctx context.Context, actions []*plan.Action) ([]report.Item, error) {
	return p.each(ctx, actions, p.one)
}

func (p *Pool) each(ctx context.Context, actions []*plan.Action, one func(context.Context, plan.Action) (report.Item, error)) ([]report.Item, error) {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(max(p.Concurrency, 1))
	for _, a := range actions {
		g.Go(func() error {
			if gctx.Err() != nil {
				p.done(unfinished(*a))
				return nil
			}
			start := time.Now()
			it, err := one(gctx, *a)
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

// one carries out one action. Its error stops the whole run.
func (p *Pool) one(ctx context.Context, a plan.Action) (report.Item, error) {
	r := p.ready(ctx, a)
	it := r.item
	switch {
	case r.learn != nil:
		return it, p.record(&it, *r.learn)
	case it.Outcome != string(plan.Planned):
		return it, nil
	}
	img := smartsheet.Image{Data: r.pic.Data, ContentType: r.pic.ContentType(), FileName: a.Key() + r.pic.Ext()}
	up, err := p.send(ctx, &it, &a, img)
	if err != nil {
		return p.failed(ctx, it, a, r.src.sha256, err)
	}
	p.refused.Store(-1)
	return p.answered(it, a, r.src.sha256, it.Image.UploadSHA256, up)
}

// send uploads, and once more under another id when the remembered one is stale.
func (p *Pool) send(ctx context.Context, it *report.Item, a *plan.Action, img smartsheet.Image) (smartsheet.Upload1, error) {
	u := smartsheet.User{ID: a.User().ID, Email: a.User().Email}
	up, err := p.Smartsheet.SetProfileImage(ctx, u, img)
	p.note(it, up)
	if err == nil || smartsheet.VerdictOf(err) != smartsheet.StaleID || a.Record().UserID == 0 || a.Reason == plan.Placeholder {
		return up, err // a placeholder is for the user who has our picture, and for nobody else
	}
	stale, _ := errors.AsType[*smartsheet.Error](err)
	found, ferr := p.lookUp(ctx, a.Emails)
	if ferr != nil || found.ID == 0 || found.ID == a.User().ID {
		return up, errors.Join(err, ferr)
	}
	it.EarlierErrors = append(it.EarlierErrors, attemptError(stale))
	*a = a.For(plan.User{ID: found.ID, Email: a.User().Email, Active: true})
	it.UserID = found.ID
	u.ID = found.ID
	up, err = p.Smartsheet.SetProfileImage(ctx, u, img)
	p.note(it, up)
	return up, err
}

// lookUp finds the one user with the most preferred address that any has; of several
// only a human can tell which is right, and it is none of them.
func (p *Pool) lookUp(ctx context.Context, emails []string) (smartsheet.User, error) {
	byEmail := map[string][]smartsheet.User{}
	err := p.Users.Find(ctx, emails, func(u smartsheet.User) error {
		if e, err := sources.Email(u.Email); err == nil {
			byEmail[e] = append(byEmail[e], u)
		}
		return nil
	})
	if err != nil {
		return smartsheet.User{}, err
	}
	for _, e := range emails {
		if us := byEmail[e]; len(us) == 1 {
			return us[0], nil
		} else if len(us) > 1 {
			break
		}
	}
	return smartsheet.User{}, nil
}

// note keeps what an upload's attempts were.
func (p *Pool) note(it *report.Item, up smartsheet.Upload1) {
	it.Attempts += up.Attempts
	it.HTTPStatus = up.HTTPStatus
	for _, e := range up.Earlier {
		it.EarlierErrors = append(it.EarlierErrors, attemptError(e))
	}
}

// failed is the item of an upload without a good answer.
func (p *Pool) failed(ctx context.Context, it report.Item, a plan.Action, src string, err error) (report.Item, error) {
	verdict := smartsheet.VerdictOf(err)
	e, answered := errors.AsType[*smartsheet.Error](err)
	it.Outcome, it.Message = string(plan.Failed), err.Error()
	if answered {
		it.Message, it.Hint = e.Message, e.Hint()
		if it.Message == "" && e.Err != nil {
			it.Message = e.Err.Error()
		}
		if e.Code != 0 {
			it.ErrorCode = &e.Code
		}
		if e.RefID != "" {
			it.RefID = &e.RefID
		}
	}
	if ctx.Err() != nil && verdict != smartsheet.StopRun && (!answered || e.Status == 0) {
		it.Outcome, it.Hint = string(plan.Unfinished), "retry by itself: the next run continues"
		return it, nil
	}
	if verdict == smartsheet.Maintenance || verdict == smartsheet.Throttled {
		it.Outcome = string(plan.Unfinished)
		return it, err // it is nobody's fault, and would not end for the others
	}
	if verdict == smartsheet.StopRun {
		return it, err
	}
	r := *a.Record() // not settled: the next run tries again
	if answered && e.Final() {
		r = p.settled(a, src)
	}
	f := state.Failure{Message: it.Message, Final: answered && e.Final()}
	if answered {
		f.Code, f.RefID, f.Status = codeText(e.Code), e.RefID, e.Status
	}
	r.Email, r.Missing, r.Failure = a.Key(), a.Missing, p.failure(a, src, f)
	if (verdict == smartsheet.StaleID || verdict == smartsheet.Permission || answered && e.Status == 403) && a.Reason != plan.Placeholder {
		r.UserID = 0 // looked up again next time, with the user's status
	}
	if err := p.record(&it, r); err != nil {
		return it, err
	}
	if verdict == smartsheet.Permission && p.refusedOnce() {
		return it, err
	}
	return it, nil
}

// refusedOnce counts people refused for lack of rights, and tells whether nobody
// was let through and it is enough.
func (p *Pool) refusedOnce() bool {
	for {
		n := p.refused.Load()
		if n < 0 {
			return false
		}
		if p.refused.CompareAndSwap(n, n+1) {
			return n+1 >= permissionLimit
		}
	}
}

// answered is the item of an upload that the server took, wholly or in part.
func (p *Pool) answered(it report.Item, a plan.Action, src, sum string, up smartsheet.Upload1) (report.Item, error) {
	it.Message, it.ResultCode, it.ImageID = up.Message, &up.ResultCode, up.User.ImageID
	for _, f := range up.FailedItems {
		it.FailedItems = append(it.FailedItems, report.FailedItem(f))
	}
	if !up.Partial() {
		it.Outcome = string(plan.Uploaded)
		r := p.settled(a, src)
		r.UploadSHA256, r.ImageID, r.UploadedAt, r.RunID, r.Failure = sum, up.User.ImageID, time.Now().UTC(), p.RunID, nil
		r.Placeholder, r.Adopted = a.Reason == plan.Placeholder, false
		return it, p.record(&it, r)
	}
	it.Outcome, it.Hint = string(plan.PartialSuccess), "look at the person's picture in Smartsheet; the next run sends it again"
	r, f := *a.Record(), state.Failure{Message: up.Message, Status: up.HTTPStatus}
	if len(up.FailedItems) > 0 {
		first := up.FailedItems[0]
		it.ErrorCode, it.RefID = &first.ErrorCode, &first.RefID
		e := smartsheet.Error{Status: up.HTTPStatus, Code: first.ErrorCode, RefID: first.RefID, Message: first.Message}
		f = state.Failure{Code: codeText(e.Code), RefID: e.RefID, Status: e.Status, Message: e.Message, Final: e.Final()}
		if f.Final {
			r, it.Hint = p.settled(a, src), e.Hint()
		}
	}
	r.Email, r.UserID, r.Missing, r.Failure = a.Key(), a.User().ID, a.Missing, p.failure(a, src, f)
	return it, p.record(&it, r)
}

// codeText is an errorCode as the state keeps it; a gateway gives none.
func codeText(code int) string {
	if code == 0 {
		return ""
	}
	return strconv.Itoa(code)
}

// settled is the record of a person whose photo src was looked at for good.
func (p *Pool) settled(a plan.Action, src string) state.Record {
	r := Settled(a, p.Photos.Fingerprint())
	r.SourceSHA256, r.UserID = src, a.User().ID
	if a.SourceSHA256() != "" && a.SourceSHA256() != src {
		r.Stamp = "" // it changed after the plan was made: the stamp is not of these bytes
	}
	return r
}

// Settled is a's record as the plan leaves it when nothing is uploaded.
func Settled(a plan.Action, rendering string) state.Record {
	r := *a.Record()
	r.Email, r.Source, r.Ref, r.Stamp, r.Rendering = a.Key(), a.Source(), a.Candidate().Ref.Name, a.Stamp(), rendering
	r.SourceSHA256, r.Missing = a.SourceSHA256(), a.Missing
	if a.Lost {
		r.UserID, r.UploadSHA256, r.ImageID, r.RunID, r.UploadedAt = 0, "", "", "", time.Time{}
		r.Adopted = false
	}
	if r.Failure != nil && r.Failure.Hash != r.SourceSHA256 {
		r.Failure = nil
	}
	return r
}

// failure completes f with what all failures have.
func (p *Pool) failure(a plan.Action, src string, f state.Failure) *state.Failure {
	f.Hash, f.At, f.RunID, f.Count = src, time.Now().UTC(), p.RunID, 1
	if old := a.Record().Failure; old != nil && old.Hash == src {
		f.Count = old.Count + 1
	}
	return &f
}

// record makes r durable. When that fails everything stops: going on would
// upload what nobody remembers.
func (p *Pool) record(it *report.Item, r state.Record) error {
	if err := p.State.Put(r); err != nil {
		if it.Message != "" {
			it.Message += "; "
		}
		it.Message += "not recorded: " + err.Error()
		return fmt.Errorf("record %q: %w", r.Email, err)
	}
	return nil
}

// Item is the item of an action before anything was done.
func Item(a plan.Action) report.Item {
	return report.Item{
		Email: a.Key(), UserID: a.User().ID, Source: a.Source(), Ref: a.Candidate().Ref.Name,
		Reason: string(a.Reason), Outcome: string(a.Outcome), Candidates: a.Detail().Rivals,
	}
}

func unfinished(a plan.Action) report.Item {
	it := Item(a)
	it.Outcome, it.Message, it.Hint = string(plan.Unfinished), "stopped before this upload", "retry by itself: the next run continues"
	return it
}

func attemptError(e *smartsheet.Error) report.AttemptError {
	msg := e.Message
	if msg == "" && e.Err != nil {
		msg = e.Err.Error()
	}
	return report.AttemptError{HTTPStatus: e.Status, ErrorCode: e.Code, RefID: e.RefID, Message: msg}
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
