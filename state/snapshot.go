package state

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"go.etcd.io/bbolt"
)

// Snapshot is the state as it was at one moment. It is for one goroutine.
type Snapshot struct {
	s             *Store
	tx            *bbolt.Tx     // nil: there is no file
	people, users *bbolt.Cursor // for single rows
}

// View calls f with the state as it is now; what is written meanwhile is not seen.
// f may not write to the store: a write may have to wait for f to end.
func (s *Store) View(f func(*Snapshot) error) error {
	v := &Snapshot{s: s}
	if s.db == nil {
		return f(v)
	}
	err := s.guard(func() (err error) {
		if v.tx, err = s.db.Begin(false); err == nil {
			v.people, v.users = v.tx.Bucket(people).Cursor(), v.tx.Bucket(users).Cursor()
		}
		return err
	})
	if v.tx != nil {
		defer v.tx.Rollback()
	}
	if err != nil {
		return err
	}
	return f(v)
}

// Person returns the row of the person with this canonical address. That it is not
// found is certain: damage is an error.
func (v *Snapshot) Person(email string) (p Person, found bool, err error) {
	err = v.find(v.people, []byte(email), func(value []byte) (err error) {
		p, err = decodePerson(email, value)
		found = err == nil
		return err
	})
	if err != nil {
		return Person{}, false, v.damaged(personName(email), err)
	}
	return p, found, nil
}

// User returns the row of the user with this id. That it is not found is certain:
// damage is an error.
func (v *Snapshot) User(id int64) (u User, found bool, err error) {
	err = v.find(v.users, userKey(id), func(value []byte) (err error) {
		u, err = decodeUser(id, value)
		found = err == nil
		return err
	})
	if err != nil {
		return User{}, false, v.damaged(userName(id), err)
	}
	return u, found, nil
}

// find calls decode with the verified value of key, if there is one. If there is none,
// the two rows on either side of its place must be whole and in order: a search that a
// damaged key leads astray ends beside that key.
func (v *Snapshot) find(c *bbolt.Cursor, key []byte, decode func([]byte) error) error {
	if v.tx == nil {
		return nil
	}
	return v.s.guard(func() error {
		k, value := c.Seek(key)
		if k != nil && bytes.Equal(k, key) {
			if err := verify(k, value); err != nil {
				return err
			}
			return decode(value)
		}
		return proveAbsent(c, key)
	})
}

// proveAbsent is nil if the rows around the place of key show that it is not there.
func proveAbsent(c *bbolt.Cursor, key []byte) error {
	var around [4]struct{ key, value []byte } // two before, two after
	after, _ := c.Seek(key)
	if after == nil {
		around[1].key, around[1].value = c.Last()
	} else {
		around[1].key, around[1].value = c.Prev()
	}
	if around[1].key != nil {
		around[0].key, around[0].value = c.Prev()
	}
	if after != nil {
		around[2].key, around[2].value = c.Seek(key)
		around[3].key, around[3].value = c.Next()
	}
	var last []byte
	for i, r := range around {
		if r.key == nil {
			continue
		}
		if err := verify(r.key, r.value); err != nil {
			return err
		}
		if last != nil && bytes.Compare(last, r.key) >= 0 || i < 2 == (bytes.Compare(r.key, key) >= 0) {
			return errOrder
		}
		last = r.key
	}
	return nil
}

// Row is a person's row of which only the fixed part was read.
type Row struct {
	Email       string
	Fingerprint Fingerprint
	Winner      uint8
	Note        uint8
	v           *Snapshot
	value       string
}

// Person reads the rest of the row.
func (r Row) Person() (Person, error) {
	p, err := decodePerson(r.Email, []byte(r.value))
	if err != nil {
		return Person{}, r.v.damaged(personName(r.Email), err)
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
			if err == nil && len(r.value) < personHead {
				err = v.damaged(personName(r.key), errors.New("it is too short"))
			}
			if err == nil {
				copy(row.Fingerprint[:], r.value[checksumSize:])
				row.Winner, row.Note = r.value[personHead-2], r.value[personHead-1]
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
				id := idOf([]byte(r.key))
				if u, err = decodeUser(id, []byte(r.value)); err != nil {
					err = v.damaged(userName(id), err)
				}
			}
			if !yield(u, err) || err != nil {
				return
			}
		}
	}
}

// check reads every row, as far as its checksum: what is within was written by this
// package.
func (v *Snapshot) check() error {
	for _, table := range tables {
		for _, err := range v.rows(table) {
			if err != nil {
				return err
			}
		}
	}
	return nil
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
	err = s.View(func(v *Snapshot) error {
		p, err := v.tally(people)
		if err != nil {
			return err
		}
		u, err := v.tally(users)
		nPeople, nUsers = p.Rows, u.Rows
		return err
	})
	return nPeople, nUsers, err
}

func personName(email string) string { return fmt.Sprintf("person %.80q", email) }
func userName(id int64) string       { return fmt.Sprintf("user %d", id) }

// damaged says which row is.
func (v *Snapshot) damaged(name string, err error) error {
	if d, ok := errors.AsType[*DamagedError](err); ok {
		return d
	}
	return v.s.damaged(fmt.Errorf("the row of %s: %w", name, err))
}
