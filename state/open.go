package state

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"photosync/sync/safefile"
)

// lockWait is how long Open waits for the lock: the process that has it may just be ending.
const lockWait = 300 * time.Millisecond

// Options of Open.
type Options struct {
	ReadOnly bool // the file is not changed; a missing file reads as empty
	Existing bool // a missing file is an error
	Partial  bool // a look-up by key checks only the rows that it reads, not their whole table
}

// Open opens the state at path and creates it, with mode 0600, if it is missing. While one process has it open
// for writing, all others get a *LockedError. A missing state whose backup is there is not created, and a state
// of another version is refused: both are an *Error. A damaged state is a *DamagedError.
func Open(path string, o Options) (*Store, error) {
	path, err := target(path)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, partial: o.Partial}
	switch fi, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist) && hasBackup(path):
		backup := backupPath(path)
		return nil, &Error{fmt.Sprintf("state %q is missing, although its backup %q is there", path, backup),
			fmt.Sprintf("photosync state restore puts the backup back; to begin anew, and upload every picture again, "+
				"move it away: mv %s %s", quoted(backup), quoted(backup+".old")), fs.ErrNotExist}
	case errors.Is(err, fs.ErrNotExist) && o.ReadOnly && !o.Existing:
		return s, nil
	case errors.Is(err, fs.ErrNotExist) && !o.Existing:
		if err := install(path, false, begin); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, Inaccessible(path, err)
		} // fs.ErrExist: another run created it first
	case err != nil:
		return nil, Inaccessible(path, err)
	case fi.IsDir():
		return nil, Inaccessible(path, errors.New("is a directory"))
	case !fi.Mode().IsRegular(): // opening a FIFO would wait for its other end
		return nil, Inaccessible(path, errors.New("is not a regular file"))
	case fi.Size() == 0: // bbolt would begin a new database here
		return nil, s.damaged(errors.New("it is empty"))
	}
	if err := s.open(bbolt.Options{ReadOnly: o.ReadOnly}); err != nil {
		s.release()
		return nil, err
	}
	older := func(d depth) bool {
		backup, err := readThrough(backupPath(path), d)
		return err == nil && backup > s.Generation()
	}
	if older(headOnly) && older(allPages) { // a look at the head is quick, and all that most runs need
		s.release()
		return nil, refused(path, "is older than its backup: an older copy was put in its place", "move it away; then photosync state restore puts the backup back")
	}
	if s.Current() != nil { // the file was replaced while Open waited for the lock
		s.release()
		return nil, &LockedError{path, readHolder(path)}
	}
	if !o.ReadOnly {
		safefile.Sweep(path)
	}
	s.holder = writeHolder(path)
	return s, nil
}

// target resolves path if it is a link. A link to a disk that is not mounted is an error.
func target(path string) (string, error) {
	if fi, err := os.Lstat(path); err != nil || fi.Mode()&fs.ModeSymlink == 0 {
		return path, nil
	}
	to, err := safefile.Real(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("is a link to a file that does not exist")
	}
	return to, Inaccessible(path, err)
}

// Current returns an *Error if the file was deleted since Open, or replaced by another: the
// next run would not see what was written since.
func (s *Store) Current() error {
	if s.db == nil {
		return nil
	}
	message := "was replaced by another file while it was open"
	own, err := s.file.Stat()
	named, lerr := os.Lstat(s.path)
	switch err = cmp.Or(err, lerr); {
	case err == nil && os.SameFile(named, own):
		return nil
	case errors.Is(err, fs.ErrNotExist):
		message = "was deleted while it was open"
	case err != nil:
		return Inaccessible(s.path, err)
	}
	return refused(s.path, message, "find out what deletes or replaces it; photosync state restore puts back the backup, "+
		"and what was uploaded since that is uploaded once more")
}

// open opens and checks an existing file.
func (s *Store) open(o bbolt.Options) error {
	o.Timeout = lockWait
	err := s.guard(func() (err error) { // bbolt panics over some damaged files
		s.db, err = database(s.path, o, &s.file)
		return err
	})
	_, system := errors.AsType[syscall.Errno](err)
	switch {
	case err == nil:
		return s.check()
	case errors.Is(err, berrors.ErrTimeout):
		return &LockedError{s.path, readHolder(s.path)}
	case system: // it could not be read at all
		return Inaccessible(s.path, err)
	case errors.Is(err, berrors.ErrInvalid):
		err = errors.New("it is not a state, or its beginning was overwritten or cut off")
	}
	return s.damaged(err)
}

// database opens bbolt's file at path. It sets *opened to the file, even if bbolt panics.
func database(path string, o bbolt.Options, opened **os.File) (*bbolt.DB, error) {
	o.OpenFile = func(name string, flag int, _ os.FileMode) (_ *os.File, err error) {
		// Without creating one: if the file vanished since, that is an error.
		*opened, err = safefile.Open(name, flag)
		return *opened, err
	}
	return bbolt.Open(path, 0o600, &o)
}

// release closes the file. After a panic it does so without bbolt, whose Close could wait for
// ever; then the lock may last until the process ends.
func (s *Store) release() error {
	if s.db != nil && !s.broken.Load() {
		return s.db.Close()
	}
	s.file.Close() // everything was written; without a file, Close only fails
	return nil
}

