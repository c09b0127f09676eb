package state

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

func backupPath(path string) string { return path + ".backup" }

// Backup leaves a copy beside the state, at its path with ".backup" added, which
// a *DamagedError names later. The copy is read back whole before it takes the
// place of the one before; nothing is written if that one is of this generation.
func (s *Store) Backup() (err error) {
	if err := s.writable(); err != nil {
		return err
	}
	target := backupPath(s.path)
	if generation, err := readThrough(target, false); err == nil && generation == s.Generation() {
		return nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("back up the state: %w", err)
		}
	}()
	f, err := os.CreateTemp(filepath.Dir(target), filepath.Base(target)+"-*") // mode 0600
	if err != nil {
		return &AccessError{Path: target, Err: err}
	}
	defer os.Remove(f.Name())
	w := &writer{w: f}
	err = s.view(func(tx *bbolt.Tx) error {
		_, err := tx.WriteTo(w)
		return cmp.Or(w.err, err)
	})
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if _, damaged := errors.AsType[*DamagedError](err); damaged {
		return err
	}
	if err != nil {
		return &AccessError{Path: target, Err: err}
	}
	if _, err := readThrough(f.Name(), true); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), target); err != nil {
		return &AccessError{Path: target, Err: err}
	}
	syncDir(filepath.Dir(target))
	return nil
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

// readThrough opens a state for a look, with every record if all, and returns its
// generation.
func readThrough(path string, all bool) (uint64, error) {
	if _, err := os.Stat(path); err != nil {
		return 0, err
	}
	s := &Store{path: path}
	if err := s.open(bbolt.Options{ReadOnly: true}); err != nil {
		s.release()
		return 0, err
	}
	defer s.db.Close()
	if all {
		for _, err := range s.All() {
			if err != nil {
				return 0, err
			}
		}
	}
	return s.Generation(), nil
}
