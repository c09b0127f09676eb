package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"al.essio.dev/pkg/shellescape"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"photosync/cmd/internal/config"
	"photosync/sources"
	"photosync/sync/job"
	"photosync/sync/outcome"
	"photosync/sync/plan"
)

// runFlags are the flags of sync, plan and apply, and the configuration that they change.
type runFlags struct {
	*setup
	config, reportDir, logLevel, logFormat, progress string
	maxDuration                                      time.Duration
	quiet, dryRun                                    bool
	successOn                                        []int

	job.How
	plan.Selection                // whom the run is about, and which rules it skips; a plan file has it, too
	again          *pflag.FlagSet // the flags of Selection, and others that the command to approve repeats
	out            string         // plan: the file to write the plan to

	unmatched []string // what the run found: patterns of Only that match nobody
}

func (a *app) jobCommand(use, mode string) *cobra.Command {
	f := &runFlags{How: job.How{Mode: mode}}
	cmd := &cobra.Command{Use: use, RunE: func(cmd *cobra.Command, args []string) error {
		switch {
		case f.dryRun:
			f.Mode = job.Plan
		case mode == job.Apply:
			p, err := readPlan(args[0])
			if err != nil {
				return usage(err)
			}
			f.Apply, f.Selection = p, p.Selection
		}
		return a.runJob(cmd.Context(), f)
	}}
	f.add(cmd, mode)
	oneOf(cmd, &a.output, "output", "`FORMAT` of stdout: text (default), a summary; or json, lines of which the last one is the report", "text", "json")
	if mode == job.Apply {
		cmd.Args = cobra.ExactArgs(1)
	}
	return cmd
}

func (f *runFlags) add(cmd *cobra.Command, mode string) {
	fs := cmd.Flags()
	f.progress = "auto"
	addConfig(fs, &f.config)
	fs.DurationVar(&f.maxDuration, "max-duration", 0, "stop after this `DURATION`, such as 50m; the next run continues")
	oneOf(cmd, &f.progress, "progress", "`WHEN`: auto (default; on a terminal a live line, else a line a minute in the log), always or never", "auto", "always", "never")
	oneOf(cmd, &f.logLevel, "log-level", "`LEVEL`: debug, info, warn or error (default: log.level)", "debug", "info", "warn", "error")
	oneOf(cmd, &f.logFormat, "log-format", "`FORMAT`: auto, console or json (default: log.format)", "auto", "console", "json")
	fs.BoolVar(&f.quiet, "quiet", false, "print nothing, and log nothing, unless somebody has to act")
	fs.Func("success-on", "`CODES` that become exit code 0, such as 3,6; the report keeps the true one (default: success_on)", func(text string) error {
		for code := range strings.SplitSeq(text, ",") {
			if !slices.Contains([]string{"3", "4", "5", "6", "10"}, code) { // a failed run is never a success
				return errors.New("only 3, 4, 5, 6 and 10 can count as success")
			}
			n, _ := strconv.Atoi(code)
			f.successOn = append(f.successOn, n)
		}
		return nil
	})

	f.again = pflag.NewFlagSet("", pflag.ContinueOnError)
	f.again.StringVar(&f.reportDir, "report-dir", "", "`FOLDER` for reports (default: report.dir)")
	if mode == job.Apply { // the plan file has the others
		fs.BoolVar(&f.Strict, "strict", false, "write nothing if anything changed since the plan was made")
	} else {
		f.again.StringArrayVar(&f.Only, "only", nil, "only people with an address that matches `EMAIL|GLOB`; may be given several times, or several with commas")
		f.again.StringVar(&f.Source, "source", "", "only photos of the source with this `NAME`")
		f.again.StringVar(&f.Shard, "shard", "", "only part `I/N` of all people, 0/4 to 3/4; auto/4 takes I from JOB_COMPLETION_INDEX")
		f.again.IntVar(&f.Limit, "limit", 0, "upload at most `N` pictures: new people first, then those who wait longest; 0: all")
		f.again.BoolVar(&f.Force, "force", false, "upload unchanged pictures, too")
		f.again.BoolVar(&f.Checksum, "checksum", false, "read every photo instead of trusting change marks")
		f.again.BoolVar(&f.RetryFailed, "retry-failed", false, "send pictures again that were refused before and have not changed")
		fs.StringVar(&f.Approve, "approve", "", "let the plan with this `PLAN_ID` pass the guards, once")
	}
	if mode == job.Plan {
		fs.StringVarP(&f.out, "out", "o", "", "write the plan to this `FILE`, for apply")
	} else {
		f.again.BoolVar(&f.Verify, "verify", false, "check afterwards that Smartsheet shows the uploaded pictures")
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
		return nil, outcome.WithHint(fmt.Errorf("read plan %q: %w", path, err), "photosync plan -o FILE makes a plan, and a held run leaves one beside its report; a report is no plan")
	}
	return p, nil
}

