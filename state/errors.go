package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
)

// LockedError means that another process has the state open.
type LockedError struct {
	Path  string
	PID   int    // 0: not known
	Host  string // of the other process
	Since time.Time
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("open state %q: another run, or a plan, has it open", e.Path)
	}
	return fmt.Sprintf("open state %q: held by process %d on %s since %s", e.Path, e.PID, e.Host, e.Since.Format(time.RFC3339))
}

// Hint says what to do.
func (e *LockedError) Hint() string {
	return "wait until the other run has ended, or give each its own state.path"
}

// AccountError means that the state belongs to another Smartsheet account.
type AccountError struct {
	Path       string
	Have, Want Account
}

func (e *AccountError) Error() string {
	return fmt.Sprintf("state %q belongs to account %d %q at %s, but the token to account %d %q at %s",
		e.Path, e.Have.ID, e.Have.Name, e.Have.Root, e.Want.ID, e.Want.Name, e.Want.Root)
}

// Hint says what to do.
func (e *AccountError) Hint() string {
	return "use the token of that account, or another state.path for this one"
}

// NewerError means that a newer version of the program wrote the state.
type NewerError struct {
	Path    string
	Version int
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("open state %q: written by a newer photosync (schema %d, this one knows %d)", e.Path, e.Version, schemaVersion)
}

// Hint says what to do.
func (e *NewerError) Hint() string { return "run the newer photosync" }

// DamagedError means that the state cannot be read.
type DamagedError struct {
	Path   string
	Backup string // the copy beside it, read back whole; empty: there is none
	Err    error
}

func (s *Store) damaged(err error) *DamagedError {
	s.backup.Do(func() {
		if fi, err := os.Stat(backupPath(s.path)); err != nil || !fi.Mode().IsRegular() {
			return
		}
		if _, err := readThrough(backupPath(s.path), true); err == nil {
			s.backupFile = backupPath(s.path)
		}
	})
	return &DamagedError{Path: s.path, Backup: s.backupFile, Err: err}
}

// unreadable is err as one of a damaged state, once.
func (s *Store) unreadable(err error) error {
	if d, ok := errors.AsType[*DamagedError](err); ok {
		return d
	}
	return s.damaged(err)
}

func (e *DamagedError) Error() string { return fmt.Sprintf("state %q is damaged: %v", e.Path, e.Err) }
func (e *DamagedError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *DamagedError) Hint() string {
	if e.Backup != "" {
		return fmt.Sprintf("put back the backup of the last good run: cp %s %s; then only pictures uploaded since are uploaded again",
			quoted(e.Backup), quoted(e.Path))
	}
	return fmt.Sprintf("there is no good backup beside it: restore one of yours, or move it away: mv %s %s; "+
		"then photosync state adopt takes the pictures in Smartsheet for uploaded, or the next run uploads every picture again",
		quoted(e.Path), quoted(e.Path+".damaged"))
}

// quoted is a path as a shell takes it.
func quoted(path string) string {
	if strings.ContainsFunc(path, func(r rune) bool {
		return !(r == '/' || r == '.' || r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
	}) || strings.HasPrefix(path, "-") {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}

// AccessError means that the file system would not let the state be read or
// written.
type AccessError struct {
	Path string
	Err  error
}

func (e *AccessError) Error() string {
	err := e.Err
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	return fmt.Sprintf("state %q: %v", e.Path, err)
}
func (e *AccessError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *AccessError) Hint() string {
	switch {
	case errors.Is(e.Err, syscall.ENOSPC):
		return "make room on that disk; what was uploaded and not recorded is uploaded once more by the next run"
	case errors.Is(e.Err, syscall.EROFS):
		return "the disk is mounted read-only: mount it writable, or choose another state.path"
	case errors.Is(e.Err, syscall.EIO):
		return "the disk is failing: see the system's log; what was uploaded and not recorded is uploaded once more by the next run"
	case errors.Is(e.Err, fs.ErrPermission):
		return "give the user that runs photosync read and write access to the file and its folder, or choose another state.path"
	}
	return "check state.path: a file on a local, writable disk"
}

// ImportError means that a file cannot be imported; the state is as it was.
type ImportError struct {
	Export int // of several that follow each other, from 1
	Line   int // of it; 0: none in particular
	Err    error
}

func (e *ImportError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("import state: %v", e.Err)
	}
	if e.Export > 1 {
		return fmt.Sprintf("import state: line %d of export %d: %v", e.Line, e.Export, e.Err)
	}
	return fmt.Sprintf("import state: line %d: %v", e.Line, e.Err)
}
func (e *ImportError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *ImportError) Hint() string {
	if _, ok := errors.AsType[*OccupiedError](e.Err); ok {
		return "choose another state.path, or add --replace: what is there now then becomes the backup beside it"
	}
	return "nothing was changed: export the state again, and copy the file whole"
}

// OccupiedError means that a state holds people, or belongs to another account.
type OccupiedError struct {
	Path   string
	People int
}

func (e *OccupiedError) Error() string {
	return fmt.Sprintf("state %q is in use already: it remembers %d people, or belongs to another account than the export", e.Path, e.People)
}
