package state

import (
	"cmp"
	"fmt"
	"io"
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
	if err := install(target, true, s.writeTo); err != nil {
		last := "it has none yet"
		if fi, err := os.Lstat(target); err == nil {
			last = "the last one is of " + fi.ModTime().UTC().Format(time.RFC3339)
		}
		err = access(target, err)
		return &Error{fmt.Sprintf("back up the state (%s): %v", last, err), hintOf(err, ""), err}
	}
	return nil
}

// writeTo copies the state into an empty file.
func (s *Store) writeTo(file string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|noFollow, 0)
	if err != nil {
		return err
	}
	w := &writer{w: f}
	err = s.View(func(v *Snapshot) error {
		return s.guard(func() error {
			_, err := v.tx.WriteTo(w)
			return cmp.Or(w.err, err)
		})
	})
	return cmp.Or(err, f.Sync(), f.Close())
}

// writer keeps the error of a failed write, of which bbolt passes on the words
// only: the hint depends on what it was.
type writer struct {
	w   io.Writer
	err error
}

func (w *writer) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	w.err = err
	return n, err
}

// readThrough opens a state for a look, with every row if all, and returns its
// generation.
func readThrough(path string, all bool) (uint64, error) {
	s := &Store{path: path}
	if err := s.open(bbolt.Options{ReadOnly: true}); err != nil {
		s.release()
		return 0, err
	}
	defer s.release()
	if all {
		if err := s.View((*Snapshot).check); err != nil {
			return 0, err
		}
	}
	return s.Generation(), nil
}
