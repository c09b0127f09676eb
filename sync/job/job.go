// Package job is a run from beginning to end: read, plan, upload, record, report.
// Run is its table of contents, and the function to read first.
package job

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"time"

	"photosync/sources"
	"photosync/state"
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
	Apply = "apply" // what a plan holds that was made before, and nothing else
)

// Smartsheet is what a run asks of Smartsheet.
type Smartsheet interface {
	upload.Uploader
	upload.Finder
	Me(ctx context.Context) (smartsheet.Me, error)
	Users(ctx context.Context, each func(smartsheet.User) error) error
	User(ctx context.Context, id int64) (smartsheet.User, error)
	Stats() smartsheet.Stats
}

// Options of Run.
type Options struct {
	Mode    string
	RunID   string
	Version string

	Sources     []sources.Named // by precedence
	State       *state.Store
	Smartsheet  Smartsheet
	Root        string // of the API: with the account, what the state is bound to
	Photos      photo.Options
	Concurrency int
	Thumbnails  bool // in the report

	Only     func(email string) bool // nil: everyone
	Excluded func(email string) bool // nil: nobody
	// AlternateEmails: who is not found by an address of their own is looked for among
	// the users' confirmed alternate addresses.
	AlternateEmails bool
	AssumeUser      bool // uploads name the user by the address that Smartsheet lists
	Force           bool
	Checksum        bool
	RetryFailed     bool
	Source          string // only photos of this source; empty: of all
	Limit           int    // uploads at most; 0: all
	Existing        plan.Policy
	// RemovedAfter is after how many complete runs without a photo a placeholder
	// replaces the picture that we uploaded; 0: it stays.
	RemovedAfter int
	Guards       *plan.Guards // nil: none
	Approve      string       // the ID of the plan that may pass the guards; empty: none
	Shard        plan.Shard   // the part of all people that the run is about
	Apply        *plan.File   // of mode Apply
	Strict       bool         // do nothing at all if anything moved since Apply was made
	Verify       bool         // look afterwards whether Smartsheet shows what was uploaded

	// Hooks for progress and logs; each may be nil.
	Listed func(report.Source)
	Asked  func(done, all int) // users, for their alternate addresses
	Made   func(*plan.Plan)
	Item   func(report.Item)
	File   func(*plan.File) // the plan of mode Plan, or of a run that is held
}

// Run does what the options say and returns the account of it, complete also
// when it fails: an error means that the run as a whole failed or was stopped.
// After ctx is done nothing new is begun; what is on the wire is finished and
// recorded.
func Run(ctx context.Context, o Options) (*report.Report, error) {
	r := &run{o: o, report: report.New(o.Mode, o.RunID, o.Version, time.Now().UTC())}
	err := r.steps(ctx)
	r.conclude(err)
	return r.report, err
}

type run struct {
	o        Options
	report   *report.Report
	people   *sources.People
	quiet    quiet           // people for whom there is nothing to do
	subjects []*plan.Subject // the others
	absent   []absentee      // those of them who are not in Smartsheet
	plan     *plan.Plan

	claims     claims   // with AlternateEmails: who is in the sources
	matched    *matcher // nil: by own addresses only
	elsewhere  int      // people of other shards
	generation uint64   // of the state that the plan rests on
	past       plan.Past
	held       error         // why nothing may be written
	me         state.Account // that the token belongs to
	file       *plan.File    // to be kept
}

// steps is the whole run, in order. Each step leaves in r what the next needs.
func (r *run) steps(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		r.account,  // whose token is it, and is the state of that account?
		r.list,     // who is there, without a photo byte
		r.remember, // what does the state know of them?
		r.meet,     // who of those not met so far is in Smartsheet?
		r.look,     // read and hash the photos whose mark moved
		r.find,     // the others whose users the plan has to know
		r.decide,   // the plan
		r.guard,    // may it be carried out?
		r.preview,  // of a plan: what would become of the pictures
		r.tell,     // the plan, in the report
		r.settle,   // remember what was seen and needs no upload
		r.upload,   // prepare, send, record
		r.verify,   // does Smartsheet show it?
	} {
		if err := step(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r.tidy()
	}
	return nil
}

// tidy collects at once what a step about many people leaves: often that is as large as
// what the next one needs.
func (r *run) tidy() {
	if len(r.subjects)+len(r.absent) > many || r.plan != nil && len(r.plan.Left) > many {
		runtime.GC()
	}
}

// many people are a large part of a company, as on a first run.
const many = 10_000

// account binds the state to the token's account, before anything is read.
func (r *run) account(ctx context.Context) error {
	me, err := r.o.Smartsheet.Me(ctx)
	if err != nil {
		return err
	}
	r.me = state.Account{Root: r.o.Root, ID: me.AccountID, Name: me.AccountName}
	return r.o.State.Bind(r.me)
}

func (r *run) decide(context.Context) error {
	r.plan = plan.Build(r.subjects, r.planOptions())
	r.report.PlanID = r.plan.ID
	r.plan.Unchanged += r.quiet.people
	r.report.Totals.People = len(r.subjects) + len(r.absent) + r.quiet.people + r.elsewhere
	r.report.Skip(string(plan.OutOfShard), r.elsewhere)
	r.report.Totals.Unchanged = r.plan.Unchanged
	for i := range r.plan.WithPhoto {
		r.plan.WithPhoto[i] += r.quiet.withPhoto[i]
		r.report.Sources[i].WithPhoto = r.plan.WithPhoto[i]
	}
	return nil
}

