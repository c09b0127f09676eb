package state

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"time"

	"go.etcd.io/bbolt"
)

func backupPath(path string) string { return path + ".backup" }

func hasBackup(path string) bool {
	fi, err := os.Lstat(backupPath(path))
	return err == nil && fi.Mode().IsRegular()
}

// Backup leaves a copy beside the state, at its path with ".backup" added, which
// Restore puts back. The copy is read back whole before it takes the place of the one
// before; nothing is written if that one is of this generation.
func (s *Store) Backup() error {
	if err := s.writable(); err != nil {
		return err
	}
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
	err = access(target, err)
	return &Error{fmt.Sprintf("back up the state (%s): %v", last, err), hintOf(err), err}
}

// restoredGenerations is how far a restored state is ahead of its backup: further
// than the state that was lost can have come, so that nothing which names a
// generation of that one, as a plan does, fits the new one.
const restoredGenerations = 1 << 32

// Restore puts the backup in the place of a state that is missing or damaged, and
// returns where the damaged one was moved to; empty: there was none. The fact
// RefreshedKey is left out. A state that is whole is refused, and one that is in use
// is a *LockedError. With an error the state is as it was, or missing beside its backup.
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
		if s.View((*Snapshot).checkAll) == nil {
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
	return aside, access(path, err)
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
