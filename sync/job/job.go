// Package job is a run from beginning to end. Run is the function to read first.
//
// A run is a pipeline of values: what the sources list, compared with what the state
// remembers, gives the work; the users and the photos of the work give the plan; the
// guards check the plan; then it is either shown (preview) or carried out (execute).
// sync, plan, apply, explain and adopt share everything up to the plan (list and decide).
// The rules are in sync/plan, the sending is in sync/upload, and nothing is printed.
package job

import (
	"cmp"
	"context"
	"errors"
	"math"
	"time"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/match"
	"photosync/sync/outcome"
	"photosync/sync/photo"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
	"photosync/sync/upload"
)

// Modes of a run.
const (
	Sync  = "sync"
	Plan  = "plan"  // the same, and nothing is written
	Apply = "apply" // a plan that was made before, and nothing else
)

// Smartsheet is what a run asks of Smartsheet.
type Smartsheet interface {
	match.Smartsheet
	upload.Uploader
	ImageURLs(ctx context.Context, ids []string) (map[string]string, error)
	Picture(ctx context.Context, address string) ([]byte, error)
	Me(ctx context.Context) (smartsheet.Me, error)
	Stats() smartsheet.Stats
}

// Job is a run: its parts, its rules, the people it is about, and how it is carried out.
type Job struct {
	Parts
	Policy plan.Policy
	Scope  plan.Scope
	How    How
	Events Events
}

// Parts are what a run works with.
type Parts struct {
	Sources    []sources.Named // by precedence
	State      *state.Store
	Smartsheet Smartsheet
	Root       string // of the API; the state is bound to it and to the account
	Photos     photo.Options
}

// How a run is carried out and accounted for.
type How struct {
	Mode        string
	RunID       string
	Version     string
	Concurrency int
	Thumbnails  bool       // in the report
	Before      bool       // with Thumbnails, for a plan, a held run and apply: also what Smartsheet shows now
	Verify      bool       // check afterwards that Smartsheet shows what was uploaded
	Approve     string     // the ID of the plan that passes the guards; empty: none
	Apply       *plan.File // of mode Apply
	Strict      bool       // with Apply: do nothing at all if anything changed since the plan was made
}

// Events are calls for progress and logs; each may be nil.
type Events struct {
	Listed func(report.Source)
	Asked  func(done, all int) // how many users were asked for their alternate addresses
	Made   func(planID string, uploads, unchanged int)
	Item   func(report.Item) // an upload has ended
	File   func(*plan.File)  // the plan of mode Plan, or of a held run
}

// Run carries the job out and returns its report, which is complete even if the run
// fails. An error means that the run as a whole failed, was held or was stopped. Once ctx
// is done, Run begins nothing new; it finishes and records what is on the wire.
func Run(ctx context.Context, j Job) (rep *report.Report, err error) {
	rep = report.New(j.How.Mode, j.How.RunID, j.How.Version, time.Now().UTC())
	defer func() { j.conclude(rep, err) }()
	defer outcome.Recover(&err)
	p, err := j.prepare(ctx, rep)
	if err != nil {
		return rep, err
	}
	p.users.Free() // the steps have all that is needed now
	if len(rep.Guards) == 0 {
		p.people = nil // else the guards count them again
	}
	rep.Add(j.unplanned(ctx, p)...)
	if j.Events.Made != nil {
		j.Events.Made(p.plan.ID, len(p.plan.Planned()), rep.Totals.Unchanged)
	}
	items, err := j.carryOut(ctx, rep, p)
	rep.Add(items...)
	if err != nil || j.How.Mode == Plan {
		return rep, err
	}
	if j.How.Verify {
		err = j.verify(ctx, rep, p)
	}
	return rep, cmp.Or(j.end(rep, p), err)
}

// prepared is what a run is about to do.
type prepared struct {
	listing
	past      past
	users     *match.Users
	plan      *plan.Plan
	maxShared int            // users who may have one identical picture; 0: any number
	same      map[string]int // users who have each picture of ours, by its SHA-256
	held      error          // why nothing may be written; nil: the run is not held
	claims    []string       // the lost claims, see claimIDs
}

