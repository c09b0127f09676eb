package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteError is a report that could not be written.
type WriteError struct {
	Path string
	Err  error
}

func (e *WriteError) Error() string { return fmt.Sprintf("write report %q: %v", e.Path, cause(e.Err)) }
func (e *WriteError) Unwrap() error { return e.Err }

// Hint says what to do about it.
func (e *WriteError) Hint() string {
	switch {
	case errors.Is(e.Err, fs.ErrPermission):
		return "give the user that runs photosync write access to the folder, or choose another with report.dir or --report-dir"
	case errors.Is(e.Err, fs.ErrExist):
		return "report.dir must be a folder"
	}
	return "check that the folder exists, is writable and has space, or choose another with report.dir or --report-dir"
}

// cause drops the operation and path that an *fs.PathError repeats.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	if le, ok := errors.AsType[*os.LinkError](err); ok {
		return le.Err
	}
	return err
}

// CheckDir makes dir if need be and proves that reports can be written to it, so
// that a run does not begin that could not say what it did.
func CheckDir(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return &WriteError{Path: dir, Err: err}
	}
	f, err := os.CreateTemp(dir, ".photosync-*.tmp")
	if err != nil {
		return &WriteError{Path: dir, Err: err}
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// WriteJSON writes r to <dir>/<run-id>.json and latest.json, each whole or not
// at all, and returns the first one's path.
func WriteJSON(dir string, r *Report) (string, error) {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "", fmt.Errorf("encode report: %w", err)
	}
	data = append(data, '\n')
	path := filepath.Join(dir, r.RunID+".json")
	for _, p := range []string{path, filepath.Join(dir, "latest.json")} {
		if err := writeFile(p, data); err != nil {
			return "", err
		}
	}
	return path, nil
}

// writeFile replaces the file at path through a synced temporary file beside it.
func writeFile(path string, data []byte) (err error) {
	defer func() {
		if err != nil {
			err = &WriteError{Path: path, Err: err}
		}
	}()
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".photosync-*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone after the rename
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(0o640), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// Read loads a report that WriteJSON wrote.
func Read(path string) (*Report, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	r := &Report{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("read report %q: %w", path, err)
	}
	if r.SchemaVersion != SchemaVersion {
		return nil, fmt.Errorf("read report %q: schema_version %d, this program reads %d", path, r.SchemaVersion, SchemaVersion)
	}
	return r, nil
}
