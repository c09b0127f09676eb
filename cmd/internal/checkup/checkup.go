// Package checkup is the doctor: it tries every part that a run needs, with the
// functions that a run uses, and says what to do where one fails. It uploads nothing
// and records nothing, unless it is asked to upload one picture.
package checkup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"photosync/cmd/internal/config"
	"photosync/cmd/internal/console"
	"photosync/sources"
	"photosync/state"
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
	Client  func(config.Smartsheet) (*smartsheet.Client, error)
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
	if dir := o.Config.Report.Dir; k.works("report", report.CheckDir(dir), "") {
		k.add(console.OK, "report", dir+": can be written", "")
	}
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

// works adds an error, if there is one, with its own hint, or else this remedy, and
// reports whether there is none.
func (k *checkup) works(what string, err error, remedy string) bool {
	if err != nil {
		k.add(console.Problem, what, err.Error(), cmp.Or(outcome.Hint(err), remedy))
	}
	return err == nil
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
		k.works("state", &state.AccessError{Path: path, Err: err}, "")
		return
	}
	st, err := state.Open(path, state.Options{ReadOnly: true})
	if _, locked := errors.AsType[*state.LockedError](err); locked {
		k.add(console.Warning, "state", err.Error(), "a run is under way: nothing to do")
		return
	}
	if !k.works("state", err, "") {
		return
	}
	defer st.Close()
	text := path + ": nothing recorded yet"
	if account, bound := st.Account(); bound {
		k.account, text = &account, fmt.Sprintf("%s: of account %q", path, account.Name)
	}
	k.add(console.OK, "state", text, "")
}

// writable proves that the file can be written, and files beside it made. A folder
// that is missing must be one that can be made.
func writable(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		err = f.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err = fs.ErrNotExist
	for dir := path; errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir); {
		dir = filepath.Dir(dir)
		var tmp *os.File
		if tmp, err = os.CreateTemp(dir, ".photosync-*.tmp"); err == nil {
			err = errors.Join(tmp.Close(), os.Remove(tmp.Name()))
		}
	}
	return err
}
