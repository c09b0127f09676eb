package state

import (
	"errors"
	"fmt"
	"iter"

	"go.etcd.io/bbolt"
)

// Snapshot is the state as it was at one moment. It is for one goroutine.
type Snapshot struct {
	s       *Store
	tx      *bbolt.Tx                // nil: there is no file
	cursors map[string]*bbolt.Cursor // of the tables, for look-ups
}

// View calls f with the state as it is now; f does not see later writes. f must not write to
// the store: a write may have to wait for f to end.
func (s *Store) View(f func(*Snapshot) error) error {
	v := &Snapshot{s: s}
	if s.db == nil {
		return f(v)
	}
	err := s.guard(func() (err error) {
		if v.tx, err = s.db.Begin(false); err == nil {
			v.cursors = map[string]*bbolt.Cursor{string(people): v.tx.Bucket(people).Cursor(), string(users): v.tx.Bucket(users).Cursor()}
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

// Person returns the row of the person with this canonical address. Damage is an error.
func (v *Snapshot) Person(email string) (Person, bool, error) {
	return find(v, people, email, row.person)
}

// User returns the row of the user with this id. Damage is an error.
func (v *Snapshot) User(id int64) (User, bool, error) { return find(v, users, userKey(id), row.user) }

// Person is Snapshot.Person of the state as it is now.
func (s *Store) Person(email string) (Person, bool, error) {
	return single(s, (*Snapshot).Person, email)
}

// User is Snapshot.User of the state as it is now.
func (s *Store) User(id int64) (User, bool, error) { return single(s, (*Snapshot).User, id) }

func single[K, T any](s *Store, find func(*Snapshot, K) (T, bool, error), key K) (t T, found bool, err error) {
	err = s.View(func(v *Snapshot) (err error) {
		t, found, err = find(v, key)
		return err
	})
	return t, found, err
}

// find reads the row of a key, if there is one. The first search in a table reads all of it, see
// Options.Partial. If no row is found, its neighbours show whether a damaged page misled the search.
func find[T any](v *Snapshot, table []byte, key string, decode func(row, *T) error) (t T, found bool, err error) {
	if v.tx == nil {
		return t, false, nil
	}
	if _, whole := v.s.whole.Load(string(table)); !whole && !v.s.partial {
		if err := v.check(table); err != nil {
			return t, false, err
		}
	}
	err = v.s.guard(func() (err error) {
		c := v.cursors[string(table)]
		after, value := c.Seek([]byte(key))
		if found = string(after) == key; found {
			if err = (row{key, value}).verify(); err == nil {
				err = decode(row{key, value}, &t)
			}
			return err
		}
		before, _ := c.Prev()
		if after == nil {
			before, _ = c.Last()
		}
		if before != nil && string(before) >= key || after != nil && string(after) < key {
			return errOrder
		}
		return nil
	})
	if err != nil {
		return *new(T), false, v.damaged(table, err)
	}
	return t, found, nil
}

// Row is a person's row of which only the fixed part was read. The rest can be read until the loop goes on to the next row.
type Row struct {
	Email       string
	Fingerprint Fingerprint
	Winner      uint8
	Note        uint8
	v           *Snapshot
	row         row
}

// Person reads the rest of the row.
func (r Row) Person() (p Person, err error) {
	err = r.v.damaged(people, r.row.person(&p))
	return p, err
}

// People gives a loop every person, sorted by email. The loop ends after an error. If it ends without
// one, every row was there exactly once, as it was last written.
func (v *Snapshot) People() iter.Seq2[Row, error] {
	return decoded(v, people, func(r row, to *Row) (err error) {
		*to = Row{Email: r.key, v: v, row: r}
		to.Fingerprint, to.Winner, to.Note, err = r.head()
		return err
	})
}

// Whole gives a loop every person with the whole row, and Users every user, sorted by id, in the same way.
func (v *Snapshot) Whole() iter.Seq2[Person, error] { return decoded(v, people, row.person) }
func (v *Snapshot) Users() iter.Seq2[User, error]   { return decoded(v, users, row.user) }

func decoded[T any](v *Snapshot, table []byte, decode func(row, *T) error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var t T // one for all rows, as decode lets it escape
		for r, err := range v.rows(table) {
			if err == nil {
				err = v.damaged(table, decode(r, &t))
			}
			if !yield(t, err) || err != nil {
				return
			}
		}
	}
}

// check reads every row of the tables and its checksum, but decodes none.
func (v *Snapshot) check(tables ...[]byte) error {
	for _, table := range tables {
		for _, err := range v.rows(table) {
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// rows gives a loop a copy of every row of a table, sorted by key. It checks each row, the order, and at the
// end the tally of the table. The loop ends after an error. The value of a row is valid until the next row.
func (v *Snapshot) rows(table []byte) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		if v.tx == nil {
			return
		}
		var w walker
		var want tally
		err := v.s.guard(func() (err error) {
			w.cursor = v.tx.Bucket(table).Cursor()
			want, err = tallyOf(v.tx, table)
			return err
		})
		for err == nil {
			err = v.damaged(table, v.s.guard(w.next))
			if err != nil || w.row.key == "" {
				break
			}
			if !yield(w.row, nil) {
				return
			}
		}
		switch {
		case err != nil:
		case w.seen.Rows != want.Rows:
			err = fmt.Errorf("it holds %d of %d %s", w.seen.Rows, want.Rows, table)
		case w.seen != want:
			err = fmt.Errorf("some of the %s are older than what was written last", table)
		default:
			v.s.whole.Store(string(table), true)
			return
		}
		yield(row{}, v.s.damaged(err))
	}
}

var errOrder = errors.New("it is out of place")

// walkRows is after how many rows read, or writes, the mapped pages are released.
const walkRows = 500

// walker goes from row to row.
type walker struct {
	cursor *bbolt.Cursor
	row    row // the last one; empty at the end
	seen   tally
}

// next copies the next row, and checks the row and that its key comes after the previous one.
func (w *walker) next() error {
	step, before := w.cursor.Next, w.row.key
	if before == "" { // no key is empty
		step = w.cursor.First
	}
	key, value := step()
	if key == nil || w.seen.Rows%walkRows == 0 {
		releasePages(w.cursor.Bucket().Tx())
	}
	if len(key) > bbolt.MaxKeySize { // checked before the key is copied
		return errValue
	}
	w.row.key = string(key)
	if key == nil {
		return nil
	}
	if err := (row{w.row.key, value}).verify(); err != nil {
		return err
	}
	w.row.value = append(w.row.value[:0], value...)
	w.seen.count(value, 1)
	if w.row.key <= before {
		return errOrder
	}
	return nil
}

// damaged says in which table a row is.
func (v *Snapshot) damaged(table []byte, err error) error {
	if err != nil && !hinted(err) {
		err = v.s.damaged(fmt.Errorf("a row of the %s: %w", table, err))
	}
	return err
}
