package folder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"photosync/sources"
	"photosync/sync/foreign"
)

const (
	// readTries is how often a file that changes while it is read is read.
	readTries = 3
	// readers is how many files are read at once: on a network share, reading is
	// mostly waiting.
	readers = 8
	// readAhead is how many bytes of photos may wait for the caller.
	readAhead = 2 * sources.MaxPhotoBytes
)

var errChanged = fmt.Errorf("%w: it changed each of %d times that it was read", sources.ErrUnstable, readTries)

// Photos implements sources.Source.
func (s *Source) Photos(ctx context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	todo := slices.Clone(refs)
	slices.SortFunc(todo, sources.Ref.Compare)
	todo = slices.Compact(todo)
	c := caller[sources.Photo]{each: each}
	return c.wait(ctx, func() error {
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
				return c.take(gctx, p)
			})
		}
		return g.Wait()
	})
}

// photo reads one file, and takes room for its size. Its error is that of ctx, or one
// of the whole folder or of this machine.
func (s *Source) photo(ctx context.Context, root *os.Root, room *semaphore.Weighted, ref sources.Ref) (p sources.Photo, size int64, err error) {
	data, err := readFile(root.OpenFile, nameOf(ref), &s.buffers, func(f facts) error {
		if err := s.readable(f); err != nil {
			return err
		}
		room.Release(size) // of the last try
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
		return p, size, newError(s.o.Path, errReplaced)
	case errors.Is(err, fs.ErrNotExist):
		err = sources.ErrGone
	case sources.HostFault(err) != nil:
		return p, size, newError(s.o.Path, err)
	}
	p.Err = fmt.Errorf("read %q: %w", nameOf(ref), foreign.WithoutPath(err))
	return p, size, nil
}

// readable returns why a file is not read; nil: it is.
func (s *Source) readable(f facts) error {
	switch age := f.age(time.Now()); {
	case f.size > sources.MaxPhotoBytes:
		return fmt.Errorf("%w: %d bytes, %d are read at most", sources.ErrTooLarge, f.size, sources.MaxPhotoBytes)
	case age < s.o.MinAge:
		return fmt.Errorf("%w: it was written %v ago, and min_age is %v", sources.ErrUnstable, max(age, 0).Round(time.Second), s.o.MinAge)
	}
	return nil
}

// readFile reads a regular file, again if it changed meanwhile. allow says, by the facts
// of the file, why it is not read.
func readFile(open func(string, int, fs.FileMode) (*os.File, error), name string, lender *sources.Buffers, allow func(facts) error) (data []byte, err error) {
	for range readTries {
		if data, err = readOnce(open, name, lender, allow); !errors.Is(err, errChanged) {
			break
		}
	}
	return data, err
}

func readOnce(open func(string, int, fs.FileMode) (*os.File, error), name string, lender *sources.Buffers, allow func(facts) error) ([]byte, error) {
	// Opening does not wait, in case a FIFO has taken the file's place.
	f, err := open(name, os.O_RDONLY|nonBlock, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	before := factsOf(fi)
	if !before.kind.IsRegular() {
		return nil, errNotFile
	}
	if err := allow(before); err != nil {
		return nil, err
	}
	// One byte more than expected shows that a file grows.
	data := lender.Get(int(before.size) + 1)
	n, err := io.ReadFull(f, data)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if fi, err = f.Stat(); err != nil {
		return nil, err
	}
	// The change time, too: a program that sets the modification time back
	// (cp -p, rsync -t) does not hide that it wrote.
	if int64(n) != before.size || factsOf(fi) != before {
		return nil, errChanged
	}
	return data[:n], nil
}
