package main

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"photosync/cmd/internal/config"
	"photosync/cmd/internal/console"
	"photosync/sync/job"
	"photosync/sync/report"
)

// grace is how long an upload on the wire may take to finish after a signal:
// less than the 30 s that Kubernetes gives.
const grace = 25 * time.Second

// runJob is sync, plan and apply: configuration, run, report, summary, exit code.
func (a *app) runJob(ctx context.Context, mode string, f *runFlags) error {
	a.json = f.output == "json"
	if err := f.check(); err != nil {
		return usage(err)
	}
	file, c, err := a.load(f.config)
	if err != nil {
		return err
	}
	if err := f.complete(c, a.env); err != nil {
		return usage(err)
	}
	if err := report.CheckDir(c.Report.Dir); err != nil {
		return err
	}
	runID := newRunID(time.Now())
	w := console.Start(a.stdout, a.stderr, a.env, console.RunOptions{
		ID: runID, Level: c.Log.Level, Format: c.Log.Format, Progress: f.progress, JSON: a.json, Quiet: f.quiet,
	})
	defer w.Close()
	for _, text := range c.Warnings {
		w.Log.Warn().Msg(text)
	}
	ctx, abort, stop := signals(ctx, f.maxDuration, w)
	defer stop()
	w.Log.Info().Str("mode", mode).Str("version", versionText()).Str("config", file).Msg("run begins")
	n := announce(mode, c)
	rep, made, err := a.perform(ctx, mode, runID, c, f, w, abort)
	w.Close()
	if job.Held(err) && mode == job.Sync || mode == job.Plan && len(rep.Guards)+rep.Totals.Held > 0 {
		rep.Approve = f.approval(file, rep.PlanID, a.env)
	}
	if made != nil {
		made.Selection = f.Selection
		path := f.out
		if mode != job.Plan { // beside the report of a held run
			path = filepath.Join(c.Report.Dir, runID+".plan.json")
		}
		if perr := writePlan(rep, path, made); err == nil {
			err = perr
		}
	}
	return a.conclude(rep, err, c, w, n, abort)
}

// conclude writes the report and the summary, and sets the exit code.
func (a *app) conclude(rep *report.Report, err error, c *config.Config, w *console.Run, n *notices, abort <-chan struct{}) error {
	rep.ExitCode = exitCode(rep, err)
	if !rep.FinishedAt.After(rep.StartedAt) {
		rep.FinishedAt = time.Now().UTC()
	}
	files, werr := report.Write(c.Report.Dir, rep, c.Report.Formats)
	if werr != nil {
		rep.ExitCode = worse(rep.ExitCode)
	} else if _, perr := report.Prune(c.Report.Dir, c.Report.Keep, rep.RunID); perr != nil {
		w.Log.Warn().Err(perr).Msg("old reports were not removed; the run itself is not affected")
	}
	if rep.Warnings = n.finish(rep, err, abort); len(rep.Warnings) > 0 {
		for _, text := range rep.Warnings {
			w.Log.Warn().Msg("notice: " + text)
		}
		if werr == nil {
			if _, err := report.Write(c.Report.Dir, rep, c.Report.Formats); err != nil {
				w.Log.Warn().Err(err).Msg("the report was not written again with these warnings")
			}
		}
	}
	a.code = softened(rep.ExitCode, c.SuccessOn)
	if h, held := errors.AsType[*job.HeldError](err); held && h.Guards && !a.json {
		err = nil // the summary names the guards, and the approval says what to do
	}
	return w.End(rep, files, job.Hint, err, werr)
}

// newRunID is a name for a run that sorts by time.
func newRunID(now time.Time) string {
	return now.UTC().Format("20060102T150405Z") + "-" + strings.ToLower(rand.Text()[:6])
}

// signals returns a context that ends with SIGINT, SIGTERM or after limit, and a
// channel that a second signal closes.
func signals(parent context.Context, limit time.Duration, w *console.Run) (context.Context, <-chan struct{}, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	abort, done := make(chan struct{}), make(chan struct{})
	got := make(chan os.Signal, 2)
	signal.Notify(got, os.Interrupt, syscall.SIGTERM)
	var timeout <-chan time.Time
	if limit > 0 {
		timeout = time.After(limit)
	}
	go func() {
		signalled := false
		for {
			select {
			case s := <-got:
				if signalled {
					w.Log.Warn().Stringer("signal", s).Msg("second signal: ending at once")
					close(abort)
					return
				}
				signalled = true
				w.Stopping(s, grace)
				cancel(job.ErrSignal)
			case <-timeout:
				w.Log.Warn().Msg("stopping: --max-duration is over")
				cancel(job.ErrMaxDuration)
			case <-done:
				return
			}
		}
	}()
	return ctx, abort, func() { signal.Stop(got); close(done); cancel(nil) }
}
