package state

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"go.etcd.io/bbolt"
)

// restoredGenerations is how far a restored state is ahead of its backup: further
// than the state that was lost can have come, so that nothing which names a
// generation of that one, as a plan does, fits the new one.
const restoredGenerations = 1 << 32

// Restore puts the backup in the place of a state that is missing or damaged, and
// returns where the damaged one was moved to; empty: there was none. The fact
// RefreshedKey is left out. A state that is whole is refused, and one that is in use
// is a *LockedError. With an error the state is as it was, or
// missing beside its backup.
func Restore(path string) (aside string, err error) {
	if path, err = target(path); err != nil {
		return "", err
	}
	backup := backupPath(path)
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
		if s.View((*Snapshot).check) == nil {
			return "", refused(path, "is there and whole, and was not replaced by its backup",
				fmt.Sprintf("to go back to the backup all the same, move the state away first: mv %s %s", quoted(path), quoted(path+".old")))
		}
	case !damaged && !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	err = install(path, false, func(file string) error {
		if err := fillFrom(backup, file); err != nil {
			return err
		}
		if _, err := os.Lstat(path); err != nil {
			return nil
		}
		if s != nil {
			if err := s.makeRoom(); err != nil {
				return err
			}
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
	from, err := Open(backup, Options{ReadOnly: true})
	if err != nil {
		return err
	}
	if err := cmp.Or(from.writeTo(file), from.Close()); err != nil {
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
