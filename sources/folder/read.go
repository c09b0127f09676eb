package folder

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"golang.org/x/text/unicode/norm"

	"photosync/sources"
	"photosync/sync/foreign"
)

const (
	// readTries is how often a file is read if it changes meanwhile.
	readTries = 3
	// readers is how many files are read at once: on a network share, reading is mostly waiting.
	readers = 8
	// readAhead is how many bytes of photos may wait for the caller.
	readAhead = 2 * sources.MaxPhotoBytes
)

var errChanged = fmt.Errorf("%w: it changed each of %d times that it was read", sources.ErrUnstable, readTries)

// Photos implements sources.Source.
func (s *Source) Photos(ctx context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	todo := slices.Compact(slices.SortedFunc(slices.Values(refs), sources.Ref.Compare))
	d := delivery[sources.Photo]{each: each}
	return d.wait(ctx, func() error {
		root, err := s.open()
		if err != nil {
			return err
		}
		defer root.Close()
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(readers)
		room := semaphore.NewWeighted(readAhead)
		for _, ref := range todo {
			if gctx.Err() != nil {
				break
			}
			g.Go(func() error {
				p, size, err := s.photo(gctx, root, room, ref)
				defer room.Release(size)
				if err != nil {
					return err
				}
				return d.give(gctx, p)
			})
		}
		return g.Wait()
	})
}

// photo reads one file, and acquires room for its size. Its error is that of ctx, of the whole
// folder or of this machine.
func (s *Source) photo(ctx context.Context, root *os.Root, room *semaphore.Weighted, ref sources.Ref) (p sources.Photo, size int64, err error) {
	data, err := readFile(root.OpenFile, nameOf(ref), &s.buffers, func(f facts) error {
		switch age := f.age(time.Now()); {
		case s.remapped(root):
			return fmt.Errorf("%w: the mapping file changed since it was read", sources.ErrUnstable)
		case f.size > sources.MaxPhotoBytes:
			return fmt.Errorf("%w: %d bytes, %d are read at most", sources.ErrTooLarge, f.size, sources.MaxPhotoBytes)
		case age < s.o.MinAge:
			return fmt.Errorf("%w: it was written %v ago, and min_age is %v", sources.ErrUnstable, max(age, 0).Round(time.Second), s.o.MinAge)
		}
		room.Release(size) // what the last try acquired
		if size = 0; room.Acquire(ctx, f.size) == nil {
			size = f.size
		}
		return context.Cause(ctx)
	})
	if ctx.Err() != nil {
		return p, size, context.Cause(ctx)
	}
	p = sources.Photo{Ref: ref, Data: data, Lender: &s.buffers}
	switch {
	case err == nil:
		return p, size, nil
	case errors.Is(err, fs.ErrNotExist) && s.replaced(root):
		return p, size, &Error{Path: s.o.Path, Err: errors.New("it is not the folder that was listed")}
	case errors.Is(err, fs.ErrNotExist):
		err = sources.ErrGone
	case limitReached(err) != nil:
		return p, size, &Error{Path: s.o.Path, Err: err}
	}
	p.Err = fmt.Errorf("read %q: %w", nameOf(ref), foreign.WithoutPath(err))
	return p, size, nil
}

// readFile reads a regular file, again if it changed meanwhile. allow returns an error if a file
// with these facts must not be read.
func readFile(open func(string, int, fs.FileMode) (*os.File, error), name string, lender *sources.Buffers, allow func(facts) error) (data []byte, err error) {
	for range readTries {
		if data, err = readOnce(open, name, lender, allow); !errors.Is(err, errChanged) {
			break
		}
	}
	return data, err
}

