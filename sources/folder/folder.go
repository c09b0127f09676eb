// Package folder is the source of photos for a folder of files named after
// people: <email>.jpg, .png, .gif, .webp, .bmp or .tif. With a mapping file they may
// have any name, such as an employee number. It reads through os.Root, so that no
// link leads out of the folder, and opens regular files only. It never writes.
package folder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"photosync/sources"
)

// Options of New.
type Options struct {
	Path      string
	Recursive bool // look into subfolders, too
	// MappingFile is a CSV file of two columns, file name or key and email. It
	// lies in the folder unless its path is absolute. Then only files that it
	// names are people's photos.
	MappingFile string
	// MinAge is how long ago a file must have been written for it to be read: one
	// that is still being copied waits for the next run.
	MinAge time.Duration
}

// Source is a folder of photos.
type Source struct {
	o       Options
	buffers sources.Buffers
	listed  atomic.Pointer[fs.FileInfo] // the folder as List found it the last time
}

// New returns the source; the folder is opened when it is listed or read.
func New(o Options) *Source { return &Source{o: o} }

var (
	errNotFolder = errors.New("not a folder")
	errNotFile   = errors.New("not a regular file")
	errReplaced  = errors.New("it is not the folder that was listed")
)

// Error is a folder that cannot be read.
type Error struct {
	Path    string
	Err     error
	Top     string // the source's folder, which can be read, if Path is below it
	Entries int    // read in it so far
}

// newError makes the Error of a folder. If err is about a limit of this machine, the
// Error wraps a sources.HostError.
func newError(path string, err error) error {
	if host := sources.HostFault(err); host != nil {
		err = host
	}
	return &Error{Path: path, Err: err}
}

func (e *Error) Error() string {
	text := fmt.Sprintf("read folder %q: %v", e.Path, cause(e.Err))
	if e.Top != "" {
		text += fmt.Sprintf(" (%q itself can be read: %d entries so far)", e.Top, e.Entries)
	}
	return text
}
func (e *Error) Unwrap() error { return e.Err }

// moved reports whether a subfolder is no longer where it was when the folder above
// it was read.
func (e *Error) moved() bool {
	return e.Top != "" && (errors.Is(e.Err, fs.ErrNotExist) || errors.Is(e.Err, syscall.ENOTDIR) || errors.Is(e.Err, syscall.ESTALE))
}

// Is makes the Error of a subfolder that was moved a sources.ErrMoved.
func (e *Error) Is(target error) bool { return target == sources.ErrMoved && e.moved() }

// Hint says what to do.
func (e *Error) Hint() string {
	host, ok := errors.AsType[*sources.HostError](e.Err)
	switch {
	case ok:
		return host.Hint()
	case errors.Is(e.Err, fs.ErrPermission):
		return "give the user that runs photosync the right to read it"
	case e.moved():
		return "this subfolder was renamed or deleted each time that the folder was listed: run again when nobody does that"
	case e.Top != "":
		return "only this subfolder fails: look for faults of its disk or share in the system's log, or move it out of the folder"
	}
	return "check the source's path: is the share mounted?"
}

// cause is err without the operation and path that our own errors name.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// open opens the top folder, and waits for it no longer than ctx.
func (s *Source) open(ctx context.Context) (*os.Root, error) {
	type opened struct {
		root *os.Root
		err  error
	}
	c := make(chan opened, 1)
	go func() {
		root, err := s.openRoot()
		c <- opened{root, err}
	}()
	select {
	case o := <-c:
		return o.root, o.err
	case <-ctx.Done():
		go func() {
			if o := <-c; o.err == nil {
				o.root.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
}

// openRoot looks first, because opening a FIFO waits.
func (s *Source) openRoot() (*os.Root, error) {
	fi, err := os.Stat(s.o.Path)
	if err == nil && !fi.IsDir() {
		err = errNotFolder
	}
	if err != nil {
		return nil, newError(s.o.Path, err)
	}
	root, err := os.OpenRoot(s.o.Path)
	if err != nil {
		return nil, newError(s.o.Path, err)
	}
	return root, nil
}

// replaced reports whether another folder, such as an empty mount point, is now where
// the listed one was. Then a file that is not there is not gone.
func (s *Source) replaced(root *os.Root) bool {
	was := s.listed.Load()
	if was == nil {
		return false
	}
	is, err := root.Stat(".")
	return err != nil || !os.SameFile(*was, is)
}

// refOf returns the reference to a file, by its name relative to the root. A name
// that is not printable text (a line feed, bytes that are not UTF-8) would break the
// lines of a report and change in JSON. It is quoted there, and Mark has the bytes.
func refOf(name string) sources.Ref {
	if isText(name) {
		return sources.Ref{Name: name}
	}
	return sources.Ref{Name: strconv.Quote(name), Mark: name}
}

func nameOf(r sources.Ref) string { return cmp.Or(r.Mark, r.Name) }

func isText(name string) bool {
	return utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}

// workers are the goroutines that list or read. They share these fields.
type workers[T any] struct {
	*errgroup.Group
	ctx  context.Context // done when one of them failed, or the caller stopped
	emit func(T)         // passes a result to the caller
}

// endTimeout is how long the workers may take to end after the caller stopped. A
// share whose server does not answer may block them for ever. Then collect returns
// without them.
const endTimeout = time.Second

// collect runs work and what work starts, at most limit goroutines at a time, and
// calls each, on the caller's goroutine, for every result that they emit. It returns
// when all of them have ended, or soon after ctx is done, then with its error. An error
// of each goes before theirs.
func collect[T any](ctx context.Context, limit int, work func(workers[T]) error, each func(T) error) error {
	ctx, cancel := context.WithCancel(ctx)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(limit)
	found := make(chan T, limit)
	var failed error
	g.Go(func() error { return work(workers[T]{g, gctx, func(t T) { found <- t }}) })
	go func() {
		failed = g.Wait()
		close(found)
	}()
	defer func() { // also when each panics
		cancel()
		drain(found)
	}()
	for {
		select {
		case t, more := <-found:
			if !more {
				return cmp.Or(failed, context.Cause(ctx))
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := each(t); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// drain drops the results that still come, until all workers have ended.
func drain[T any](found <-chan T) {
	enough := time.NewTimer(endTimeout)
	defer enough.Stop()
	for {
		select {
		case _, more := <-found:
			if !more {
				return
			}
		case <-enough.C:
			go func() {
				for range found {
				}
			}()
			return
		}
	}
}
