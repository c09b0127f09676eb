package state

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"go.etcd.io/bbolt"
)

const (
	importBatch = 5000
	maxLine     = 16 << 20
)

// ImportOptions of Import.
type ImportOptions struct {
	// Replace also replaces a state that holds people, or is of another account.
	Replace bool
	// Canonical returns an email in the form in which it is a key; nil: as it is.
	Canonical func(email string) (string, error)
}

// Import makes the state at path of an export. Of several exports that follow each
// other, as of the shards of an account, it makes one state; nobody may be in two of
// them. What a state held that is replaced becomes its backup. With an error, which is
// an *ImportError if the export is at fault, everything is as it was.
func Import(path string, from io.Reader, o ImportOptions) (people int, err error) {
	in := &importer{lines: bufio.NewScanner(from), canonical: o.Canonical}
	in.lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	if err := in.begin(); err != nil {
		return 0, err
	}
	if path, err = target(path); err != nil {
		return 0, err
	}
	var atLeast uint64
	if old, err := readThrough(backupPath(path), false); err == nil {
		atLeast = old + 1 // or the next backup would seem to be made
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return in.anew(path, atLeast)
	}
	s, err := Open(path, Options{})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	if err := s.vacate(in.header, o.Replace); err != nil {
		return 0, err
	}
	if s.Generation() > 0 { // it was in use
		atLeast = max(atLeast, s.Generation()+1)
	}
	err = s.replace(func(file string) error { return in.fill(file, atLeast) })
	return in.total, err
}

// anew makes a state where there is none.
func (in *importer) anew(path string, generation uint64) (people int, err error) {
	err = birth(path, func(file string) error {
		if err := in.fill(file, generation); err != nil {
			return err
		}
		_, err := readThrough(file, true)
		return err
	})
	if errors.Is(err, fs.ErrExist) { // another run has begun one meanwhile
		err = &ImportError{Err: &OccupiedError{Path: path}}
	}
	if err != nil {
		return 0, (&Store{path: path}).failed(err)
	}
	return in.total, nil
}

// vacate makes sure that the state may be replaced.
func (s *Store) vacate(h header, replace bool) error {
	n, err := s.Len()
	if err != nil {
		return err
	}
	account, bound := s.Account()
	other := bound && !account.same(h.account())
	switch {
	case n == 0 && !other:
		return nil
	case !replace:
		return &ImportError{Err: &OccupiedError{Path: s.path, People: n}}
	}
	return s.Backup()
}

// account is the one that an export is of; none, if it was never bound.
func (h header) account() (a Account) {
	json.Unmarshal(h.Facts[accountKey], &a) // what is no account is none
	return a
}

// importer reads exports.
type importer struct {
	lines     *bufio.Scanner
	decoder   *json.Decoder // one for all lines, of which it sees one at a time, in text
	text      lineText
	canonical func(string) (string, error)
	export    int    // how many were read before this one
	number    int    // of the line in it
	header    header // of it
	last      string // email in it
	// of those before it
	total   int // people
	account Account
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
	if in.decoder == nil {
		in.decoder = json.NewDecoder(&in.text)
		in.decoder.DisallowUnknownFields()
	}
	in.text = in.lines.Bytes()
	if err := in.decoder.Decode(v); err != nil {
		return false, in.fault(err)
	}
	return true, nil
}

// lineText is a line for a decoder, which ends within it.
type lineText []byte

func (l *lineText) Read(p []byte) (int, error) {
	if len(*l) == 0 {
		return 0, errors.New("the line is cut short")
	}
	n := copy(p, *l)
	*l = (*l)[n:]
	return n, nil
}

func (in *importer) begin() error {
	found, err := in.next(&in.header)
	switch {
	case err != nil || !found || in.header.Kind != exportKind || in.header.People < 0:
		return &ImportError{Line: 1, Err: errors.New("this is no export of a state")}
	case in.header.Schema > exportSchema:
		return in.newer()
	}
	return nil
}

func (in *importer) newer() error {
	return in.fault(fmt.Errorf("written by a newer photosync (schema %d, this one knows %d)", in.header.Schema, exportSchema))
}

// following begins the next export; false if there is none.
func (in *importer) following() (bool, error) {
	if a := in.header.account(); a != (Account{}) { // a state that was never bound is nobody's
		in.account = a
	}
	in.total += in.header.People
	in.header, in.last = header{}, ""
	found, err := in.next(&in.header)
	switch {
	case err == nil && !found:
		return false, nil
	case err != nil || in.header.Kind != exportKind || in.header.People < 0:
		return false, in.fault(errors.New("one too many: everyone that the export counts was read before"))
	}
	in.export, in.number = in.export+1, 1
	switch {
	case in.header.Schema > exportSchema:
		return false, in.newer()
	case in.account != (Account{}) && in.header.Facts[accountKey] != nil && !in.account.same(in.header.account()):
		return false, in.fault(errors.New("this export is of another Smartsheet account than the one before it"))
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
		for name, data := range in.header.Facts {
			if isFile(name) {
				return in.fault(fmt.Errorf("the fact %q is not one of an export", name))
			}
			if err := s.SetMeta(name, data); err != nil {
				return err
			}
		}
		generation = max(generation, in.header.Generation)
		if err := in.people(s); err != nil {
			return err
		}
		if more, err = in.following(); err != nil {
			return err
		}
	}
	err = s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(peopleBucket).SetSequence(generation) })
	if err := errors.Join(err, s.db.Sync()); err != nil {
		return err
	}
	return s.Close()
}

// people puts every record of the export into s.
func (in *importer) people(s *Store) error {
	records := make([]Record, 0, importBatch)
	for n := range in.header.People {
		var l line
		found, err := in.next(&l)
		if err != nil {
			return err
		}
		if !found {
			return in.fault(fmt.Errorf("the file ends after %d of %d people", n, in.header.People))
		}
		r := l.record()
		if err := in.check(r.Email); err != nil {
			return in.fault(err)
		}
		if strings.Compare(r.Email, in.last) <= 0 {
			return in.fault(fmt.Errorf("%.80q is twice there, or not in the order of emails", r.Email))
		}
		if in.total > 0 {
			if _, twice, err := s.Lookup(r.Email); err != nil {
				return err
			} else if twice {
				return in.fault(fmt.Errorf("%.80q is in an export before this one, too", r.Email))
			}
		}
		in.last = r.Email
		if records = append(records, r); len(records) == importBatch {
			if err := s.Put(records...); err != nil {
				return err
			}
			records = records[:0]
		}
	}
	return s.Put(records...)
}

// check refuses an email that would never be looked up.
func (in *importer) check(email string) error {
	if in.canonical == nil {
		return nil
	}
	switch c, err := in.canonical(email); {
	case err != nil:
		return err
	case c != email:
		return fmt.Errorf("email %.80q is not in the form in which it is a key, %.80q", email, c)
	}
	return nil
}
