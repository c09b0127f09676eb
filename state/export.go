package state

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
)

// exportSchema is the version of the exported form: 1 had one record a person.
const exportSchema = 2

// exportKind tells an export from other files of JSON lines.
const exportKind = "photosync-state"

// header is the first line of an export. The people follow, then the users.
type header struct {
	Kind       string                     `json:"kind"`
	Schema     int                        `json:"schema_version"`
	Generation uint64                     `json:"generation"`
	People     int                        `json:"people"` // lines
	Users      int                        `json:"users"`  // lines
	Facts      map[string]json.RawMessage `json:"facts"`  // about the whole, the account among them
}

// line is a row in an export, of one of the tables. JSON has no text that is not
// UTF-8, as file names and keys may be: such a text stands there in base64, behind
// inBase64.
type line struct {
	Person *Person `json:"person,omitempty"`
	User   *User   `json:"user,omitempty"`
}

const inBase64 = "base64:"

// escape makes every text of the line one that JSON has.
func (l *line) escape() {
	eachText(reflect.ValueOf(l), func(text reflect.Value) {
		if s := text.String(); !utf8.ValidString(s) || strings.HasPrefix(s, inBase64) {
			text.SetString(inBase64 + base64.StdEncoding.EncodeToString([]byte(s)))
		}
	})
}

// unescape is the inverse of escape.
func (l *line) unescape() (err error) {
	eachText(reflect.ValueOf(l), func(text reflect.Value) {
		if s, ok := strings.CutPrefix(text.String(), inBase64); ok {
			b, wrong := base64.StdEncoding.DecodeString(s)
			text.SetString(string(b))
			err = cmp.Or(err, wrong)
		}
	})
	return err
}

// eachText calls f for every text below v.
func eachText(v reflect.Value, f func(reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			eachText(v.Elem(), f)
		}
	case reflect.String:
		f(v)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			eachText(v.Field(i), f)
		}
	}
}

// Export writes the state as JSON lines, as it is at this moment: a header, the people
// by address, the users by id. Nothing is lost, and there is no secret in it.
func (s *Store) Export(w io.Writer) error {
	out := bufio.NewWriterSize(w, 256<<10)
	err := s.View(func(v *Snapshot) error {
		if err := v.export(out); err != nil {
			return err
		}
		return out.Flush()
	})
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	if err != nil {
		return fmt.Errorf("export state: %w", err)
	}
	return nil
}

func (v *Snapshot) export(w io.Writer) error {
	h, err := v.header()
	if err != nil {
		return err
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(h); err != nil {
		return err
	}
	for l, err := range v.lines() {
		if err != nil {
			return err
		}
		l.escape()
		if err := e.Encode(l); err != nil {
			return err
		}
	}
	return nil
}

// lines yields every row as it is exported.
func (v *Snapshot) lines() iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		for r, err := range v.People() {
			var p Person
			if err == nil {
				p, err = r.Person()
			}
			if !yield(line{Person: &p}, err) || err != nil {
				return
			}
		}
		for u, err := range v.Users() {
			if !yield(line{User: &u}, err) || err != nil {
				return
			}
		}
	}
}

func (v *Snapshot) header() (h header, err error) {
	h = header{Kind: exportKind, Schema: exportSchema, Facts: map[string]json.RawMessage{}}
	if v.tx == nil {
		return h, nil
	}
	err = v.s.guard(func() error {
		h.Generation = v.tx.Bucket(people).Sequence()
		for table, n := range map[string]*int{string(people): &h.People, string(users): &h.Users} {
			t, err := tallyOf(v.tx, []byte(table))
			if err != nil {
				return err
			}
			*n = t.Rows
		}
		return v.tx.Bucket(facts).ForEach(func(name, _ []byte) error {
			if ofFile(string(name)) {
				return nil
			}
			fact, err := factOf(v.tx, string(name))
			h.Facts[string(name)] = bytes.Clone(fact)
			return err
		})
	})
	if err != nil {
		return header{}, v.s.unreadable(err)
	}
	return h, nil
}
