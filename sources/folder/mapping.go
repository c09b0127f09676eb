package folder

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"photosync/sources"
	"photosync/sync/foreign"
)

const (
	maxMapping  = 64 << 20 // bytes: far above what half a million employees need
	shownFaults = 20
)

// mapping says whose photo a file is, by the key in the mapping file; see fold.
type mapping map[string]*mapped

// mapped is a line of a mapping file.
type mapped struct {
	email string
	line  int         // in the file, from 1
	used  atomic.Bool // there is a file for it
}

// find returns the line for a file, by its name with or without extension; nil if there is none.
func (m mapping) find(base string) (key string, l *mapped) {
	key = fold(base)
	if m[key] == nil {
		key = fold(stem(base))
	}
	return key, m[key]
}

// unused counts the lines without a file.
func (m mapping) unused() (n int, firstKey string) {
	for key, l := range m {
		if !l.used.Load() {
			if n == 0 || l.line < m[firstKey].line {
				firstKey = key
			}
			n++
		}
	}
	return n, firstKey
}

// fold returns the form in which keys are compared: HR systems and file servers write them with
// different case, and umlauts in different ways.
func fold(key string) string { return norm.NFC.String(strings.ToLower(norm.NFC.String(key))) }

// MappingError means that a mapping file cannot be read or has faults.
type MappingError struct {
	Path   string
	Err    error    // why the file cannot be read; nil if it has faults
	Faults []string // the first ones, each with its line
	More   int      // faults beyond these
}

func (e *MappingError) fault(line int, err error) {
	if len(e.Faults) == shownFaults {
		e.More++
		return
	}
	e.Faults = append(e.Faults, fmt.Sprintf("line %d: %v", line, err))
}

func (e *MappingError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("read mapping file %q: %v", e.Path, foreign.WithoutPath(e.Err))
	}
	text := fmt.Sprintf("read mapping file %q: %s", e.Path, strings.Join(e.Faults, "; "))
	if e.More > 0 {
		text += fmt.Sprintf("; and %d more", e.More)
	}
	return text
}
func (e *MappingError) Unwrap() error { return e.Err }

func (e *MappingError) Hint() string {
	switch {
	case errors.Is(e.Err, fs.ErrPermission):
		return "give the user that runs photosync the right to read it"
	case errors.Is(e.Err, sources.ErrUnstable):
		return "it is being written: run again when that is done"
	case e.Err != nil:
		return "check the source's mapping_file: it lies in path, unless it is absolute"
	}
	return "a line is: file name or key, email; UTF-8, such as E12345,ann@example.com"
}

func (s *Source) mappingPath() string {
	if filepath.IsAbs(s.o.MappingFile) {
		return s.o.MappingFile
	}
	return filepath.Join(s.o.Path, s.o.MappingFile)
}

// loadMapping reads the mapping file. Its errors are *MappingError.
func (s *Source) loadMapping(root *os.Root) (mapping, error) {
	// A file in the folder is opened like a photo: by a link, somebody who may write there could
	// make us read, and quote, another file.
	open := root.OpenFile
	if filepath.IsAbs(s.o.MappingFile) {
		open = os.OpenFile
	}
	data, err := readFile(open, s.o.MappingFile, &s.buffers, func(f facts) error {
		s.mapping.Store(&f)
		if f.size > maxMapping {
			return fmt.Errorf("%d bytes, %d are read at most", f.size, maxMapping)
		}
		return nil
	})
	if err != nil {
		return nil, &MappingError{Path: s.mappingPath(), Err: err}
	}
	m, faults := parseMapping(data)
	if faults != nil {
		faults.Path = s.mappingPath()
		return nil, faults
	}
	return m, nil
}

// remapped reports whether the mapping file changed since it was read.
func (s *Source) remapped(root *os.Root) bool {
	was, stat := s.mapping.Load(), root.Stat
	if was == nil {
		return false
	}
	if filepath.IsAbs(s.o.MappingFile) {
		stat = os.Stat
	}
	is, err := factsOf(stat(s.o.MappingFile))
	return err != nil || is != *was
}

// parseMapping reads CSV (RFC 4180) of two columns.
func parseMapping(data []byte) (mapping, *MappingError) {
	m, faults := mapping{}, &MappingError{}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		faults.fault(1, errors.New("the file is in UTF-16: save it as CSV in UTF-8"))
		return nil, faults
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	r := csv.NewReader(bytes.NewReader(data))
	r.Comma, r.FieldsPerRecord, r.ReuseRecord = separator(data), -1, true
	title := regexp.MustCompile(`^\s*\pL[\pL _-]*\s*$`) // of a column: no address, and hardly a misspelt one
	for first := true; ; first = false {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if pe, ok := errors.AsType[*csv.ParseError](err); ok {
			faults.fault(pe.Line, pe.Err)
			continue
		}
		line, _ := r.FieldPos(0)
		if first && len(fields) == 2 && title.MatchString(fields[1]) {
			continue
		}
		if err := m.add(line, fields); err != nil {
			faults.fault(line, err)
		}
	}
	for key, l := range m { // a file E1.png has both names, E1.png and E1
		if other := m[stem(key)]; other != nil && other.email != l.email && slices.Contains(photoTypes, path.Ext(key)) {
			faults.fault(max(l.line, other.line), fmt.Errorf("%q names the same file as line %d", key, min(l.line, other.line)))
		}
	}
	if len(m) == 0 && len(faults.Faults) == 0 {
		faults.fault(1, errors.New("the file names nobody"))
	}
	if len(faults.Faults) > 0 {
		return nil, faults
	}
	return m, nil
}

// separator returns the character between the columns: a comma; or, if the first line has none,
// what spreadsheets write where numbers have a decimal comma.
func separator(data []byte) rune {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	for _, c := range []rune{',', ';', '\t'} {
		if bytes.ContainsRune(line, c) {
			return c
		}
	}
	return ','
}

func (m mapping) add(line int, fields []string) error {
	if len(fields) != 2 {
		return fmt.Errorf("want 2 columns, not %d", len(fields))
	}
	key, email := strings.TrimSpace(fields[0]), strings.TrimSpace(fields[1])
	switch {
	case key == "":
		return errors.New("no file name or key before the email")
	case !utf8.ValidString(key) || !utf8.ValidString(email):
		return errors.New("not UTF-8: save the file as CSV in UTF-8")
	case strings.ContainsAny(key, `/\`):
		return fmt.Errorf("%q is a path: write the file's name alone", key)
	case strings.ContainsFunc(key, unicode.IsControl):
		return fmt.Errorf("%q holds a control character", key)
	case email == "": // an export of everybody has people without an address; their files name nobody
		return nil
	}
	email, err := sources.Email(email)
	if err != nil {
		return err
	}
	key = fold(key)
	if before := m[key]; before != nil {
		return fmt.Errorf("%q stands on line %d already", key, before.line)
	}
	m[key] = &mapped{email: email, line: line}
	return nil
}
