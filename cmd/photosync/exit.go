package main

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"photosync/cmd/internal/console"
	"photosync/state"
	"photosync/sync/job"
	"photosync/sync/report"
)

// Exit codes. They are part of the contract with cron jobs and CronJobs.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitAttention   = 3
	exitHeld        = 4
	exitLocked      = 5
	exitInterrupted = 6
	exitChanges     = 10 // plan only
)

// usageError is a mistake in the command line or the configuration. Nobody was contacted.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// usage makes err a usageError; nil stays nil.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// exitCode returns the exit code of a run. r may be nil if err is not.
func exitCode(r *report.Report, err error) int {
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*state.LockedError](err); ok {
		return exitLocked
	}
	switch {
	case job.Held(err):
		return exitHeld
	case job.Stopped(err):
		return exitInterrupted
	case err != nil:
		return exitFailed
	case r.Mode == job.Plan && r.Totals.Planned+len(r.Guards) > 0:
		return exitChanges
	case r.NeedsSomebody():
		return exitAttention
	}
	return exitDone
}

// ending is an exit code, as --help, the man pages and the docs explain it. of names the commands that
// can end with it, subcommands included; empty: all.
type ending struct {
	code        int
	meaning, of string
}

var endings = []ending{
	{exitDone, "done; nothing failed, or there was nothing to do", ""},
	{exitFailed, "it failed: a source or Smartsheet unreachable, the token refused, state or report not writable", ""},
	{exitUsage, "usage or configuration error; nothing was contacted", ""},
	{exitAttention, "done, but somebody is needed: a finding about the whole run, or people who failed, are partially successful, ambiguous, held for a shared picture, have a refused picture, or are unverified", "sync plan apply check"},
	{exitHeld, "a guard held the run back; nothing was written", "sync apply"},
	{exitLocked, "another run holds the state", "sync plan apply explain state"},
	{exitInterrupted, "stopped early (a signal, --max-duration, Smartsheet's maintenance, a quota that others use up); all that was done is recorded", "sync plan apply demo"},
	{exitChanges, "there are changes", "sync plan"},
}

// helpText has the help of all commands.
//
//go:embed help.txt
var helpText string

// complete gives cmd, and every command below it, what all commands have: the text from help.txt, no arguments
// unless cmd allows them, and, if cmd itself does nothing, the help. A command sets a.begun when it begins.
func (a *app) complete(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		a.complete(c)
	}
	if _, text, found := strings.Cut(helpText, "== "+cmd.CommandPath()+"\n"); found {
		text, _, _ = strings.Cut(text, "\n\n== ")
		parts := strings.Split(text, "\n--\n") // a line, the help, examples
		cmd.Short, cmd.Long, cmd.Example = parts[0], parts[1], strings.TrimRight(parts[2], "\n")
	}
	cmd.Long = cmp.Or(cmd.Long, cmd.Short+".")
	if cmd.Args == nil {
		cmd.Args = cobra.NoArgs
	}
	do := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var err error
		cmd.Flags().Visit(func(f *pflag.Flag) { // an empty value is often an unset variable of a script
			if f.Value.Type() == "string" && f.Value.String() == "" {
				err = fmt.Errorf("--%s is empty", f.Name)
			}
		})
		if err != nil {
			return err
		}
		a.begun = true
		if do == nil {
			return cmd.Help()
		}
		return do(cmd, args)
	}
}

// addEndings adds the exit codes to the help of a command that is not only a name for others.
func addEndings(cmd *cobra.Command) {
	if cmd.HasSubCommands() && cmd.HasParent() {
		return
	}
	cmd.Long += "\n\nExit codes:"
	for _, e := range endingsOf(cmd) {
		cmd.Long += "\n" + console.Wrap(fmt.Sprintf("  %-3d %s", e.code, e.meaning), 78, 6)
	}
}

// usageHint shows the usage of a command, or suggests another.
func usageHint(cmd *cobra.Command) string {
	if !cmd.HasSubCommands() {
		return "usage: " + cmd.UseLine() + "; more with --help"
	}
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(cmd.Flags().Arg(0)); len(near) > 0 && cmd.Flags().NArg() > 0 {
		return fmt.Sprintf("did you mean %q?", cmd.CommandPath()+" "+near[0])
	}
	return cmd.CommandPath() + " --help shows the commands"
}

// endingsOf returns the exit codes of a command; of photosync itself, all of them.
func endingsOf(cmd *cobra.Command) []ending {
	names := strings.Fields(cmd.CommandPath())
	return slices.DeleteFunc(slices.Clone(endings), func(e ending) bool {
		return len(names) > 1 && e.of != "" && !slices.Contains(strings.Fields(e.of), names[1])
	})
}
