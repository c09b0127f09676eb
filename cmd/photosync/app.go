package main

import (
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"photosync/cmd/internal/console"
	"photosync/sync/job"
)

// app is what the commands share.
type app struct {
	env            func(string) string
	stdout, stderr io.Writer
	code           int  // of a command that ended without an error
	json           bool // what the command prints is JSON, and so are errors
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "photosync",
		Short: "Copy employee photos from LDAP, Active Directory or a folder to Smartsheet profiles",
		Long: "Copy employee photos from LDAP, Active Directory or a folder to Smartsheet profiles.\n\n" +
			exitText(slices.Sorted(maps.Keys(exitMeanings)), exitMeanings),
		SilenceErrors: true, SilenceUsage: true,
		// Without a command there is nothing sensible to do but to explain.
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Args: cobra.NoArgs, Version: build().String(),
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(a.sync(), a.plan(), a.apply(), a.explain(), a.check(), a.report(), a.state(), a.init(), a.config(), a.oauth(), a.demo(), a.simulate(), a.version())
	describe(root)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.InitDefaultCompletionCmd() // writes to what stdout is now
	if c, _, err := root.Find([]string{"completion"}); err == nil {
		c.RunE = root.RunE // or a shell that it does not know would get the help, and exit code 0
	}
	typeErrors(root)
	return root
}

// out prints for people on stdout.
func (a *app) out() *console.Console { return console.New(a.stdout, a.env) }

// exit prints err, if any, and returns the exit code.
func (a *app) exit(err error) int {
	if err == nil {
		return a.code
	}
	console.New(a.stderr, a.env).Error(err, job.Hint(err))
	code := exitCode(nil, err)
	if a.json {
		console.NewLines(a.stdout).Error(err, job.Hint(err), code) // stderr has it in any case
	}
	return code
}
