package main

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"al.essio.dev/pkg/shellescape"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"photosync/cmd/internal/config"
	"photosync/sources"
	"photosync/sync/plan"
)

func addConfig(fs *pflag.FlagSet, file *string) {
	fs.StringVar(file, "config", "", "configuration `FILE` (default: $PHOTOSYNC_CONFIG, ./config.yaml, /etc/photosync/config.yaml)")
	_ = fs.SetAnnotation("config", cobra.BashCompFilenameExt, []string{"yaml", "yml"}) // fails for a flag that is not there
}

// oneOf adds a flag that has one of values; without it p stays as it is.
func oneOf(cmd *cobra.Command, p *string, name, text string, values ...string) {
	cmd.Flags().Func(name, text, func(s string) error {
		if last := len(values) - 1; !slices.Contains(values, s) {
			return fmt.Errorf("want %s or %s", strings.Join(values[:last], ", "), values[last])
		}
		*p = s
		return nil
	})
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)) // likewise
}

// addOutput adds --output to a command that prints for people or for programs.
func addOutput(cmd *cobra.Command, output *string) {
	*output = "text"
	oneOf(cmd, output, "output", "`FORMAT`: text (default) or json", "text", "json")
}

// load reads the configuration, and applies the flags to it.
func (f *runFlags) load(a *app) (file string, c *config.Config, err error) {
	if f.maxDuration < 0 || f.Limit < 0 {
		return "", nil, usage(errors.New("--max-duration and --limit: want no number below 0"))
	}
	for _, code := range f.successOn {
		if code < exitAttention || code > exitInterrupted && code != exitChanges { // a run that failed is no success
			return "", nil, usage(fmt.Errorf("--success-on %d: only 3, 4, 5, 6 and 10 can count as success", code))
		}
	}
	if f.Only, err = patterns(f.Only); err != nil {
		return "", nil, usage(fmt.Errorf("--only %w", err))
	}
	if f.part, err = parseShard(f.Shard, a.env); err != nil {
		return "", nil, err
	}
	if file, c, err = a.load(f.config); err != nil {
		return "", nil, err
	}
	if f.Source != "" && !slices.ContainsFunc(c.Sources, func(s config.Source) bool { return s.Name == f.Source }) {
		return "", nil, usage(fmt.Errorf("--source %q: the configuration has no such source", f.Source))
	}
	f.Shard = f.part.String()
	c.State.Path = shardPath(c.State.Path, f.part)
	c.Report.Dir = cmp.Or(f.reportDir, c.Report.Dir)
	c.Log.Level = cmp.Or(f.logLevel, c.Log.Level)
	c.Log.Format = cmp.Or(f.logFormat, c.Log.Format)
	if f.quiet {
		f.progress, c.Log.Level = "never", "disabled"
	}
	if f.successOn != nil {
		c.SuccessOn = f.successOn
	}
	return file, c, nil
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

// match reports whether --only is about an address, and notes in f.unmatched what
// matched nobody so far; nil: the run is about everyone.
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

// approval is the command that lets the plan with this id pass: a sync with the flags of
// this run. PHOTOSYNC_APPROVE_HINT has the command for the place where photosync runs,
// such as a systemd unit.
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
	case len(args) > 0: // without them the plan would be another one
		hint += "  # with these flags, too: " + shellescape.QuoteCommand(args)
	}
	return hint
}
