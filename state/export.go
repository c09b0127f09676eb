package state

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.etcd.io/bbolt"
)

// exportSchema is the version of the exported form.
const exportSchema = 1

// exportKind tells an export from other files of JSON lines.
const exportKind = "photosync-state"

// header is the first line of an export.
type header struct {
	Kind       string                     `json:"kind"`
	Schema     int                        `json:"schema_version"`
	Generation uint64                     `json:"generation"`
	People     int                        `json:"people"` // the lines that follow
	Facts      map[string]json.RawMessage `json:"facts"`  // about the whole, the account among them
}

// line is a record in an export. JSON knows no text that is not UTF-8, as the name
// of a file may be: such a text stands in Bytes, in base64, by its name.
type line struct {
	Record
	Bytes map[string][]byte `json:"bytes,omitempty"`
}

// texts calls f for every text of r that comes from outside, with its name.
func (r *Record) texts(f func(name string, s *string)) {
	f("email", &r.Email)
	f("source", &r.Source)
	f("ref", &r.Ref)
	f("stamp", &r.Stamp)
	f("source_sha256", &r.SourceSHA256)
	f("rendering", &r.Rendering)
	f("upload_sha256", &r.UploadSHA256)
	f("image_id", &r.ImageID)
	f("run_id", &r.RunID)
	if r.Failure != nil {
		f("failure.code", &r.Failure.Code)
		f("failure.ref_id", &r.Failure.RefID)
		f("failure.message", &r.Failure.Message)
		f("failure.hash", &r.Failure.Hash)
		f("failure.run_id", &r.Failure.RunID)
	}
}

func lineOf(r Record) *line {
	if r.Failure != nil {
		f := *r.Failure
		r.Failure = &f
	}
	l := &line{Record: r}
	l.texts(func(name string, s *string) {
		if utf8.ValidString(*s) {
			return
		}
		if l.Bytes == nil {
			l.Bytes = map[string][]byte{}
		}
		l.Bytes[name], *s = []byte(*s), ""
	})
	return l
}

func (l *line) record() Record {
	if len(l.Bytes) > 0 {
		l.texts(func(name string, s *string) {
			if b, ok := l.Bytes[name]; ok {
				*s = string(b)
			}
		})
	}
	return l.Record
}

// Export writes the state as JSON lines, as it is at this moment: a header, then a
// record a line, by email. Nothing is lost, and there is no secret in it.
func (s *Store) Export(w io.Writer) error {
	out := bufio.NewWriterSize(w, 256<<10)
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	err := s.View(func(v *Snapshot) error {
		h, err := v.header()
		if err != nil {
			return err
		}
		if err := e.Encode(h); err != nil {
			return err
		}
		for r, err := range v.All() {
			if err != nil {
				return err
			}
			if err := e.Encode(lineOf(r)); err != nil {
				return err
			}
		}
		return out.Flush()
	})
	if err != nil {
		return fmt.Errorf("export state: %w", err)
	}
	return nil
}

func (v *Snapshot) header() (h header, err error) {
	h = header{Kind: exportKind, Schema: exportSchema, Facts: map[string]json.RawMessage{}}
	if v.people == nil {
		return h, nil
	}
	if h.People, err = v.len(); err != nil {
		return header{}, err
	}
	err = v.s.guard(func() error {
		h.Generation = v.people.Sequence()
		return v.people.Tx().Bucket(metaBucket).ForEach(func(k, data []byte) error {
			if string(k) != schemaKey { // which is the file's
				h.Facts[string(k)] = bytes.Clone(data)
			}
			return nil
		})
	})
	return h, err
}

const (
	importBatch = 5000
	maxLine     = 16 << 20
)

// Import fills an empty state from an export, or with replace any, and closes it. Of
// several exports that follow each other, as of the shards of an account, it makes one
// state; nobody may be in two of them. What a state held that is replaced becomes its backup. With an error, which is an
// *ImportError if the export is at fault, the state is as it was.
func (s *Store) Import(from io.Reader, replace bool) (people int, err error) {
	defer s.Close()
	in := &importer{lines: bufio.NewScanner(from)}
	in.lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	if err := in.begin(); err != nil {
		return 0, err
	}
	if err := s.vacate(in.header, replace); err != nil {
		return 0, err
	}
	var atLeast uint64
	if s.Generation() > 0 { // it was in use
		atLeast = s.Generation() + 1
	}
	if old, err := readThrough(backupPath(s.path), false); err == nil {
		atLeast = max(atLeast, old+1) // or the next backup would seem to be made
	}
	err = s.replace(func(file string) error { return in.fill(file, atLeast) })
	return in.total, err
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
	lines  *bufio.Scanner
	export int    // how many were read before this one
	number int    // of the line in it
	header header // of it
	last   string // email in it
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
	d := json.NewDecoder(bytes.NewReader(in.lines.Bytes()))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return false, in.fault(err)
	}
	return true, nil
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
