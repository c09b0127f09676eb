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
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"photosync/sources"
)

// List implements sources.Source. A folder that cannot be read, the top one or
// one below, is an error that names it. A file that cannot be read is listed without
// a stamp, so that reading it shows why.
func (s *Source) List(ctx context.Context, each func(sources.Person) error) (sources.Listing, error) {
	root, err := s.open(ctx)
	if err != nil {
		return sources.Listing{}, err
	}
	defer root.Close()
	w := walk{s: s, root: root, ignored: map[string]*count{}}
	// One goroutine more than processors: one may wait for the caller.
	err = collect(ctx, runtime.GOMAXPROCS(0)+1, func(c workers[[]sources.Person]) error {
		w.workers = c
		return w.all()
	}, func(people []sources.Person) error {
		for _, p := range people {
			if err := each(p); err != nil {
				return err
			}
		}
		return nil
	})
	w.mu.Lock() // a blocked worker may still be there
	defer w.mu.Unlock()
	w.listing.Warnings = w.warnings(err == nil)
	slices.Sort(w.listing.Unnamed)
	w.listing.Complete = err == nil
	return w.listing, err
}

// walk is one listing.
type walk struct {
	workers[[]sources.Person]
	s     *Source
	root  *os.Root
	names mapping // nil: files are named after people

	mu      sync.Mutex // guards what follows
	listing sources.Listing
	ignored map[string]*count // by why
}

type count struct {
	n     int
	first string
}

func (w *walk) ignore(why, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.ignored[why]
	if c == nil {
		c = &count{first: name}
		w.ignored[why] = c
	}
	c.n++
	c.first = min(c.first, name)
	if why == notEmail || why == notMapped {
		w.listing.Unnamed = append(w.listing.Unnamed, refOf(name).Name)
	}
}

// Why something in the folder is not a person's photo, in the order of warnings.
const (
	notEmail    = "the name is not an email address"
	notMapped   = "not in the mapping file"
	otherType   = "not named .jpg, .png, .gif, .webp, .bmp or .tif"
	phoneType   = "HEIC and AVIF cannot be sent: export these photos as JPEG"
	hidden      = "hidden, or the file server's own"
	notRegular  = "not a regular file"
	subfolder   = "a subfolder, and recursive is off"
	outsideLink = "a link that is absolute, leads out of the folder or nowhere"
)

func (w *walk) warnings(complete bool) []string {
	var lines []string
	for _, why := range []string{notEmail, notMapped, phoneType, otherType, hidden, notRegular, subfolder, outsideLink} {
		if c := w.ignored[why]; c != nil {
			lines = append(lines, fmt.Sprintf("%d ignored: %s (first: %q)", c.n, why, c.first))
		}
	}
	if complete && w.names != nil {
		if n, first := w.names.unused(); n > 0 {
			lines = append(lines, fmt.Sprintf("%d in the mapping file without a file here (first: line %d, %q)", n, w.names[first].line, first))
		}
	}
	return lines
}

// all lists the whole folder.
func (w *walk) all() error {
	fi, err := w.root.Stat(".")
	if err != nil {
		return newError(w.s.o.Path, err)
	}
	w.s.listed.Store(&fi)
	if w.s.o.MappingFile != "" {
		if w.names, err = w.s.loadMapping(w.root); err != nil {
			return err
		}
	}
	return w.dir(".")
}

