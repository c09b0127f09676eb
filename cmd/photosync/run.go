package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"al.essio.dev/pkg/shellescape"

	"photosync/cmd/internal/config"
	"photosync/cmd/internal/console"
	"photosync/cmd/internal/notify"
	"photosync/sources"
	"photosync/state"
	"photosync/sync/job"
	"photosync/sync/outcome"
	"photosync/sync/plan"
	"photosync/sync/report"
)

// grace is how long an upload on the wire may take to finish after a signal: less than the 30 s
// that Kubernetes allows.
const grace = 25 * time.Second

// runJob is sync, plan and apply: configuration, run, report, summary, exit code.
func (a *app) runJob(ctx context.Context, f *runFlags) error {
	if err := f.load(a); err != nil {
		return err
	}
	var begin bytes.Buffer
	_ = (&plan.File{SchemaVersion: plan.FileVersion}).Encode(&begin) // a Buffer returns no error
	if err := checkReplaceable(f.out, begin.Bytes()); err != nil {
		return err
	}
	if f.out == "-" {
		return usage(errors.New("-o -: stdout has the summary: name a file for the plan"))
	}
	f.RunID = newRunID(time.Now())
	w := console.Start(a.stdout, a.stderr, a.env, console.RunOptions{
		ID: f.RunID, Level: f.Log.Level, Format: f.Log.Format, Progress: f.progress, JSON: a.output == "json", Quiet: f.quiet,
	})
	defer w.Close()
	for _, text := range f.Warnings {
		w.Log.Warn().Msg(text)
	}
	soft, hard, stop := signals(ctx, f.maxDuration, w)
	defer stop()
	w.Log.Info().Str("mode", f.Mode).Str("version", build().version).Str("config", f.File).Msg("run begins")
	n := notifier(f.Config, f.Mode == job.Sync && (len(f.Only) > 0 || f.Source != "" || f.Shard != ""))
	if f.Mode == job.Plan {
		n = notify.New(notify.Options{}) // a plan sends no notices
	}
	rep, err := perform(soft, f, w, n, hard.Done())
	if err = a.completeHint(err); rep.Error != nil {
		rep.Error.Hint = outcome.Hint(err)
	}
	for i := range rep.Findings {
		rep.Findings[i].Hint = a.completed(rep.Findings[i].Hint)
	}
	for i := range rep.Items {
		rep.Items[i].Hint = a.completed(rep.Items[i].Hint)
	}
	w.Apply = a.completed("photosync apply " + shellescape.Quote(rep.PlanFile))
	w.Close()
	empty := slices.ContainsFunc(rep.Findings, func(f outcome.Finding) bool { return f.Code == outcome.NobodyListed }) // nobody wants that
	if !empty && (f.Mode == job.Sync && job.Held(err) || f.Mode == job.Plan && (len(rep.Guards) > 0 || rep.Totals.Held > 0)) {
		rep.Approve = f.approval(f.File, rep.PlanID, a.env)
	}
	return a.conclude(hard, rep, err, f.Config, w, n)
}

// conclude writes the report and the summary, and sets the exit code. A run that could not
// begin because another one holds the state sends no notices.
func (a *app) conclude(hard context.Context, rep *report.Report, err error, c *config.Config, w *console.Run, n *notify.Notifier) error {
	rep.ExitCode = exitCode(rep, err)
	files, werr := report.Write(c.Report.Dir, rep, c.Report.Formats)
	rep.ExitCode = exitCode(rep, cmp.Or(err, werr))
	if rep.Error != nil && werr != nil && rep.Error.Hint == outcome.Hint(werr) {
		werr = nil // the run failed because of the same
	}
	if werr == nil && len(files) > 0 {
		if err := report.Prune(c.Report.Dir, c.Report.Keep, rep.RunID); err != nil {
			w.Log.Warn().Err(err).Msg("old reports were not removed; the run itself is not affected")
		}
	}
	if rep.ExitCode != exitLocked {
		var text strings.Builder
		console.Notice(&text, rep, err)
		rep.Warnings = append(rep.Warnings, n.Finish(hard, rep, text.String())...)
	}
	for _, text := range rep.Warnings {
		w.Log.Warn().Msg("notice: " + text)
	}
	if len(rep.Warnings) > 0 && len(files) > 0 {
		if _, err := report.Write(c.Report.Dir, rep, c.Report.Formats); err != nil {
			w.Log.Warn().Err(err).Msg("the report does not show these warnings")
		}
	}
	if a.code = rep.ExitCode; slices.Contains(c.SuccessOn, a.code) {
		a.code = exitDone
	}
	if h, held := errors.AsType[*job.HeldError](err); held && h.Guards && a.output != "json" {
		err = nil // the summary names the guards and the command that approves the plan
	}
	return w.End(rep, files, err, werr)
}

// newRunID returns a name for a run. Names sort by time.
func newRunID(now time.Time) string {
	return now.UTC().Format("20060102T150405Z") + "-" + strings.ToLower(rand.Text()[:6])
}

