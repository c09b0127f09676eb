package folder

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"photosync/sources"
)

const (
	maxMapping  = 256 << 20 // bytes: far above what half a million employees need
	shownFaults = 20
)

// mapping says whose photo a file is, by its key; see fold.
type mapping map[string]*mapped

// mapped is a line of a mapping file.
type mapped struct {
	email string
	line  int         // in the file, from 1
	used  atomic.Bool // there is a file for it
}

// find returns the line for a file, by its name with or without extension; nil: there
// is none.
func (m mapping) find(base, stem string) (key string, l *mapped) {
	for _, key := range []string{fold(base), fold(stem)} {
		if l := m[key]; l != nil {
			return key, l
		}
	}
	return "", nil
}

// unused counts the lines for which there was no file.
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

// fold is the form in which keys are compared: systems that HR exports come from
// and file servers differ in case, and in how they write an umlaut.
func fold(key string) string { return norm.NFC.String(strings.ToLower(norm.NFC.String(key))) }

// MappingError is a mapping file that cannot be read or has faults.
type MappingError struct {
	Path   string
	Err    error    // that the file cannot be read; nil when it has faults
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
		return fmt.Sprintf("read mapping file %q: %v", e.Path, cause(e.Err))
	}
	text := fmt.Sprintf("read mapping file %q: %s", e.Path, strings.Join(e.Faults, "; "))
	if e.More > 0 {
		text += fmt.Sprintf("; and %d more", e.More)
	}
	return text
}
func (e *MappingError) Unwrap() error { return e.Err }

// Hint says what to do.
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

// mappingName is the name that the mapping file has in a listing, if it lies in
// the folder.
func (s *Source) mappingName() string {
	if s.o.MappingFile == "" {
		return ""
	}
	rel, err := filepath.Rel(s.o.Path, s.mappingPath())
	if err != nil {
		return ""
	}
	return filepath.ToSlash(rel)
}

// loadMapping reads the mapping file. Its errors are *MappingError.
func (s *Source) loadMapping(root *os.Root) (mapping, error) {
	m, err := s.readMapping(root)
	if e, ok := errors.AsType[*MappingError](err); ok {
		e.Path = s.mappingPath()
	} else if err != nil {
		err = &MappingError{Path: s.mappingPath(), Err: err}
	}
	return m, err
}

func (s *Source) readMapping(root *os.Root) (mapping, error) {
	// It is opened like a photo when it lies in the folder: who may write there must
	// not have us read, and quote, another file by a link.
	open := root.OpenFile
	if filepath.IsAbs(s.o.MappingFile) {
		open = os.OpenFile
	}
	f, err := open(s.o.MappingFile, os.O_RDONLY|nonBlock, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	before, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !before.Mode().IsRegular():
		return nil, errNotFile
	case before.Size() > maxMapping:
		return nil, fmt.Errorf("%d bytes, %d are read at most", before.Size(), maxMapping)
	}
	m, parsing := parseMapping(f)
	end, err := f.Seek(0, io.SeekCurrent)
	after, err2 := f.Stat()
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	if end > before.Size() || factsOf(after) != factsOf(before) {
		return nil, fmt.Errorf("%w: it changed while it was read", sources.ErrUnstable)
	}
	return m, parsing
}

// parseMapping reads CSV (RFC 4180) of two columns. Faults in it are a
// *MappingError.
func parseMapping(in io.Reader) (mapping, error) {
	b := bufio.NewReader(in)
	start, err := b.Peek(4096)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	m, faults := mapping{}, &MappingError{}
	if bytes.HasPrefix(start, []byte("\xff\xfe")) || bytes.HasPrefix(start, []byte("\xfe\xff")) {
		faults.fault(1, errors.New("the file is in UTF-16: save it as CSV in UTF-8"))
		return nil, faults
	}
	if bom := []byte("\ufeff"); bytes.HasPrefix(start, bom) {
		b.Discard(len(bom)) // it is in the buffer: cannot fail
		start = start[len(bom):]
	}
	r := csv.NewReader(b)
	r.Comma, r.FieldsPerRecord, r.ReuseRecord = separator(start), -1, true
	for first := true; ; first = false {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if pe, ok := errors.AsType[*csv.ParseError](err); ok {
			faults.fault(pe.Line, pe.Err)
			continue
		}
		if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		if first && len(fields) == 2 && title().MatchString(strings.TrimSpace(fields[1])) {
			continue
		}
		if err := m.add(line, fields); err != nil {
			faults.fault(line, err)
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

// separator is what stands between the columns: a comma, or what spreadsheets
// write where the comma is part of numbers, if the first line has no comma.
func separator(start []byte) rune {
	line, _, _ := bytes.Cut(start, []byte("\n"))
	for _, c := range []rune{',', ';', '\t'} {
		if bytes.ContainsRune(line, c) {
			return c
		}
	}
	return ','
}

// title is what a column may be called in a first line. An address never looks
// like that, and hardly one that was misspelt.
var title = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\pL[\pL _-]*$`) })

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
