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
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"photosync/sync/safefile"
)

const compactBytes = 4 << 20 // that Compact writes in one transaction

// Compact copies the state without the room that old rows left, and closes it. The copy replaces
// the state only after all of it was read back.
func (s *Store) Compact() (before, after int64, err error) {
	defer s.Close()
	was, serr := s.file.Stat()
	err = install(s.path, true, s.compactTo)
	is, ierr := os.Stat(s.path)
	if err = cmp.Or(err, serr, ierr); err != nil {
		return 0, 0, fmt.Errorf("compact the state: %w", Inaccessible(s.path, err))
	}
	return was.Size(), is.Size(), nil
}

func (s *Store) compactTo(file *os.File) error {
	to, err := database(file.Name(), bbolt.Options{NoSync: true}, new(*os.File))
	if err != nil {
		return err
	}
	defer to.Close()
	if err := s.guard(func() error { return bbolt.Compact(to, s.db, compactBytes) }); err != nil {
		return err
	}
	return cmp.Or(to.Sync(), to.Close(), s.makeRoom())
}

// makeRoom closes the state where an open file cannot be replaced. Elsewhere the lock is kept
// until the new file has the name: a run that waits for the lock then notices, see Current.
func (s *Store) makeRoom() error {
	if s != nil && runtime.GOOS == "windows" {
		return s.Close()
	}
	return nil
}

// begin writes an empty state into an empty file.
func begin(file *os.File) error {
	db, err := database(file.Name(), bbolt.Options{}, new(*os.File))
	if err != nil {
		return err
	}
	return cmp.Or(db.Update(createTables), db.Close())
}

// depth is how much of a state is checked.
type depth int

const (
	allPages depth = iota // see checkPages
	allRows
	headOnly // not even its pages
)

// readThrough opens a state, checks it, and returns its generation.
func readThrough(path string, d depth) (uint64, error) {
	s := &Store{path: path, depth: d}
	defer s.release()
	err := s.open(bbolt.Options{ReadOnly: true})
	if err == nil && d == allRows {
		err = s.View(func(v *Snapshot) error { return v.check(tables...) })
	}
	return s.Generation(), err
}

// install lets write fill a new file, reads all of it back, and renames it to path. Without
// replace, fs.ErrExist means that another run has created a state there since.
func install(path string, replace bool, write func(*os.File) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := safefile.New(path)
	if err != nil {
		return err
	}
	defer f.Discard()
	of := strings.TrimSuffix(path, backupPath(""))
	if err = errors.Join(safefile.Own(f.File, backupPath(of)), safefile.Own(f.File, of)); err == nil {
		err = write(f.File)
	}
	if err == nil {
		_, err = readThrough(f.Name(), allRows)
		if d, damaged := errors.AsType[*DamagedError](err); damaged {
			d.Path = of // the damage was copied from there
		}
	}
	if err != nil {
		return err
	}
	return f.Commit(replace)
}

func backupPath(path string) string { return path + ".backup" }

func hasBackup(path string) bool {
	fi, err := os.Lstat(backupPath(path))
	return err == nil && fi.Mode().IsRegular()
}

// Backup writes a copy beside the state, which Restore puts back. The copy replaces the last
// backup after all of it was read back. A backup of this generation is left as it is.
func (s *Store) Backup() error {
	target := backupPath(s.path)
	if generation, err := readThrough(target, allPages); err == nil && generation == s.Generation() {
		return nil
	}
	err := install(target, true, func(file *os.File) error {
		s.writing.Lock() // between two transactions the file is consistent
		defer s.writing.Unlock()
		_, err := io.Copy(file, io.NewSectionReader(s.file, 0, math.MaxInt64))
		return err
	})
	if err == nil {
		return nil
	}
	last := "there is no backup yet"
	if fi, err := os.Lstat(target); err == nil {
		last = "the last backup is of " + fi.ModTime().UTC().Format(time.RFC3339)
	}
	return fmt.Errorf("back up the state (%s): %w", last, Inaccessible(target, err))
}

// restoredGenerations is how far the generation of a restored state is ahead of its backup. The
// lost state cannot have come as far, so no plan that was made with it fits.
const restoredGenerations = 1 << 32

// Restore replaces a state that is missing or damaged by its backup, without the fact
// RefreshedKey. It returns where the damaged state was moved to; empty: there was none. It
// refuses to replace a state that is sound. After an error the state is as it was, or missing.
func Restore(path string) (aside string, err error) {
	if path, err = target(path); err != nil {
		return "", err
	}
	if !hasBackup(path) {
		return "", refused(path, "has no backup beside it",
			"put a copy of your own there, or begin anew: photosync state adopt records the pictures in Smartsheet as uploaded")
	}
	// If another run has the state open, the error is a *LockedError, even if it is damaged.
	s, err := Open(path, Options{})
	_, damaged := errors.AsType[*DamagedError](err)
	switch {
	case err == nil:
		defer s.Close() // the lock keeps others out until the backup is in place
		if s.View(func(v *Snapshot) error { return v.check(tables...) }) == nil {
			return "", refused(path, "is there and whole, and was not replaced by its backup",
				fmt.Sprintf("to go back to the backup all the same, move the state away first: mv %s %s", quoted(path), quoted(path+".old")))
		}
	case !damaged && !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	err = install(path, false, func(file *os.File) error {
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
		return safefile.Rename(path, aside)
	})
	return aside, Inaccessible(path, err)
}

// fillFrom copies the backup into an empty file, and raises its generation.
func fillFrom(backup string, file *os.File) error {
	if _, err := readThrough(backup, allRows); err != nil {
		return err
	}
	from, err := safefile.Open(backup, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer from.Close()
	if _, err := io.Copy(file, from); err != nil {
		return err
	}
	s, err := Open(file.Name(), Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	return s.update(func(tx *bbolt.Tx) error {
		return cmp.Or(tx.Bucket(facts).Delete([]byte(RefreshedKey)),
			tx.Bucket(facts).SetSequence(s.Generation()+restoredGenerations))
	})
}