// failed is the error of the folder name, relative to the root.
func (w *walk) failed(name string, err error) error {
	if name == "." || sources.HostFault(err) != nil {
		return newError(w.s.o.Path, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return &Error{Path: path.Join(w.s.o.Path, name), Err: err, Top: w.s.o.Path, Entries: w.listing.Entries}
}

// dir lists the folder name, relative to the root. While it reads on, idle workers
// list the files in the blocks that it has read.
func (w *walk) dir(name string) error {
	// Opening does not wait, in case a FIFO has taken the folder's place.
	d, err := w.root.OpenFile(name, os.O_RDONLY|nonBlock, 0)
	if err != nil {
		return w.failed(name, err)
	}
	defer d.Close()
	var listing sync.WaitGroup // the workers need d
	defer listing.Wait()
	for {
		if w.ctx.Err() != nil {
			return context.Cause(w.ctx)
		}
		now := time.Now() // before stat: what is written after it must not seem old
		b, err := nextBlock(d)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return w.failed(name, err)
		}
		listing.Add(1)
		list := func() error {
			defer listing.Done()
			return w.block(name, b, now)
		}
		if !w.TryGo(list) {
			if err := list(); err != nil {
				return err
			}
		}
	}
}

// block lists the files in a part of the folder dir, and then the folders in it.
func (w *walk) block(dir string, b block, now time.Time) error {
	var people []sources.Person
	var below []string
	n := 0
	for e := range b.entries {
		if e.kind == fs.ModeIrregular { // this file system does not say
			if f, err := e.stat(); err == nil {
				e.kind = f.kind
			}
		}
		name := e.name
		if dir != "." {
			name = dir + "/" + e.name
		}
		switch {
		case name == w.s.mappingName():
			continue
		case isHidden(e.name):
			w.ignore(hidden, name)
			continue
		case e.kind.IsDir() && w.s.o.Recursive:
			below = append(below, name)
			continue
		}
		n++
		p, ok, err := w.person(name, e, now)
		if err != nil {
			return err
		}
		if ok {
			people = append(people, p)
		}
	}
	w.mu.Lock()
	w.listing.Entries += n
	w.mu.Unlock()
	if len(people) > 0 {
		w.emit(people)
	}
	for _, name := range below {
		if !w.TryGo(func() error { return w.dir(name) }) {
			if err := w.dir(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// isHidden reports whether a name begins with a dot, or is that of a folder which file
// systems and servers make for themselves. Those are often unreadable, and may hold
// photos that were deleted.
func isHidden(name string) bool {
	switch name {
	case "lost+found", "System Volume Information", "$RECYCLE.BIN", "#recycle", "@Recycle", "#snapshot", "~snapshot":
		return true
	}
	return strings.HasPrefix(name, ".")
}

// person makes a Person of the file called name, if it is a photo that names one.
func (w *walk) person(name string, e entry, now time.Time) (p sources.Person, ok bool, err error) {
	if e.kind.IsDir() {
		w.ignore(subfolder, name)
		return p, false, nil
	}
	stem, ok := photoName(e.name)
	if !ok {
		why := otherType
		switch strings.ToLower(path.Ext(name)) {
		case ".heic", ".heif", ".avif":
			why = phoneType
		}
		w.ignore(why, name)
		return p, false, nil
	}
	email, why := w.who(e.name, stem)
	if why != "" {
		w.ignore(why, name)
		return p, false, nil
	}
	stamp, ok, err := w.stat(name, e, now)
	if err != nil || !ok {
		return p, false, err
	}
	return sources.Person{
		Own: []string{email}, Ref: refOf(name), Stamp: stamp, HasPhoto: sources.Present,
	}, true, nil
}

// stat returns the stamp of the file called name, and whether it is a regular file.
func (w *walk) stat(name string, e entry, now time.Time) (stamp string, ok bool, err error) {
	f, err := e.stat()
	link := err == nil && f.kind&fs.ModeSymlink != 0
	if link { // it is followed, inside the root only
		var fi fs.FileInfo
		if fi, err = w.root.Stat(name); err == nil {
			f = factsOf(fi)
		}
	}
	switch {
	case sources.HostFault(err) != nil:
		return "", false, newError(w.s.o.Path, err)
	case err != nil && link:
		w.ignore(outsideLink, name)
		return "", false, nil
	case errors.Is(err, fs.ErrNotExist):
		return "", false, nil // deleted since the folder was read
	case errors.Is(err, fs.ErrPermission): // of the folder: stat needs no right to the file
		return "", false, w.failed(path.Dir(name), err)
	case err != nil:
		return "", true, nil // reading it will show why
	case !f.regular():
		w.ignore(notRegular, name)
		return "", false, nil
	}
	return f.mark(name, now, w.s.o.MinAge), true, nil
}

// who returns the address that a file belongs to, or why there is none.
func (w *walk) who(base, stem string) (email, why string) {
	if w.names != nil {
		_, l := w.names.find(base, stem)
		if l == nil {
			return "", notMapped
		}
		l.used.Store(true)
		return l.email, ""
	}
	email, err := emailOf(stem)
	if err != nil {
		return "", notEmail
	}
	return email, ""
}

// photoName returns a file's name without its extension, if that is one of a
// photo.
func photoName(base string) (stem string, ok bool) {
	ext := path.Ext(base)
	switch strings.ToLower(ext) {
	case ".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff": // what sync/photo takes
		return strings.TrimSuffix(base, ext), true
	}
	return "", false
}

// emailOf is the address that a file is named after. Programs that cannot write
// an @ into a name write %40. In a name with an @ nothing is decoded, since % may
// be part of an address.
func emailOf(name string) (string, error) {
	if !strings.Contains(name, "@") {
		if plain, err := url.PathUnescape(name); err == nil {
			name = plain
		}
	}
	return sources.Email(name)
}
