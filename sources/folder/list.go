package folder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"photosync/sources"
)

// namesAtOnce is how many names of a folder are read before one worker lists them.
const namesAtOnce = 512

// List implements sources.Source. If the folder or a subfolder cannot be read, the error names it.
// A file that cannot be read is listed without a stamp, so that reading it shows why.
func (s *Source) List(ctx context.Context, each func(sources.Person) error) (sources.Listing, error) {
	w := lister{s: s, delivery: delivery[sources.Person]{each: each}, ignored: map[string][]string{}}
	err := w.wait(ctx, func() error { return w.listAll(ctx) })
	w.mu.Lock() // a blocked worker may still be running
	defer w.mu.Unlock()
	w.listing.Warnings = w.warnings(err == nil)
	unnamed := w.refsOf(notEmail, notMapped)
	w.listing.Unnamed = slices.Sorted(slices.Values(unnamed))
	w.listing.NotRemoved = append(unnamed, w.refsOf(subfolder, otherLink, otherType)...)
	for _, d := range w.bare { // perhaps another disk is not mounted there
		if !d.hasPhoto.Load() {
			w.listing.NotRemoved = append(w.listing.NotRemoved, refOf(d.name).Name)
		}
	}
	w.listing.Complete = err == nil
	return w.listing, err
}

type lister struct {
	delivery[sources.Person]
	s       *Source
	root    *os.Root
	mapping string  // the mapping file's name, if it lies in the folder
	names   mapping // nil: files are named after people
	group   *errgroup.Group
	ctx     context.Context // done when one worker failed

	mu      sync.Mutex // guards what follows
	listing sources.Listing
	ignored map[string][]string // names, by the reason
	bare    []*directory        // with no photo of their own
}

// directory is the folder, or a subfolder.
type directory struct {
	name     string      // relative to the top folder
	above    *directory  // nil: this is the top folder
	hasPhoto atomic.Bool // here or below
}

func (d *directory) setHasPhoto() {
	for ; d != nil && !d.hasPhoto.Swap(true); d = d.above {
	}
}

func (w *lister) ignore(why, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ignored[why] = append(w.ignored[why], name)
}

// refsOf returns the references to what was ignored for these reasons.
func (w *lister) refsOf(whys ...string) (refs []string) {
	for _, why := range whys {
		for _, name := range w.ignored[why] {
			refs = append(refs, refOf(name).Name)
		}
	}
	return refs
}

// Why something in the folder is not a person's photo, in the order of warnings.
const (
	notEmail    = "the name is not an email address"
	notMapped   = "not in the mapping file"
	wrongType   = "HEIC, AVIF, SVG, PDF and raw files cannot be sent: export these photos as JPEG"
	otherType   = "not named .jpg, .png, .gif, .webp, .bmp or .tif"
	hidden      = "hidden, or the file server's own"
	notRegular  = "not a regular file"
	subfolder   = "a subfolder, and recursive is off"
	otherLink   = "a link not named like a picture; if it leads to a folder, that is not listed"
	outsideLink = "a link that is absolute, leads out of the folder or nowhere"
)

func (w *lister) warnings(complete bool) []string {
	var lines []string
	for _, why := range []string{notEmail, notMapped, wrongType, otherType, hidden, notRegular, subfolder, otherLink, outsideLink} {
		if names := w.ignored[why]; len(names) > 0 {
			lines = append(lines, fmt.Sprintf("%d ignored: %s (first: %q)", len(names), why, slices.Min(names)))
		}
	}
	if n, first := w.names.unused(); complete && n > 0 {
		lines = append(lines, fmt.Sprintf("%d in the mapping file without a file here (first: line %d, %q)", n, w.names[first].line, first))
	}
	return lines
}

