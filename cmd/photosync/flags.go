package main

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"photosync/cmd/internal/config"
	"photosync/sources"
	"photosync/sync/plan"
)

const configUsage = "configuration `FILE` (default: $PHOTOSYNC_CONFIG, ./config.yaml, /etc/photosync/config.yaml)"

// choice is a flag with a few values.
type choice struct {
	value  *string
	values []string
}

// oneOf adds a flag that has one of values; before it is given it is what p holds.
func oneOf(cmd *cobra.Command, p *string, name, text string, values ...string) {
	cmd.Flags().Var(choice{p, values}, name, text)
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)) // fails for a flag that is not there
}

func (c choice) String() string {
	if c.value == nil { // pflag asks the zero value
		return ""
	}
	return *c.value
}

func (c choice) Type() string { return "string" }

func (c choice) Set(s string) error {
	if !slices.Contains(c.values, s) {
		return fmt.Errorf("want %s or %s", strings.Join(c.values[:len(c.values)-1], ", "), c.values[len(c.values)-1])
	}
	*c.value = s
	return nil
}

// addOutput adds --output to a command that prints for people or for programs.
func addOutput(cmd *cobra.Command, output *string) {
	*output = "text"
	oneOf(cmd, output, "output", "text or json", "text", "json")
}

// runFlags are the flags of sync, plan and apply.
type runFlags struct {
	config, reportDir, output, logLevel, logFormat, progress string
	maxDuration                                              time.Duration
	quiet                                                    bool
	successOn                                                []int

	plan.Selection                // who the run is about, and which rules it leaves out; a plan keeps it
	again          *pflag.FlagSet // the flags of Selection, and others that the command to approve repeats
	part           plan.Shard     // Shard, read
	matched        []bool         // anybody, each of Only

	approve        string
	out            string     // of plan: the file to keep it in
	apply          *plan.File // of apply
	strict, verify bool
}

// add adds the flags that all of them have.
func (f *runFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	f.output, f.progress = "text", "auto"
	fs.StringVar(&f.config, "config", "", configUsage)
	fs.DurationVar(&f.maxDuration, "max-duration", 0, "stop after this time; the next run continues")
	fs.StringVar(&f.reportDir, "report-dir", "", "`FOLDER` for reports (default: report.dir)")
	oneOf(cmd, &f.output, "output", "on stdout: text, a summary; or json, lines of which the last one is the report", "text", "json")
	oneOf(cmd, &f.progress, "progress", "auto: on a terminal a live line, else a line a minute in the log; always or never", "auto", "always", "never")
	oneOf(cmd, &f.logLevel, "log-level", "debug, info, warn or error (default: log.level)", "debug", "info", "warn", "error")
	oneOf(cmd, &f.logFormat, "log-format", "auto, console or json (default: log.format)", "auto", "console", "json")
	fs.BoolVar(&f.quiet, "quiet", false, "print nothing, and log nothing, unless somebody has to act")
	fs.IntSliceVar(&f.successOn, "success-on", nil, "`CODES` that become exit code 0, such as 3,6; the report keeps the true one (default: success_on)")
}

// addSelection adds the flags that say what a run is about: the one list of them.
func (f *runFlags) addSelection(cmd *cobra.Command) {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	fs.SortFlags = false
	fs.StringArrayVar(&f.Only, "only", nil, "only people with an address that matches `EMAIL|GLOB`; may be given several times, or several with commas")
	fs.StringVar(&f.Source, "source", "", "only photos of the source with this `NAME`")
	fs.StringVar(&f.Shard, "shard", "", "only part `I/N` of all people, 0/4 to 3/4; auto/4 takes I from JOB_COMPLETION_INDEX")
	fs.IntVar(&f.Limit, "limit", 0, "upload at most `N` pictures: new people first, then those who wait longest; 0: all")
	fs.BoolVar(&f.Force, "force", false, "upload even what is unchanged")
	fs.BoolVar(&f.Checksum, "checksum", false, "read every photo instead of trusting change marks")
	fs.BoolVar(&f.RetryFailed, "retry-failed", false, "send again what was refused before and has not changed")
	f.again = fs
	cmd.Flags().AddFlagSet(fs)
	cmd.Flags().StringVar(&f.approve, "approve", "", "let the plan with this `PLAN_ID` pass the guards, once")
}

// addVerify adds the flag of the commands that upload.
func (f *runFlags) addVerify(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.verify, "verify", false, "look afterwards whether Smartsheet shows what was uploaded")
	if f.again != nil {
		f.again.AddFlag(cmd.Flag("verify"))
	}
}

// check finds what is wrong with the values of flags.
func (f *runFlags) check() (err error) {
	if f.maxDuration < 0 {
		return errors.New("--max-duration: want a time above 0")
	}
	if f.Limit < 0 {
		return errors.New("--limit: want a number above 0")
	}
	for _, code := range f.successOn {
		if !slices.Contains(softCodes, code) {
			return fmt.Errorf("--success-on %d: only 3, 4, 5, 6 and 10 can count as success", code)
		}
	}
	if f.Only, err = patterns(f.Only); err != nil {
		return fmt.Errorf("--only %w", err)
	}
	return nil
}