// check refuses a file that is cut short, or made by another version or another program.
func (s *Store) check() error {
	version := 0
	look := func(tx *bbolt.Tx) (err error) {
		if _, err := s.file.ReadAt(make([]byte, 1), tx.Size()-1); err != nil {
			return fmt.Errorf("it is cut short, or cannot be read to its end: %w", err)
		}
		if version, err = s.version(tx); err == nil && s.depth != headOnly {
			_, err = checkPages(s.file, tx)
		}
		if err != nil {
			return err
		}
		s.generation.Store(tx.Bucket(facts).Sequence())
		p, err := tallyOf(tx, people)
		u, uerr := tallyOf(tx, users)
		s.tallies = map[string]tally{string(people): p, string(users): u}
		return cmp.Or(err, uerr)
	}
	if err := s.guard(func() error { return s.db.View(look) }); err != nil {
		return s.damaged(err)
	}
	return s.migrate(version)
}

// firstSchema is the layout of the first release. Files of older ones are refused.
const firstSchema = 6

// migrations lead from firstSchema to the next version of the layout, and so on.
var migrations []func(*bbolt.Tx) error

// schemaVersion is the version of the layout that this program writes.
func schemaVersion() int { return firstSchema + len(migrations) }

// version returns the version of the file's layout, or an error if this program cannot read it.
func (s *Store) version(tx *bbolt.Tx) (version int, err error) {
	switch known, err := readFact(tx, schemaKey, &version); {
	case err != nil:
		return 0, err
	case !known:
		return 0, errors.New("it is a database of another program")
	case version > schemaVersion():
		return 0, refused(s.path, fmt.Sprintf("was written by a newer photosync (schema %d, this one knows %d)", version, schemaVersion()),
			"run the newer photosync")
	case version < firstSchema:
		return 0, refused(s.path, fmt.Sprintf("has the format of a photosync from before the first release (schema %d), which is not read any more", version),
			startAnew(s.path, ".old"))
	}
	for _, table := range tables {
		if tx.Bucket(table) == nil {
			return 0, errors.New("a table is missing")
		}
	}
	return version, nil
}

// migrate brings the open file from a version to the current one, in one transaction.
func (s *Store) migrate(from int) error {
	if from == schemaVersion() {
		return nil
	}
	if s.writable() != nil {
		return refused(s.path, fmt.Sprintf("has an older format (schema %d, this photosync has %d), and may not be written", from, schemaVersion()),
			"photosync state compact brings it up to date")
	}
	return s.update(func(tx *bbolt.Tx) error {
		for _, m := range migrations[from-firstSchema:] {
			if err := m(tx); err != nil {
				return err
			}
		}
		return putFact(tx, schemaKey, schemaVersion())
	})
}

// LockedError means that another process has the state open. Like all errors of this package
// it has a Hint, which says in one line what to do.
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

func (e *LockedError) Hint() string { return "wait until the other run has ended" }

// holder is the note beside an open state that says which process has it open. The lock itself
// is bbolt's on the file, and ends with its process: a note left by a crash blocks nobody.
type holder struct {
	PID   int       `json:"pid"` // 0: not known
	Host  string    `json:"host"`
	Since time.Time `json:"since"`
}

func holderPath(path string) string { return path + ".holder" }

// writeHolder writes the note. Without it a second run still fails, only with a vaguer error.
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

// readHolder reads the note; if there is none, it returns the zero holder.
func readHolder(path string) (h holder) {
	data, err := safefile.Read(holderPath(path))
	if err != nil || json.Unmarshal(data, &h) != nil {
		return holder{}
	}
	return h
}

// Error is any other fault: a state that does not fit this use, or cannot be reached.
type Error struct {
	text, hint string
	err        error // the cause; may be nil
}

func (e *Error) Error() string { return e.text }
func (e *Error) Hint() string  { return e.hint }
func (e *Error) Unwrap() error { return e.err }

// refused returns the Error of a state that does not fit this use.
func refused(path, why, hint string) error {
	return &Error{text: fmt.Sprintf("state %q %s", path, why), hint: hint}
}

// hinted reports whether err is an error of this package, which has a hint.
func hinted(err error) bool {
	var e interface{ Hint() string }
	return errors.As(err, &e)
}

// DamagedError means that the state cannot be read.
type DamagedError struct {
	Path string
	Err  error
}

// damaged wraps err in a DamagedError, unless it is an error of this package already.
func (s *Store) damaged(err error) error {
	if err == nil || hinted(err) {
		return err
	}
	return &DamagedError{Path: s.path, Err: err}
}

func (e *DamagedError) Error() string { return fmt.Sprintf("state %q is damaged: %v", e.Path, e.Err) }
func (e *DamagedError) Unwrap() error { return e.Err }

// Hint names the backup if all of it can be read.
func (e *DamagedError) Hint() string {
	if hasBackup(e.Path) {
		if _, err := readThrough(backupPath(e.Path), allRows); err == nil {
			return fmt.Sprintf("photosync state restore puts back the backup of the last good run, %s; "+
				"then only pictures uploaded since are uploaded again", quoted(backupPath(e.Path)))
		}
	}
	return "there is no good backup beside it: restore one of yours, or " + startAnew(e.Path, ".damaged")
}

// startAnew is the end of a hint: how to go on without this state.
func startAnew(path, suffix string) string {
	move := "move it away: mv " + quoted(path) + " " + quoted(path+suffix)
	if backup := backupPath(path); hasBackup(path) { // or it would be missed
		move += "; mv " + quoted(backup) + " " + quoted(backup+suffix)
	}
	return move + "; then photosync state adopt records the pictures in Smartsheet as uploaded, or the next run uploads every picture again"
}

// quoted quotes a path for a shell.
func quoted(path string) string { return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'" }

// Inaccessible returns the Error of a state at path that the file system did not let us read or
// write. It returns an error of this package as it is.
func Inaccessible(path string, err error) error {
	if err == nil || hinted(err) {
		return err
	}
	e := &Error{fmt.Sprintf("state %q: %v", path, err), "check state.path: a file on a local, writable disk", err}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		e.text = fmt.Sprintf("state %q: %v", path, errno) // without the path, which err repeats
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
