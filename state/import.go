package state

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"time"

	"go.etcd.io/bbolt"
)

const (
	importBatch = 5000
	maxLine     = 16 << 20
)

// ImportOptions of Import.
type ImportOptions struct {
	// Replace also replaces a state that holds rows, or is of another account.
	Replace bool
	// Canonical returns an address in the form in which it is a key; nil: as it is.
	Canonical func(email string) (string, error)
}

// Import makes the state at path of an export, and returns the number of people in
// it. Of several exports that follow each other, as of the shards of an account, it
// makes one state: of a user's rows the newest one counts, and an announced upload
// stays announced. What a state held that is replaced becomes its backup. The fact
// RefreshedKey is left out. With an error, which is an *ImportError if the export is
// at fault, everything is as it was.
func Import(path string, from io.Reader, o ImportOptions) (people int, err error) {
	in := newImporter(from, o.Canonical)
	if _, err := in.begin(); err != nil {
		return 0, err
	}
	if path, err = target(path); err != nil {
		return 0, err
	}
	var atLeast uint64
	if old, err := readThrough(backupPath(path), false); err == nil {
		atLeast = old + 1 // or the next backup would seem to be made
	}
	var s *Store
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		if s, err = Open(path, Options{}); err != nil {
			return 0, err
		}
		defer s.Close()
		if err := s.vacate(in.header, o.Replace); err != nil {
			return 0, err
		}
		if s.Generation() > 0 { // it was in use
			atLeast = max(atLeast, s.Generation()+1)
		}
	}
	err = install(path, s != nil, func(file string) error {
		err := in.fill(file, atLeast)
		if err == nil && s != nil {
			err = s.makeRoom()
		}
		return err
	})
	if errors.Is(err, fs.ErrExist) { // another run has begun one meanwhile
		err = &ImportError{Err: occupied(path, 0)}
	}
	return in.people, access(path, err)
}

// occupied refuses to import into a state that is in use.
func occupied(path string, people int) error {
	return &RefusedError{path, fmt.Sprintf("is in use already: it remembers %d people, or belongs to another account than the export", people),
		"choose another state.path, or add --replace: what is there now then becomes the backup beside it"}
}

// vacate makes sure that the state may be replaced.
func (s *Store) vacate(h header, replace bool) error {
	nPeople, nUsers, err := s.Len()
	if err != nil {
		return err
	}
	account, bound := s.Account()
	other := bound && !account.same(h.account())
	switch {
	case nPeople+nUsers == 0 && !other:
		return nil
	case !replace:
		return &ImportError{Err: occupied(s.path, nPeople)}
	}
	return s.Backup()
}

// account is the one that an export is of; none, if it was never bound.
func (h header) account() (a Account) {
	json.Unmarshal(h.Facts[accountKey], &a) // what is no account is none
	return a
}

// importer makes one state of exports.
type importer struct {
	lines     *bufio.Scanner
	canonical func(string) (string, error)

	export  int    // how many were read before this one
	number  int    // of the line in it
	header  header // of it
	last    string // key in the table at hand
	account Account
	shards  map[string]bool // that the exports are of; "": of whole runs
	people  int             // of the state, so far
}

func newImporter(from io.Reader, canonical func(string) (string, error)) *importer {
	in := &importer{lines: bufio.NewScanner(from), canonical: canonical, shards: map[string]bool{}}
	in.lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	return in
}

func (in *importer) fault(err error) error {
	return &ImportError{Export: in.export + 1, Line: in.number, Err: err}
}

// next reads the next line into v; false at the end.
func (in *importer) next(v any) (bool, error) {
	in.number++
	if !in.lines.Scan() {
		if err := in.lines.Err(); err != nil {
			return false, in.fault(err)
		}
		return false, nil
	}
	d := json.NewDecoder(bytes.NewReader(in.lines.Bytes()))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("the line is cut short")
	case err == nil && d.More():
		err = errors.New("the line goes on after its end")
	}
	if err != nil {
		return false, in.fault(err)
	}
	return true, nil
}

// begin reads the header of the next export; false at the end.
func (in *importer) begin() (bool, error) {
	first := in.number == 0
	in.header, in.last = header{}, ""
	found, err := in.next(&in.header)
	h := in.header
	whole := err == nil && found && h.Kind == exportKind && h.People >= 0 && h.Users >= 0
	switch {
	case first && !whole:
		return false, in.fault(errors.New("this is no export of a state"))
	case first:
	case err == nil && !found:
		return false, nil
	case !whole:
		return false, in.fault(errors.New("one too many: every line that the export counts was read before"))
	default:
		in.export, in.number = in.export+1, 1
	}
	return true, in.admit()
}

// admit refuses an export that this program does not read, or that is of another
// account than the one before it.
func (in *importer) admit() error {
	h := in.header
	switch {
	case h.Schema > exportSchema:
		return in.fault(fmt.Errorf("written by a newer photosync (schema %d, this one knows %d)", h.Schema, exportSchema))
	case h.Schema < exportSchema:
		return in.fault(fmt.Errorf("written by a photosync from before the first release (schema %d), which is not read any more", h.Schema))
	}
	for name := range h.Facts {
		if ofFile(name) {
			return in.fault(fmt.Errorf("the fact %q is not one of an export", name))
		}
	}
	a := h.account()
	if a != (Account{}) && in.account != (Account{}) && !in.account.same(a) {
		return in.fault(errors.New("this export is of another Smartsheet account than the one before it"))
	}
	if a != (Account{}) { // a state that was never bound is nobody's
		in.account = a
	}
	return nil
}

