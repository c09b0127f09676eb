package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"photosync/cmd/internal/config"
	"photosync/state"
	"photosync/sync/job"
	"photosync/sync/plan"
	"photosync/sync/report"
)

// grace is how long an upload on the wire may take to finish after a signal:
// less than the 30 s that Kubernetes gives.
const grace = 25 * time.Second

const configUsage = "configuration `FILE` (default: $PHOTOSYNC_CONFIG, ./config.yaml, /etc/photosync/config.yaml)"

// runFlags are the flags of sync, plan and apply.
type runFlags struct {
	config, reportDir, output, logLevel, logFormat, progress string
	only                                                     []string
	met                                                      []bool // by anybody, each of only
	source, approve, shard                                   string
	out                                                      string     // of plan: the file to keep it in
	part                                                     plan.Shard // shard, read
	made                                                     *plan.File // what is to be kept
	apply                                                    *plan.File // of apply
	strict, verify                                           bool
	force, checksum, retryFailed                             bool
	limit                                                    int
	maxDuration                                              time.Duration
}

// add adds the flags that all of them have.
func (f *runFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.config, "config", "", configUsage)
	fs.DurationVar(&f.maxDuration, "max-duration", 0, "stop after this time; the next run continues")
	fs.StringVar(&f.reportDir, "report-dir", "", "`FOLDER` for reports (default: report.dir)")
	fs.StringVar(&f.output, "output", "text", "on stdout: text, a summary; or json, lines of which the last one is the report")
	fs.StringVar(&f.progress, "progress", "auto", "auto: on a terminal a live line, else a line a minute in the log; always or never")
	fs.StringVar(&f.logLevel, "log-level", "", "debug, info, warn or error (default: log.level)")
	fs.StringVar(&f.logFormat, "log-format", "", "auto, console or json (default: log.format)")
}

func (f *runFlags) check() error {
	if f.output != "text" && f.output != "json" {
		return fmt.Errorf("--output %q: want text or json", f.output)
	}
	if f.progress != "auto" && f.progress != "always" && f.progress != "never" {
		return fmt.Errorf("--progress %q: want auto, always or never", f.progress)
	}
	if f.logLevel != "" && !strings.Contains(" debug info warn error ", " "+f.logLevel+" ") {
		return fmt.Errorf("--log-level %q: want debug, info, warn or error", f.logLevel)
	}
	if f.logFormat != "" && !strings.Contains(" auto console json ", " "+f.logFormat+" ") {
		return fmt.Errorf("--log-format %q: want auto, console or json", f.logFormat)
	}
	if f.maxDuration < 0 {
		return errors.New("--max-duration: want a time above 0")
	}
	return f.checkSelection()
}

func (a *app) sync() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "Upload the photos that changed",
		Long: `Upload the photos that changed since they were last uploaded.

A report is written to report.dir in every case, as <run-id>.json and .html,
and as latest.json and latest.html.
SIGINT and SIGTERM finish and record what is on the wire; a second one ends that.`,
		Example: "  photosync sync --config /etc/photosync/config.yaml\n  photosync sync --only ann@example.com --force",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runJob(cmd.Context(), job.Sync, f) },
	}
	f.add(cmd)
	f.addSelection(cmd)
	f.addVerify(cmd)
	return cmd
}

func (a *app) plan() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what sync would do, and write nothing but a report",
		Long: `Show what sync would do. Every picture is prepared, so that what would be refused
shows, too.

-o keeps the plan in a file for photosync apply.`,
		Example: "  photosync plan --only '*@example.com'\n  photosync plan -o plan.json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runJob(cmd.Context(), job.Plan, f) },
	}
	f.add(cmd)
	f.addSelection(cmd)
	cmd.Flags().StringVarP(&f.out, "out", "o", "", "keep the plan in this `FILE`, for apply")
	return cmd
}

// runJob is sync and plan: configuration, run, report, summary, exit code.
func (a *app) runJob(ctx context.Context, mode string, f *runFlags) error {
	a.json = f.output == "json"
	if err := f.check(); err != nil {
		return usage(err)
	}
	file, err := config.Find(f.config, a.env)
	if err != nil {
		return usage(err)
	}
	c, err := a.load(file)
	if err != nil {
		return usage(err)
	}
	if f.source != "" && !slices.ContainsFunc(c.Sources, func(s config.Source) bool { return s.Name == f.source }) {
		return usage(fmt.Errorf("--source %q: the configuration has no such source", f.source))
	}
	if err := f.shards(a.env); err != nil {
		return usage(err)
	}
	f.override(c)
	if err := report.CheckDir(c.Report.Dir); err != nil {
		return err
	}
	runID := newRunID(time.Now())
	w := a.watch(f, c.Log, runID)
	defer w.close()
	for _, text := range c.Warnings {
		w.log.Warn().Msg(text)
	}
	ctx, abort, stop := signals(ctx, f.maxDuration, w.log)
	defer stop()
	w.log.Info().Str("mode", mode).Str("version", versionText()).Str("config", file).Msg("run begins")
	w.announce(mode, c, abort)
	rep, err := a.perform(ctx, mode, runID, c, f, w, abort)
	w.close()
	if job.Held(err) && mode == job.Sync || mode == job.Plan && len(rep.Guards)+rep.Totals.Held > 0 {
		rep.Approve = f.approval(file, rep.PlanID)
	}
	if perr := f.writePlan(rep, c.Report.Dir); err == nil {
		err = perr
	}
	return a.conclude(rep, err, c.Report, w)
}

