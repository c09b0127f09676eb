package state

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"go.etcd.io/bbolt"
)

var errOrder = errors.New("it is out of place")

// row is a verified copy of a row as it is stored. Whoever looks at it may take time,
// or panic, and neither is the file's concern.
type row struct {
	key   string
	value []byte
}

// rows yields every row of a table by key, and checks each row, the order, and in
// the end the tally of the table. The sequence ends after an error.
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
			if err = v.s.guard(w.next); err != nil {
				err = v.damaged(table, w.row.key, err)
			} else if w.row.key == "" {
				break
			} else if !yield(w.row, nil) {
				return
			}
		}
		switch {
		case err != nil:
		case w.seen.Rows != want.Rows:
			err = fmt.Errorf("it holds %d of %d %s", w.seen.Rows, want.Rows, table)
		case w.seen != want:
			err = fmt.Errorf("some of the %s are older than what was written last", table)
		}
		if err != nil {
			yield(row{}, v.s.damaged(err))
			return
		}
		v.s.whole.Store(string(table), true)
	}
}

// maxValue is more than any value takes.
const maxValue = 16 << 20

// walkBytes is how much is walked over until the mapped pages are given back. Linux maps
// 16 pages where one is read, and in a file with years of changes those around it
// are of others: this takes up to 16 times as much memory.
const walkBytes = 256 << 10

// walker goes from row to row.
type walker struct {
	cursor *bbolt.Cursor
	row    row // the last one; empty at the end
	seen   tally
	walked int // bytes since pages were given back
}

// next copies the next row and checks it, and that it comes after the one before.
func (w *walker) next() error {
	step, before := w.cursor.Next, w.row.key
	if before == "" { // no key is empty
		step = w.cursor.First
	}
	key, value := step()
	if key == nil || w.walked >= walkBytes {
		w.walked = 0
		releasePages(w.cursor.Bucket().Tx())
	}
	if key == nil {
		w.row = row{}
		return nil
	}
	if len(key) > bbolt.MaxKeySize || len(value) > maxValue { // before anything is copied
		return errValue
	}
	w.walked += len(key) + len(value)
	w.row = row{string(key), bytes.Clone(value)}
	if err := verify(key, value); err != nil {
		return err
	}
	w.seen.add(value)
	if w.row.key <= before {
		return errOrder
	}
	return nil
}
