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
		if err := s.View(func(v *Snapshot) error { return v.copyTo(to) }); err != nil {
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

// copyTo writes everything into an empty database. (bbolt's own Compact has the whole
// file in memory in the end; a walk gives back the pages that it is done with.)
func (v *Snapshot) copyTo(to *bbolt.DB) error {
	err := to.Update(func(tx *bbolt.Tx) error {
		people, err := tx.CreateBucket(peopleBucket)
		if err != nil {
			return err
		}
		return v.s.guard(func() error {
			for _, name := range [][]byte{metaBucket, textsBucket} {
				b, err := tx.CreateBucket(name)
				if err != nil {
					return err
				}
				if err := v.people.Tx().Bucket(name).ForEach(b.Put); err != nil {
					return err
				}
			}
			return people.SetSequence(v.people.Sequence())
		})
	})
	if err != nil {
		return err
	}
	var some []entry
	size := 0
	write := func() error {
		return to.Update(func(tx *bbolt.Tx) error {
			_, err := putAll(tx, some)
			return err
		})
	}
	for e, err := range v.Entries() {
		if err != nil {
			return err
		}
		some = append(some, entry{[]byte(e.Email), []byte(e.data)})
		if size += len(e.Email) + len(e.data); size >= compactBytes {
			if err := write(); err != nil {
				return err
			}
			some, size = some[:0], 0
		}
	}
	return write()
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
