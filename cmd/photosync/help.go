package main

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"photosync/cmd/internal/console"
)

// exitMeanings say what each exit code means: in --help, in the man pages, and, the
// same words, in the README.
var exitMeanings = map[int]string{
	exitDone:        "done; nothing failed, or there was nothing to do",
	exitFailed:      "the run failed: a source or Smartsheet unreachable, the token refused, state or report not writable",
	exitUsage:       "usage or configuration error; nothing was contacted",
	exitAttention:   "done, but somebody is needed: a finding about the whole run, or people who failed, are partially successful, ambiguous, held for a shared picture, have a refused picture, or are unverified",
	exitHeld:        "a guard held the run back; nothing was written",
	exitLocked:      "another run holds the state",
	exitInterrupted: "stopped early (a signal, --max-duration, Smartsheet's maintenance, a quota that others use up); all that was done is recorded",
	exitChanges:     "there are changes",
}

// exitCodes are those that a command, and those below it, can end with; others end
// with the usual ones.
var exitCodes = map[string][]int{
	"sync":  {exitDone, exitFailed, exitUsage, exitAttention, exitHeld, exitLocked, exitInterrupted, exitChanges},
	"apply": {exitDone, exitFailed, exitUsage, exitAttention, exitHeld, exitLocked, exitInterrupted},
	"plan":  {exitDone, exitFailed, exitUsage, exitAttention, exitLocked, exitInterrupted, exitChanges},
	"check": {exitDone, exitFailed, exitUsage, exitAttention},
	"demo":  {exitDone, exitFailed, exitUsage, exitInterrupted},

	"explain": {exitDone, exitFailed, exitUsage, exitLocked},
	"state":   {exitDone, exitFailed, exitUsage, exitLocked},
}

var usualExitCodes = []int{exitDone, exitFailed, exitUsage}

// usualMeanings are what the codes mean where there is no run.
var usualMeanings = map[int]string{
	exitDone: "done", exitFailed: "it failed", exitUsage: "usage or configuration error", exitLocked: "a run holds the state",
	exitAttention: "a run would find that somebody is needed",
}

// helpText has what the commands say of themselves.
//
//go:embed help.txt
var helpText string

// describe completes every command below cmd: what help.txt says of it, its exit codes,
// and which of its flags are files.
func describe(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		describe(c)
	}
	if _, text, found := strings.Cut(helpText, "\n== "+cmd.CommandPath()+"\n"); found {
		text, _, _ = strings.Cut(text, "\n\n== ")
		parts := strings.Split(text, "\n--\n") // a line, the help, examples
		cmd.Short, cmd.Long, cmd.Example = parts[0], parts[1], strings.TrimRight(parts[2], "\n")
	}
	if cmd.HasParent() && cmd.Runnable() && !cmd.HasSubCommands() {
		if cmd.Long == "" {
			cmd.Long = cmd.Short + "."
		}
		codes, meanings := codesOf(cmd), exitMeanings
		if !slices.Contains(codes, exitInterrupted) {
			meanings = usualMeanings
		}
		cmd.Long += "\n\n" + exitText(codes, meanings)
	}
	for flag, extensions := range map[string][]string{"config": {"yaml", "yml"}, "report-dir": nil} {
		if f := cmd.Flags().Lookup(flag); f != nil && extensions != nil {
			_ = cmd.MarkFlagFilename(flag, extensions...) // likewise
		} else if f != nil {
			_ = cmd.MarkFlagDirname(flag) // likewise
		}
	}
}

// typeErrors gives cobra's complaints about a command line their type: those about
// arguments, flags, and flags that exclude each other.
func typeErrors(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		typeErrors(c)
	}
	misused := func(cmd *cobra.Command, args []string, err error) error {
		if err == nil {
			return nil
		}
		return usage(hinted{err, usageHint(cmd, args)})
	}
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error { return misused(cmd, args, check(cmd, args)) }
	}
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error { return misused(cmd, nil, cmd.ValidateFlagGroups()) }
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return misused(cmd, nil, err) })
}

// usageHint shows how a command is called, or which one was meant.
func usageHint(cmd *cobra.Command, args []string) string {
	if !cmd.HasSubCommands() {
		return "usage: " + cmd.UseLine() + "; more with --help"
	}
	cmd.SuggestionsMinimumDistance = 2
	if len(args) > 0 {
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return fmt.Sprintf("did you mean %q?", cmd.CommandPath()+" "+near[0])
		}
	}
	return cmd.CommandPath() + " --help shows the commands"
}

// codesOf are the exit codes that a command can end with.
func codesOf(cmd *cobra.Command) []int {
	if codes := exitCodes[strings.Fields(cmd.CommandPath())[1]]; codes != nil {
		return codes
	}
	return usualExitCodes
}

func exitText(codes []int, meanings map[int]string) string {
	var b strings.Builder
	b.WriteString("Exit codes:")
	for _, code := range codes {
		b.WriteString("\n" + console.Wrap(fmt.Sprintf("  %-3d %s", code, meanings[code]), 78, 6))
	}
	return b.String()
}
