package state

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"go.etcd.io/bbolt"
)

const (
	newKind      = ".new-" // is in the names of states that do not have their own yet
	compactBytes = 4 << 20 // are what Compact writes in one transaction
)

// Compact writes the state anew without the room that old rows left, and closes it. It
// is replaced only once the copy was read back whole.
func (s *Store) Compact() (before, after int64, err error) {
	defer s.Close()
	was, err := s.file.Stat()
	if err == nil {
		err = install(s.path, true, s.compactTo)
	}
	is := was
	if err == nil {
		is, err = os.Stat(s.path)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("compact the state: %w", Inaccessible(s.path, err))
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

// makeRoom closes the state where an open file cannot be replaced. Elsewhere the lock is
// kept until the new file has the name: a run that waits for it finds that, see Current.
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

// readThrough opens a state, reads every row if all, and returns its generation.
func readThrough(path string, all bool) (uint64, error) {
	s := &Store{path: path}
	defer s.release()
	err := s.open(bbolt.Options{ReadOnly: true})
	if err == nil && all {
		err = s.View(func(v *Snapshot) error { return v.check(tables...) })
	}
	return s.Generation(), err
}

// install gives what write makes of an empty file a name, at once or not at all, and
// only if it can be read back whole. If it may not replace, that another run has begun a
// state of this name since is fs.ErrExist.
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
	if err = write(f.Name()); err == nil {
		_, err = readThrough(f.Name(), true)
	}
	if err != nil {
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

func backupPath(path string) string { return path + ".backup" }

func hasBackup(path string) bool {
	fi, err := os.Lstat(backupPath(path))
	return err == nil && fi.Mode().IsRegular()
}

// Backup leaves a copy beside the state, which Restore puts back. It is read back whole
// before it takes the place of the one before; if that is of this generation, it stays.
func (s *Store) Backup() error {
	target := backupPath(s.path)
	if generation, err := readThrough(target, false); err == nil && generation == s.Generation() {
		return nil
	}
	err := install(target, true, func(file string) error {
		s.writing.Lock() // between two transactions the file is whole
		defer s.writing.Unlock()
		return copyTo(file, io.NewSectionReader(s.file, 0, math.MaxInt64))
	})
	if err == nil {
		return nil
	}
	last := "it has none yet"
	if fi, err := os.Lstat(target); err == nil {
		last = "the last one is of " + fi.ModTime().UTC().Format(time.RFC3339)
	}
	return fmt.Errorf("back up the state (%s): %w", last, Inaccessible(target, err))
}

// restoredGenerations is how far a restored state is ahead of its backup: further than
// the lost one can have come, so that no plan for that one fits.
const restoredGenerations = 1 << 32

// Restore puts the backup in the place of a state that is missing or damaged, without the
// fact RefreshedKey, and returns where the damaged one was moved to; empty: there was none.
// A state that is whole is refused. With an error the state is as it was, or missing.
func Restore(path string) (aside string, err error) {
	if path, err = target(path); err != nil {
		return "", err
	}
	if !hasBackup(path) {
		return "", refused(path, "has no backup beside it",
			"put a copy of your own there, or begin anew: photosync state adopt takes the pictures in Smartsheet for uploaded")
	}
	// A damaged state that another run has open is locked, and not damaged here.
	s, err := Open(path, Options{})
	_, damaged := errors.AsType[*DamagedError](err)
	switch {
	case err == nil:
		defer s.Close() // it keeps others out until the backup has the name
		if s.View(func(v *Snapshot) error { return v.check(tables...) }) == nil {
			return "", refused(path, "is there and whole, and was not replaced by its backup",
				fmt.Sprintf("to go back to the backup all the same, move the state away first: mv %s %s", quoted(path), quoted(path+".old")))
		}
	case !damaged && !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	err = install(path, false, func(file string) error {
		if err := fillFrom(backupPath(path), file); err != nil {
			return err
		}
		if _, err := os.Lstat(path); err != nil {
			return nil
		}
		if err := s.makeRoom(); err != nil {
			return err
		}
		aside = path + ".damaged-" + time.Now().UTC().Format("20060102T150405.000Z")
		return os.Rename(path, aside)
	})
	return aside, Inaccessible(path, err)
}

// fillFrom makes a state of an empty file that goes on where the backup ended.
func fillFrom(backup, file string) error {
	if _, err := readThrough(backup, true); err != nil {
		return err
	}
	from, err := os.OpenFile(backup, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return err
	}
	if err := cmp.Or(copyTo(file, from), from.Close()); err != nil {
		return err
	}
	s, err := Open(file, Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	return s.update(func(tx *bbolt.Tx) error {
		return cmp.Or(tx.Bucket(facts).Delete([]byte(RefreshedKey)),
			tx.Bucket(people).SetSequence(s.Generation()+restoredGenerations))
	})
}