// load reads the configuration, and applies the flags to it.
func (f *runFlags) load(a *app) (err error) {
	if f.maxDuration < 0 || f.Limit < 0 {
		return usage(errors.New("--max-duration and --limit may not be negative"))
	}
	if f.Only, err = patterns(f.Only); err != nil {
		return usage(fmt.Errorf("--only %w", err))
	}
	if f.setup, err = a.load(f.config, f.Shard); err != nil {
		return err
	}
	if f.Source != "" && !slices.ContainsFunc(f.Sources, func(s config.Source) bool { return s.Name == f.Source }) {
		return usage(fmt.Errorf("--source %q: the configuration has no such source", f.Source))
	}
	f.Shard = f.part.String()
	f.Report.Dir = cmp.Or(f.reportDir, f.Report.Dir)
	f.Log.Level = cmp.Or(f.logLevel, f.Log.Level)
	f.Log.Format = cmp.Or(f.logFormat, f.Log.Format)
	if f.successOn != nil {
		f.SuccessOn = f.successOn
	}
	return nil
}

const wildcards = `*?[\`

// patterns returns the addresses and patterns in texts, each of which may hold several, separated by commas.
func patterns(texts []string) (all []string, err error) {
	for _, text := range texts {
		for g := range strings.SplitSeq(text, ",") {
			g = strings.TrimSpace(g)
			if _, err := path.Match(g, ""); err != nil {
				return nil, fmt.Errorf("%q is not a valid pattern", g)
			}
			if !strings.ContainsAny(g, wildcards) {
				if g, err = sources.Email(g); err != nil {
					return nil, fmt.Errorf("%w: want an address, or a pattern like '*@example.com'", err)
				}
			}
			all = append(all, g)
		}
	}
	return all, nil
}

// match returns a function that reports whether --only selects an address, and removes patterns
// that match from f.unmatched. It returns nil if the run is about everybody.
func (f *runFlags) match() func(email string) bool {
	if len(f.Only) == 0 {
		return nil
	}
	f.unmatched = slices.Clone(f.Only)
	return func(email string) bool {
		matches := func(g string) bool { return config.Glob(g, email) }
		f.unmatched = slices.DeleteFunc(f.unmatched, matches)
		return slices.ContainsFunc(f.Only, matches)
	}
}

// parseShard reads --shard. Its errors are usage errors.
func parseShard(text string, env func(string) string) (s plan.Shard, err error) {
	const index = "JOB_COMPLETION_INDEX" // the number of a pod of a Kubernetes Indexed Job, from 0
	n, auto := strings.CutPrefix(text, "auto/")
	switch {
	case text == "":
		return s, nil
	case auto && env(index) == "":
		return s, usage(fmt.Errorf("--shard %s: %s is not set: it is in the pods of a Kubernetes Indexed Job", text, index))
	case auto:
		text = env(index) + "/" + n
	}
	if s, err = plan.ParseShard(text); err != nil {
		err = usage(fmt.Errorf("--shard: %w", err))
	}
	return s, err
}

// shardPath is the state file of a shard, beside the one for everyone.
func shardPath(path string, s plan.Shard) string {
	if s.Count == 0 {
		return path
	}
	ext := filepath.Ext(path)
	return fmt.Sprintf("%s.shard-%d-of-%d%s", strings.TrimSuffix(path, ext), s.Index, s.Count, ext)
}

// approval returns the command that approves the plan with this id: a sync with the flags of this
// run. PHOTOSYNC_APPROVE_HINT may hold another command, for a place such as a systemd unit.
func (f *runFlags) approval(file, id string, env func(string) string) string {
	var args []string
	f.again.VisitAll(func(fl *pflag.Flag) {
		values := []string{fl.Value.String()}
		if several, ok := fl.Value.(pflag.SliceValue); ok {
			values = several.GetSlice()
		}
		for _, v := range values {
			switch {
			case !fl.Changed || fl.Value.Type() == "bool" && v == "false":
			case fl.Value.Type() == "bool":
				args = append(args, "--"+fl.Name)
			default:
				args = append(args, "--"+fl.Name, v)
			}
		}
	})
	hint := strings.ReplaceAll(env("PHOTOSYNC_APPROVE_HINT"), "PLAN_ID", id)
	switch {
	case hint == "":
		return shellescape.QuoteCommand(slices.Concat([]string{"photosync", "sync", "--config", file}, args, []string{"--approve", id}))
	case len(args) > 0: // without these flags the plan would be another one
		hint += "  # with these flags, too: " + shellescape.QuoteCommand(args)
	}
	return hint
}