func (f *runFlags) override(c *config.Config) {
	for _, o := range []struct {
		flag string
		key  *string
	}{{f.reportDir, &c.Report.Dir}, {f.logLevel, &c.Log.Level}, {f.logFormat, &c.Log.Format}} {
		if o.flag != "" {
			*o.key = o.flag
		}
	}
	c.State.Path = shardPath(c.State.Path, f.part)
}

// newRunID is a name for a run that sorts by time.
func newRunID(now time.Time) string {
	return now.UTC().Format("20060102T150405Z") + "-" + strings.ToLower(rand.Text()[:6])
}

// signals returns a context that ends with SIGINT, SIGTERM or after limit, and a
// channel that a second signal closes.
func signals(parent context.Context, limit time.Duration, log zerolog.Logger) (context.Context, <-chan struct{}, func()) {
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
					log.Warn().Stringer("signal", s).Msg("second signal: ending at once")
					close(abort)
					return
				}
				signalled = true
				log.Warn().Stringer("signal", s).Msg("stopping: what is on the wire is finished and recorded")
				cancel(job.ErrSignal)
			case <-timeout:
				log.Warn().Msg("stopping: --max-duration is over")
				cancel(job.ErrMaxDuration)
			case <-done:
				return
			}
		}
	}()
	return ctx, abort, func() { signal.Stop(got); close(done); cancel(nil) }
}

// perform opens everything and runs the job. It returns a report in every case.
func (a *app) perform(ctx context.Context, mode, runID string, c *config.Config, f *runFlags, w *watch, abort <-chan struct{}) (*report.Report, error) {
	fail := func(err error) (*report.Report, error) {
		r := report.New(mode, runID, versionText(), time.Now().UTC())
		r.Result, r.Error = report.Failed, job.ErrorOf(err)
		return r, err
	}
	client, err := newClient(c.Smartsheet, abort, w.log)
	if err != nil {
		return fail(err)
	}
	defer client.Close()
	w.follow(client.Stats, c.Smartsheet.UploadWeight)
	srcs, closeSources, err := openSources(c)
	if err != nil {
		return fail(usage(err))
	}
	defer closeSources()
	w.count(srcs)
	st, err := state.Open(c.State.Path, state.Options{ReadOnly: mode == job.Plan})
	if err != nil {
		return fail(err)
	}
	o := job.Options{
		Mode: mode, RunID: runID, Version: versionText(),
		Sources: srcs, State: st, Smartsheet: client, Root: baseURL(c.Smartsheet), Photos: photoOptions(c.Image),
		Concurrency: c.Smartsheet.Concurrency, Thumbnails: c.Report.Thumbnails, Excluded: c.Match.Excluded,
		Existing: plan.Policy(c.Policy.Existing), RemovedAfter: removedAfter(c.Policy), Guards: guards(c.Guard), Source: f.source, Limit: f.limit, Approve: f.approve,
		Force: f.force, Checksum: f.checksum, RetryFailed: f.retryFailed, Only: f.match(), Shard: f.part,
		AlternateEmails: c.Match.AlternateEmails, AssumeUser: c.Smartsheet.AssumeUser,
		Apply: f.apply, Strict: f.strict, Verify: f.verify, File: func(p *plan.File) { f.made = p },
	}
	w.hook(&o)
	rep, err := job.Run(ctx, o)
	if err == nil || job.Held(err) { // then everyone was looked at
		for _, g := range f.unmet() {
			w.log.Warn().Str("only", g).Msg("--only matches nobody in the sources or the state")
		}
	}
	if err == nil && mode != job.Plan {
		if berr := st.Backup(); berr != nil {
			w.log.Warn().Err(berr).Msg("the state was not backed up; the run itself is recorded")
		}
	}
	if cerr := st.Close(); cerr != nil && err == nil {
		err = fmt.Errorf("close state: %w", cerr)
		rep.Result, rep.Error = report.Failed, job.ErrorOf(err)
	}
	return rep, err
}

// conclude writes the report and the summary, and sets the exit code.
func (a *app) conclude(rep *report.Report, err error, to config.Report, w *watch) error {
	rep.ExitCode = exitCode(rep, err)
	if rep.FinishedAt.Before(rep.StartedAt) || rep.FinishedAt.Equal(rep.StartedAt) {
		rep.FinishedAt = time.Now().UTC()
	}
	files, werr := report.Write(to.Dir, rep, to.Formats)
	a.code = rep.ExitCode
	if werr != nil && (a.code == exitDone || a.code == exitAttention || a.code == exitChanges) {
		a.code, rep.ExitCode = exitFailed, exitFailed
	}
	if perr := prune(to, rep.RunID, werr); perr != nil {
		w.log.Warn().Err(perr).Msg("old reports were not removed; the run itself is not affected")
	}
	if rep.Warnings = w.finish(rep, err); len(rep.Warnings) > 0 && werr == nil {
		if _, err := report.Write(to.Dir, rep, to.Formats); err != nil {
			w.log.Warn().Err(err).Msg("the report was not written again with these warnings")
		}
	}
	logEnd(w.log, rep, files)
	if w.lines != nil {
		if jerr := w.lines.summary(rep); jerr != nil {
			return jerr
		}
	} else {
		printSummary(a.stdout, rep)
		for _, file := range files {
			fmt.Fprintf(a.stdout, "  report  %s\n", file)
		}
		if rep.PlanFile != "" {
			fmt.Fprintf(a.stdout, "  plan    %s: photosync apply carries it out\n", rep.PlanFile)
		}
	}
	for _, e := range []error{err, werr} {
		if e != nil {
			printError(a.stderr, e)
		}
	}
	if rep.Approve != "" {
		printApproval(a.stderr, rep.Approve)
	}
	return nil
}