// tell reports what is decided already, and ends a run that is held.
func (r *run) tell(context.Context) error {
	var items []report.Item
	for _, a := range r.plan.Actions {
		if a.Outcome != plan.Planned {
			items = append(items, r.skipped(a))
		}
	}
	items = slices.Grow(items, len(r.absent))
	for _, a := range r.absent {
		items = append(items, a.item())
	}
	r.subjects, r.absent = nil, nil // from here on the plan says it all
	r.report.Add(items...)
	if r.o.Made != nil {
		r.o.Made(r.plan)
	}
	r.keep()
	return r.held
}

// settle remembers new marks of what needs no upload, all in one write.
func (r *run) settle(context.Context) error {
	if r.o.Mode == Plan {
		return nil
	}
	var records []state.Record
	for _, as := range [][]plan.Action{r.plan.Settled, r.plan.Actions} {
		for _, a := range as {
			switch {
			case a.Settle && a.Outcome == plan.Skipped:
				records = append(records, upload.Settled(a, r.o.Photos.Fingerprint()))
			case a.Missing != a.Record().Missing: // also if the upload does not come about
				rec := *a.Record()
				rec.Missing = a.Missing
				records = append(records, rec)
			}
		}
	}
	if err := r.o.State.Put(records...); err != nil {
		return err
	}
	if err := r.matched.save(); err != nil {
		return err
	}
	return r.passed()
}

func (r *run) upload(ctx context.Context) error {
	if r.o.Mode == Plan {
		return nil
	}
	pool := r.pool()
	r.limit()
	items, err := pool.Run(ctx, r.plan.Uploads())
	r.add(items)
	if err == nil && r.o.Apply != nil {
		return r.applied()
	}
	return err
}

// limit leaves to later runs what is beyond the limit.
func (r *run) limit() {
	r.plan.Limit(r.o.Limit)
	r.tidy()
}

// add reports what became of the uploads, and those that are left by the limit.
func (r *run) add(items []report.Item) {
	items = slices.Grow(items, len(r.plan.Left))
	for _, l := range r.plan.Left {
		items = append(items, report.Item{
			Email: l.Email, UserID: l.UserID, Source: l.Source, Ref: l.Ref, Reason: string(l.Reason), Outcome: string(plan.Unfinished),
			Message: "left by --limit", Hint: "retry by itself: the next run continues",
		})
	}
	r.report.Add(items...)
}

func (r *run) pool() *upload.Pool {
	return &upload.Pool{
		Sources: r.o.Sources, Photos: r.o.Photos, Smartsheet: r.o.Smartsheet, Users: r.o.Smartsheet,
		State: r.o.State, Concurrency: r.o.Concurrency, RunID: r.o.RunID, Thumbnails: r.o.Thumbnails, Done: r.o.Item,
	}
}

// conclude fills in what is known only at the end.
func (r *run) conclude(err error) {
	rep := r.report
	rep.FinishedAt = time.Now().UTC()
	traffic(rep, r.o.Smartsheet.Stats())
	switch {
	case Held(err):
		rep.Result = report.Held
	case Stopped(err):
		rep.Result = report.Interrupted
	case err != nil:
		rep.Result = report.Failed
	case rep.NeedsAttention() > 0:
		rep.Result = report.Partial
	case rep.Totals.Uploaded+rep.Totals.Planned == 0:
		rep.Result = report.NothingToDo
	default:
		rep.Result = report.Success
	}
	rep.Error = ErrorOf(err)
}

// traffic puts into the report what the calls to Smartsheet were.
func traffic(rep *report.Report, st smartsheet.Stats) {
	t := &rep.Totals
	t.Requests, t.Retries, t.RateLimited, t.QuotaWaitMS = st.Requests, st.Retries, st.RateLimited, st.Waited.Milliseconds()
	t.ETA = int64(math.Ceil(st.ETA(t.Planned+t.Unfinished, rep.FinishedAt).Seconds()))
	rep.QuotaPerMinute = st.QuotaPerMinute
	for _, m := range st.Minutes {
		rep.Timeline = append(rep.Timeline, report.Minute{
			Start: m.Start, Requests: m.Requests, RateLimited: m.RateLimited, WaitMS: m.Waited.Milliseconds(),
		})
	}
}

// Held reports whether err means that the run was held back: by a guard, or
// because its plan may not be carried out.
func Held(err error) bool {
	_, guard := errors.AsType[*HeldError](err)
	_, approval := errors.AsType[*ApprovalError](err)
	_, plan := errors.AsType[*PlanError](err)
	return guard || approval || plan
}

// Stopped reports whether err means that a run ended early and the next one
// continues: a signal, the time budget, Smartsheet's maintenance, or a quota that
// others use up for good.
func Stopped(err error) bool {
	if err == nil {
		return false
	}
	v := smartsheet.VerdictOf(err)
	return errors.Is(err, ErrSignal) || errors.Is(err, ErrMaxDuration) || errors.Is(err, context.Canceled) ||
		v == smartsheet.Maintenance || v == smartsheet.Throttled
}

// Causes with which the context of a run is cancelled.
var (
	ErrSignal      = errors.New("stopped by a signal")
	ErrMaxDuration = errors.New("stopped at --max-duration")
)

// ErrorOf is err as the report shows it; nil for nil.
func ErrorOf(err error) *report.Error {
	if err == nil {
		return nil
	}
	out := &report.Error{Message: err.Error(), Hint: Hint(err)}
	if e, ok := errors.AsType[*smartsheet.Error](err); ok {
		out.HTTPStatus, out.ErrorCode, out.RefID = e.Status, e.Code, e.RefID
	}
	return out
}

// Hint is the advice that err, or an error in it, gives; empty if none does.
func Hint(err error) string {
	if errors.Is(err, ErrSignal) || errors.Is(err, ErrMaxDuration) {
		return "the next run continues"
	}
	if h, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		return h.Hint()
	}
	return ""
}
