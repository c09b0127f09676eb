package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"photosync/cmd/internal/config"
	"photosync/state"
	"photosync/sync/job"
	"photosync/sync/report"
)

func (a *app) check() *cobra.Command {
	var file, output, uploadTest string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Try everything that a run needs, and say what to do where it fails",
		Long: `Try everything that a run needs, and say what to do where it fails: the configuration,
each source, the state, Smartsheet, the clock, and the folder for reports. No picture is
uploaded, and nothing is recorded, unless --upload-test asks for it: that uploads one
person's picture as "sync --only EMAIL --force" would.

It fails if a run could not begin.`,
		Example: "  photosync check --config /etc/photosync/config.yaml\n  photosync check --upload-test ann@example.com",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return usage(fmt.Errorf("--output %q: want text or json", output))
			}
			a.json = output == "json"
			file, err := config.Find(file, a.env)
			if err != nil {
				return usage(err)
			}
			c, err := a.load(file)
			if err != nil {
				return usage(err)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			k := &checkup{examples: map[string]bool{}}
			k.everything(ctx, file, c)
			if uploadTest != "" {
				k.uploadTest(ctx, a, c, uploadTest)
			}
			if k.count(bad) > 0 {
				a.code = exitFailed
			}
			if a.json {
				return printCheckupJSON(a.stdout, k.findings)
			}
			printCheckup(a.stdout, k.findings)
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "config", "", configUsage)
	cmd.Flags().StringVar(&output, "output", "text", "text or json")
	cmd.Flags().StringVar(&uploadTest, "upload-test", "", "upload the picture of the person with this `EMAIL` for real, and record it")
	return cmd
}

// Marks of a finding.
const (
	good    = "✓"
	warning = "!"
	bad     = "✗"
)

// finding is one line of a checkup.
type finding struct {
	mark   string
	what   string
	detail string
	remedy string // what to do; empty: nothing
}

// checkup collects findings.
type checkup struct {
	findings []finding
	account  *state.Account  // that the state belongs to; nil: none yet
	examples map[string]bool // addresses of people with a photo; true: a user of Smartsheet
}

func (k *checkup) everything(ctx context.Context, file string, c *config.Config) {
	k.config(file, c)
	k.sources(ctx, c)
	k.state(c.State.Path)
	k.smartsheet(ctx, c)
	k.report(c.Report.Dir)
}

func (k *checkup) add(mark, what, detail, remedy string) {
	k.findings = append(k.findings, finding{mark, what, detail, remedy})
}

// fail adds an error with its own hint, or else this remedy.
func (k *checkup) fail(what string, err error, remedy string) {
	if h := job.Hint(err); h != "" {
		remedy = h
	}
	k.add(bad, what, err.Error(), remedy)
}

func (k *checkup) count(mark string) (n int) {
	for _, f := range k.findings {
		if f.mark == mark {
			n++
		}
	}
	return n
}

// printCheckupJSON writes what a checkup found as one line of JSON.
func printCheckupJSON(w io.Writer, findings []finding) error {
	type line struct {
		Status string `json:"status"` // ok, warning or problem
		What   string `json:"what"`
		Detail string `json:"detail"`
		Remedy string `json:"remedy,omitempty"`
	}
	out := struct {
		MessageType string `json:"message_type"` // "check"
		Result      string `json:"result"`       // ok or problem
		Findings    []line `json:"findings"`
	}{"check", "ok", []line{}}
	names := map[string]string{good: "ok", warning: "warning", bad: "problem"}
	for _, f := range findings {
		if f.mark == bad {
			out.Result = "problem"
		}
		out.Findings = append(out.Findings, line{names[f.mark], f.what, f.detail, f.remedy})
	}
	return json.NewEncoder(w).Encode(out)
}

func (k *checkup) config(file string, c *config.Config) {
	k.add(good, "config", file, "")
	for _, w := range c.Warnings {
		detail, remedy, _ := strings.Cut(w, "): ")
		if remedy != "" {
			detail += ")"
		}
		k.add(warning, "config", detail, remedy)
	}
}

// state looks at the state file and its folder, and leaves both as they were.
func (k *checkup) state(path string) {
	if err := writable(path); err != nil {
		k.fail("state", &state.AccessError{Path: path, Err: err}, "")
		return
	}
	st, err := state.Open(path, state.Options{ReadOnly: true})
	if _, locked := errors.AsType[*state.LockedError](err); locked {
		k.add(warning, "state", err.Error(), "a run is under way: nothing to do")
		return
	}
	if err != nil {
		k.fail("state", err, "")
		return
	}
	defer st.Close()
	account, bound := st.Account()
	if !bound {
		k.add(good, "state", path+": nothing recorded yet", "")
		return
	}
	k.account = &account
	k.add(good, "state", fmt.Sprintf("%s: of account %q", path, account.Name), "")
}

// writable proves that the file can be written, and files beside it made. A folder
// that is missing must be one that can be made.
func writable(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		f.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir := filepath.Dir(path)
	for {
		tmp, err := os.CreateTemp(dir, ".photosync-*.tmp")
		if err == nil {
			return errors.Join(tmp.Close(), os.Remove(tmp.Name()))
		}
		if parent := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && parent != dir {
			dir = parent
			continue
		}
		return err
	}
}

func (k *checkup) report(dir string) {
	if err := report.CheckDir(dir); err != nil {
		k.fail("report", err, "")
		return
	}
	k.add(good, "report", dir+": can be written", "")
}
