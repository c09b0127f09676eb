// Package state is the local memory of photosync: one bbolt file, bound to one
// Smartsheet account, with two tables.
//
//	people, by address   what the last look at the sources found, and the
//	                     fingerprint of "nothing to do for this person"
//	users, by id         what was put on a Smartsheet account: sent and confirmed,
//	                     announced and not yet answered, failed
//
// The people are a cache: a missing row costs one look-up and one read of a photo. Damage
// is an error that names the backup, and never a fresh start. The package holds no photo
// bytes and no secrets, and does not know who belongs to whom: it keeps what it is given.
package state

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"
)

// Store is an open state file. It is safe for concurrent use.
type Store struct {
	path       string
	db         *bbolt.DB // nil: read-only, and there is no file
	file       *os.File  // the one that db has open
	holder     holder
	writing    sync.Mutex
	generation atomic.Uint64
	whole      sync.Map    // the tables of which every row was read, and none is missing
	broken     atomic.Bool // bbolt panicked, and may hold its own locks for good
}

// Close lets go of the file.
func (s *Store) Close() error {
	if s.db == nil {
		return nil
	}
	s.holder.remove(s.path) // while the lock is still ours
	return Inaccessible(s.path, s.release())
}

// Generation grows with every write, also across runs. It is 0 for a state that is missing.
func (s *Store) Generation() uint64 { return s.generation.Load() }

func (s *Store) writable() error {
	if s.db == nil || s.db.IsReadOnly() {
		return fmt.Errorf("write state %q: opened read-only", s.path)
	}
	return nil
}

// update runs f in a write transaction, durable when it returns nil.
func (s *Store) update(f func(*bbolt.Tx) error) error {
	if err := s.writable(); err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.guard(func() error {
		var generation uint64
		err := s.db.Update(func(tx *bbolt.Tx) (err error) {
			if err := f(tx); err != nil {
				return err
			}
			generation, err = tx.Bucket(people).NextSequence()
			return err
		})
		if err == nil {
			s.generation.Store(generation)
		}
		return Inaccessible(s.path, err)
	})
}

// guard turns bbolt's panics over damaged pages, and the memory faults of a file that
// became shorter, into an error; then nothing more is tried. No code of callers may run
// inside: their panics are their own.
func (s *Store) guard(f func() error) (err error) {
	if s.broken.Load() {
		return s.damaged(errors.New("reading or writing it failed before"))
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			s.broken.Store(true)
			err = errors.New("its pages contradict each other")
			if _, fault := p.(interface{ Addr() uintptr }); fault { // see debug.SetPanicOnFault
				err = errors.New("a part of it cannot be read: it became shorter, the disk fails, or a page leads outside of it")
			}
			err = s.damaged(err)
		}
	}()
	return f()
}

// Change is what Write records. Rows are forgotten before others are written.
type Change struct {
	People       []Person
	Users        []User
	ForgetPeople []string // emails
	ForgetUsers  []int64  // ids
}

// bulk is a number of rows that only an import writes at once.
const bulk = 1000

// Write records a change. It is durable when Write returns; with an error nothing
// of it is recorded. It is no error to forget what is not there.
func (s *Store) Write(c Change) error {
	var p, u []row
	for _, email := range c.ForgetPeople {
		p = append(p, row{key: email})
	}
	for i := range c.People {
		p = append(p, encodePerson(&c.People[i]))
	}
	for _, id := range c.ForgetUsers {
		u = append(u, row{key: userKey(id)})
	}
	for i := range c.Users {
		if c.Users[i].ID == 0 {
			return errors.New("write state: a user without an id")
		}
		u = append(u, encodeUser(&c.Users[i]))
	}
	if len(p)+len(u) == 0 {
		return nil
	}
	return s.update(func(tx *bbolt.Tx) error {
		if err := s.put(tx, people, p); err != nil {
			return err
		}
		return s.put(tx, users, u)
	})
}

// put writes rows, and keeps the tally of their table.
func (s *Store) put(tx *bbolt.Tx, table []byte, rows []row) error {
	b := tx.Bucket(table)
	t, err := tallyOf(tx, table)
	if err != nil {
		return s.damaged(err)
	}
	// People, and in a bulk users, come in the order of their keys: pages that fill up are
	// not touched again, and half of each would stay empty.
	if bytes.Equal(table, people) || len(rows) >= bulk {
		b.FillPercent = 0.9
	}
	for _, r := range rows {
		key := []byte(r.key)
		if old := b.Get(key); old != nil {
			t.count(old, -1)
		}
		if r.value == nil {
			err = b.Delete(key)
		} else {
			t.count(r.value, 1)
			err = b.Put(key, r.value)
		}
		if err != nil {
			return err
		}
	}
	return putFact(tx, string(table), t)
}