// signals returns a context that ends with SIGINT, SIGTERM, SIGHUP or after limit (0: never),
// and one that a second signal ends.
func signals(parent context.Context, limit time.Duration, w *console.Run) (soft, hard context.Context, stop func()) {
	soft, finish := context.WithCancelCause(parent)
	hard, abort := context.WithCancel(context.WithoutCancel(parent))
	timer := time.AfterFunc(cmp.Or(limit, math.MaxInt64), func() {
		w.Log.Warn().Msg("stopping: --max-duration is over")
		finish(job.ErrMaxDuration)
	})
	signal.Ignore(syscall.SIGPIPE) // a run goes on when nobody reads its output any more
	got := make(chan os.Signal, 2)
	signal.Notify(got, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup ignores it
		signal.Notify(got, syscall.SIGHUP)
	}
	go handleSignals(got, w, func() { finish(job.ErrSignal) }, abort)
	return soft, hard, func() {
		timer.Stop()
		signal.Stop(got)
		close(got)
		finish(nil)
		abort()
	}
}

// handleSignals finishes the run at the first signal, and aborts it at the second one, or 28 s after the
// first: the report and the notices may take 3 s.
func handleSignals(signals <-chan os.Signal, w *console.Run, finish, abort func()) {
	if s, more := <-signals; more {
		w.Stopping(s, grace)
		finish()
		defer time.AfterFunc(grace+3*time.Second, abort).Stop()
	}
	if s, more := <-signals; more {
		w.Log.Warn().Stringer("signal", s).Msg("second signal: ending at once")
		abort()
	}
}

// perform opens everything, runs the job and writes its plan. It always returns a report.
func perform(ctx context.Context, f *runFlags, w *console.Run, n *notify.Notifier, abort <-chan struct{}) (rep *report.Report, err error) {
	rep = report.New(f.Mode, f.RunID, build().version, time.Now().UTC())
	defer func() {
		if err != nil && rep.Error == nil {
			rep.Result, rep.Error, rep.FinishedAt = report.Failed, job.ErrorOf(err), time.Now().UTC()
		}
	}()
	defer outcome.Recover(&err)
	if err := report.CheckDir(f.Report.Dir); err != nil {
		return rep, err
	}
	j, closeAll, err := open(f.setup, f.How, abort, w.Log)
	if err != nil {
		return rep, err
	}
	defer closeAll()
	if j.State, err = state.Open(f.State.Path, state.Options{ReadOnly: f.Mode == job.Plan}); err != nil {
		return rep, err
	}
	defer func() { err = cmp.Or(err, j.State.Close()) }()
	n.Start(context.Background()) // not before the state is held: a run that another one keeps out sends no notices
	w.Follow(j.Smartsheet.Stats)
	for i := range j.Sources {
		j.Sources[i].Source = counted{j.Sources[i].Source, w}
	}
	j.Scope.Only, j.Scope.Source, j.Scope.Limit = f.match(), f.Source, f.Limit
	j.Scope.Force, j.Scope.Checksum, j.Scope.RetryFailed = f.Force, f.Checksum, f.RetryFailed
	j.How.Thumbnails, j.How.Before = f.Report.Thumbnails, f.Report.Before && f.Report.Thumbnails
	j.Events = job.Events{Listed: w.Source, Asked: w.Asked, Made: w.Planned, Item: w.Item}
	var file *plan.File
	if f.Mode != job.Plan || f.out != "" { // otherwise nobody needs it
		j.Events.File = func(p *plan.File) { file = p }
	}
	rep, err = job.Run(ctx, j)
	if file != nil {
		err = cmp.Or(err, f.writePlan(file, rep))
	}
	if err == nil || job.Held(err) { // then --only was compared with everybody
		for _, g := range f.unmatched {
			w.Log.Warn().Str("only", g).Msg("--only matches nobody in the sources or the state")
		}
	}
	if err == nil && f.Mode != job.Plan {
		if err = j.State.Current(); err == nil {
			err = job.Backup(j.State, rep)
		}
	}
	return rep, err
}

// writePlan writes a plan to the file of -o, or that of a held run beside its report.
func (f *runFlags) writePlan(p *plan.File, rep *report.Report) error {
	p.Selection = f.Selection
	path := cmp.Or(f.out, filepath.Join(f.Report.Dir, f.RunID+".plan.json"))
	err := report.WritePlan(path, p.Encode)
	if err == nil {
		rep.PlanFile = path
	}
	return err
}

// counted is a source whose people and photos w counts.
type counted struct {
	sources.Source
	w *console.Run
}

func (c counted) List(ctx context.Context, each func(sources.Person) error) (sources.Listing, error) {
	return c.Source.List(ctx, func(p sources.Person) error {
		c.w.Listed()
		return each(p)
	})
}

func (c counted) Photos(ctx context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	return c.Source.Photos(ctx, refs, func(p sources.Photo) error {
		c.w.Read()
		return each(p)
	})
}
