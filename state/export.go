package state

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/go-json-experiment/json" // encoding/json/v2 of Go 1.27: half the work to decode
	"github.com/go-json-experiment/json/jsontext"
	"go.etcd.io/bbolt"
)

const (
	exportKind   = "photosync-state" // tells an export from other files of JSON lines
	exportSchema = 3                 // the version of the format
)

// header is the first line of an export. The people follow by address, then the users by id.
type header struct {
	Kind       string                    `json:"kind"`
	Schema     int                       `json:"schema_version"`
	Generation uint64                    `json:"generation"`
	People     int                       `json:"people"` // lines
	Users      int                       `json:"users"`  // lines
	Facts      map[string]jsontext.Value `json:"facts"`  // about the whole, the account among them
}

// line is a row in an export. JSON cannot hold text that is not UTF-8, such as some file names:
// such a row also has its key and value as they are stored, and Import uses these.
type line struct {
	Person      *Person `json:"person,omitzero"`
	Fingerprint []byte  `json:"fingerprint,omitzero"` // of the person
	User        *User   `json:"user,omitzero"`
	Key         []byte  `json:"key,omitzero"`
	Value       []byte  `json:"value,omitzero"`
}

// decode fills in the person or the user of a stored row.
func (l *line) decode(r row) (err error) {
	if l.Person != nil {
		err = r.person(l.Person)
		l.Fingerprint = l.Person.Fingerprint[:]
	} else {
		err = r.user(l.User)
	}
	return err
}

// Export writes the state, as it is now, as JSON lines: a header, the people by address, the
// users by id. It writes everything, and there is no secret in it.
func (s *Store) Export(w io.Writer) error {
	return s.View(func(v *Snapshot) error {
		h, err := v.header()
		if err != nil {
			return err
		}
		out := bufio.NewWriterSize(w, 256<<10)
		err = json.MarshalEncode(jsontext.NewEncoder(out), h, json.Deterministic(true)) // ends the line, too
		if err == nil {
			err = v.exportTable(people, line{Person: new(Person)}, out)
		}
		if err == nil {
			err = v.exportTable(users, line{User: new(User)}, out)
		}
		return cmp.Or(err, out.Flush())
	})
}

