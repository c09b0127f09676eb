package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// lockWait is how long Open waits for another process to let go of the file: long
// enough for one that is just ending.
const lockWait = 300 * time.Millisecond

// newKind is in the names of states that do not have their own yet.
const newKind = ".new-"

// Options of Open.
type Options struct {
	// ReadOnly opens without changing the file; a missing file reads as empty.
	ReadOnly bool
}

// Open opens the state at path and creates it, with mode 0600, if it is missing.
// Only one process may have it open for writing, and none may read meanwhile;
// another gets a *LockedError. Other errors are *AccessError, *DamagedError and
// *NewerError.
func Open(path string, o Options) (*Store, error) {
	path, err := target(path)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path}
	switch fi, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist) && o.ReadOnly:
		return s, nil
	case errors.Is(err, fs.ErrNotExist):
		if err := create(path); err != nil {
			return nil, &AccessError{Path: path, Err: err}
		}
	case err != nil:
		return nil, &AccessError{Path: path, Err: err}
	case fi.IsDir():
		return nil, &AccessError{Path: path, Err: errors.New("is a directory")}
	case !fi.Mode().IsRegular(): // opening a FIFO would wait for its other end
		return nil, &AccessError{Path: path, Err: errors.New("is not a regular file")}
	case fi.Size() == 0:
		// bbolt would begin a new database here.
		return nil, s.damaged(errors.New("it is empty"))
	}
	if err := s.open(bbolt.Options{ReadOnly: o.ReadOnly}); err != nil {
		s.release()
		return nil, err
	}
	if !s.current() {
		s.release()
		return nil, lockedError(path)
	}
	if !o.ReadOnly {
		if err := s.migrate(); err != nil {
			s.release()
			return nil, err
		}
		sweep(path)
	}
	s.holder = writeHolder(path)
	return s, nil
}

// target is the file that path leads to: what is kept beside it is beside the file,
// and a state that is written anew does not take the place of a link. A link to a
// disk that is not mounted is no new state.
func target(path string) (string, error) {
	fi, err := os.Lstat(path)
	if err != nil || fi.Mode()&fs.ModeSymlink == 0 {
		return path, nil
	}
	to, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("is a link to a file that does not exist")
	}
	if err != nil {
		return "", &AccessError{Path: path, Err: err}
	}
	return to, nil
}

// current tells whether the file still has its name: while Open waited for the
// lock, an import or a compaction may have put another in its place.
func (s *Store) current() bool {
	named, err := os.Stat(s.path)
	if err != nil {
		return false
	}
	own, err := s.file.Stat()
	return err == nil && os.SameFile(named, own)
}

// sweep removes what runs that were killed left half-written. Only who holds the
// lock, as the caller does, writes such files; but for new states, which are old
// enough when nobody works on them any more.
func sweep(path string) {
	dir, base := filepath.Split(path)
	entries, err := os.ReadDir(filepath.Clean(dir))
	if err != nil {
		return // nothing depends on it
	}
	for _, e := range entries {
		for _, kind := range []string{".backup-", ".holder-", ".next-", newKind} {
			if !strings.HasPrefix(e.Name(), base+kind) {
				continue
			}
			if fi, err := e.Info(); err == nil && (kind != newKind || time.Since(fi.ModTime()) > time.Hour) {
				os.Remove(filepath.Join(dir, e.Name()))
			}
		}
	}
}

// open opens and checks the file that is there.
func (s *Store) open(o bbolt.Options) error {
	o.Timeout = lockWait
	o.FreelistType = bbolt.FreelistMapType
	o.NoStatistics = true
	o.OpenFile = func(name string, flag int, mode os.FileMode) (f *os.File, err error) {
		// Without O_CREATE: a file that vanished since is not begun anew.
		f, err = os.OpenFile(name, flag&^os.O_CREATE, mode)
		s.file = f
		return f, err
	}
	// bbolt panics over some damaged files, and reading beyond the end of a file
	// cut short is a memory fault.
	err := s.guard(func() (err error) {
		s.db, err = bbolt.Open(s.path, 0o600, &o)
		return err
	})
	if err != nil {
		return s.openError(err)
	}
	return s.check()
}

