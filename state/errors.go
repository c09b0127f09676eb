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

// Every error type here has a Hint, which says in one line what to do.

// LockedError means that another process has the state open.
type LockedError struct {
	Path string
	holder
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("open state %q: another run, or a plan, has it open", e.Path)
	}
	return fmt.Sprintf("open state %q: held by process %d on %s since %s", e.Path, e.PID, e.Host, e.Since.Format(time.RFC3339))
}

func (e *LockedError) Hint() string {
	return "wait until the other run has ended, or give each its own state.path"
}

// Error is any other fault of a state: it is of another account, version or shard, in
// use, missing beside its backup, or could not be backed up or imported.
type Error struct {
	text string
	hint string
	err  error // that led to it; may be nil
}

func (e *Error) Error() string { return e.text }
func (e *Error) Hint() string  { return e.hint }
func (e *Error) Unwrap() error { return e.err }

// refused is the Error of a state that is not for this use.
func refused(path, why, hint string) error {
	return &Error{text: fmt.Sprintf("state %q %s", path, why), hint: hint}
}

// hintOf is the hint of err; empty: it is no error of this package.
func hintOf(err error) string {
	if h, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		return h.Hint()
	}
	return ""
}

// DamagedError means that the state cannot be read.
type DamagedError struct {
	Path   string
	Backup string // the copy beside it, read back whole; empty: there is none
	Err    error
}

// damaged is err as one of a damaged state, unless it is one of this package's
// already.
func (s *Store) damaged(err error) error {
	if hintOf(err) != "" {
		return err
	}
	s.backup.Do(func() {
		if !hasBackup(s.path) {
			return
		}
		if _, err := readThrough(backupPath(s.path), true); err == nil {
			s.backupFile = backupPath(s.path)
		}
	})
	return &DamagedError{Path: s.path, Backup: s.backupFile, Err: err}
}

func (e *DamagedError) Error() string { return fmt.Sprintf("state %q is damaged: %v", e.Path, e.Err) }
func (e *DamagedError) Unwrap() error { return e.Err }

func (e *DamagedError) Hint() string {
	if e.Backup != "" {
		return fmt.Sprintf("photosync state restore puts back the backup of the last good run, %s; "+
			"then only pictures uploaded since are uploaded again", quoted(e.Backup))
	}
	return "there is no good backup beside it: restore one of yours, or " + startAnew(e.Path, ".damaged")
}

// startAnew is the rest of a hint: how to go on without a state.
func startAnew(path, suffix string) string {
	return fmt.Sprintf("move it away: mv %s %s; then photosync state adopt takes the pictures in Smartsheet for uploaded, "+
		"or the next run uploads every picture again", quoted(path), quoted(path+suffix))
}

// quoted is a path as a shell takes it.
func quoted(path string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-"
	if strings.Trim(path, plain) == "" && !strings.HasPrefix(path, "-") {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// AccessError means that the file system would not let the state be read or
// written.
type AccessError struct {
	Path string
	Err  error
}

// access gives an error of the file system the state's words and hint, unless it has
// some of this package already.
func access(path string, err error) error {
	if err == nil || hintOf(err) != "" {
		return err
	}
	return &AccessError{Path: path, Err: err}
}

func (e *AccessError) Error() string {
	err := e.Err
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	} else if le, ok := errors.AsType[*os.LinkError](err); ok {
		err = le.Err
	}
	return fmt.Sprintf("state %q: %v", e.Path, err)
}
func (e *AccessError) Unwrap() error { return e.Err }

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
