package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"photosync/sync/safefile"
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

// holder is the note beside an open state that names who has it open. The lock is bbolt's
// on the file, and ends with its process: a note that a crash left behind blocks nobody.
type holder struct {
	PID   int       `json:"pid"` // 0: not known
	Host  string    `json:"host"`
	Since time.Time `json:"since"`
}

func holderPath(path string) string { return path + ".holder" }

// writeHolder leaves the note. Without it a second run still ends, only less clearly.
func writeHolder(path string) holder {
	host, _ := os.Hostname()
	h := holder{PID: os.Getpid(), Host: host, Since: time.Now().Truncate(time.Second)}
	os.Remove(holderPath(path)) // an old note would name the wrong process
	if f, err := safefile.Create(holderPath(path), ""); err == nil {
		safefile.Own(f.File, path)
		json.NewEncoder(f).Encode(h)
		f.Close()
	}
	return h
}

// remove takes the note away, unless another reader has left its own since.
func (h holder) remove(path string) {
	if now := readHolder(path); now.PID == h.PID && now.Host == h.Host {
		os.Remove(holderPath(path))
	}
}

// readHolder returns the zero holder if there is no readable note.
func readHolder(path string) (h holder) {
	data, err := safefile.Read(holderPath(path))
	if err != nil || json.Unmarshal(data, &h) != nil {
		return holder{}
	}
	return h
}

// Error is any other fault: a state that is not for this use, or cannot be reached.
type Error struct {
	text, hint string
	err        error // that led to it; may be nil
}

func (e *Error) Error() string { return e.text }
func (e *Error) Hint() string  { return e.hint }
func (e *Error) Unwrap() error { return e.err }

// refused is the Error of a state that is not for this use.
func refused(path, why, hint string) error {
	return &Error{text: fmt.Sprintf("state %q %s", path, why), hint: hint}
}

// hinted reports whether err is one of this package.
func hinted(err error) bool {
	var e interface{ Hint() string }
	return errors.As(err, &e)
}

// DamagedError means that the state cannot be read.
type DamagedError struct {
	Path string
	Err  error
}

// damaged is err as one of a damaged state, unless it is one of this package's already.
func (s *Store) damaged(err error) error {
	if err == nil || hinted(err) {
		return err
	}
	return &DamagedError{Path: s.path, Err: err}
}

func (e *DamagedError) Error() string { return fmt.Sprintf("state %q is damaged: %v", e.Path, e.Err) }
func (e *DamagedError) Unwrap() error { return e.Err }

// Hint names the backup if it is whole: for that it is read.
func (e *DamagedError) Hint() string {
	if hasBackup(e.Path) {
		if _, err := readThrough(backupPath(e.Path), true); err == nil {
			return fmt.Sprintf("photosync state restore puts back the backup of the last good run, %s; "+
				"then only pictures uploaded since are uploaded again", quoted(backupPath(e.Path)))
		}
	}
	return "there is no good backup beside it: restore one of yours, or " + startAnew(e.Path, ".damaged")
}

// startAnew is the rest of a hint: how to go on without a state.
func startAnew(path, suffix string) string {
	return fmt.Sprintf("move it away: mv %s %s; then photosync state adopt takes the pictures in Smartsheet for uploaded, "+
		"or the next run uploads every picture again", quoted(path), quoted(path+suffix))
}

// quoted is a path as a shell takes it.
func quoted(path string) string { return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'" }

// Inaccessible is the Error of a file system that would not let the state at path be read
// or written. It leaves an error of this package as it is.
func Inaccessible(path string, err error) error {
	if err == nil || hinted(err) {
		return err
	}
	e := &Error{fmt.Sprintf("state %q: %v", path, err), "check state.path: a file on a local, writable disk", err}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		e.text = fmt.Sprintf("state %q: %v", path, errno) // the file has been named
	}
	for _, h := range accessHints {
		if errors.Is(err, h.err) {
			e.hint = h.hint
		}
	}
	return e
}

var accessHints = []struct {
	err  error
	hint string
}{
	{syscall.ENOSPC, "make room on that disk (df -h; inodes: df -i); what was uploaded and not recorded is uploaded once more by the next run"},
	{syscall.EROFS, "the disk is mounted read-only: mount it writable, or choose another state.path"},
	{syscall.EIO, "the disk is failing: see the system's log; what was uploaded and not recorded is uploaded once more by the next run"},
	{fs.ErrPermission, "give the user that runs photosync read and write access to the file and its folder, or choose another state.path"},
}
