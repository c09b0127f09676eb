package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"photosync/sync/foreign"
	"photosync/sync/outcome"
)

// WriteError is a report, or what belongs to it, that could not be written.
type WriteError struct {
	what, path string
	Err        error
}

func (e *WriteError) Error() string {
	return fmt.Sprintf("write %s %q: %v", e.what, e.path, foreign.WithoutPath(e.Err))
}
func (e *WriteError) Unwrap() error { return e.Err }

// Hint says what to do about it.
func (e *WriteError) Hint() string {
	const other = ", or choose another with report.dir or --report-dir"
	for _, c := range []struct {
		err  error
		hint string
	}{
		{fs.ErrPermission, "give the user that runs photosync write access to the folder" + other},
		{fs.ErrExist, "report.dir must be a folder"},
		{syscall.ENOSPC, "make room on that disk" + other + "; what was uploaded is recorded"},
		{syscall.EROFS, "the disk is mounted read-only: mount it writable" + other},
		{syscall.EIO, "the disk is failing: see the system's log" + other + "; what was uploaded is recorded"},
	} {
		if errors.Is(e.Err, c.err) {
			return c.hint
		}
	}
	return "check that the folder exists, is writable and has space" + other
}

// temporary is the pattern of names that files have before they are whole.
const temporary = ".photosync-*.tmp"

// CheckDir makes dir if need be and proves that reports can be written to it, so
// that a run does not begin that could not say what it did. It removes what runs
// that were killed left half-written.
func CheckDir(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return &WriteError{"report", dir, err}
	}
	entries, _ := os.ReadDir(dir) // what matters is whether it can be written to
	for _, e := range entries {
		ours, _ := filepath.Match(temporary, e.Name())
		if fi, err := e.Info(); ours && err == nil && time.Since(fi.ModTime()) > 24*time.Hour {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
	f, err := os.CreateTemp(dir, temporary)
	if err != nil {
		return &WriteError{"report", dir, err}
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// Write writes r to <dir>/<run-id>.<format> in each of the formats, each file whole or
// not at all, and returns the paths. latest.<format> is a copy of the last full sync,
// latest-plan.<format> of the last plan. A format that fails does not keep the others
// from being written.
func Write(dir string, r *Report, formats []string) (paths []string, err error) {
	for _, format := range formats {
		path := filepath.Join(dir, r.RunID+"."+format)
		werr := write("report", path, 0o640, func(w io.Writer) error { return r.Encode(w, format) })
		if werr == nil {
			paths = append(paths, path)
			switch {
			case r.Mode == "plan":
				werr = copyFile(path, filepath.Join(dir, "latest-plan."+format))
			case r.Full:
				werr = copyFile(path, filepath.Join(dir, "latest."+format))
			}
		}
		err = errors.Join(err, werr)
	}
	return paths, err
}

// Encode writes r in one of the formats. Nothing that it writes acts on a terminal.
func (r *Report) Encode(w io.Writer, format string) error {
	foreign.Clean(r)
	switch format {
	case "json":
		return encodeJSON(w, r)
	case "html":
		return encodeHTML(w, r)
	case "csv":
		return encodeCSV(w, r)
	}
	return fmt.Errorf("encode report: there is no format %q", format)
}

// encodeJSON writes what json.MarshalIndent would, an item at a time: the report
// of a first run has one for everybody in the company.
func encodeJSON(w io.Writer, r *Report) error {
	head := *r
	head.Items = []Item{}
	data, err := json.MarshalIndent(head, "", "  ")
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	const end = "]\n}"
	b := bufio.NewWriter(w)
	b.Write(bytes.TrimSuffix(data, []byte(end))) // Flush has its error, and those that follow
	for i, it := range r.Items {
		item, err := json.MarshalIndent(it, "    ", "  ")
		if err != nil {
			return fmt.Errorf("encode report: item %d: %w", i, err)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n    ")
		b.Write(item)
	}
	if len(r.Items) > 0 {
		b.WriteString("\n  ")
	}
	b.WriteString(end + "\n")
	return b.Flush()
}

func copyFile(from, to string) error {
	return write("report", to, 0o640, func(w io.Writer) error {
		f, err := os.Open(from)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(w, f)
		return err
	})
}

// WritePlan writes a plan to path, whole or not at all, for its owner's eyes only.
func WritePlan(path string, fill func(io.Writer) error) error {
	return write("plan", path, 0o600, fill)
}

func write(what, path string, mode fs.FileMode, fill func(io.Writer) error) error {
	if err := Replace(path, mode, fill); err != nil {
		return &WriteError{what, path, err}
	}
	return nil
}

// Replace replaces the file at path through a synced temporary file beside it.
func Replace(path string, mode fs.FileMode, fill func(io.Writer) error) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, temporary)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone after the rename
	err = fill(f)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	if runtime.GOOS == "windows" { // it cannot sync a folder
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close()) // makes the rename durable
}

// ReadError is a file that cannot be read as a report.
type ReadError struct {
	path string
	Err  error
	hint string
}

func (e *ReadError) Error() string {
	return fmt.Sprintf("read report %q: %v", e.path, foreign.WithoutPath(e.Err))
}
func (e *ReadError) Unwrap() error { return e.Err }

// Hint says what to do about it.
func (e *ReadError) Hint() string { return e.hint }

// Read loads a report in JSON.
func Read(path string) (*Report, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, &ReadError{path, err, "name the JSON file of a run, such as reports/latest.json"}
	}
	var v struct {
		SchemaVersion int `json:"schema_version"`
	}
	r, hint := &Report{}, "name the JSON file of a run; another one, if this is damaged"
	if err = json.Unmarshal(data, &v); err == nil {
		switch {
		case v.SchemaVersion > SchemaVersion:
			err = fmt.Errorf("schema_version %d, and this photosync reads %d", v.SchemaVersion, SchemaVersion)
			hint = "a newer photosync wrote this report: use that one, or update this"
		case v.SchemaVersion < 1:
			err = errors.New("it is no report of photosync: there is no schema_version")
		default:
			err = json.Unmarshal(data, r)
		}
	}
	if err != nil {
		return nil, &ReadError{path, err, hint}
	}
	if r.Findings == nil { // an older photosync wrote it
		r.Findings = []outcome.Finding{}
	}
	return r, nil
}
