package state

import (
	"bytes"
	"errors"
	"fmt"

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

// bulk is a number of rows that only an import writes at once.
const bulk = 1000

// writesUntilRelease is how many transactions there are until mapped pages are given back.
const writesUntilRelease = 1000

// Write records a change. It is durable when Write returns; with an error nothing
// of it is recorded. It is no error to forget what is not there.
func (s *Store) Write(c Change) error {
	if len(c.People)+len(c.Users)+len(c.ForgetPeople)+len(c.ForgetUsers) == 0 {
		return nil
	}
	return s.update(func(tx *bbolt.Tx) error {
		if s.Generation()%writesUntilRelease == 0 {
			releasePages(tx) // writing maps the pages around each row: in a long run, the whole file
		}
		if err := s.edit(tx, people, len(c.People), c.putPeople); err != nil {
			return err
		}
		return s.edit(tx, users, len(c.Users), c.putUsers)
	})
}

// put sets the value of a key; nil removes it.
type put func(key, value []byte) error

func (c *Change) putPeople(set put) error {
	for _, email := range c.ForgetPeople {
		if err := set([]byte(email), nil); err != nil {
			return err
		}
	}
	for i := range c.People {
		p := &c.People[i]
		if p.Email == "" || len(p.Email) > bbolt.MaxKeySize {
			return fmt.Errorf("%.40q is no address", p.Email)
		}
		key, value, err := encodePerson(p)
		if err == nil {
			err = set(key, value)
		}
		if err != nil {
			return fmt.Errorf("person %.80q: %w", p.Email, err)
		}
	}
	return nil
}

func (c *Change) putUsers(set put) error {
	for _, id := range c.ForgetUsers {
		if err := set(userKey(id), nil); err != nil {
			return err
		}
	}
	for i := range c.Users {
		u := &c.Users[i]
		if u.ID == 0 {
			return errors.New("a user without an id")
		}
		key, value, err := encodeUser(u)
		if err == nil {
			err = set(key, value)
		}
		if err != nil {
			return fmt.Errorf("user %d: %w", u.ID, err)
		}
	}
	return nil
}

// edit changes a table, and keeps its tally.
func (s *Store) edit(tx *bbolt.Tx, table []byte, rows int, change func(put) error) error {
	before, err := tallyOf(tx, table)
	if err != nil {
		return s.damaged(err)
	}
	b, t := tx.Bucket(table), before
	// People come in the order of their addresses, and in a bulk the users come by
	// their ids: pages that fill up are not touched again, and half of each would
	// stay empty.
	if bytes.Equal(table, people) || rows >= bulk {
		b.FillPercent = 0.9
	}
	err = change(func(key, value []byte) error {
		if old := b.Get(key); old != nil {
			t.remove(old)
		}
		if value == nil {
			return b.Delete(key)
		}
		t.add(value)
		return b.Put(key, value)
	})
	if err == nil && t != before {
		err = putFact(tx, string(table), t)
	}
	return err
}
