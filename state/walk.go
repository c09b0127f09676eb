package state

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"go.etcd.io/bbolt"
)

var errOrder = errors.New("it is out of place")

// row is a row as it is stored, verified.
type row struct{ key, value string }

// rows yields every row of a table by key, and checks each row, the order, and in
// the end the tally of the table. The sequence ends after an error.
func (v *Snapshot) rows(table []byte) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		if v.tx == nil {
			return
		}
		var have tally
		w := walker{cursor: v.tx.Bucket(table).Cursor()}
		want, err := v.tally(table)
		for err == nil {
			if err = v.s.guard(w.read); err != nil || len(w.ends) == 0 {
				break
			}
			all, at := string(w.data), 0
			for i := 0; i < len(w.ends) && err == nil; i += 2 {
				r := row{all[at:w.ends[i]], all[w.ends[i]:w.ends[i+1]]}
				if err = w.check(at, i, r.key); err != nil {
					err = v.damaged(nameOf(table, r.key), err)
					break
				}
				have.add(w.data[w.ends[i]:])
				at = w.ends[i+1]
				if !yield(r, nil) {
					return
				}
			}
		}
		switch {
		case err != nil:
		case have.Rows != want.Rows:
			err = fmt.Errorf("it holds %d of %d %s", have.Rows, want.Rows, table)
		case have != want:
			err = fmt.Errorf("some of the %s are older than what was written last", table)
		}
		if err != nil {
			yield(row{}, v.s.unreadable(err))
		}
	}
}

// nameOf is the name of a row for people.
func nameOf(table []byte, key string) string {
	if bytes.Equal(table, users) {
		return userName(idOf([]byte(key)))
	}
	return personName(key)
}

// maxValue is more than any value takes.
const maxValue = 16 << 20

const (
	walkBytes = 16 << 10 // copied out of the file at once
	// walkPages is how much is walked over until the pages are given back. Linux maps
	// 16 pages where one is read, and in a file with years of changes those around it
	// are of others: this takes up to 16 times as much memory.
	walkPages = 256 << 10
)

// walker copies rows out of the file, many at once: whoever looks at them may take
// time, or panic, and neither is the file's concern.
type walker struct {
	cursor *bbolt.Cursor
	begun  bool
	data   []byte
	ends   []int // of key, value, key, …
	walked int
	last   string // key
}

// check verifies the row whose key begins at, and ends at the end i, and that it comes
// after the one before.
func (w *walker) check(at, i int, key string) error {
	if err := verify(w.data[at:w.ends[i]], w.data[w.ends[i]:w.ends[i+1]]); err != nil {
		return err
	}
	if key <= w.last { // no key is empty
		return errOrder
	}
	w.last = key
	return nil
}

// read copies the next rows; none at the end. It runs guarded.
func (w *walker) read() error {
	w.data, w.ends = w.data[:0], w.ends[:0]
	for len(w.data) < walkBytes {
		step := w.cursor.Next
		if !w.begun {
			step, w.begun = w.cursor.First, true
		}
		k, value := step()
		if k == nil {
			break
		}
		if len(k) > bbolt.MaxKeySize || len(value) > maxValue { // before anything is copied
			return errValue
		}
		w.data = append(w.data, k...)
		w.ends = append(w.ends, len(w.data))
		w.data = append(w.data, value...)
		w.ends = append(w.ends, len(w.data))
	}
	if w.walked += len(w.data); w.walked >= walkPages || len(w.ends) == 0 {
		w.walked = 0
		tx := w.cursor.Bucket().Tx()
		releasePages(tx.DB().Info().Data, tx.Size())
	}
	return nil
}
