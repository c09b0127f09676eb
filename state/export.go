package state

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"unicode/utf8"
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
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
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
			if isFile(string(k)) {
				return nil
			}
			fact, err := factOf(v.people.Tx(), string(k))
			h.Facts[string(k)] = bytes.Clone(fact)
			return err
		})
	})
	return h, err
}
