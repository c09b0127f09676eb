package state

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
)

const (
	exportKind   = "photosync-state" // tells an export from other files of JSON lines
	exportSchema = 2                 // is the version of the form: 1 had one record a person
)

// header is the first line of an export. The people follow by address, then the users by id.
type header struct {
	Kind       string                     `json:"kind"`
	Schema     int                        `json:"schema_version"`
	Generation uint64                     `json:"generation"`
	People     int                        `json:"people"` // lines
	Users      int                        `json:"users"`  // lines
	Facts      map[string]json.RawMessage `json:"facts"`  // about the whole, the account among them
}

// line is a row in an export. JSON has no text that is not UTF-8, as file names may be:
// beside such a text stands the row as it is stored, and counts.
type line struct {
	Person *Person `json:"person,omitempty"`
	User   *User   `json:"user,omitempty"`
	Key    []byte  `json:"key,omitempty"`
	Value  []byte  `json:"value,omitempty"`
}

// decode fills in the person or the user of a row as it is stored.
func (l *line) decode(r row) (err error) {
	if l.Person != nil {
		*l.Person, err = r.person()
	} else {
		*l.User, err = r.user()
	}
	return err
}

// Export writes the state as JSON lines, as it is at this moment: a header, the people
// by address, the users by id. Nothing is lost, and there is no secret in it.
func (s *Store) Export(w io.Writer) error {
	return s.View(func(v *Snapshot) error {
		h, err := v.header()
		if err != nil {
			return err
		}
		out := bufio.NewWriterSize(w, 256<<10)
		if err := json.NewEncoder(out).Encode(h); err != nil {
			return err
		}
		for _, l := range []line{{Person: new(Person)}, {User: new(User)}} {
			if err := v.exportTable(l, out); err != nil {
				return err
			}
		}
		return out.Flush()
	})
}

// exportTable writes every row of a table; l is of that table.
func (v *Snapshot) exportTable(l line, w io.Writer) error {
	table := users
	if l.Person != nil {
		table = people
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for r, err := range v.rows(table) {
		if err == nil {
			err = v.damaged(table, l.decode(r))
		}
		if b.Reset(); err == nil {
			err = e.Encode(l)
		}
		if err == nil && bytes.Contains(b.Bytes(), []byte(`\ufffd`)) { // as encoding/json writes what is not UTF-8
			b.Reset()
			err = e.Encode(line{l.Person, l.User, []byte(r.key), r.value})
		}
		if err == nil {
			_, err = w.Write(b.Bytes())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *Snapshot) header() (h header, err error) {
	h = header{Kind: exportKind, Schema: exportSchema, Facts: map[string]json.RawMessage{}}
	if v.tx == nil {
		return h, nil
	}
	err = v.s.guard(func() error {
		p, u, err := tallies(v.tx)
		if err != nil {
			return err
		}
		h.Generation, h.People, h.Users = v.tx.Bucket(people).Sequence(), p.Rows, u.Rows
		return v.tx.Bucket(facts).ForEach(func(name, _ []byte) error {
			if ofFile(string(name)) {
				return nil
			}
			var fact json.RawMessage
			_, err := readFact(v.tx, string(name), &fact)
			h.Facts[string(name)] = fact
			return err
		})
	})
	return h, v.s.damaged(err)
}
