// Package state is the local memory of photosync: one bbolt file with a record
// per person, bound to one Smartsheet account. A record is durable when Put
// returns. A damaged, foreign or newer file is an error, never a fresh start.
package state

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"
)

var (
	peopleBucket = []byte("people") // email -> encoded Record; its sequence is the generation
	metaBucket   = []byte("meta")   // name -> a fact about the whole
)

// Account is the Smartsheet account that a state belongs to.
type Account struct {
	Root string `json:"root"` // API root
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// same tells whether a and b are one account; its name may change.
func (a Account) same(b Account) bool { return a.Root == b.Root && a.ID == b.ID }

// Store is an open state file. It is safe for concurrent use.
type Store struct {
	path       string
	db         *bbolt.DB // nil: read-only, and there is no file
	file       *os.File  // db's
	holder     holder
	group      group
	texts      texts
	schema     int // of the file
	generation atomic.Uint64
	broken     atomic.Bool // bbolt panicked, and may hold its own locks for good

	backup     sync.Once // looked for once, when it is needed
	backupFile string
}

// Close lets go of the file.
func (s *Store) Close() error {
	if s.db == nil {
		return nil
	}
	s.holder.remove(s.path) // while the lock is still ours
	if err := s.release(); err != nil {
		return &AccessError{Path: s.path, Err: err}
	}
	return nil
}

// Generation is a number that grows with every write, also across runs. It is 0
// for a state that does not exist yet.
func (s *Store) Generation() uint64 { return s.generation.Load() }

// Account returns the account that the state is bound to. It is false before the
// first Bind.
func (s *Store) Account() (a Account, bound bool) {
	bound, err := s.Meta(accountKey, &a)
	return a, bound && err == nil
}

// Bind binds a new state to an account, and refuses another one with an
// *AccountError. A read-only store is compared only.
func (s *Store) Bind(a Account) error {
	a.Root = strings.TrimRight(a.Root, "/")
	var have Account
	known, err := s.Meta(accountKey, &have)
	switch {
	case err != nil:
		return err
	case known && !have.same(a):
		return &AccountError{Path: s.path, Have: have, Want: a}
	case known || s.writable() != nil:
		return nil
	}
	return s.SetMeta(accountKey, a)
}

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
	return s.guard(func() error {
		var generation uint64
		err := s.db.Update(func(tx *bbolt.Tx) (err error) {
			if err := f(tx); err != nil {
				return err
			}
			generation, err = tx.Bucket(peopleBucket).NextSequence()
			return err
		})
		if err != nil {
			return &AccessError{Path: s.path, Err: err}
		}
		// Two writers may come here in either order.
		for old := s.generation.Load(); old < generation && !s.generation.CompareAndSwap(old, generation); {
			old = s.generation.Load()
		}
		return nil
	})
}

// view runs f on a snapshot, guarded.
func (s *Store) view(f func(*bbolt.Tx) error) error {
	return s.guard(func() error { return s.db.View(f) })
}

// guard turns bbolt's panics over damaged pages, and the memory faults of a file
// that became shorter, into an error; after one of them nothing more is tried. No
// code of callers may run inside: their panics are their own.
func (s *Store) guard(f func() error) (err error) {
	if s.broken.Load() {
		return s.damaged(errors.New("reading or writing it failed before"))
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			s.broken.Store(true)
			err = s.damaged(fmt.Errorf("%v", p))
		}
	}()
	return f()
}
