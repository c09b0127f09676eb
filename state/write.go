package state

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"go.etcd.io/bbolt"
)

// Change is what Write records, all of it or nothing. Rows are forgotten before
// others are written.
type Change struct {
	People       []Person
	Users        []User
	ForgetPeople []string // emails
	ForgetUsers  []int64  // ids
}

// Write records a change. It is durable when Write returns; with an error nothing
// of it is recorded. It is no error to forget what is not there. Calls that come
// while another is being written share the next transaction, so that workers do not
// queue for the disk.
func (s *Store) Write(c Change) error {
	if err := s.writable(); err != nil {
		return err
	}
	// Whatever can be wrong with a change is found here, before it shares a
	// transaction with others.
	puts, err := c.puts()
	if err != nil {
		return fmt.Errorf("write state %q: %w", s.path, err)
	}
	if len(puts) == 0 {
		return nil
	}
	return s.group.do(puts, func(all []put) error {
		return s.update(func(tx *bbolt.Tx) error {
			// Writing maps the pages around each row: in a long run, the whole file.
			if s.writes++; s.writes%writesUntilRelease == 0 {
				releasePages(tx.DB().Info().Data, tx.Size())
			}
			return s.apply(tx, all)
		})
	})
}

// writesUntilRelease is how many transactions there are until mapped pages are given back.
const writesUntilRelease = 1000

// put sets the value of a key in a table; nil removes it.
type put struct{ table, key, value []byte }

func (c *Change) puts() ([]put, error) {
	all := make([]put, 0, len(c.People)+len(c.Users)+len(c.ForgetPeople)+len(c.ForgetUsers))
	for _, email := range c.ForgetPeople {
		all = append(all, put{people, []byte(email), nil})
	}
	for _, id := range c.ForgetUsers {
		all = append(all, put{users, userKey(id), nil})
	}
	for i := range c.People {
		p := &c.People[i]
		if p.Email == "" || len(p.Email) > bbolt.MaxKeySize {
			return nil, fmt.Errorf("%.40q is no address", p.Email)
		}
		key, value, err := encodePerson(p)
		if err != nil {
			return nil, fmt.Errorf("person %.80q: %w", p.Email, err)
		}
		all = append(all, put{people, key, value})
	}
	for i := range c.Users {
		u := &c.Users[i]
		if u.ID == 0 {
			return nil, errors.New("a user without an id")
		}
		key, value, err := encodeUser(u)
		if err != nil {
			return nil, fmt.Errorf("user %d: %w", u.ID, err)
		}
		all = append(all, put{users, key, value})
	}
	return all, nil
}

// apply makes the changes in a transaction, and keeps the tallies.
func (s *Store) apply(tx *bbolt.Tx, all []put) error {
	for _, table := range tables {
		before, err := tallyOf(tx, table)
		if err != nil {
			return s.damaged(err)
		}
		b, t := tx.Bucket(table), before
		// People come in the order of their addresses, and in a bulk the users come by
		// their ids: pages that fill up are not touched again, and half of each would
		// stay empty.
		if bytes.Equal(table, people) || len(all) >= bulk {
			b.FillPercent = 0.9
		}
		for _, p := range all {
			if !bytes.Equal(p.table, table) {
				continue
			}
			if old := b.Get(p.key); old != nil {
				t.remove(old)
			}
			if p.value == nil {
				err = b.Delete(p.key)
			} else {
				t.add(p.value)
				err = b.Put(p.key, p.value)
			}
			if err != nil {
				return err
			}
		}
		if t != before {
			if err := putFact(tx, string(table), t); err != nil {
				return err
			}
		}
	}
	return nil
}

// bulk is a number of rows that only an import writes at once.
const bulk = 1000

// group gathers the changes of concurrent calls into one transaction.
type group struct {
	mu   sync.Mutex
	next *batch // collects changes for the transaction after the current one

	writing sync.Mutex
}

type batch struct {
	puts []put
	done bool
	err  error
}

// do returns when puts have been written, by this call or by another.
func (g *group) do(puts []put, write func([]put) error) error {
	g.mu.Lock()
	if g.next == nil {
		g.next = &batch{err: errors.New("write state: interrupted")}
	}
	b := g.next
	b.puts = append(b.puts, puts...)
	g.mu.Unlock()

	g.writing.Lock()
	defer g.writing.Unlock()
	if !b.done {
		g.mu.Lock()
		g.next = nil // what comes from now on goes into another batch
		g.mu.Unlock()
		b.done = true
		b.err = write(b.puts)
	}
	return b.err
}
