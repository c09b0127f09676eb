// Package folder is the source of photos for a folder of files named after
// people: <email>.jpg, .jpeg, .png or .gif. It reads through os.Root, so that no
// link leads out of the folder, and opens regular files only.
package folder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"photosync/sources"
)

// clockGranularity is how coarse the time stamps of common file systems are (2 s
// on FAT and some shares). A file written within that time before it was listed
// could be written again without a new stamp, so it gets none.
const clockGranularity = 2 * time.Second

// readTries is how often a file that changes while it is read is read.
const readTries = 3

// dirChunk is how many names of a folder are in memory at once.
const dirChunk = 1024

// Options of New.
type Options struct {
	Path      string
	Recursive bool // look into subfolders, too
}

// Source is a folder of photos.
type Source struct{ o Options }

// New returns the source; the folder is opened when it is listed or read.
func New(o Options) *Source { return &Source{o} }

var (
	errNotFolder = errors.New("not a folder")
	errNotFile   = errors.New("not a regular file")
)

// Error is a folder that cannot be read.
type Error struct {
	Path string
	Err  error
}

func (e *Error) Error() string {
	err := e.Err
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	return fmt.Sprintf("read folder %q: %v", e.Path, err)
}
func (e *Error) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *Error) Hint() string {
	if errors.Is(e.Err, fs.ErrPermission) {
		return "give the user that runs photosync the right to read it"
	}
	return "check the source's path: is the share mounted?"
}

// List implements sources.Source. A folder that cannot be read, the top one or
// one below, is an error that names it.
func (s *Source) List(ctx context.Context, each func(sources.Person) error) (sources.Listing, error) {
	root, err := s.open()
	if err != nil {
		return sources.Listing{}, err
	}
	defer root.Close()
	w := walk{s: s, root: root, each: each, ignored: map[string]*count{}}
	err = w.dir(ctx, ".")
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	w.listing.Warnings = w.warnings()
	w.listing.Complete = err == nil
	return w.listing, err
}