func readOnce(open func(string, int, fs.FileMode) (*os.File, error), name string, lender *sources.Buffers, allow func(facts) error) ([]byte, error) {
	// Opening must not wait, in case a FIFO has replaced the file.
	f, err := open(name, os.O_RDONLY|nonBlock, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	before, err := factsOf(f.Stat())
	if err != nil {
		return nil, err
	}
	if !before.kind.IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if err := allow(before); err != nil {
		return nil, err
	}
	// One more byte than expected would show that the file grows.
	data := lender.Get(int(before.size) + 1)
	n, err := io.ReadFull(f, data)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	after, err := factsOf(f.Stat())
	if err != nil {
		return nil, err
	}
	// The facts include the change time: a program that sets the modification time back (cp -p,
	// rsync -t) cannot hide that it wrote.
	if int64(n) != before.size || after != before {
		return nil, errChanged
	}
	return data[:n], nil
}

// clockGranularity is how coarse the time stamps of common file systems are (2 s on FAT and some
// shares). A file written less than that before the listing could be written again and have the
// same time: it gets no stamp.
const clockGranularity = 2 * time.Second

// facts are what stat says about a file.
type facts struct {
	kind     fs.FileMode // its type bits
	size     int64
	modified int64  // Unix time in ns; programs can set it
	changed  int64  // of the inode; programs cannot set it; 0: not known here
	inode    uint64 // 0: not known here
}

// factsOf returns the facts in what Stat returned.
func factsOf(fi fs.FileInfo, err error) (facts, error) {
	if err != nil {
		return facts{}, err
	}
	f := facts{kind: fi.Mode().Type(), size: fi.Size(), modified: fi.ModTime().UnixNano()}
	f.changed, f.inode = changeTime(fi)
	return f, nil
}

// age is how long before now the file was last written. A copy with the modification time of its
// original (cp -p, rsync -t) is still a new file. A file dated in the future is an old one.
func (f facts) age(now time.Time) time.Duration {
	age := time.Duration(now.UnixNano() - cmp.Or(f.changed, f.modified))
	if age < -24*time.Hour {
		return -age // the clock was ahead when the file was written
	}
	return age
}

// stampIfOld returns the stamp of a file that is old enough for one; else none.
func (f facts) stampIfOld(name string, now time.Time, minAge time.Duration) string {
	if f.age(now) < max(clockGranularity, minAge) {
		return ""
	}
	return f.stamp(name)
}

// stamp is the change mark of the file called name: a hash of what git's index and rsync compare,
// and of the name, so that no other file has the same stamp.
func (f facts) stamp(name string) string {
	b := make([]byte, 0, 128)
	b = binary.LittleEndian.AppendUint64(b, uint64(f.size))
	b = binary.LittleEndian.AppendUint64(b, uint64(f.modified))
	b = binary.LittleEndian.AppendUint64(b, uint64(f.changed))
	b = binary.LittleEndian.AppendUint64(b, f.inode)
	sum := sha256.Sum256(append(b, name...))
	var text [16]byte
	base64.RawURLEncoding.Encode(text[:], sum[:12])
	return string(text[:])
}

// Describe implements sources.Describer: size, times and inode of the file, and the line of the
// mapping file that names it.
func (s *Source) Describe(_ context.Context, ref sources.Ref) (facts []sources.Fact, err error) {
	root, err := s.open()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	name := nameOf(ref)
	add := func(name, format string, args ...any) {
		facts = append(facts, sources.Fact{Name: name, Value: fmt.Sprintf(format, args...)})
	}
	file := filepath.Join(s.o.Path, filepath.FromSlash(name))
	if !isText(file) || !norm.NFC.IsNormalString(file) { // two may look the same
		file = strconv.QuoteToASCII(file)
	}
	add("path", "%s", sources.Text(file))
	if to, err := root.Readlink(name); err == nil {
		add("link to", "%s", sources.Text(to))
	}
	f, err := factsOf(root.Stat(name))
	if err != nil {
		add("file", "%v", foreign.WithoutPath(err))
		return facts, nil
	}
	at := func(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }
	add("size", "%d bytes", f.size)
	add("modified", "%s", at(f.modified))
	if f.inode != 0 { // known here
		add("changed", "%s (of the inode)", at(f.changed))
		add("inode", "%d", f.inode)
	}
	if wait := max(clockGranularity, s.o.MinAge); f.age(time.Now()) < wait {
		add("age", "less than %v: too young for a stamp", wait)
	}
	if s.o.MappingFile == "" {
		return facts, nil
	}
	names, err := s.loadMapping(root)
	if err != nil {
		return nil, err
	}
	if key, l := names.find(path.Base(name)); l != nil {
		add("mapping", "%s, line %d: %s, %s", sources.Text(s.mappingPath()), l.line, sources.Text(key), sources.Text(l.email))
	}
	return facts, nil
}