func (w *lister) listAll(ctx context.Context) (err error) {
	if w.root, err = w.s.open(); err != nil {
		return err
	}
	defer w.root.Close()
	fi, err := w.root.Stat(".")
	if err != nil {
		return &Error{Path: w.s.o.Path, Err: err}
	}
	w.s.listed.Store(&fi)
	if w.s.o.MappingFile != "" {
		rel, _ := filepath.Rel(w.s.o.Path, w.s.mappingPath())
		w.mapping = filepath.ToSlash(rel)
		if w.names, err = w.s.loadMapping(w.root); err != nil {
			return err
		}
	}
	w.group, w.ctx = errgroup.WithContext(ctx)
	// One goroutine more than processors: one may wait for the caller.
	w.group.SetLimit(runtime.GOMAXPROCS(0) + 1)
	w.group.Go(func() error { return w.folder(&directory{name: "."}) })
	return w.group.Wait()
}

// start runs f on an idle worker, or here if there is none.
func (w *lister) start(f func() error) error {
	if w.group.TryGo(f) {
		return nil
	}
	return f()
}

// folderError is the error of the folder name, relative to the root.
func (w *lister) folderError(name string, err error) error {
	if name == "." || limitReached(err) != nil {
		return &Error{Path: w.s.o.Path, Err: err}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return &Error{Path: path.Join(w.s.o.Path, name), Err: err, Top: w.s.o.Path, Entries: w.listing.Entries}
}

// folder lists a folder. Idle workers list the files whose names it has read, while it reads on.
func (w *lister) folder(d *directory) error {
	// Opening must not wait, in case a FIFO has replaced the folder.
	dir, err := w.root.OpenFile(d.name, os.O_RDONLY|nonBlock, 0)
	if err != nil {
		return w.folderError(d.name, err)
	}
	defer dir.Close()
	var listing sync.WaitGroup // the workers need dir
	defer listing.Wait()
	for {
		if w.ctx.Err() != nil {
			return context.Cause(w.ctx)
		}
		now := time.Now() // before stat: a file written later must not seem old
		names, err := dir.Readdirnames(namesAtOnce)
		if errors.Is(err, io.EOF) {
			listing.Wait()
			w.mu.Lock()
			defer w.mu.Unlock()
			if !d.hasPhoto.Load() && d.above != nil {
				w.bare = append(w.bare, d)
			}
			return nil
		}
		if err != nil {
			return w.folderError(d.name, err)
		}
		listing.Add(1)
		if err := w.start(func() error {
			defer listing.Done()
			return w.files(d, dir, names, now)
		}); err != nil {
			return err
		}
	}
}

// files lists some of the files in a folder, and then the folders among them.
func (w *lister) files(d *directory, dir *os.File, names []string, now time.Time) error {
	people := make([]sources.Person, 0, namesAtOnce/8) // given to the caller when it is full
	var below []*directory
	n, prefix := 0, ""
	if d.above != nil {
		prefix = d.name + "/"
	}
	for _, base := range names {
		if len(people) == cap(people) {
			d.setHasPhoto()
			if err := w.give(w.ctx, people...); err != nil {
				return err
			}
			people = people[:0]
		}
		f := file{name: prefix + base, base: base}
		switch {
		case f.name == w.mapping:
			continue
		case isHidden(base):
			w.ignore(hidden, f.name)
			continue
		}
		if err := w.stat(dir, &f); err != nil {
			return w.folderError(d.name, err)
		}
		if f.kind.IsDir() && !f.link && w.s.o.Recursive {
			below = append(below, &directory{name: f.name, above: d})
			continue
		}
		n++
		switch p, why := w.person(&f, now); {
		case why != "":
			w.ignore(why, f.name)
			if p.HasPhoto == sources.Hidden && !w.hasPhotoBeside(f.name) {
				people = append(people, p)
			}
		case f.link || !errors.Is(f.err, fs.ErrNotExist): // else it was deleted since the folder was read
			people = append(people, p)
		}
	}
	if len(people) > 0 {
		d.setHasPhoto()
	}
	w.mu.Lock()
	w.listing.Entries += n
	w.mu.Unlock()
	if err := w.give(w.ctx, people...); err != nil {
		return err
	}
	for _, d := range below {
		if err := w.start(func() error { return w.folder(d) }); err != nil {
			return err
		}
	}
	return nil
}

// isHidden reports whether a name begins with a dot, or is one that file systems and servers use
// for folders of their own. These are often unreadable, and may hold deleted photos.
func isHidden(name string) bool {
	switch strings.ToLower(name) {
	case "lost+found", "system volume information", "dfsrprivate", "__macosx", "@eadir", "@tmp", "#snapshot", "~snapshot", "@recently-snapshot",
		"$recycle.bin", "recycler", "recycled", "@recycle", "#recycle", "#recycle bin", "network trash folder":
		return true
	}
	return name[0] == '.' || strings.HasPrefix(name, "@GMT-")
}

// file is a name in a folder.
type file struct {
	name string // relative to the top folder
	base string
	link bool
	facts
	err error // of stat; if it is set, there are no facts
}

// stat fills in the facts of f. It follows links, but only inside the top folder. Its error is that
// of the whole folder, or of this machine.
func (w *lister) stat(dir *os.File, f *file) error {
	f.facts, f.err = lstat(w.root, dir, f)
	f.link = f.err == nil && f.kind == fs.ModeSymlink
	if f.link {
		f.facts, f.err = factsOf(w.root.Stat(f.name))
	}
	// Stat needs no right to the file itself.
	if f.err != nil && (limitReached(f.err) != nil || !f.link && errors.Is(f.err, fs.ErrPermission)) {
		return f.err
	}
	return nil
}

// person makes a Person of a file, or returns why its photo cannot be sent. If the file is
// somebody's nevertheless, the photo counts as Hidden: it was not removed.
func (w *lister) person(f *file, now time.Time) (p sources.Person, why string) {
	if f.kind.IsDir() && !f.link {
		return p, subfolder
	}
	ext := strings.ToLower(path.Ext(f.base))
	switch {
	case slices.Contains(photoTypes, ext):
	case slices.Contains(wrongTypes, ext):
		why = wrongType
	case f.link:
		return p, otherLink
	default:
		return p, otherType
	}
	email, unnamed := w.addressOf(f.base)
	if unnamed != "" {
		return p, cmp.Or(why, unnamed)
	}
	p = sources.Person{Own: []string{email}, Ref: refOf(f.name), HasPhoto: sources.Present}
	switch {
	case f.err != nil && f.link:
		why = outsideLink
	case f.err != nil: // reading it will show why
	case !f.kind.IsRegular():
		why = notRegular
	default:
		p.Stamp = f.stampIfOld(f.name, now, w.s.o.MinAge)
	}
	if why != "" {
		p.HasPhoto, p.Stamp = sources.Hidden, cmp.Or(p.Stamp, why)
	}
	return p, why
}

// addressOf returns the address that a file belongs to, or why there is none.
func (w *lister) addressOf(base string) (email, why string) {
	if w.names != nil {
		_, l := w.names.find(base)
		if l == nil {
			return "", notMapped
		}
		l.used.Store(true)
		return l.email, ""
	}
	if email, err := emailOf(stem(base)); err == nil {
		return email, ""
	}
	return "", notEmail
}

var (
	photoTypes = []string{".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff"} // what sync/photo takes
	wrongTypes = []string{".heic", ".heif", ".avif", ".svg", ".pdf", ".jxl", ".jp2", ".psd", ".dng", ".cr2", ".cr3", ".nef", ".arw"}
)

func stem(base string) string { return strings.TrimSuffix(base, path.Ext(base)) }

// hasPhotoBeside reports whether a photo of another type has the same name: cameras write both.
func (w *lister) hasPhotoBeside(name string) bool {
	return slices.ContainsFunc(photoTypes, func(ext string) bool {
		for _, other := range [...]string{stem(name) + ext, stem(name) + strings.ToUpper(ext)} {
			if fi, err := w.root.Stat(other); other != name && err == nil && fi.Mode().IsRegular() {
				return true
			}
		}
		return false
	})
}

// emailOf returns the address that a file is named after. Programs that cannot write @ into a name
// write %40. A name with an @ is not decoded, as % may be part of an address.
func emailOf(name string) (string, error) {
	if !strings.Contains(name, "@") {
		if plain, err := url.PathUnescape(name); err == nil {
			name = plain
		}
	}
	return sources.Email(name)
}