// prepare makes the plan, from the sources to the guards, and adds to the report what it learns.
func (j *Job) prepare(ctx context.Context, rep *report.Report) (p *prepared, err error) {
	l, err := j.list(ctx, rep)
	if err == nil {
		p, err = j.decide(ctx, rep, l)
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return p, err
}

// listing is what the sources list.
type listing struct {
	account state.Account // of Smartsheet
	people  *sources.People
	proofs  []sources.Listing // that the listings are complete, by source
	entries map[string]int    // how many, by the name of the source; 0 if they name nobody
}

// list binds the state to the token's account, lists all sources and joins their people.
func (j *Job) list(ctx context.Context, rep *report.Report) (l listing, err error) {
	me, err := j.Smartsheet.Me(ctx)
	if err != nil {
		return l, err
	}
	l.account = state.Account{Root: j.Root, ID: me.AccountID, Name: me.AccountName}
	rep.Account = l.account.String()
	if err := j.State.Bind(l.account); err != nil {
		return l, err
	}
	if err := j.State.BindShard(j.Scope.Shard.String()); err != nil {
		return l, err
	}
	l.people, l.proofs, err = sources.Join(ctx, j.Sources)
	l.entries = map[string]int{}
	for i, proof := range l.proofs {
		src := report.Source{
			Name: j.Sources[i].Name, Type: j.Sources[i].Type, Complete: proof.Complete,
			Listed: proof.Entries, Pages: proof.Pages, Warnings: append([]string{}, proof.Warnings...),
		}
		l.entries[src.Name] = 0
		if proof.Claims { // otherwise there may be just a README in a folder that is not mounted
			l.entries[src.Name] = src.Listed
		}
		rep.Sources = append(rep.Sources, src)
		if j.Events.Listed != nil {
			j.Events.Listed(src)
		}
	}
	rep.Full = err == nil && j.How.Mode == Sync && j.Scope.Everybody() && j.Scope.Limit == 0 && j.Scope.Shard.Count == 0
	return l, err
}

// decide makes the plan for the people in l.
func (j *Job) decide(ctx context.Context, rep *report.Report, l listing) (*prepared, error) {
	past, err := j.readPast()
	if err != nil {
		return nil, err
	}
	j.Policy.Rendering = j.Photos.Fingerprint()
	rules := plan.NewRules(j.Sources, &j.Policy, &j.Scope)
	rules.Unended = past.unended
	users, c, err := j.match(ctx, rules, l, rep.StartedAt)
	if err != nil {
		return nil, err
	}
	if err := j.read(ctx, c.work, rules.NeedsRead); err != nil {
		return nil, err
	}
	listed, err := j.removals(ctx, rules, l, c)
	if err != nil {
		return nil, err
	}
	generation := uint64(0) // until a run has passed: that the state is made changes no plan
	if len(past.listed) > 0 {
		generation = j.State.Generation()
	}
	p := &prepared{listing: l, past: past, users: users, claims: claimIDs(l.people.Lost)}
	p.plan = plan.Build(rules, c.work, c.facts, generation)
	p.plan.Forget = append(p.plan.Forget, c.forget...)
	addCounts(rep, p.plan)
	if err := j.guard(rep, p, listed); err != nil {
		return nil, err
	}
	p.plan.Limit(j.Scope.Limit)
	j.findings(ctx, rep, p)
	return p, nil
}

// addCounts adds to the report whom the plan is about, and the people without a step.
func addCounts(rep *report.Report, p *plan.Plan) {
	rep.PlanID, rep.Totals.People = p.ID, p.Facts.People
	for reason, n := range p.Facts.NothingToDo {
		if reason == outcome.Unchanged {
			rep.Totals.Unchanged = n
		} else {
			rep.Skip(reason, n)
		}
	}
	for i := range rep.Sources {
		rep.Sources[i].WithPhoto = p.Facts.Sources[i].Winners
	}
}

// conclude fills in what is known only at the end.
func (j *Job) conclude(rep *report.Report, err error) {
	rep.FinishedAt, rep.Rendering, rep.Error = time.Now().UTC(), j.Photos.Fingerprint(), ErrorOf(err)
	t, st := &rep.Totals, j.Smartsheet.Stats()
	t.Requests, t.Retries, t.RateLimited, t.QuotaWaitMS = st.Requests, st.Retries, st.RateLimited, st.Waited.Milliseconds()
	t.ETA = int64(math.Ceil(st.ETA(t.Planned+t.Unfinished, rep.FinishedAt).Seconds()))
	rep.QuotaPerMinute = st.QuotaPerMinute
	for _, e := range st.Failed {
		rep.CallErrors = append(rep.CallErrors, report.AttemptError{HTTPStatus: e.Status, ErrorCode: e.Code, RefID: e.RefID, Message: e.Error()})
	}
	for _, m := range st.Minutes {
		rep.Timeline = append(rep.Timeline, report.Minute{Start: m.Start, Requests: m.Requests, RateLimited: m.RateLimited, WaitMS: m.Waited.Milliseconds()})
	}
	switch {
	case Held(err):
		rep.Result = report.Held
	case Stopped(err):
		rep.Result = report.Interrupted
		if !errors.Is(err, ErrSignal) {
			j.findStoppedEarly(rep)
		}
	case err != nil:
		rep.Result = report.Failed
	case rep.NeedsSomebody():
		rep.Result = report.Partial
	case t.Uploaded+t.Planned+t.Unfinished+len(rep.Guards) == 0:
		rep.Result = report.NothingToDo
	default:
		rep.Result = report.Success
	}
}

// findStoppedEarly adds a finding if the run was stopped so early that the next one may get no further.
func (j *Job) findStoppedEarly(rep *report.Report) {
	t, when := &rep.Totals, ""
	var unended []string
	_, err := j.State.Meta(unendedKey, &unended)
	switch {
	case err == nil && len(unended) > 1 && j.How.Mode != Plan && t.Unfinished > 0 && t.Uploaded+t.PartialSuccess == 0:
		when = "before anybody got a picture, and the run before it did not come to its end, either"
	case t.People == 0:
		when = "before it had a plan"
	default:
		return
	}
	rep.Findings = append(rep.Findings, outcome.Attend(outcome.StoppedEarly, 0, 0, "the run was stopped "+when+": "+rep.Error.Message,
		"if the next run ends like this too, raise --max-duration, or find out why Smartsheet does not answer"))
}

// Held reports whether err means that a guard held the run, or that its plan was refused.
func Held(err error) bool {
	_, held := errors.AsType[*HeldError](err)
	return held
}

// Stopped reports whether err means that a run ended early and the next one continues: a
// signal, the time budget, Smartsheet's maintenance, or a quota that others use up.
func Stopped(err error) bool {
	_, stop := errors.AsType[outcome.Stop](err)
	return stop || errors.Is(err, context.Canceled) || err != nil && smartsheet.Classify(err).Resumable()
}

// Causes with which the context of a run is cancelled.
const (
	ErrSignal      = outcome.Stop("stopped by a signal")
	ErrMaxDuration = outcome.Stop("stopped at --max-duration")
)

// ErrorOf is err as the report shows it; nil for nil.
func ErrorOf(err error) *report.Error {
	if err == nil {
		return nil
	}
	out := &report.Error{Message: err.Error(), Hint: outcome.Hint(err)}
	if e, ok := errors.AsType[*smartsheet.Error](err); ok {
		out.HTTPStatus, out.ErrorCode, out.RefID = e.Status, e.Code, e.RefID
	} else if e, ok := errors.AsType[*upload.WrongUserError](err); ok {
		out.RefID = e.RefID
	}
	return out
}
