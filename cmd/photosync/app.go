package main

import (
	"io"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
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

// exit prints err, if any, and returns the exit code.
func (a *app) exit(err error) int {
	if err == nil {
		return a.code
	}
	printError(a.stderr, err)
	code := exitCode(nil, err)
	if a.json {
		(&lines{w: a.stdout}).error(err, code) // stderr has it in any case
	}
	return code
}

// logger writes to w, which ends at stderr: for people on a terminal, JSON
// otherwise. Every line has the run's id.
func (a *app) logger(w io.Writer, level, format, runID string) zerolog.Logger {
	tty := isTerminal(a.stderr)
	if format == "console" || format == "auto" && tty {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !tty || a.env("NO_COLOR") != "", TimeFormat: time.TimeOnly}
	}
	l, err := zerolog.ParseLevel(level)
	if err != nil {
		l = zerolog.InfoLevel
	}
	// Workers log at the same moment.
	return zerolog.New(zerolog.SyncWriter(w)).Level(l).With().Timestamp().Str("run_id", runID).Logger()
}
