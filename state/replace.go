package state

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"go.etcd.io/bbolt"
)

// compactBytes is how much Compact writes in one transaction.
const compactBytes = 4 << 20

// Compact writes the state anew without the room that deleted and rewritten records
// left, and closes it. It is replaced only once the copy was read back whole.
func (s *Store) Compact() (before, after int64, err error) {
	if err := s.writable(); err != nil {
		return 0, 0, err
	}
	if before, err = sizeOf(s.path); err != nil {
		return 0, 0, err
	}
	err = s.replace(func(file string) error {
		to, err := bbolt.Open(file, 0o600, &bbolt.Options{NoSync: true, FreelistType: bbolt.FreelistMapType})
		if err != nil {
			return err
		}
		defer to.Close()
		if err := s.guard(func() error { return bbolt.Compact(to, s.db, compactBytes) }); err != nil {
			return err
		}
		if err := to.Sync(); err != nil {
			return err
		}
		return to.Close()
	})
	if err != nil {
		return 0, 0, fmt.Errorf("compact the state: %w", err)
	}
	after, err = sizeOf(s.path)
	return before, after, err
}

func sizeOf(path string) (int64, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return 0, &AccessError{Path: path, Err: err}
	}
	return fi.Size(), nil
}

// replace puts what write makes of an empty file in the place of the state, at once
// or not at all, and closes the store. Every record is read back first.
func (s *Store) replace(write func(file string) error) error {
	defer s.Close()
	f, err := os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+".next-*") // mode 0600
	if err != nil {
		return &AccessError{Path: s.path, Err: err}
	}
	f.Close()
	defer os.Remove(f.Name())
	if err := write(f.Name()); err != nil {
		return s.failed(err)
	}
	if _, err := readThrough(f.Name(), true); err != nil {
		return err
	}
	if runtime.GOOS == "windows" { // which replaces no open file
		if err := s.Close(); err != nil {
			return err
		}
	}
	// Elsewhere the lock is held until the new file has the name: whoever waits for
	// it meanwhile finds that its file has lost the name, see current.
	if err := os.Rename(f.Name(), s.path); err != nil {
		return &AccessError{Path: s.path, Err: err}
	}
	syncDir(filepath.Dir(s.path))
	return nil
}

// failed gives an error of the file system the state's words and hint.
func (s *Store) failed(err error) error {
	if _, own := err.(interface{ Hint() string }); own {
		return err
	}
	return &AccessError{Path: s.path, Err: err}
}
