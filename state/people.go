package state

import (
	"errors"
	"fmt"
	"iter"
	"sync"

	"go.etcd.io/bbolt"
)

// Snapshot is the state as it was at one moment, for many lookups in a row. It is
// for one goroutine.
type Snapshot struct {
	s      *Store
	people *bbolt.Bucket // nil: nobody
	cursor *bbolt.Cursor // of people, for lookups
	table  []string      // the texts that its records refer to
}

// View calls f with the state as it is now; what is written meanwhile is not
// seen. f may not write to the store: a write may have to wait for f to end.
func (s *Store) View(f func(*Snapshot) error) error {
	if s.db == nil {
		return f(&Snapshot{s: s})
	}
	v := &Snapshot{s: s}
	var tx *bbolt.Tx
	err := s.guard(func() (err error) {
		if tx, err = s.db.Begin(false); err == nil {
			v.people = tx.Bucket(peopleBucket)
			v.cursor = v.people.Cursor()
			v.table = s.texts.table() // after Begin: those of every record that it sees
		}
		return err
	})
	if tx != nil {
		defer tx.Rollback()
	}
	if err != nil {
		return err
	}
	return f(v)
}

// Lookup returns what is remembered of the person with this canonical email.
func (v *Snapshot) Lookup(email string) (r Record, found bool, err error) {
	if v.people == nil {
		return Record{}, false, nil
	}
	err = v.s.guard(func() (err error) {
		k, data := v.cursor.Seek([]byte(email))
		if string(k) != email || k == nil {
			return nil
		}
		found = true
		r, err = v.record(email, data)
		return err
	})
	return r, found && err == nil, err
}

// All yields every record by email. The sequence ends after an error.
func (v *Snapshot) All() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for e, err := range v.Entries() {
			var r Record
			if err == nil {
				r, err = e.Record()
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// Lookup returns what is remembered of the person with this canonical email.
func (s *Store) Lookup(email string) (r Record, found bool, err error) {
	err = s.View(func(v *Snapshot) (err error) {
		r, found, err = v.Lookup(email)
		return err
	})
	return r, found, err
}

// All yields every record by email, as of the moment the loop begins. The
// sequence ends after an error. The loop may not write to the store, see View.
func (s *Store) All() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		err := s.View(func(v *Snapshot) error {
			v.All()(yield)
			return nil
		})
		if err != nil {
			yield(Record{}, err)
		}
	}
}

// Len is how many people are remembered.
func (s *Store) Len() (n int, err error) {
	err = s.View(func(v *Snapshot) (err error) {
		n, err = v.len()
		return err
	})
	return n, err
}

func (v *Snapshot) len() (n int, err error) {
	if n, err = v.count(); n >= 0 || err != nil {
		return n, err
	}
	n = 0
	for _, err := range v.Entries() {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// count is how many people the file says there are; -1: it does not say.
func (v *Snapshot) count() (n int, err error) {
	if v.people == nil {
		return 0, nil
	}
	err = v.s.guard(func() (err error) {
		n, err = countOf(v.people.Tx())
		return err
	})
	if err != nil {
		err = v.s.unreadable(err)
	}
	return n, err
}

// Put remembers records: all of them or, with an error, none. They are durable
// when it returns. Calls that come while another is being written share the next
// write, so that workers do not queue for the disk.
func (s *Store) Put(records ...Record) error {
	if len(records) == 0 {
		return nil
	}
	if err := s.writable(); err != nil {
		return err
	}
	// Whatever can be wrong with a record is found here, before it shares a write.
	entries := make([]entry, len(records))
	for i := range records {
		r := &records[i]
		if r.Email == "" || len(r.Email) > bbolt.MaxKeySize {
			return fmt.Errorf("write state %q: %.40q is no email", s.path, r.Email)
		}
		entries[i] = entry{[]byte(r.Email), s.texts.encode(r)}
	}
	return s.group.do(entries, func(all []entry) error {
		saved := 0
		err := s.update(func(tx *bbolt.Tx) (err error) {
			if saved, err = s.texts.save(tx); err != nil {
				return err
			}
			n, err := putAll(tx, all)
			if err != nil {
				return err
			}
			return addPeople(tx, n)
		})
		if err == nil {
			s.texts.committed(saved)
		}
		return err
	})
}

// putAll writes records and tells how many of them are of people who are new.
func putAll(tx *bbolt.Tx, all []entry) (added int, err error) {
	b := tx.Bucket(peopleBucket)
	// People come in order of their emails: pages that fill up are not touched
	// again, and half of each would stay empty.
	b.FillPercent = 0.9
	for _, e := range all {
		if b.Get(e.key) == nil {
			added++
		}
		if err := b.Put(e.key, e.value); err != nil {
			return 0, err
		}
	}
	return added, nil
}

// Delete forgets people, all or, with an error, none. It is no error if nothing was
// remembered.
func (s *Store) Delete(emails ...string) error {
	return s.update(func(tx *bbolt.Tx) error {
		b, gone := tx.Bucket(peopleBucket), 0
		for _, e := range emails {
			if b.Get([]byte(e)) != nil {
				gone++
			}
			if err := b.Delete([]byte(e)); err != nil {
				return err
			}
		}
		return addPeople(tx, -gone)
	})
}

// record decodes what is stored for email.
func (v *Snapshot) record(email string, data []byte) (Record, error) {
	err := verify([]byte(email), data)
	var r Record
	if err == nil {
		r, err = decode(v.table, email, string(data))
	}
	if err != nil {
		return Record{}, v.damaged(email, err)
	}
	return r, nil
}

func (v *Snapshot) damaged(email string, err error) error {
	return v.s.damaged(fmt.Errorf("read record of %.80q: %w", email, err))
}

type entry struct{ key, value []byte }

// group gathers the entries of concurrent calls into one write.
type group struct {
	mu   sync.Mutex
	next *batch // collects entries for the write after the current one

	writing sync.Mutex
}

type batch struct {
	entries []entry
	done    bool
	err     error
}

// do returns when entries have been written, by this call or by another.
func (g *group) do(entries []entry, write func([]entry) error) error {
	g.mu.Lock()
	if g.next == nil {
		g.next = &batch{err: errors.New("write state: interrupted")}
	}
	b := g.next
	b.entries = append(b.entries, entries...)
	g.mu.Unlock()

	g.writing.Lock()
	defer g.writing.Unlock()
	if !b.done {
		g.mu.Lock()
		g.next = nil // what comes from now on goes into another batch
		g.mu.Unlock()
		b.done = true
		b.err = write(b.entries)
	}
	return b.err
}
