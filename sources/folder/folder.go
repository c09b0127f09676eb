// Package folder is the source of photos for a folder of files named after people: <email>.jpg,
// .png, .gif, .webp, .bmp or .tif. With a mapping file they may have any name, such as an employee
// number. The package reads through os.Root, so that no link leads out of the folder, and opens
// only regular files. It never writes.
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
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"photosync/sources"
	"photosync/sync/foreign"
)

// Options of New.
type Options struct {
	Path      string
	Recursive bool // list subfolders, too
	// MappingFile is a CSV file of two columns, file name or key and email. A relative path begins
	// at the folder. With it, only files that it names are people's photos.
	MappingFile string
	// MinAge is how long ago a file must have been written to be read: a younger file may still be
	// being copied, and waits for the next run.
	MinAge time.Duration
}

// Source is a folder of photos.
type Source struct {
	o       Options
	buffers sources.Buffers
	listed  atomic.Pointer[fs.FileInfo] // the folder as List found it the last time
	mapping atomic.Pointer[facts]       // of the mapping file when it was read; nil: it was not read
}

// New returns the source; the folder is opened when it is listed or read.
func New(o Options) *Source { return &Source{o: o} }

// Error means that a folder cannot be read.
type Error struct {
	Path    string
	Err     error
	Top     string // if Path is a subfolder: the source's folder, which can be read
	Entries int    // read in Top so far
}

func (e *Error) Error() string {
	why := foreign.WithoutPath(e.Err)
	if l := limitReached(e.Err); l != nil {
		why = fmt.Errorf("this machine has %s: %w", l.lacks, l.err)
	}
	text := fmt.Sprintf("read folder %q: %v", e.Path, why)
	if e.Top != "" {
		text += fmt.Sprintf(" (%q itself can be read: %d entries so far)", e.Top, e.Entries)
	}
	return text
}
func (e *Error) Unwrap() error { return e.Err }

// moved reports whether a subfolder was renamed or deleted after the folder above it was read.
func (e *Error) moved() bool {
	return e.Top != "" && (errors.Is(e.Err, fs.ErrNotExist) || errors.Is(e.Err, syscall.ENOTDIR) || errors.Is(e.Err, syscall.ESTALE))
}

// Is makes the Error of a moved subfolder a sources.ErrMoved.
func (e *Error) Is(target error) bool { return target == sources.ErrMoved && e.moved() }

func (e *Error) Hint() string {
	l := limitReached(e.Err)
	switch {
	case l != nil:
		return l.hint
	case errors.Is(e.Err, fs.ErrPermission):
		return "give the user that runs photosync the right to read it"
	case e.moved():
		return "this subfolder was renamed or deleted each time that the folder was listed: run again when nobody does that"
	case e.Top != "":
		return "only this subfolder fails: look for faults of its disk or share in the system's log, or move it out of the folder"
	}
	return "check the source's path: is the share mounted?"
}

// limit is a limit of this machine. If it is reached, that is one fault of the whole source, however
// many files cannot be read because of it.
type limit struct {
	err         error
	lacks, hint string
}

var limits = []limit{
	{syscall.EMFILE, "too few file descriptors for this process", "raise the limit of open files: ulimit -n, or LimitNOFILE= of the systemd unit"},
	{syscall.ENFILE, "too few file descriptors", "end programs that keep many files open, or raise fs.file-max"},
	{syscall.ENOMEM, "too little memory", "give the machine or the container more memory"},
	{syscall.ENOSPC, "no space or no inodes left", "free some: df -h shows the space, df -i the inodes"},
	{syscall.EDQUOT, "no quota left", "raise the disk quota of the user that runs photosync, or free some space"},
}

// limitReached returns the limit that err is about; nil if it is about something else.
func limitReached(err error) *limit {
	for _, l := range limits {
		if errors.Is(err, l.err) {
			return &l
		}
	}
	return nil
}

// open opens the top folder. The slash makes it fail if a FIFO is there instead, where opening would wait.
func (s *Source) open() (*os.Root, error) {
	root, err := os.OpenRoot(s.o.Path + "/")
	if err != nil {
		return nil, &Error{Path: s.o.Path, Err: err}
	}
	return root, nil
}

// replaced reports whether another folder, such as an empty mount point, is now where the listed
// one was. Then a file that is missing there was not deleted.
func (s *Source) replaced(root *os.Root) bool {
	was := s.listed.Load()
	is, err := root.Stat(".")
	return was != nil && (err != nil || !os.SameFile(*was, is))
}

// refOf returns the reference to a file, by its name relative to the root. A name that is not
// printable text (a line feed, bytes that are not UTF-8) would break the lines of a report and
// change in JSON: then Name is the quoted name, and Mark has its bytes.
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

// endTimeout is how long to wait for the workers after the caller's context is done. If the server
// of a share does not answer, they may block for ever: then nobody waits for them.
const endTimeout = time.Second

// delivery hands what the workers of List or Photos find to the function each of its caller.
type delivery[T any] struct {
	each func(T) error
	busy sync.Mutex // while each runs
	err  error      // of each
}

// wait runs work to its end, or until soon after ctx is done. Then it returns the error of ctx, and
// each is no longer called.
func (d *delivery[T]) wait(ctx context.Context, work func() error) error {
	done := make(chan error, 1)
	go func() { done <- work() }()
	select {
	case err := <-done:
		return cmp.Or(err, context.Cause(ctx))
	case <-ctx.Done():
	}
	select {
	case <-done:
	case <-time.After(endTimeout):
	}
	d.busy.Lock()
	defer d.busy.Unlock()
	return context.Cause(ctx)
}

// give calls each for all of found. Calls for several workers do not overlap. It stops if a call
// fails or ctx is done.
func (d *delivery[T]) give(ctx context.Context, found ...T) error {
	d.busy.Lock()
	defer d.busy.Unlock()
	d.err = cmp.Or(d.err, context.Cause(ctx))
	for i := 0; i < len(found) && d.err == nil; i++ {
		d.err = d.each(found[i])
	}
	return d.err
}
