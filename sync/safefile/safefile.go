// Package safefile writes and opens files in folders that may belong to others.
//
// A new file has a name that nothing had before, and mode 0600. Mode and owner are changed
// through its descriptor. It is synced, takes its name at once, and the folder is synced:
// a kill, a full disk or a lost power supply leaves the old file or the new one, whole. No
// link that somebody laid where a file is written is followed, and what it leads to is
// neither changed nor given away. What failed is removed, and so is what killed runs left.
// Whoever owns the folder can still delete and exchange files.
package safefile

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// File is a new file before it has its name.
type File struct {
	*os.File
	path string
	kept bool
}

// New makes an empty file that is to become path. Its name until then is unlike any other.
func New(path string) (*File, error) {
	dir, base := filepath.Dir(path), filepath.Base(path)
	Sweep(path)
	return Create(filepath.Join(dir, temporary+base+"."+rand.Text()[:8]+".tmp"), path)
}

const temporary = ".photosync-"

// Sweep removes what killed runs left beside path: what was not written to for an hour.
func Sweep(path string) {
	dir, base := filepath.Split(path)
	entries, _ := os.ReadDir(filepath.Clean(dir)) // nothing depends on it
	for _, e := range entries {
		ours := strings.HasPrefix(e.Name(), temporary) && strings.Contains(e.Name(), ".tmp") && e.Name() != base
		if fi, err := e.Info(); ours && err == nil && time.Since(fi.ModTime()) > time.Hour {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// Create is New with a name that the caller chooses. A name that is taken is fs.ErrExist.
func Create(name, path string) (*File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	return &File{File: f, path: path}, err
}

// Keep gives the file its name, for good. That another file has it is fs.ErrExist, unless
// Keep may replace that.
func (f *File) Keep(replace bool) error {
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if !replace {
		if err := os.Link(f.Name(), f.path); errors.Is(err, fs.ErrExist) { // other errors: no links here
			return err
		}
	}
	err := Rename(f.Name(), f.path) // after Link it only syncs the folder
	f.kept = err == nil
	return err
}

// Discard removes the file, unless it was kept, and the name that it had until then.
func (f *File) Discard() {
	f.Close()
	if !f.kept || f.Name() != f.path {
		os.Remove(f.Name())
	}
}

// Rename gives a file that is whole another name in its folder, for good.
func Rename(from, to string) error {
	err := os.Rename(from, to)
	if err != nil || runtime.GOOS == "windows" { // which has a journal for names, and cannot sync a folder
		return err
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Replace writes the file at path, and makes its folder if that is missing. What is there
// and no regular file, such as a link or a device, is an error, and stays.
func Replace(path string, mode fs.FileMode, fill func(io.Writer) error) error {
	if fi, err := os.Lstat(path); err == nil && !fi.Mode().IsRegular() {
		return &fs.PathError{Op: "replace", Path: path, Err: errors.New("is not a regular file")}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	f, err := New(path)
	if err != nil {
		return err
	}
	defer f.Discard()
	if err := errors.Join(fill(f), f.Chmod(mode)); err != nil {
		return err
	}
	return f.Keep(true)
}

// Write is Replace with what the file is to hold.
func Write(path string, mode fs.FileMode, data []byte) error {
	return Replace(path, mode, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Check proves that files can be made in a folder.
func Check(dir string) error {
	f, err := New(filepath.Join(dir, "check"))
	if err == nil {
		f.Discard()
	}
	return err
}

// Open opens a file that is there, and is no link.
func Open(path string, flag int) (*os.File, error) {
	return os.OpenFile(path, flag&^os.O_CREATE|NoFollow, 0)
}

// Read reads a file that is no link, and has at most 64 KB.
func Read(path string) ([]byte, error) {
	f, err := Open(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 64<<10))
}
