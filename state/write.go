package state

import (
	"bytes"
	"errors"

	"go.etcd.io/bbolt"
)

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