// complete brings the flags and the configuration together.
func (f *runFlags) complete(c *config.Config, env func(string) string) (err error) {
	if f.Source != "" && !slices.ContainsFunc(c.Sources, func(s config.Source) bool { return s.Name == f.Source }) {
		return fmt.Errorf("--source %q: the configuration has no such source", f.Source)
	}
	if f.part, err = parseShard(f.Shard, env); err != nil {
		return err
	}
	f.Shard = f.part.String()
	c.State.Path = shardPath(c.State.Path, f.part)
	if f.quiet {
		f.progress, c.Log.Level = "never", "disabled"
	}
	for _, o := range []struct {
		flag string
		key  *string
	}{{f.reportDir, &c.Report.Dir}, {f.logLevel, &c.Log.Level}, {f.logFormat, &c.Log.Format}} {
		if o.flag != "" {
			*o.key = o.flag
		}
	}
	if f.successOn != nil {
		c.SuccessOn = f.successOn
	}
	return nil
}

// patterns are the addresses and patterns in texts, each of which may hold several
// with commas between them.
func patterns(texts []string) (all []string, err error) {
	for _, text := range texts {
		for g := range strings.SplitSeq(text, ",") {
			g = strings.TrimSpace(g)
			if _, err := path.Match(g, ""); err != nil {
				return nil, fmt.Errorf("%q is not a valid pattern", g)
			}
			if !strings.ContainsAny(g, `*?[\`) {
				if g, err = sources.Email(g); err != nil {
					return nil, fmt.Errorf("%w: want an address, or a pattern like '*@example.com'", err)
				}
			}
			all = append(all, g)
		}
	}
	return all, nil
}

// match reports whether --only is about an address; nil: it is about everyone.
func (f *runFlags) match() func(email string) bool {
	if len(f.Only) == 0 {
		return nil
	}
	f.matched = make([]bool, len(f.Only))
	return func(email string) bool {
		any := false
		for i, g := range f.Only {
			if config.Glob(g, email) {
				any, f.matched[i] = true, true
			}
		}
		return any
	}
}

// matchNobody are those of --only that matched nobody.
func (f *runFlags) matchNobody() (only []string) {
	for i, matched := range f.matched {
		if !matched {
			only = append(only, f.Only[i])
		}
	}
	return only
}

// indexVariable holds the number of a pod of a Kubernetes Indexed Job, from 0.
const indexVariable = "JOB_COMPLETION_INDEX"

// parseShard reads --shard.
func parseShard(text string, env func(string) string) (s plan.Shard, err error) {
	if text == "" {
		return s, nil
	}
	part := text
	if n, auto := strings.CutPrefix(text, "auto/"); auto {
		index := env(indexVariable)
		if index == "" {
			return s, fmt.Errorf("--shard %s: %s is not set: it is in the pods of a Kubernetes Indexed Job", text, indexVariable)
		}
		part = index + "/" + n
	}
	if s, err = plan.ParseShard(part); err != nil {
		return s, fmt.Errorf("--shard: %w", err)
	}
	return s, nil
}

// shardPath is the state file of a shard, beside the one for everyone.
func shardPath(path string, s plan.Shard) string {
	if s.Count == 0 {
		return path
	}
	ext := filepath.Ext(path)
	return fmt.Sprintf("%s.shard-%d-of-%d%s", strings.TrimSuffix(path, ext), s.Index, s.Count, ext)
}

// approveHint is the environment variable with the command that approves a plan in
// the place where photosync runs, such as a systemd unit; PLAN_ID in it stands for
// the plan's.
const approveHint = "PHOTOSYNC_APPROVE_HINT"

// approval is the command that lets the plan with this id pass: a sync with the flags
// of this run.
func (f *runFlags) approval(file, id string, env func(string) string) string {
	if hint := env(approveHint); hint != "" {
		return strings.ReplaceAll(hint, "PLAN_ID", id)
	}
	args := []string{"photosync", "sync", "--config", file}
	f.again.VisitAll(func(fl *pflag.Flag) {
		if !fl.Changed {
			return
		}
		switch v := fl.Value.(type) {
		case pflag.SliceValue:
			for _, value := range v.GetSlice() {
				args = append(args, "--"+fl.Name, value)
			}
		default:
			if fl.Value.Type() != "bool" {
				args = append(args, "--"+fl.Name, v.String())
			} else if v.String() == "true" {
				args = append(args, "--"+fl.Name)
			}
		}
	})
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@%+=:,./_-"
	for i, arg := range args {
		if arg == "" || strings.Trim(arg, plain) != "" { // a shell would not leave it as it is
			args[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	return strings.Join(args, " ") + " --approve " + id
}
