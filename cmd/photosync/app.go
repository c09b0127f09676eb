package main

import (
	"io"

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
		Long: `Copy employee photos from LDAP, Active Directory or a folder to Smartsheet profiles.

Exit codes: 0 done, 1 the run failed, 2 usage or configuration error (nothing was
contacted), 3 done but some people need attention, 4 a guard held the
run back (nothing was written), 5 another run holds the state,
6 stopped early (the next run continues). plan adds 10: there are changes.`,
		SilenceErrors: true, SilenceUsage: true,
		// Without a command there is nothing sensible to do but to explain.
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Args: cobra.NoArgs, Version: build().String(),
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(a.sync(), a.plan(), a.apply(), a.explain(), a.check(), a.report(), a.state(), a.init(), a.config(), a.demo(), a.simulate(), a.version(), a.man())
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
