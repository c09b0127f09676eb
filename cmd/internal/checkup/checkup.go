// Package checkup is the doctor: it tries every part that a run needs, with the
// functions that a run uses, and says what to do where one fails. It uploads nothing
// and records nothing, unless it is asked to upload one picture.
package checkup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"photosync/cmd/internal/config"
	"photosync/cmd/internal/console"
	"photosync/sources"
	"photosync/state"
	"photosync/sync/job"
	"photosync/sync/outcome"
	"photosync/sync/photo"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
)

// Options of Run: the configuration, and how a run opens what it names.
type Options struct {
	File   string // of the configuration
	Config *config.Config

	Sources func(*config.Config) (srcs []sources.Named, closeAll func(), err error)
	Client  func(http.RoundTripper, config.Smartsheet) (*smartsheet.Client, error)
	Photos  photo.Options
	Root    string // of the API

	UploadTest string                                                          // upload the picture of the person with this address; empty: of nobody
	Upload     func(ctx context.Context, email string) (*report.Report, error) // a sync of this person alone
}

// Run tries everything, and returns what it found.
func Run(ctx context.Context, o Options) []console.Check {
	k := &checkup{Options: o}
	k.config()
	k.sources(ctx)
	k.state()
	k.smartsheet(ctx)
	k.report()
	k.upload(ctx)
	return k.checks
}

// checkup is one in the making.
type checkup struct {
	Options
	checks    []console.Check
	account   *state.Account   // that the state belongs to; nil: none yet
	withPhoto []sources.Person // whose photos were read
}

func (k *checkup) add(status, what, detail, remedy string) {
	k.checks = append(k.checks, console.Check{Status: status, What: what, Detail: detail, Remedy: remedy})
}

// find adds a finding that a run would report, too, in the same words.
func (k *checkup) find(what string, f outcome.Finding, sample string) {
	status := console.Note
	if f.Severity == outcome.Attention {
		status = console.Warning
	}
	k.checks = append(k.checks, console.Check{Status: status, What: what, Detail: sample + f.Message, Remedy: f.Hint, Finding: f.Code})
}

// fail adds an error with its own hint, or else this remedy.
func (k *checkup) fail(what string, err error, remedy string) {
	if h := job.Hint(err); h != "" {
		remedy = h
	}
	k.add(console.Problem, what, err.Error(), remedy)
}

func (k *checkup) failed() bool {
	return slices.ContainsFunc(k.checks, func(c console.Check) bool { return c.Status == console.Problem })
}

func (k *checkup) config() {
	k.add(console.OK, "config", k.File, "")
	for _, w := range k.Config.Warnings {
		detail, remedy, _ := strings.Cut(w, "): ")
		if remedy != "" {
			detail += ")"
		}
		k.add(console.Warning, "config", detail, remedy)
	}
}

// state looks at the state file and its folder, and leaves both as they were.
func (k *checkup) state() {
	path := k.Config.State.Path
	if err := writable(path); err != nil {
		k.fail("state", &state.AccessError{Path: path, Err: err}, "")
		return
	}
	st, err := state.Open(path, state.Options{ReadOnly: true})
	if _, locked := errors.AsType[*state.LockedError](err); locked {
		k.add(console.Warning, "state", err.Error(), "a run is under way: nothing to do")
		return
	}
	if err != nil {
		k.fail("state", err, "")
		return
	}
	defer st.Close()
	account, bound := st.Account()
	if !bound {
		k.add(console.OK, "state", path+": nothing recorded yet", "")
		return
	}
	k.account = &account
	k.add(console.OK, "state", fmt.Sprintf("%s: of account %q", path, account.Name), "")
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

func (k *checkup) report() {
	dir := k.Config.Report.Dir
	if err := report.CheckDir(dir); err != nil {
		k.fail("report", err, "")
		return
	}
	k.add(console.OK, "report", dir+": can be written", "")
}
