package state

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"go.etcd.io/bbolt"
)

// newKind is in the names of states that do not have their own yet.
const newKind = ".new-"

// compactBytes is how much Compact writes in one transaction.
const compactBytes = 4 << 20

// Compact writes the state anew without the room that old rows left, and closes it. It
// is replaced only once the copy was read back whole.
func (s *Store) Compact() (before, after int64, err error) {
	if err := s.writable(); err != nil {
		return 0, 0, err
	}
	defer s.Close()
	was, err := s.file.Stat()
	if err == nil {
		err = install(s.path, true, s.compactTo)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("compact the state: %w", access(s.path, err))
	}
	is, err := os.Stat(s.path)
	if err != nil {
		return 0, 0, access(s.path, err)
	}
	return was.Size(), is.Size(), nil
}

func (s *Store) compactTo(file string) error {
	to, err := database(file, bbolt.Options{NoSync: true}, new(*os.File))
	if err != nil {
		return err
	}
	defer to.Close()
	if err := s.guard(func() error { return bbolt.Compact(to, s.db, compactBytes) }); err != nil {
		return err
	}
	return cmp.Or(to.Sync(), to.Close(), s.makeRoom())
}

// makeRoom closes the state where an open file cannot be replaced. Elsewhere it keeps
// the lock until the new file has the name: a run that waits for the lock meanwhile
// finds that its file has lost the name, see Current.
func (s *Store) makeRoom() error {
	if s != nil && runtime.GOOS == "windows" {
		return s.Close()
	}
	return nil
}

// begin makes an empty state of an empty file.
func begin(file string) error {
	db, err := database(file, bbolt.Options{}, new(*os.File))
	if err != nil {
		return err
	}
	return cmp.Or(db.Update(createTables), db.Close())
}

// copyTo fills an empty file.
func copyTo(file string, from io.Reader) error {
	f, err := os.OpenFile(file, os.O_WRONLY|noFollow, 0)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return cmp.Or(err, f.Sync(), f.Close())
}

// readThrough opens a state for a look, with every row if all, and returns its
// generation.
func readThrough(path string, all bool) (uint64, error) {
	s := &Store{path: path}
	defer s.release()
	err := s.open(bbolt.Options{ReadOnly: true})
	if err == nil && all {
		err = s.View((*Snapshot).checkAll)
	}
	return s.Generation(), err
}

// install gives what write makes of an empty file a name, at once or not at all, and
// only if it can be read back whole: whatever has the name of a state and cannot be
// read is damaged, and never taken for a new one. If it may not replace, that another
// run has begun a state of this name since is fs.ErrExist.
func install(path string, replace bool, write func(file string) error) error {
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
	if _, err := readThrough(f.Name(), true); err != nil {
		return err
	}
	if err = errors.ErrUnsupported; !replace { // a rename would replace
		err = os.Link(f.Name(), path)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) { // some file systems have no links
		err = os.Rename(f.Name(), path)
	}
	if d, derr := os.Open(dir); err == nil && derr == nil {
		d.Sync() // the name, where the system can (Windows has a journal for it)
		d.Close()
	}
	return err
}
