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

func (e *AccountError) Hint() string {
	return "use the token of that account, or another state.path for this one"
}

// VanishedError means that there is no state, although its backup lies beside it: it
// is not taken for a new one.
type VanishedError struct {
	Path, Backup string
}

func (e *VanishedError) Error() string {
	return fmt.Sprintf("state %q is missing, although its backup %q is there", e.Path, e.Backup)
}

func (e *VanishedError) Hint() string {
	return fmt.Sprintf("photosync state restore puts the backup back; to begin anew, and upload every picture again, "+
		"move it away: mv %s %s", quoted(e.Backup), quoted(e.Backup+".old"))
}

// RefusedError means that the state is not for this use: of another version, of a
// shard, in use, replaced while it was open, or with nothing to restore.
type RefusedError struct {
	Path    string
	message string // what it is
	hint    string
}

func (e *RefusedError) Error() string { return fmt.Sprintf("state %q %s", e.Path, e.message) }
func (e *RefusedError) Hint() string  { return e.hint }

// DamagedError means that the state cannot be read.
type DamagedError struct {
	Path   string
	Backup string // the copy beside it, read back whole; empty: there is none
	Err    error
}

func (s *Store) damaged(err error) *DamagedError {
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

// unreadable is err as one of a damaged state, unless it is one of this package's
// already.
func (s *Store) unreadable(err error) error {
	if _, own := err.(interface{ Hint() string }); own {
		return err
	}
	return s.damaged(err)
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

// access gives an error of the file system the state's words and hint, unless it has
// some of this package already.
func access(path string, err error) error {
	if _, own := err.(interface{ Hint() string }); own || err == nil {
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

// BackupError means that no backup of the state could be made. The one before is still
// there.
type BackupError struct {
	Path string    // of the backup
	Last time.Time // when the one before was made; zero: there is none
	Err  error
}

func (e *BackupError) Error() string {
	last := "it has none yet"
	if !e.Last.IsZero() {
		last = "the last one is of " + e.Last.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("back up the state (%s): %v", last, e.Err)
}
func (e *BackupError) Unwrap() error { return e.Err }

func (e *BackupError) Hint() string {
	if h, ok := e.Err.(interface{ Hint() string }); ok {
		return h.Hint()
	}
	return "the folder of the state must have room for two copies of it"
}

// ImportError means that a file cannot be imported; the state is as it was.
type ImportError struct {
	Export int // of several that follow each other, from 1
	Line   int // of it; 0: none in particular
	Err    error
}

func (e *ImportError) Error() string {
	switch {
	case e.Line == 0:
		return fmt.Sprintf("import state: %v", e.Err)
	case e.Export > 1:
		return fmt.Sprintf("import state: line %d of export %d: %v", e.Line, e.Export, e.Err)
	}
	return fmt.Sprintf("import state: line %d: %v", e.Line, e.Err)
}
func (e *ImportError) Unwrap() error { return e.Err }

func (e *ImportError) Hint() string {
	if h, ok := e.Err.(interface{ Hint() string }); ok {
		return h.Hint()
	}
	return "nothing was changed: export the state again, and copy the file whole"
}
