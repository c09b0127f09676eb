package state

import (
	"bytes"
	"fmt"
	"iter"

	"go.etcd.io/bbolt"
)

// Snapshot is the state as it was at one moment. It is for one goroutine.
type Snapshot struct {
	s  *Store
	tx *bbolt.Tx // nil: there is no file
}

// View calls f with the state as it is now; what is written meanwhile is not seen.
// f may not write to the store: a write may have to wait for f to end.
func (s *Store) View(f func(*Snapshot) error) error {
	v := &Snapshot{s: s}
	if s.db == nil {
		return f(v)
	}
	err := s.guard(func() (err error) {
		v.tx, err = s.db.Begin(false)
		return err
	})
	if err != nil {
		return err
	}
	defer v.tx.Rollback()
	return f(v)
}

// Person returns the row of the person with this canonical address. That it is not
// found is certain: damage is an error.
func (v *Snapshot) Person(email string) (p Person, found bool, err error) {
	found, err = v.find(people, []byte(email), func(value []byte) (err error) {
		p, err = decodePerson(email, value)
		return err
	})
	return p, found, err
}

// User returns the row of the user with this id. That it is not found is certain:
// damage is an error.
func (v *Snapshot) User(id int64) (u User, found bool, err error) {
	found, err = v.find(users, userKey(id), func(value []byte) (err error) {
		u, err = decodeUser(id, value)
		return err
	})
	return u, found, err
}

// find calls decode with the verified value of key, if there is one. That there is none
// is certain if the table is whole, and its rows on either side of the place are in order:
// no page above them has led the search astray.
func (v *Snapshot) find(table, key []byte, decode func(value []byte) error) (found bool, err error) {
	if v.tx == nil {
		return false, nil
	}
	err = v.s.guard(func() error {
		c := v.tx.Bucket(table).Cursor()
		after, value := c.Seek(key)
		if found = bytes.Equal(after, key); found {
			if err := verify(key, value); err != nil {
				return err
			}
			return decode(value)
		}
		back := c.Prev
		if after == nil {
			back = c.Last
		}
		before, _ := back()
		if before != nil && bytes.Compare(before, key) >= 0 || after != nil && bytes.Compare(after, key) < 0 {
			return errOrder
		}
		return nil
	})
	if err != nil {
		return false, v.damaged(table, string(key), err)
	}
	if _, whole := v.s.whole.Load(string(table)); !found && !whole {
		return false, v.check(table)
	}
	return found, nil
}

// Row is a person's row of which only the fixed part was read.
type Row struct {
	Email       string
	Fingerprint Fingerprint
	Winner      uint8
	Note        uint8
	v           *Snapshot
	value       []byte
}

// Person reads the rest of the row.
func (r Row) Person() (Person, error) {
	p, err := decodePerson(r.Email, r.value)
	if err != nil {
		return Person{}, r.v.damaged(people, r.Email, err)
	}
	return p, nil
}

// People yields every person by email. The sequence ends after an error. That it
// ends without one means that every row is whole, is the one that was written last,
// and that nobody is missing or comes twice.
func (v *Snapshot) People() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for r, err := range v.rows(people) {
			row := Row{v: v, Email: r.key, value: r.value}
			if err == nil {
				row.Fingerprint, row.Winner, row.Note, err = decodeHead(r.value)
				err = v.damaged(people, r.key, err)
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// Users yields every user by id. The sequence ends after an error; that it ends
// without one means the same as for People.
func (v *Snapshot) Users() iter.Seq2[User, error] {
	return func(yield func(User, error) bool) {
		for r, err := range v.rows(users) {
			var u User
			if err == nil {
				u, err = decodeUser(idOf([]byte(r.key)), r.value)
				err = v.damaged(users, r.key, err)
			}
			if !yield(u, err) || err != nil {
				return
			}
		}
	}
}

// check reads every row of a table, as far as its checksum: what is within was written
// by this package.
func (v *Snapshot) check(table []byte) error {
	for _, err := range v.rows(table) {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkAll reads every row.
func (v *Snapshot) checkAll() error {
	if err := v.check(people); err != nil {
		return err
	}
	return v.check(users)
}

// Person is Snapshot.Person for one look.
func (s *Store) Person(email string) (p Person, found bool, err error) {
	err = s.View(func(v *Snapshot) (err error) {
		p, found, err = v.Person(email)
		return err
	})
	return p, found, err
}

// User is Snapshot.User for one look.
func (s *Store) User(id int64) (u User, found bool, err error) {
	err = s.View(func(v *Snapshot) (err error) {
		u, found, err = v.User(id)
		return err
	})
	return u, found, err
}

// Len is how many people and users the state has.
func (s *Store) Len() (nPeople, nUsers int, err error) {
	if s.db == nil {
		return 0, 0, nil
	}
	err = s.view(func(tx *bbolt.Tx) error {
		p, err := tallyOf(tx, people)
		if err != nil {
			return err
		}
		u, err := tallyOf(tx, users)
		nPeople, nUsers = p.Rows, u.Rows
		return err
	})
	if err != nil {
		return 0, 0, s.damaged(err)
	}
	return nPeople, nUsers, nil
}

// damaged says which row is, if any.
func (v *Snapshot) damaged(table []byte, key string, err error) error {
	if err == nil {
		return nil
	}
	if hintOf(err) == "" {
		err = fmt.Errorf("the row of %s: %w", nameOf(table, key), err)
	}
	return v.s.damaged(err)
}

// nameOf is the name of a row for people.
func nameOf(table []byte, key string) string {
	if bytes.Equal(table, users) {
		return fmt.Sprintf("user %d", idOf([]byte(key)))
	}
	return fmt.Sprintf("person %.80q", key)
}
