package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"photosync/sync/job"
	"photosync/sync/outcome"
	"photosync/sync/plan"
)

// runFlags are the flags of sync, plan and apply.
type runFlags struct {
	config, reportDir, output, logLevel, logFormat, progress string
	maxDuration                                              time.Duration
	quiet, dryRun                                            bool
	successOn                                                []int

	plan.Selection                // who the run is about, and which rules it leaves out; a plan keeps it
	again          *pflag.FlagSet // the flags of Selection, and others that the command to approve repeats
	part           plan.Shard     // Shard, read
	unmatched      []string       // those of Only that match nobody

	approve        string
	out            string     // of plan: the file to keep it in
	apply          *plan.File // of apply
	strict, verify bool
}

func (a *app) jobCommand(use, mode string) *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{Use: use, RunE: func(cmd *cobra.Command, args []string) error {
		switch {
		case f.dryRun:
			return a.runJob(cmd.Context(), job.Plan, f)
		case mode == job.Apply:
			p, err := readPlan(args[0])
			if err != nil {
				return usage(err)
			}
			f.apply, f.Selection = p, p.Selection
		}
		return a.runJob(cmd.Context(), mode, f)
	}}
	f.add(cmd, mode)
	if mode == job.Apply {
		cmd.Args = cobra.ExactArgs(1)
	}
	return cmd
}

func (f *runFlags) add(cmd *cobra.Command, mode string) {
	fs := cmd.Flags()
	f.output, f.progress = "text", "auto"
	addConfig(fs, &f.config)
	fs.DurationVar(&f.maxDuration, "max-duration", 0, "stop after this time; the next run continues")
	fs.StringVar(&f.reportDir, "report-dir", "", "`FOLDER` for reports (default: report.dir)")
	oneOf(cmd, &f.output, "output", "`FORMAT` of stdout: text (default), a summary; or json, lines of which the last one is the report", "text", "json")
	oneOf(cmd, &f.progress, "progress", "`WHEN`: auto (default; on a terminal a live line, else a line a minute in the log), always or never", "auto", "always", "never")
	oneOf(cmd, &f.logLevel, "log-level", "`LEVEL`: debug, info, warn or error (default: log.level)", "debug", "info", "warn", "error")
	oneOf(cmd, &f.logFormat, "log-format", "`FORMAT`: auto, console or json (default: log.format)", "auto", "console", "json")
	fs.BoolVar(&f.quiet, "quiet", false, "print nothing, and log nothing, unless somebody has to act")
	fs.IntSliceVar(&f.successOn, "success-on", nil, "`CODES` that become exit code 0, such as 3,6; the report keeps the true one (default: success_on)")

	f.again = pflag.NewFlagSet("", pflag.ContinueOnError)
	if mode == job.Apply { // its plan has the others
		fs.BoolVar(&f.strict, "strict", false, "write nothing if anything moved since the plan was made")
	} else {
		f.again.StringArrayVar(&f.Only, "only", nil, "only people with an address that matches `EMAIL|GLOB`; may be given several times, or several with commas")
		f.again.StringVar(&f.Source, "source", "", "only photos of the source with this `NAME`")
		f.again.StringVar(&f.Shard, "shard", "", "only part `I/N` of all people, 0/4 to 3/4; auto/4 takes I from JOB_COMPLETION_INDEX")
		f.again.IntVar(&f.Limit, "limit", 0, "upload at most `N` pictures: new people first, then those who wait longest; 0: all")
		f.again.BoolVar(&f.Force, "force", false, "upload even what is unchanged")
		f.again.BoolVar(&f.Checksum, "checksum", false, "read every photo instead of trusting change marks")
		f.again.BoolVar(&f.RetryFailed, "retry-failed", false, "send again what was refused before and has not changed")
		fs.StringVar(&f.approve, "approve", "", "let the plan with this `PLAN_ID` pass the guards, once")
	}
	if mode == job.Plan {
		fs.StringVarP(&f.out, "out", "o", "", "keep the plan in this `FILE`, for apply")
	} else {
		f.again.BoolVar(&f.verify, "verify", false, "look afterwards whether Smartsheet shows what was uploaded")
	}
	if mode == job.Sync {
		fs.BoolVar(&f.dryRun, "dry-run", false, "upload nothing: the same as photosync plan")
	}
	fs.AddFlagSet(f.again)
}

func readPlan(path string) (p *plan.File, err error) {
	data, err := os.ReadFile(path)
	if err == nil {
		p, err = plan.Decode(data)
	}
	if err != nil {
		return nil, outcome.WithHint(fmt.Errorf("read plan %q: %w", path, err), "photosync plan -o FILE makes a plan")
	}
	return p, nil
}