// exportTable writes every row of a table; l is of that table.
func (v *Snapshot) exportTable(table []byte, l line, w io.Writer) error {
	var b bytes.Buffer
	for r, err := range v.rows(table) {
		if err == nil {
			err = v.damaged(table, l.decode(r))
		}
		if err != nil {
			return err
		}
		b.Reset()
		if json.MarshalWrite(&b, &l) != nil { // it has text that is not UTF-8
			b.Reset()
			err = json.MarshalWrite(&b, line{l.Person, l.Fingerprint, l.User, []byte(r.key), r.value}, jsontext.AllowInvalidUTF8(true))
		}
		if err == nil {
			b.WriteByte('\n')
			_, err = w.Write(b.Bytes())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *Snapshot) header() (h header, err error) {
	h = header{Kind: exportKind, Schema: exportSchema, Facts: map[string]jsontext.Value{}}
	if v.tx == nil {
		return h, nil
	}
	err = v.s.guard(func() error {
		p, err := tallyOf(v.tx, people)
		u, uerr := tallyOf(v.tx, users)
		if err = cmp.Or(err, uerr); err != nil {
			return err
		}
		h.Generation, h.People, h.Users = v.tx.Bucket(facts).Sequence(), p.Rows, u.Rows
		return v.tx.Bucket(facts).ForEach(func(name, _ []byte) error {
			if ofFile(string(name)) {
				return nil
			}
			var fact jsontext.Value
			_, err := readFact(v.tx, string(name), &fact)
			h.Facts[string(name)] = fact
			return err
		})
	})
	return h, v.s.damaged(err)
}

// importBatch is how many rows are written in one transaction.
const importBatch = 5000

// Import makes the state at path from an export, and returns the number of people in it. from
// may hold several exports one after the other, such as those of the shards of an account, which
// become one state: of a user's rows the newest counts, and an announced upload stays announced.
// Import leaves out the fact RefreshedKey, so that the next run looks up everybody. replace also
// replaces a state that was in use, which becomes the backup. After an error everything is as it was.
func Import(path string, from io.Reader, replace bool) (people int, err error) {
	in := &importer{lines: jsontext.NewDecoder(from), facts: map[string]jsontext.Value{}, shards: map[string]bool{}}
	if _, err := in.begin(); err != nil {
		return 0, err
	}
	if path, err = target(path); err != nil {
		return 0, err
	}
	if old, err := readThrough(backupPath(path), allPages); err == nil {
		in.generation = max(in.generation, old+1) // or Backup would take the old backup for this state's
	}
	var s *Store
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		if s, err = Open(path, Options{}); err != nil {
			return 0, err
		}
		defer s.Close()
		if s.Generation() > 0 && !replace {
			return 0, refused(path, "is in use already",
				"choose another state.path, or add --replace: what is there now then becomes the backup beside it")
		}
		if err := s.Backup(); err != nil {
			return 0, err
		}
		in.generation = max(in.generation, s.Generation()+1)
	}
	err = install(path, s != nil, func(file *os.File) (err error) {
		if people, err = in.fill(file); err != nil {
			return err
		}
		return s.makeRoom()
	})
	return people, Inaccessible(path, err)
}

// importer makes one state from one or more exports.
type importer struct {
	lines      *jsontext.Decoder
	export     int                       // the number of the current export, from 1
	number     int                       // of the line in the current export
	header     header                    // of the current export
	facts      map[string]jsontext.Value // of all exports
	shards     map[string]bool           // whose exports these are; "": of whole runs
	generation uint64                    // of the new state
}

// fault returns the Error of an export that cannot be imported.
func (in *importer) fault(format string, args ...any) error {
	where := fmt.Sprintf("line %d", in.number)
	if in.export > 1 {
		where += fmt.Sprintf(" of export %d", in.export)
	}
	err := fmt.Errorf(format, args...)
	if hinted(err) { // an error of the state itself
		return fmt.Errorf("%s: %w", where, err)
	}
	return &Error{fmt.Sprintf("%s: %v", where, err),
		"nothing was changed: export the state again, and copy the file whole", err}
}

// decode reads the next line, in which no field is unknown. Its error is io.EOF at the end.
func (in *importer) decode(v any) error {
	return json.UnmarshalDecode(in.lines, v, json.RejectUnknownMembers(true))
}

// begin reads the header of the next export; false: there is none.
func (in *importer) begin() (bool, error) {
	var h header
	in.number++
	err := in.decode(&h)
	if errors.Is(err, io.EOF) && in.export > 0 {
		return false, nil
	}
	_, noJSON := errors.AsType[*jsontext.SyntacticError](err)
	if noJSON || err == nil && (h.Kind != exportKind || h.People < 0 || h.Users < 0) {
		err = errors.New("it begins with another line")
	}
	if err != nil {
		return false, in.fault("this is not an export of a state: %w", err)
	}
	in.header, in.export, in.number = h, in.export+1, 1
	switch {
	case h.Schema > exportSchema:
		return false, in.fault("written by a newer photosync (schema %d, this one knows %d)", h.Schema, exportSchema)
	case h.Schema < exportSchema:
		return false, in.fault("written by a photosync from before the first release (schema %d), which is not read any more", h.Schema)
	}
	var a, b Account // none if the state of an export was never bound
	if errors.Join(json.Unmarshal(in.facts[accountKey], &a), json.Unmarshal(h.Facts[accountKey], &b)) == nil && a.String() != b.String() {
		return false, in.fault("this export is of another Smartsheet account than the one before it")
	}
	maps.Copy(in.facts, h.Facts)
	in.shards[string(h.Facts[shardKey])] = true
	in.generation = max(in.generation, h.Generation)
	return true, nil
}

// fill writes the exports into an empty file, as a state.
func (in *importer) fill(file *os.File) (nPeople int, err error) {
	if err := begin(file); err != nil {
		return 0, err
	}
	s, err := Open(file.Name(), Options{})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	s.db.NoSync = true // it is synced once, at the end
	for more := true; more; {
		if err = in.rows(s); err == nil {
			more, err = in.begin()
		}
		if err != nil {
			return 0, err
		}
	}
	maps.DeleteFunc(in.facts, func(name string, _ jsontext.Value) bool {
		whole := name == shardKey && len(in.shards) > 1
		return whole || name == RefreshedKey || ofFile(name)
	})
	err = s.db.Update(func(tx *bbolt.Tx) error {
		for name, fact := range in.facts {
			if err := putFact(tx, name, fact); err != nil {
				return err
			}
		}
		return tx.Bucket(facts).SetSequence(in.generation)
	})
	return s.tallies[string(people)].Rows, cmp.Or(err, s.db.Sync(), s.Close())
}

// rows puts the rows of the export into s.
func (in *importer) rows(s *Store) error {
	var c Change
	var last line // to check the order in each table
	for i := range in.header.People + in.header.Users {
		l, err := in.row()
		switch {
		case errors.Is(err, io.EOF):
			return in.fault("the file ends after %d of %d rows", i, in.header.People+in.header.Users)
		case err != nil:
			return in.fault("it is damaged or cut short: %w", err)
		case i < in.header.People && l.Person != nil && (last.Person == nil || last.Person.Email < l.Person.Email):
			c.People = append(c.People, *l.Person)
		case i >= in.header.People && l.User != nil && (last.User == nil || uint64(last.User.ID) < uint64(l.User.ID)):
			if in.export > 1 {
				if err := mergeInto(s, l.User); err != nil {
					return err
				}
			}
			c.Users = append(c.Users, *l.User)
		default:
			return in.fault("this is not a row of a state, or not in its place")
		}
		if last = l; len(c.People)+len(c.Users) == importBatch {
			if err := s.Write(c); err != nil {
				return err
			}
			c.People, c.Users = c.People[:0], c.Users[:0]
		}
	}
	return s.Write(c)
}

// row reads the next row. Its error is io.EOF at the end.
func (in *importer) row() (l line, err error) {
	in.number++
	err = in.decode(&l)
	if err == nil && l.Value != nil && (l.Person != nil || l.User != nil) {
		stored := row{string(l.Key), l.Value}
		if err = stored.verify(); err == nil {
			err = l.decode(stored)
		}
	}
	if l.Person != nil {
		copy(l.Person.Fingerprint[:], l.Fingerprint)
	}
	if l.Person != nil && l.Person.Email == "" || l.User != nil && (l.User.ID == 0 || l.Person != nil) {
		return line{}, err // no row
	}
	return l, err
}

// mergeInto merges into u what s knows of the same user: the newer row counts, with the intent of either.
func mergeInto(s *Store, u *User) error {
	other, found, err := s.User(u.ID)
	if err != nil || !found {
		return err
	}
	if other.changed().After(u.changed()) {
		other, *u = *u, other
	}
	u.Intent = cmp.Or(u.Intent, other.Intent)
	return nil
}

// changed is the latest time in the row.
func (u *User) changed() time.Time {
	return slices.MaxFunc([]time.Time{
		cmp.Or(u.Sent, &Sent{}).At, cmp.Or(u.Intent, &Intent{}).At, cmp.Or(u.Failure, &Failure{}).At,
	}, time.Time.Compare)
}
