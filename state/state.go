// Package state is the local memory of photosync: one bbolt file with a record
// per person, bound to one Smartsheet account. A record is durable when Put
// returns. A damaged, foreign or newer file is an error, never a fresh start.
package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// schemaVersion is the version of the file's layout. A program refuses files of
// a newer one.
const schemaVersion = 1

// lockWait is how long Open waits for another process to let go of the file: long
// enough for one that is just ending.
const lockWait = 300 * time.Millisecond

var (
	peopleBucket = []byte("people") // email -> Record as JSON
	metaBucket   = []byte("meta")   // name -> JSON
)

const (
	schemaKey  = "schema_version"
	accountKey = "account"
)

// Account is the Smartsheet account that a state belongs to.
type Account struct {
	Root string `json:"root"` // API root
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// Options of Open.
type Options struct {
	// ReadOnly opens without writing anything; a missing file reads as empty.
	ReadOnly bool
}

// Store is an open state file. It is safe for concurrent use.
type Store struct {
	path string
	db   *bbolt.DB // nil: read-only, and there is no file
	lock *holder
}

// Open opens the state at path and creates it, with mode 0600, if it is missing.
// Only one process may have it open for writing; another gets a *LockedError.
func Open(path string, o Options) (_ *Store, err error) {
	// bbolt panics over some damaged files, and reading beyond the end of a file
	// cut short is a memory fault.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = &DamagedError{Path: path, Err: fmt.Errorf("%v", p)}
		}
	}()
	s := &Store{path: path}
	if o.ReadOnly {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return s, nil
		}
	} else if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, &AccessError{Path: path, Err: err}
	}
	s.db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait, ReadOnly: o.ReadOnly, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, openError(path, err)
	}
	if err := s.begin(o.ReadOnly); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	if !o.ReadOnly {
		s.lock = writeHolder(path)
	}
	return s, nil
}

// begin checks the schema, or writes it into a new file.
func (s *Store) begin(readOnly bool) error {
	if err := s.checkSize(); err != nil {
		return err
	}
	var version int
	known, err := s.Meta(schemaKey, &version)
	switch {
	case err != nil:
		return &DamagedError{Path: s.path, Err: err}
	case version > schemaVersion:
		return &NewerError{Path: s.path, Version: version}
	case known:
		return s.db.View(func(tx *bbolt.Tx) error {
			if tx.Bucket(peopleBucket) == nil {
				return &DamagedError{Path: s.path, Err: errors.New("the people are missing")}
			}
			return nil
		})
	}
	empty := false
	err = s.db.View(func(tx *bbolt.Tx) error {
		k, _ := tx.Cursor().First()
		empty = k == nil
		return nil
	})
	switch {
	case err != nil:
		return &DamagedError{Path: s.path, Err: err}
	case !empty:
		return &DamagedError{Path: s.path, Err: errors.New("it is a database of another program")}
	case readOnly:
		return nil
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		if _, err := tx.CreateBucketIfNotExists(peopleBucket); err != nil {
			return err
		}
		return putMeta(tx, schemaKey, schemaVersion)
	})
}

// checkSize refuses a file that is shorter than its own account of it.
func (s *Store) checkSize() error {
	fi, err := os.Stat(s.path)
	if err != nil {
		return &AccessError{Path: s.path, Err: err}
	}
	return s.db.View(func(tx *bbolt.Tx) error {
		if tx.Size() > fi.Size() {
			return &DamagedError{Path: s.path, Err: fmt.Errorf("it is cut short: %d bytes of %d", fi.Size(), tx.Size())}
		}
		return nil
	})
}

// Close lets go of the file.
func (s *Store) Close() error {
	if s.db == nil {
		return nil
	}
	s.lock.remove()
	return s.db.Close()
}

// Bind binds a new state to an account, and refuses another one with an
// *AccountError. A read-only store is compared only.
func (s *Store) Bind(a Account) error {
	var have Account
	known, err := s.Meta(accountKey, &have)
	switch {
	case err != nil:
		return err
	case known && (have.Root != a.Root || have.ID != a.ID):
		return &AccountError{Path: s.path, Have: have, Want: a}
	case known || s.db == nil || s.db.IsReadOnly():
		return nil
	}
	return s.SetMeta(accountKey, a)
}

