// Package safefile writes and opens files in folders that may belong to others.
//
// A new file begins with a temporary name and mode 0600. Its mode and owner are changed through
// its descriptor. The file is synced and renamed, and then the folder is synced: after a kill, a
// full disk or a power failure, either the old file or the new one is there, whole. If somebody
// put a link where a file is written, the link is not followed, and its target is neither changed
// nor given another owner. The files of failed writes are removed, and those of killed runs, too.
// The owner of the folder can still delete and exchange files.
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

// File is a new file with a temporary name.
type File struct {
	*os.File
	path      string // its final name
	committed bool
}

// New creates an empty file that is to become path, with a unique temporary name.
func New(path string) (*File, error) {
	dir, base := filepath.Dir(path), filepath.Base(path)
	Sweep(path)
	return Create(filepath.Join(dir, temporary+base+"."+rand.Text()[:8]+".tmp"), path)
}

const temporary = ".photosync-"

// Sweep removes the temporary files beside path that killed runs left: those not written to for an hour.
func Sweep(path string) {
	dir, base := filepath.Split(path)
	entries, _ := os.ReadDir(filepath.Clean(dir)) // nothing depends on success
	for _, e := range entries {
		ours := strings.HasPrefix(e.Name(), temporary) && strings.Contains(e.Name(), ".tmp") && e.Name() != base
		if fi, err := e.Info(); ours && err == nil && time.Since(fi.ModTime()) > time.Hour {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// Create is New with a temporary name of the caller's choice. If it exists, the error is fs.ErrExist.
func Create(name, path string) (*File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	return &File{File: f, path: path}, err
}

// Commit renames the file to its final name, durably. Without replace, the error is fs.ErrExist
// if another file has that name.
func (f *File) Commit(replace bool) error {
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if !replace {
		if err := os.Link(f.Name(), f.path); errors.Is(err, fs.ErrExist) { // other errors: this file system has no links
			return err
		}
	}
	err := Rename(f.Name(), f.path) // after Link it only syncs the folder
	f.committed = err == nil
	return err
}

// Discard closes the file and removes its temporary name, and so the file itself unless it was committed.
func (f *File) Discard() {
	f.Close()
	if !f.committed || f.Name() != f.path {
		os.Remove(f.Name())
	}
}

// Rename durably gives a synced file another name in its folder.
func Rename(from, to string) error {
	err := os.Rename(from, to)
	if err != nil || runtime.GOOS == "windows" { // NTFS has a journal for names; a folder cannot be synced
		return err
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Replace writes the file at path, and makes its folder if that is missing. It is an error if
// path is anything but a regular file, such as a link or a device.
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
	return f.Commit(true)
}

// Write is Replace with the content of the file.
func Write(path string, mode fs.FileMode, data []byte) error {
	return Replace(path, mode, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Check returns an error if no file can be created and written in a folder.
func Check(dir string) error {
	f, err := New(filepath.Join(dir, "check"))
	if err == nil {
		_, err = f.Write(make([]byte, 4096))
		f.Discard()
	}
	return err
}

// Open opens an existing file that is not a link.
func Open(path string, flag int) (*os.File, error) {
	return os.OpenFile(path, flag&^os.O_CREATE|NoFollow, 0)
}

// Read reads a file that is not a link, 64 KB at most.
func Read(path string) ([]byte, error) {
	f, err := Open(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 64<<10))
}
