package main

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"photosync/cmd/internal/config"
	"photosync/sources"
	"photosync/sync/plan"
)

// addSelection adds the flags that say what a run is about. A plan keeps them; see
// selected.
func (f *runFlags) addSelection(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringArrayVar(&f.only, "only", nil, "only people with an address that matches `EMAIL|GLOB`; may be given several times, or several with commas")
	fs.BoolVar(&f.force, "force", false, "upload even what is unchanged")
	fs.BoolVar(&f.checksum, "checksum", false, "read every photo instead of trusting change marks")
	fs.BoolVar(&f.retryFailed, "retry-failed", false, "send again what was refused before and has not changed")
	fs.StringVar(&f.source, "source", "", "only photos of the source with this `NAME`")
	fs.IntVar(&f.limit, "limit", 0, "upload at most `N` pictures: new people first, then those who wait longest; 0: all")
	fs.StringVar(&f.shard, "shard", "", "only part `I/N` of all people, 0/4 to 3/4; auto/4 takes I from JOB_COMPLETION_INDEX")
	fs.StringVar(&f.approve, "approve", "", "let the plan with this `PLAN_ID` pass the guards, once")
}

// addVerify adds the flag of the commands that upload.
func (f *runFlags) addVerify(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.verify, "verify", false, "look afterwards whether Smartsheet shows what was uploaded")
}

func (f *runFlags) checkSelection() error {
	only, err := patterns(f.only)
	if err != nil {
		return fmt.Errorf("--only %w", err)
	}
	f.only = only
	if f.limit < 0 {
		return errors.New("--limit: want a number above 0")
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
				return nil, fmt.Errorf("%q: no valid pattern", g)
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

// match tells who --only is about; nil: everyone.
func (f *runFlags) match() func(email string) bool {
	if len(f.only) == 0 {
		return nil
	}
	f.met = make([]bool, len(f.only))
	return func(email string) bool {
		matched := false
		for i, g := range f.only {
			if config.Glob(g, email) {
				matched, f.met[i] = true, true
			}
		}
		return matched
	}
}

// unmet are those of --only that match nobody.
func (f *runFlags) unmet() (only []string) {
	for i, met := range f.met {
		if !met {
			only = append(only, f.only[i])
		}
	}
	return only
}

// selection sets the flags that a plan was made with.
func (f *runFlags) selection(s plan.Selection) {
	f.only, f.source, f.shard, f.limit = s.Only, s.Source, s.Shard, s.Limit
	f.force, f.checksum, f.retryFailed = s.Force, s.Checksum, s.RetryFailed
}

// selected are those flags.
func (f *runFlags) selected() plan.Selection {
	return plan.Selection{
		Only: f.only, Source: f.source, Shard: f.part.String(), Limit: f.limit,
		Force: f.force, Checksum: f.checksum, RetryFailed: f.retryFailed,
	}
}

// indexVariable is where Kubernetes tells the pods of an Indexed Job apart, from 0.
const indexVariable = "JOB_COMPLETION_INDEX"

// shards reads --shard.
func (f *runFlags) shards(env func(string) string) (err error) {
	if f.shard == "" {
		return nil
	}
	text := f.shard
	if n, auto := strings.CutPrefix(text, "auto/"); auto {
		index := env(indexVariable)
		if index == "" {
			return fmt.Errorf("--shard %s: %s is not set: it is in the pods of a Kubernetes Indexed Job", f.shard, indexVariable)
		}
		text = index + "/" + n
	}
	if f.part, err = plan.ParseShard(text); err != nil {
		return fmt.Errorf("--shard: %w", err)
	}
	return nil
}

// shardPath is the state file of a shard, beside the one for everyone.
func shardPath(path string, s plan.Shard) string {
	if s.Count == 0 {
		return path
	}
	ext := filepath.Ext(path)
	return fmt.Sprintf("%s.shard-%d-of-%d%s", strings.TrimSuffix(path, ext), s.Index, s.Count, ext)
}

// approval is the command that lets the plan with this id pass: a sync with the
// flags of this run.
func (f *runFlags) approval(file, id string) string {
	args := []string{"photosync", "sync", "--config", file}
	for _, o := range f.only {
		args = append(args, "--only", o)
	}
	if f.source != "" {
		args = append(args, "--source", f.source)
	}
	if f.shard != "" {
		args = append(args, "--shard", f.part.String())
	}
	if f.limit > 0 {
		args = append(args, "--limit", fmt.Sprint(f.limit))
	}
	for _, o := range []struct {
		flag string
		set  bool
	}{{"--force", f.force}, {"--checksum", f.checksum}, {"--retry-failed", f.retryFailed}, {"--verify", f.verify}} {
		if o.set {
			args = append(args, o.flag)
		}
	}
	for i, arg := range args {
		if strings.ContainsAny(arg, " \t'\"*?[]$&;|<>()`\\") {
			args[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	return strings.Join(args, " ") + " --approve " + id
}