// open opens the top folder. It looks first, because opening a FIFO waits.
func (s *Source) open() (*os.Root, error) {
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

// walk is one listing.
type walk struct {
	s       *Source
	root    *os.Root
	each    func(sources.Person) error
	listing sources.Listing
	ignored map[string]*count // by why
}

type count struct {
	n     int
	first string
}

func (w *walk) ignore(why, name string) {
	c := w.ignored[why]
	if c == nil {
		c = &count{first: name}
		w.ignored[why] = c
	}
	c.n++
	c.first = min(c.first, name)
}

// Why something in the folder is not a person's photo, in the order of warnings.
const (
	notEmail    = "the name is not an email address"
	otherType   = "not named .jpg, .jpeg, .png or .gif"
	hidden      = "hidden"
	notRegular  = "not a regular file"
	subfolder   = "a subfolder, and recursive is off"
	outsideLink = "a link that leads out of the folder or nowhere"
)

func (w *walk) warnings() []string {
	var lines []string
	for _, why := range []string{notEmail, otherType, hidden, notRegular, subfolder, outsideLink} {
		if c := w.ignored[why]; c != nil {
			lines = append(lines, fmt.Sprintf("%d ignored: %s (first: %q)", c.n, why, c.first))
		}
	}
	return lines
}

// dir lists the folder name, relative to the root.
func (w *walk) dir(ctx context.Context, name string) error {
	// Without waiting, should a FIFO have taken the folder's place.
	d, err := w.root.OpenFile(name, os.O_RDONLY|nonBlock, 0)
	if err != nil {
		return &Error{path.Join(w.s.o.Path, name), err}
	}
	defer d.Close()
	for {
		now := time.Now() // before the look: what is written after it must not seem old
		entries, err := d.ReadDir(dirChunk)
		for _, e := range entries {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := w.entry(ctx, path.Join(name, e.Name()), e, now); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return &Error{path.Join(w.s.o.Path, name), err}
		}
	}
}

func (w *walk) entry(ctx context.Context, name string, e fs.DirEntry, now time.Time) error {
	base := path.Base(name)
	switch {
	case strings.HasPrefix(base, "."):
		w.listing.Entries++
		w.ignore(hidden, name)
		return nil
	case e.IsDir() && w.s.o.Recursive:
		return w.dir(ctx, name)
	case e.IsDir():
		w.listing.Entries++
		w.ignore(subfolder, name)
		return nil
	}
	w.listing.Entries++
	ext := path.Ext(base)
	switch strings.ToLower(ext) {
	case ".jpg", ".jpeg", ".png", ".gif":
	default:
		w.ignore(otherType, name)
		return nil
	}
	email, err := emailOf(strings.TrimSuffix(base, ext))
	if err != nil {
		w.ignore(notEmail, name)
		return nil
	}
	// A folder opened through os.Root looks at its entries while it is read: Info
	// costs nothing more. A link is followed, inside the root only.
	link := e.Type()&fs.ModeSymlink != 0
	look := e.Info
	if link {
		look = func() (fs.FileInfo, error) { return w.root.Stat(name) }
	}
	fi, err := look()
	switch {
	case err != nil && link:
		w.ignore(outsideLink, name)
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return nil // gone since the folder was read
	case err != nil:
		return &Error{path.Join(w.s.o.Path, name), err}
	case !fi.Mode().IsRegular():
		w.ignore(notRegular, name)
		return nil
	}
	return w.each(sources.Person{
		Emails: []string{email}, Ref: sources.Ref{Name: name}, Stamp: stamp(fi, now), HasPhoto: sources.Present,
	})
}

// emailOf is the address that a file is named after. Programs that cannot write
// an @ into a name write %40; a name with an @ is taken as it is, since % may be
// part of an address.
func emailOf(name string) (string, error) {
	if !strings.Contains(name, "@") {
		if plain, err := url.PathUnescape(name); err == nil {
			name = plain
		}
	}
	return sources.Email(name)
}

// stamp is a file's change mark, as git's index and rsync keep one; empty while
// the file is so young that a further change might not show.
func stamp(fi fs.FileInfo, now time.Time) string {
	ctime, inode := changeTime(fi)
	newest := fi.ModTime()
	if ctime.After(newest) {
		newest = ctime
	}
	if age := now.Sub(newest); age < clockGranularity {
		return ""
	}
	return fmt.Sprintf("%d-%x-%x-%x", fi.Size(), fi.ModTime().UnixNano(), ctime.UnixNano(), inode)
}

// Photos implements sources.Source.
func (s *Source) Photos(ctx context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	root, err := s.open()
	if err != nil {
		return err
	}
	defer root.Close()
	done := make(map[sources.Ref]bool, len(refs))
	for _, ref := range refs {
		if done[ref] {
			continue
		}
		done[ref] = true
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		data, err := read(root, ref.Name)
		if err != nil {
			data = nil
			if pe, ok := errors.AsType[*fs.PathError](err); ok && !errors.Is(err, sources.ErrGone) {
				err = pe.Err
			}
			err = fmt.Errorf("read %q: %w", ref.Name, err)
		}
		if err := each(sources.Photo{Ref: ref, Data: data, Err: err}); err != nil {
			return err
		}
	}
	return nil
}

// read reads one file, again if it changed meanwhile.
func read(root *os.Root, name string) ([]byte, error) {
	for range readTries {
		data, stable, err := readOnce(root, name)
		if err != nil || stable {
			return data, err
		}
	}
	return nil, sources.ErrUnstable
}

// readOnce reads the file and tells whether it stayed the same the while. The
// file is opened without waiting, should a FIFO have taken its place.
func readOnce(root *os.Root, name string) (data []byte, stable bool, err error) {
	f, err := root.OpenFile(name, os.O_RDONLY|nonBlock, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, sources.ErrGone
	}
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	before, err := f.Stat()
	switch {
	case err != nil:
		return nil, false, err
	case !before.Mode().IsRegular():
		return nil, false, errNotFile
	case before.Size() > sources.MaxPhotoBytes:
		return nil, false, fmt.Errorf("%w: %d bytes, %d are read at most", sources.ErrTooLarge, before.Size(), sources.MaxPhotoBytes)
	}
	// One byte more than expected tells a file that grows.
	data = make([]byte, before.Size()+1)
	n, err := io.ReadFull(f, data)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	after, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	// The change time, too: a program that sets the modification time back
	// (cp -p, rsync -t) does not hide that it wrote.
	was, _ := changeTime(before)
	is, _ := changeTime(after)
	same := int64(n) == before.Size() && after.Size() == before.Size() &&
		after.ModTime().Equal(before.ModTime()) && is.Equal(was)
	return data[:n:n], same, nil
}
