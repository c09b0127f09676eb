package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
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
	Backup string // the copy beside it; empty: there is none
	Err    error
}

func (s *Store) damaged(err error) *DamagedError {
	e := &DamagedError{Path: s.path, Err: err}
	if fi, err := os.Stat(backupPath(s.path)); err == nil && fi.Mode().IsRegular() {
		e.Backup = backupPath(s.path)
	}
	return e
}

func (e *DamagedError) Error() string { return fmt.Sprintf("state %q is damaged: %v", e.Path, e.Err) }
func (e *DamagedError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *DamagedError) Hint() string {
	if e.Backup != "" {
		return fmt.Sprintf("copy %q, the backup of the last good run, over it: only pictures uploaded since are uploaded again", e.Backup)
	}
	return "restore it from a backup, or move it away: then every picture is uploaded again"
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
