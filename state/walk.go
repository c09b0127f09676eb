package state

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"strings"

	"go.etcd.io/bbolt"
)

// Entry is a record read as far as it tells whether there is anything to do, which
// for nearly everyone there is not. Its texts are parts of a large one: whoever
// keeps any of them keeps all of that.
type Entry struct {
	Email, Source, Rendering, Ref, Stamp string

	Photo    bool   // there was one at the last look
	Sum      string // Sum(its SourceSHA256)
	Uploaded bool   // something was
	Noted    bool   // there is more to know: a failure, a missing photo, a placeholder

	v    *Snapshot
	data string
}

// Sum is a hash as an Entry has it: bytes instead of digits.
func Sum(digits string) string {
	if !packs(digits) {
		return digits
	}
	b, err := hex.DecodeString(digits)
	if err != nil { // cannot be: packs looked at every digit
		return digits
	}
	return string(b)
}

// SHA256 is the hash, hex, of which sum is Sum.
func SHA256(sum string) string {
	if len(sum) != sha256.Size {
		return sum
	}
	return hex.EncodeToString([]byte(sum))
}

// Record is the whole record, in memory of its own.
func (e *Entry) Record() (Record, error) {
	r, err := decode(e.v.table, strings.Clone(e.Email), strings.Clone(e.data))
	if err != nil {
		return Record{}, e.v.damaged(e.Email, err)
	}
	return r, nil
}

// Entries yields an Entry for every record, by email; it is the same one each time.
// The sequence ends after an error. That it ends without one means that nobody was
// left out, and nobody came twice, because of a page that is damaged.
func (v *Snapshot) Entries() iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		if v.people == nil {
			return
		}
		want, err := v.count()
		if err != nil {
			yield(nil, err)
			return
		}
		w := walker{cursor: v.people.Cursor()}
		e := &Entry{v: v}
		n, last := 0, ""
		for {
			if err := v.s.guard(w.read); err != nil {
				yield(nil, v.s.unreadable(err))
				return
			}
			if len(w.ends) == 0 {
				break
			}
			all, at := string(w.data), 0
			for i := 0; i < len(w.ends); i += 2 {
				email, data := all[at:w.ends[i]], all[w.ends[i]:w.ends[i+1]]
				if err := v.check(e, w.data[at:w.ends[i+1]], email, data, last); err != nil {
					yield(nil, err)
					return
				}
				at, last, n = w.ends[i+1], email, n+1
				if !yield(e, nil) {
					return
				}
			}
		}
		if n != want && want >= 0 {
			yield(nil, v.s.damaged(fmt.Errorf("it holds %d of %d people", n, want)))
		}
	}
}

// check reads into e what was copied out of the file for email, and before it for
// last.
func (v *Snapshot) check(e *Entry, copied []byte, email, data, last string) error {
	err := verify(copied[:len(email)], copied[len(email):])
	if err == nil && email <= last {
		err = errors.New("a record is out of place")
	}
	if err == nil {
		err = e.read(email, data)
	}
	if err != nil {
		return v.damaged(email, err)
	}
	return nil
}

// maxRecord is more than any record takes.
const maxRecord = 16 << 20

const (
	walkBytes = 16 << 10 // copied out of the file at once
	// walkPages is how much is walked over until the pages are given back. Linux maps
	// 16 pages where one is read, and in a file with years of changes those around it
	// are of others: this takes up to 16 times as much memory.
	walkPages = 256 << 10
)

// walker copies records out of the file, many at once: whoever looks at them may
// take time, or panic, and neither is the file's concern.
type walker struct {
	cursor *bbolt.Cursor
	begun  bool
	data   []byte
	ends   []int // of email, record, email, …
	walked int
}

// read copies the next records; none at the end. It runs guarded.
func (w *walker) read() error {
	w.data, w.ends = w.data[:0], w.ends[:0]
	for len(w.data) < walkBytes {
		step := w.cursor.Next
		if !w.begun {
			step, w.begun = w.cursor.First, true
		}
		k, data := step()
		if k == nil {
			break
		}
		if len(k) > bbolt.MaxKeySize || len(data) > maxRecord { // before anything is copied
			return errRecord
		}
		w.data = append(w.data, k...)
		w.ends = append(w.ends, len(w.data))
		w.data = append(w.data, data...)
		w.ends = append(w.ends, len(w.data))
	}
	if w.walked += len(w.data); w.walked >= walkPages || len(w.ends) == 0 {
		w.walked = 0
		tx := w.cursor.Bucket().Tx()
		releasePages(tx.DB().Info().Data, tx.Size())
	}
	return nil
}

// read fills e with what is stored for email.
func (e *Entry) read(email, data string) error {
	*e = Entry{v: e.v, Email: email, data: data}
	if data[0] != recordVersion {
		r, err := decode(e.v.table, email, data)
		e.Source, e.Rendering, e.Ref, e.Stamp = r.Source, r.Rendering, r.Ref, r.Stamp
		e.Photo, e.Sum, e.Uploaded, e.Noted = r.SourceSHA256 != "", Sum(r.SourceSHA256), r.UploadSHA256 != "", r.Failure != nil
		return err
	}
	d := newDecoder(e.v.table, email, data)
	flags := d.flags()
	e.Photo, e.Uploaded = flags&hasPhoto != 0, flags&hasUpload != 0
	e.Noted = flags&(hasFailure|isMissing|placeholder) != 0
	e.Source, e.Rendering, e.Ref, e.Stamp = d.text(), d.text(), d.text(), d.text()
	d.varint() // the user's id
	if flags&isMissing != 0 {
		d.varint()
	}
	if e.Photo {
		e.Sum = d.sum()
	}
	if d.bad {
		return errRecord
	}
	return nil
}
