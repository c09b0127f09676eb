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
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"photosync/sources"
)

// maxMapping is far above what half a million employees need.
const maxMapping = 256 << 20

// mapping says whose photo a file is. It keeps one text for all, and not a map of
// strings: that would take five times the memory.
type mapping struct {
	text  string   // key, zero byte, address, zero byte, and so on
	lines []mapped // by key
	used  []atomic.Bool
}

// mapped is a line of a mapping file.
type mapped struct {
	at   uint32 // of its key in the text
	line uint32 // in the file, from 1
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

// lookUp returns the address of a file, by its name with or without extension.
func (m *mapping) lookUp(base, stem string) (email string, ok bool) {
	l, i := m.find(base, stem)
	if i < 0 {
		return "", false
	}
	if !m.used[i].Load() {
		m.used[i].Store(true)
	}
	return strings.Clone(m.email(l)), true
}

// find returns the line for a file, and its place; -1: there is none.
func (m *mapping) find(base, stem string) (mapped, int) {
	for _, key := range []string{base, stem} {
		key = fold(key)
		i, found := slices.BinarySearchFunc(m.lines, key, func(l mapped, key string) int { return strings.Compare(m.key(l), key) })
		if found {
			return m.lines[i], i
		}
	}
	return mapped{}, -1
}

func (m *mapping) key(l mapped) string {
	key, _, _ := strings.Cut(m.text[l.at:], "\x00")
	return key
}

func (m *mapping) email(l mapped) string {
	rest := m.text[l.at:]
	_, rest, _ = strings.Cut(rest, "\x00")
	email, _, _ := strings.Cut(rest, "\x00")
	return email
}

// unused counts the lines for which there was no file.
func (m *mapping) unused() (n int, first mapped) {
	for i, l := range m.lines {
		if !m.used[i].Load() {
			if n == 0 || l.line < first.line {
				first = l
			}
			n++
		}
	}
	return n, first
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

// loadMapping reads the mapping file, again if it changed meanwhile.
func (s *Source) loadMapping(root *os.Root) (*mapping, error) {
	for range readTries {
		m, err := s.loadMappingOnce(root)
		if !errors.Is(err, errChanged) {
			return m, err
		}
	}
	return nil, &MappingError{Path: s.mappingPath(), Err: errChanged}
}

// openMapping opens it like a photo when it lies in the folder: who may write there
// must not have us read, and quote, another file by a link.
func (s *Source) openMapping(root *os.Root) (*os.File, error) {
	if filepath.IsAbs(s.o.MappingFile) {
		return os.OpenFile(s.o.MappingFile, os.O_RDONLY|nonBlock, 0)
	}
	return root.OpenFile(s.o.MappingFile, os.O_RDONLY|nonBlock, 0)
}

func (s *Source) loadMappingOnce(root *os.Root) (*mapping, error) {
	path := s.mappingPath()
	f, err := s.openMapping(root)
	if err != nil {
		return nil, &MappingError{Path: path, Err: err}
	}
	defer f.Close()
	fi, err := f.Stat()
	switch {
	case err != nil:
	case !fi.Mode().IsRegular():
		err = errNotFile
	case fi.Size() > maxMapping:
		err = fmt.Errorf("%d bytes, %d are read at most", fi.Size(), maxMapping)
	}
	if err != nil {
		return nil, &MappingError{Path: path, Err: err}
	}
	m, err := parseMapping(f)
	after, serr := f.Stat()
	if end, eerr := f.Seek(0, io.SeekCurrent); errors.Join(serr, eerr) != nil || end > fi.Size() || factsOf(after) != factsOf(fi) {
		return nil, errChanged
	}
	if e, ok := errors.AsType[*MappingError](err); ok {
		e.Path = path
	} else if err != nil {
		err = &MappingError{Path: path, Err: err}
	}
	return m, err
}

// mappingParser collects lines, and faults.
type mappingParser struct {
	text   strings.Builder
	lines  []mapped
	faults []fault
	more   int
}

type fault struct {
	line int
	text string
}

func (p *mappingParser) fault(line int, format string, args ...any) {
	const shown = 20
	if len(p.faults) == shown {
		p.more++
		return
	}
	p.faults = append(p.faults, fault{line, fmt.Sprintf("line %d: ", line) + fmt.Sprintf(format, args...)})
}

// err is all faults in the order of their lines; nil when there are none.
func (p *mappingParser) err() error {
	if len(p.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(p.faults, func(a, b fault) int { return a.line - b.line })
	e := &MappingError{More: p.more}
	for _, f := range p.faults {
		e.Faults = append(e.Faults, f.text)
	}
	return e
}

// parseMapping reads CSV (RFC 4180) of two columns. Faults in it are a
// *MappingError.
func parseMapping(in io.Reader) (*mapping, error) {
	b := bufio.NewReader(in)
	start, err := b.Peek(4096)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return nil, err
	}
	var p mappingParser
	if bytes.HasPrefix(start, []byte("\xff\xfe")) || bytes.HasPrefix(start, []byte("\xfe\xff")) {
		p.fault(1, "the file is in UTF-16: save it as CSV in UTF-8")
		return nil, p.err()
	}
	if bom := []byte("\ufeff"); bytes.HasPrefix(start, bom) {
		b.Discard(len(bom)) // it is in the buffer: cannot fail
		start = start[len(bom):]
	}
	r := csv.NewReader(b)
	r.Comma, r.FieldsPerRecord, r.ReuseRecord = separator(start), -1, true
	for first := true; ; first = false {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if pe, ok := errors.AsType[*csv.ParseError](err); ok {
			p.fault(pe.Line, "%v", pe.Err)
			continue
		}
		if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		p.record(line, record, first)
	}
	return p.mapping()
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

func (p *mappingParser) record(line int, fields []string, first bool) {
	if len(fields) != 2 {
		p.fault(line, "want 2 columns, not %d", len(fields))
		return
	}
	key, email := strings.TrimSpace(fields[0]), strings.TrimSpace(fields[1])
	if first && title().MatchString(email) {
		return
	}
	switch {
	case key == "":
		p.fault(line, "no file name or key before the email")
		return
	case !utf8.ValidString(key) || !utf8.ValidString(email):
		p.fault(line, "not UTF-8: save the file as CSV in UTF-8")
		return
	case strings.ContainsAny(key, `/\`):
		p.fault(line, "%q is a path: write the file's name alone", key)
		return
	case strings.ContainsFunc(key, unicode.IsControl):
		p.fault(line, "%q holds a control character", key)
		return
	}
	canonical, err := sources.Email(email)
	if err != nil {
		p.fault(line, "%v", err)
		return
	}
	p.lines = append(p.lines, mapped{uint32(p.text.Len()), uint32(line)})
	p.text.WriteString(fold(key) + "\x00" + canonical + "\x00")
}

// mapping sorts the lines and looks for keys that come twice.
func (p *mappingParser) mapping() (*mapping, error) {
	m := &mapping{text: p.text.String(), lines: p.lines, used: make([]atomic.Bool, len(p.lines))}
	slices.SortFunc(m.lines, func(a, b mapped) int {
		if c := strings.Compare(m.key(a), m.key(b)); c != 0 {
			return c
		}
		return int(a.line) - int(b.line)
	})
	for i := 1; i < len(m.lines); i++ {
		if a, b := m.lines[i-1], m.lines[i]; m.key(a) == m.key(b) {
			p.fault(int(b.line), "%q stands on line %d already", m.key(b), a.line)
		}
	}
	if len(m.lines) == 0 && len(p.faults) == 0 {
		p.fault(1, "the file names nobody")
	}
	return m, p.err()
}
