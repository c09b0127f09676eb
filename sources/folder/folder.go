// Package folder is the source of photos for a folder of files named after
// people: <email>.jpg, .png, .gif, .webp, .bmp or .tif, or with any name that a mapping file
// gives to a person. It reads through os.Root, so that no link leads out of the
// folder, and opens regular files only.
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
	Path string
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("read folder %q: %v", e.Path, cause(e.Err)) }
func (e *Error) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *Error) Hint() string {
	if errors.Is(e.Err, fs.ErrPermission) {
		return "give the user that runs photosync the right to read it"
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
		return nil, &Error{s.o.Path, err}
	}
	root, err := os.OpenRoot(s.o.Path)
	if err != nil {
		return nil, &Error{s.o.Path, err}
	}
	return root, nil
}

// replaced tells whether another folder, such as an empty mount point, is now where
// the listed one was: then a file that is not there is not gone.
func (s *Source) replaced(root *os.Root) bool {
	was := s.listed.Load()
	if was == nil {
		return false
	}
	is, err := root.Stat(".")
	return err != nil || !os.SameFile(*was, is)
}

// refOf is the reference to the file called name, relative to the root. A name that
// is no printable text, with a line feed or not in UTF-8, would break the lines of a
// report and be another one in JSON: it is shown quoted.
func refOf(name string) sources.Ref {
	if isText(name) {
		return sources.Ref{Name: name}
	}
	return sources.Ref{Name: strconv.Quote(name), Key: name}
}

func nameOf(r sources.Ref) string { return cmp.Or(r.Key, r.Name) }

func isText(name string) bool {
	return utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}

// crew is what the goroutines that look or read share.
type crew[T any] struct {
	*errgroup.Group
	ctx  context.Context // done when one of them failed, or nobody wants more
	emit func(T)         // hands on what was found
}

// patience is how long those who look or read may take to end when nobody wants more.
// A share whose server is away holds them, perhaps for good: then they are left behind.
const patience = time.Second

// gather runs work and what work starts, at most limit goroutines at a time, and
// calls each on the caller's goroutine for everything that they emit. It returns
// when all of them have ended, or ctx has and they do not. The error of each comes
// before theirs.
func gather[T any](ctx context.Context, limit int, work func(crew[T]) error, each func(T) error) error {
	ctx, cancel := context.WithCancel(ctx)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(limit)
	found := make(chan T, limit)
	var failed error
	g.Go(func() error { return work(crew[T]{g, gctx, func(t T) { found <- t }}) })
	go func() {
		failed = g.Wait()
		close(found)
	}()
	defer func() { // also when each panics
		cancel()
		leave(found)
	}()
	for {
		select {
		case t, more := <-found:
			if !more {
				return failed
			}
			if err := each(t); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// leave takes what is still found, until all who find have ended.
func leave[T any](found <-chan T) {
	enough := time.NewTimer(patience)
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