// fill makes a state of an empty file.
func (in *importer) fill(file string, generation uint64) error {
	if err := begin(file); err != nil {
		return err
	}
	s, err := Open(file, Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	s.db.NoSync = true // once, at the end
	for more := true; more; {
		if err := in.facts(s); err != nil {
			return err
		}
		if err := in.rows(s); err != nil {
			return err
		}
		generation = max(generation, in.header.Generation)
		if more, err = in.begin(); err != nil {
			return err
		}
	}
	if in.people, _, err = s.Len(); err != nil {
		return err
	}
	err = s.db.Update(func(tx *bbolt.Tx) error {
		if len(in.shards) > 1 { // it is of the whole now
			if err := tx.Bucket(facts).Delete([]byte(shardKey)); err != nil {
				return err
			}
		}
		return tx.Bucket(people).SetSequence(generation)
	})
	if err := errors.Join(err, s.db.Sync()); err != nil {
		return err
	}
	return s.Close()
}

// facts puts the facts of the export into s.
func (in *importer) facts(s *Store) error {
	var shard string
	if fact, ok := in.header.Facts[shardKey]; ok {
		if err := json.Unmarshal(fact, &shard); err != nil {
			return in.fault(err)
		}
	}
	in.shards[shard] = true
	for name, fact := range in.header.Facts {
		if name == RefreshedKey {
			continue
		}
		if err := s.SetMeta(name, fact); err != nil {
			return err
		}
	}
	return nil
}

// rows puts the rows of the export into s.
func (in *importer) rows(s *Store) error {
	var c Change
	for l, err := range ahead(in.read()) {
		if err != nil {
			return err
		}
		if err := in.add(s, &c, &l); err != nil {
			return err
		}
		if len(c.People)+len(c.Users) == importBatch {
			if err := s.Write(c); err != nil {
				return err
			}
			c.People, c.Users = c.People[:0], c.Users[:0]
		}
	}
	return s.Write(c)
}

// read yields the rows of the export.
func (in *importer) read() iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		h := in.header
		for n := range h.People + h.Users {
			if n == h.People {
				in.last = ""
			}
			var l line
			found, err := in.next(&l)
			switch {
			case err != nil:
			case !found:
				err = in.fault(fmt.Errorf("the file ends after %d of %d rows", n, h.People+h.Users))
			default:
				if err = in.check(&l, n < h.People); err != nil {
					err = in.fault(err)
				}
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

// check refuses a row that is not in its place, or under a key that would never be
// looked up.
func (in *importer) check(l *line, person bool) error {
	if bytes.Contains(in.lines.Bytes(), []byte(inBase64)) {
		if err := l.unescape(); err != nil {
			return err
		}
	}
	var key, name string
	switch {
	case person && l.Person != nil && l.User == nil:
		key, name = l.Person.Email, personName(l.Person.Email)
		if in.canonical == nil {
			break
		}
		if c, err := in.canonical(key); err != nil {
			return err
		} else if c != key {
			return fmt.Errorf("address %.80q is not in the form in which it is a key, %.80q", key, c)
		}
	case !person && l.User != nil && l.Person == nil && l.User.ID != 0:
		key, name = string(userKey(l.User.ID)), userName(l.User.ID)
	case person:
		return errors.New("this is no row of a person")
	default:
		return errors.New("this is no row of a user")
	}
	if key <= in.last {
		return fmt.Errorf("%s is twice there, or not in the order of the keys", name)
	}
	in.last = key
	return nil
}

// add adds a row to the change, with what an export before this one had of it.
func (in *importer) add(s *Store, c *Change, l *line) error {
	switch {
	case l.User == nil && in.export == 0:
		c.People = append(c.People, *l.Person)
	case l.User == nil:
		before, found, err := s.Person(l.Person.Email)
		if err != nil {
			return err
		}
		if found && before != *l.Person { // nobody knows which one is newer
			l.Person.Fingerprint = Fingerprint{}
		}
		c.People = append(c.People, *l.Person)
	case in.export == 0:
		c.Users = append(c.Users, *l.User)
	default:
		before, found, err := s.User(l.User.ID)
		if err != nil {
			return err
		}
		if found {
			*l.User = merge(before, *l.User)
		}
		c.Users = append(c.Users, *l.User)
	}
	return nil
}

// merge makes one row of two of a user: the newer one. What was announced stays so,
// also if only the older one says it.
func merge(a, b User) User {
	if a.changed().After(b.changed()) {
		a, b = b, a
	}
	if b.Intent == nil {
		b.Intent = a.Intent
	}
	return b
}

// changed is when the row says that something happened for the last time.
func (u *User) changed() (at time.Time) {
	later := func(t time.Time) {
		if t.After(at) {
			at = t
		}
	}
	if u.Sent != nil {
		later(u.Sent.At)
	}
	if u.Intent != nil {
		later(u.Intent.At)
	}
	if u.Failure != nil {
		later(u.Failure.At)
	}
	return at
}