// Lookup returns what is remembered of the person with this canonical email.
func (s *Store) Lookup(email string) (r Record, found bool, err error) {
	if s.db == nil {
		return Record{}, false, nil
	}
	err = s.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket(peopleBucket)
		if b == nil {
			return nil
		}
		data := b.Get([]byte(email))
		if data == nil {
			return nil
		}
		found = true
		return decode(email, data, &r)
	})
	return r, found, err
}

// Put remembers records; they are durable when it returns. Calls of several
// workers at the same moment share one write.
func (s *Store) Put(records ...Record) error {
	if s.db == nil || s.db.IsReadOnly() {
		return fmt.Errorf("write state %q: opened read-only", s.path)
	}
	write := func(tx *bbolt.Tx) error {
		b := tx.Bucket(peopleBucket)
		for _, r := range records {
			data, err := json.Marshal(r)
			if err != nil {
				return err
			}
			if err := b.Put([]byte(r.Email), data); err != nil {
				return err
			}
		}
		return nil
	}
	run := s.db.Batch
	if len(records) > 1 {
		run = s.db.Update
	}
	if err := run(write); err != nil {
		return &AccessError{Path: s.path, Err: err}
	}
	return nil
}

// Delete forgets a person.
func (s *Store) Delete(email string) error {
	return s.update(func(tx *bbolt.Tx) error { return tx.Bucket(peopleBucket).Delete([]byte(email)) })
}

// All yields every record by email. The sequence ends after an error.
func (s *Store) All() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if s.db == nil {
			return
		}
		stop := errors.New("stop")
		err := s.view(func(tx *bbolt.Tx) error {
			b := tx.Bucket(peopleBucket)
			if b == nil {
				return nil
			}
			return b.ForEach(func(k, v []byte) error {
				var r Record
				if err := decode(string(k), v, &r); err != nil {
					return err
				}
				if !yield(r, nil) {
					return stop
				}
				return nil
			})
		})
		if err != nil && err != stop {
			yield(Record{}, err)
		}
	}
}

// Meta reads a fact about the whole state into v.
func (s *Store) Meta(name string, v any) (found bool, err error) {
	if s.db == nil {
		return false, nil
	}
	err = s.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket(metaBucket)
		if b == nil {
			return nil
		}
		data := b.Get([]byte(name))
		if data == nil {
			return nil
		}
		found = true
		return json.Unmarshal(data, v)
	})
	return found, err
}

// SetMeta remembers a fact about the whole state.
func (s *Store) SetMeta(name string, v any) error {
	return s.update(func(tx *bbolt.Tx) error { return putMeta(tx, name, v) })
}

func putMeta(tx *bbolt.Tx, name string, v any) error {
	b, err := tx.CreateBucketIfNotExists(metaBucket)
	if err != nil {
		return err
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.Put([]byte(name), data)
}

func (s *Store) update(f func(*bbolt.Tx) error) error {
	if s.db == nil || s.db.IsReadOnly() {
		return fmt.Errorf("write state %q: opened read-only", s.path)
	}
	if err := s.db.Update(f); err != nil {
		return &AccessError{Path: s.path, Err: err}
	}
	return nil
}

// view runs f on a snapshot and turns bbolt's panics over damaged pages into an
// error.
func (s *Store) view(f func(*bbolt.Tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &DamagedError{Path: s.path, Err: fmt.Errorf("%v", p)}
		}
	}()
	return s.db.View(f)
}

func decode(email string, data []byte, r *Record) error {
	if err := json.Unmarshal(data, r); err != nil {
		return fmt.Errorf("read record of %q: %w", email, err)
	}
	return nil
}

// openError explains why bbolt could not open the file.
func openError(path string, err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return lockedError(path)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch):
		return &DamagedError{Path: path, Err: err}
	case tooShort(path):
		return &DamagedError{Path: path, Err: errors.New("it is cut short")}
	}
	return &AccessError{Path: path, Err: err}
}

// tooShort reports a file without room for bbolt's two meta pages.
func tooShort(path string) bool {
	fi, err := os.Stat(path)
	if err != nil || !fi.Mode().IsRegular() {
		return false
	}
	return fi.Size() > 0 && fi.Size() < int64(2*os.Getpagesize())
}