// release lets go of the file. After a panic it does so without bbolt, whose
// Close could wait for good; then the lock may last until the process ends.
func (s *Store) release() error {
	switch {
	case s.db != nil && !s.broken.Load():
		return s.db.Close()
	case s.file != nil:
		s.file.Close() // nothing of it is unwritten
	}
	return nil
}

// openError explains why bbolt could not open the file.
func (s *Store) openError(err error) error {
	if errors.Is(err, berrors.ErrTimeout) {
		return lockedError(s.path)
	}
	if _, system := errors.AsType[syscall.Errno](err); system { // it could not be read at all
		return &AccessError{Path: s.path, Err: err}
	}
	if short := cutShort(s.path); short != nil {
		return s.damaged(short)
	}
	d, ok := errors.AsType[*DamagedError](err)
	switch {
	case ok:
		return d
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return s.damaged(err)
	}
	return &AccessError{Path: s.path, Err: err}
}

// cutShort tells whether a file is none of bbolt's, or ends before its first pages say
// that it does, which bbolt takes for many things.
func cutShort(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil
	}
	const magic = 0xED0CDAED // of bbolt
	var head [pageHeader + 4]byte
	if _, err := f.ReadAt(head[:], 0); err != nil || binary.NativeEndian.Uint32(head[pageHeader:]) != magic {
		return errors.New("it is no state, or its beginning was overwritten")
	}
	p := &pages{file: f, pageSize: int64(os.Getpagesize())}
	if fi.Size() < 2*p.pageSize { // there are four, from the beginning
		return errors.New("it is cut short")
	}
	if _, _, err := p.meta(); err == nil && int64(p.end)*p.pageSize > fi.Size() {
		return fmt.Errorf("it is cut short: %d bytes of %d", fi.Size(), int64(p.end)*p.pageSize)
	}
	return nil
}

// check refuses a file that is cut short, newer or foreign. It reads a few pages
// only; every record carries its own checksum.
func (s *Store) check() error {
	fi, err := s.file.Stat()
	if err != nil {
		return &AccessError{Path: s.path, Err: err}
	}
	return s.view(func(tx *bbolt.Tx) error {
		if tx.Size() > fi.Size() {
			return s.damaged(fmt.Errorf("it is cut short: %d bytes of %d", fi.Size(), tx.Size()))
		}
		var version int
		known, err := readMeta(tx, schemaKey, &version)
		people := tx.Bucket(peopleBucket)
		switch {
		case err != nil:
			return s.unreadable(err)
		case !known:
			return s.damaged(errors.New("it is a database of another program"))
		case version > schemaVersion:
			return &NewerError{Path: s.path, Version: version}
		case version < 1 || people == nil:
			return s.damaged(errors.New("the people are missing"))
		}
		if err := checkPages(s.file, tx); err != nil {
			return s.damaged(err)
		}
		if err := s.texts.load(tx); err != nil {
			return s.damaged(err)
		}
		if _, err := countOf(tx); err != nil {
			return s.damaged(err)
		}
		s.schema = version
		s.generation.Store(people.Sequence())
		return nil
	})
}

// create makes a new, empty state.
func create(path string) error {
	err := birth(path, begin)
	if errors.Is(err, fs.ErrExist) { // another run was faster
		return nil
	}
	return err
}

// birth gives a new state its name only when it is whole: whatever has the name and
// cannot be read is damaged, and never taken for a new one. It never replaces the
// state that another run has begun since; then the error is fs.ErrExist.
func birth(path string, write func(file string) error) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, filepath.Base(path)+newKind+"*") // mode 0600
	if err != nil {
		return err
	}
	f.Close()
	defer os.Remove(f.Name())
	if err := write(f.Name()); err != nil {
		return err
	}
	// A rename would replace it. Some file systems have no links.
	if err := os.Link(f.Name(), path); errors.Is(err, fs.ErrExist) {
		return err
	} else if err != nil {
		if err := os.Rename(f.Name(), path); err != nil {
			return err
		}
	}
	syncDir(dir)
	return nil
}

// begin makes an empty state of an empty file.
func begin(file string) error {
	db, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		if _, err := tx.CreateBucket(peopleBucket); err != nil {
			return err
		}
		return migrate(tx, 0)
	})
	if closing := db.Close(); err == nil {
		err = closing
	}
	return err
}

// syncDir makes the names in a folder durable, where the system can (Windows
// cannot open folders for this; NTFS keeps its own journal).
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		d.Sync()
		d.Close()
	}
}
