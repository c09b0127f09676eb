package state

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

const (
	importBatch = 5000
	maxLine     = 16 << 20
)

// Import makes the state at path of an export, and returns the number of people in
// it. Of several exports that follow each other, as of the shards of an account, it
// makes one state: of a user's rows the newest one counts, and an announced upload
// stays announced. What a state held that is replaced becomes its backup. The fact
// RefreshedKey is left out, so that the next run compares everybody with the rows of
// users. replace also replaces a state that holds rows, or is of another account. With
// an error everything is as it was.
func Import(path string, from io.Reader, replace bool) (people int, err error) {
	in := newImporter(from)
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
		if err := s.vacate(in.header, replace); err != nil {
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
		err = occupied(path, 0)
	}
	return in.people, access(path, err)
}

// occupied refuses to import into a state that is in use.
func occupied(path string, people int) error {
	err := refused(path, fmt.Sprintf("is in use already: it remembers %d people, or belongs to another account than the export", people),
		"choose another state.path, or add --replace: what is there now then becomes the backup beside it")
	return importError("", err)
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
		return occupied(s.path, nPeople)
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
	lines   *bufio.Scanner
	export  int    // the one at hand, from 1
	number  int    // of the line in it
	header  header // of it
	account Account
	shards  map[string]bool // that the exports are of; "": of whole runs
	people  int             // of the state
}

// importLine is a line of an export: its header, or a row.
type importLine struct {
	header
	line
}

func newImporter(from io.Reader) *importer {
	in := &importer{lines: bufio.NewScanner(from), shards: map[string]bool{}}
	in.lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	return in
}

func (in *importer) fault(format string, args ...any) error {
	where := fmt.Sprintf("line %d: ", in.number)
	if in.export > 1 {
		where = fmt.Sprintf("line %d of export %d: ", in.number, in.export)
	}
	return importError(where, fmt.Errorf(format, args...))
}

// importError is the Error of a file that cannot be imported.
func importError(where string, err error) error {
	hint := hintOf(err, "nothing was changed: export the state again, and copy the file whole")
	return &Error{fmt.Sprintf("import state: %s%v", where, err), hint, err}
}

// next reads the next line; false at the end.
func (in *importer) next() (l importLine, found bool, err error) {
	in.number++
	if !in.lines.Scan() {
		if err := in.lines.Err(); err != nil {
			return l, false, in.fault("%w", err)
		}
		return l, false, nil
	}
	d := json.NewDecoder(bytes.NewReader(in.lines.Bytes()))
	d.DisallowUnknownFields()
	err = d.Decode(&l)
	if err == nil && d.More() {
		err = errors.New("it goes on after its end")
	}
	if err != nil {
		return l, false, in.fault("it is damaged or cut short: %w", err)
	}
	if bytes.Contains(in.lines.Bytes(), []byte(inBase64)) {
		if err := l.unescape(); err != nil {
			return l, false, in.fault("%w", err)
		}
	}
	return l, true, nil
}

// begin reads the header of the next export; false at the end.
func (in *importer) begin() (bool, error) {
	l, found, err := in.next()
	if err == nil && !found && in.export > 0 {
		return false, nil
	}
	if in.header = l.header; err != nil || l.Kind != exportKind || l.header.People < 0 || l.header.Users < 0 {
		return false, in.fault("this is no export of a state")
	}
	in.export, in.number = in.export+1, 1
	switch h := in.header; {
	case h.Schema > exportSchema:
		return false, in.fault("written by a newer photosync (schema %d, this one knows %d)", h.Schema, exportSchema)
	case h.Schema < exportSchema:
		return false, in.fault("written by a photosync from before the first release (schema %d), which is not read any more", h.Schema)
	}
	a := in.header.account()
	if a != (Account{}) && in.account != (Account{}) && !in.account.same(a) {
		return false, in.fault("this export is of another Smartsheet account than the one before it")
	}
	if a != (Account{}) { // a state that was never bound is nobody's
		in.account = a
	}
	return true, nil
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
			return in.fault("%w", err)
		}
	}
	in.shards[shard] = true
	for name, fact := range in.header.Facts {
		switch {
		case name == RefreshedKey:
			continue
		case ofFile(name):
			return in.fault("the fact %q is not one of an export", name)
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
	nPeople, nUsers := 0, 0
	for range in.header.People + in.header.Users {
		l, found, err := in.next()
		switch {
		case err != nil:
			return err
		case !found:
			return in.fault("the file ends after %d of %d rows", nPeople+nUsers, in.header.People+in.header.Users)
		case l.Person != nil && l.Person.Email != "":
			nPeople++
			c.People = append(c.People, *l.Person)
		case l.User != nil && l.User.ID != 0:
			nUsers++
			if in.export > 1 {
				before, found, err := s.User(l.User.ID)
				if err != nil {
					return err
				}
				if found {
					*l.User = merge(before, *l.User)
				}
			}
			c.Users = append(c.Users, *l.User)
		default:
			return in.fault("this is no row of a state")
		}
		if len(c.People)+len(c.Users) == importBatch {
			if err := s.Write(c); err != nil {
				return err
			}
			c = Change{}
		}
	}
	if err := s.Write(c); err != nil {
		return err
	}
	if in.export == 1 { // a row that stands twice is one
		var err error
		if nPeople, nUsers, err = s.Len(); err != nil {
			return err
		}
	}
	if nPeople != in.header.People || nUsers != in.header.Users {
		return in.fault("it holds %d people and %d users, and counts %d and %d", nPeople, nUsers, in.header.People, in.header.Users)
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
func (u *User) changed() time.Time {
	var sent, announced, failed time.Time
	if u.Sent != nil {
		sent = u.Sent.At
	}
	if u.Intent != nil {
		announced = u.Intent.At
	}
	if u.Failure != nil {
		failed = u.Failure.At
	}
	return slices.MaxFunc([]time.Time{sent, announced, failed}, time.Time.Compare)
}
