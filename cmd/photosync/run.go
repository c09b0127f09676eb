package main

import (
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

	"photosync/cmd/internal/config"
	"photosync/cmd/internal/console"
	"photosync/cmd/internal/notify"
	"photosync/sync/job"
	"photosync/sync/outcome"
	"photosync/sync/report"
)

// grace is how long an upload on the wire may take to finish after a signal:
// less than the 30 s that Kubernetes gives.
const grace = 25 * time.Second

// runJob is sync, plan and apply: configuration, run, report, summary, exit code.
func (a *app) runJob(ctx context.Context, mode string, f *runFlags) error {
	a.json = f.output == "json"
	file, c, err := f.load(a)
	if err != nil {
		return err
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
	soft, hard, stop := signals(ctx, f.maxDuration, w)
	defer stop()
	w.Log.Info().Str("mode", mode).Str("version", versionText()).Str("config", file).Msg("run begins")
	var n *notify.Notifier
	if mode != job.Plan { // nobody is told of a plan
		n = notifier(c)
		n.Start(context.Background())
	}
	rep, made, err := perform(soft, mode, runID, c, f, w, hard.Done())
	w.Close()
	if job.Held(err) && mode == job.Sync || mode == job.Plan && len(rep.Guards)+rep.Totals.Held > 0 {
		rep.Approve = f.approval(file, rep.PlanID, a.env)
	}
	path := f.out
	if mode != job.Plan { // beside the report of a held run
		path = filepath.Join(c.Report.Dir, runID+".plan.json")
	}
	if made != nil && path != "" {
		made.Selection, rep.PlanFile = f.Selection, path
		if werr := report.WritePlan(path, made.Encode); werr != nil {
			rep.PlanFile = ""
			err = cmp.Or(err, werr)
		}
	}
	return a.conclude(hard, rep, err, c, w, n)
}

// conclude writes the report and the summary, and sets the exit code. A run that could
// not begin because another one holds the state is not notified: that one is.
func (a *app) conclude(hard context.Context, rep *report.Report, err error, c *config.Config, w *console.Run, n *notify.Notifier) error {
	rep.ExitCode = exitCode(rep, err)
	files, werr := report.Write(c.Report.Dir, rep, c.Report.Formats)
	if werr != nil && slices.Contains([]int{exitDone, exitAttention, exitChanges}, rep.ExitCode) {
		rep.ExitCode = exitFailed
	}
	if werr == nil {
		if _, err := report.Prune(c.Report.Dir, c.Report.Keep, rep.RunID); err != nil {
			w.Log.Warn().Err(err).Msg("old reports were not removed; the run itself is not affected")
		}
	}
	if n != nil && rep.ExitCode != exitLocked {
		var text strings.Builder
		console.Notice(&text, rep, err, outcome.Hint(err))
		rep.Warnings = n.Finish(hard, rep, text.String())
	}
	for _, text := range rep.Warnings {
		w.Log.Warn().Msg("notice: " + text)
	}
	if len(rep.Warnings) > 0 && werr == nil {
		if _, err := report.Write(c.Report.Dir, rep, c.Report.Formats); err != nil {
			w.Log.Warn().Err(err).Msg("the report was not written again with these warnings")
		}
	}
	a.code = softened(rep.ExitCode, c.SuccessOn)
	if h, held := errors.AsType[*job.HeldError](err); held && h.Guards && !a.json {
		err = nil // the summary names the guards, and the approval says what to do
	}
	return w.End(rep, files, outcome.Hint, err, werr)
}

// notifier sends word of a run to the places that the configuration names.
func notifier(c *config.Config) *notify.Notifier {
	m := c.Notify.SMTP
	return notify.New(notify.Options{
		Textfile: c.Metrics.Textfile, Pushgateway: c.Metrics.Pushgateway.Reveal(),
		Webhook: c.Notify.Webhook.Reveal(), Format: c.Notify.WebhookFormat,
		Mail: notify.Mail{
			Host: m.Host, Port: m.Port, StartTLS: m.StartTLS, CAFile: m.CAFile, Username: m.Username, Password: m.Password.Reveal(), From: m.From, To: m.To,
		},
		Always: c.Notify.When == "always", Healthcheck: c.Notify.Healthcheck.Reveal(), UserAgent: "photosync/" + versionText(),
	})
}

// newRunID is a name for a run that sorts by time.
func newRunID(now time.Time) string {
	return now.UTC().Format("20060102T150405Z") + "-" + strings.ToLower(rand.Text()[:6])
}

// signals returns a context that ends with SIGINT, SIGTERM or after limit (0: never),
// and one that a second signal ends.
func signals(parent context.Context, limit time.Duration, w *console.Run) (soft, hard context.Context, stop func()) {
	soft, finish := context.WithCancelCause(parent)
	hard, abort := context.WithCancel(context.WithoutCancel(parent))
	timer := time.AfterFunc(cmp.Or(limit, math.MaxInt64), func() {
		w.Log.Warn().Msg("stopping: --max-duration is over")
		finish(job.ErrMaxDuration)
	})
	got := make(chan os.Signal, 2)
	signal.Notify(got, os.Interrupt, syscall.SIGTERM)
	go func() {
		if s, more := <-got; more {
			w.Stopping(s, grace)
			finish(job.ErrSignal)
		}
		if s, more := <-got; more {
			w.Log.Warn().Stringer("signal", s).Msg("second signal: ending at once")
			abort()
		}
	}()
	return soft, hard, func() { timer.Stop(); signal.Stop(got); close(got); finish(nil); abort() }
}
