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

	"golang.org/x/sync/semaphore"

	"photosync/sources"
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

// Photos implements sources.Source.
func (s *Source) Photos(ctx context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	root, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer root.Close()
	room := semaphore.NewWeighted(readAhead)
	todo := slices.Clone(refs)
	slices.SortFunc(todo, sources.Ref.Compare)
	todo = slices.Compact(todo)
	return collect(ctx, min(readers, len(todo))+1, func(c workers[held]) error {
		for _, ref := range todo {
			c.Go(func() error {
				if c.ctx.Err() != nil {
					return context.Cause(c.ctx)
				}
				t, err := s.photo(c.ctx, root, ref, room)
				if err == nil {
					c.emit(t)
				}
				return err
			})
		}
		return nil
	}, func(t held) error {
		defer room.Release(t.bytes)
		return each(t.Photo)
	})
}

// held is a photo and how many bytes of readAhead it takes.
type held struct {
	sources.Photo
	bytes int64
}

// photo reads one file, again if it changed meanwhile. Its error is that of ctx, or
// one of the whole folder or of this machine.
func (s *Source) photo(ctx context.Context, root *os.Root, ref sources.Ref, room *semaphore.Weighted) (held, error) {
	t := held{Photo: sources.Photo{Ref: ref}}
	for range readTries {
		t.Err = s.readOnce(ctx, root, &t, room)
		if ctx.Err() != nil {
			return t, context.Cause(ctx)
		}
		if !errors.Is(t.Err, errChanged) {
			break
		}
		room.Release(t.bytes)
		t.bytes = 0
	}
	if errors.Is(t.Err, sources.ErrGone) && s.replaced(root) {
		return t, newError(s.o.Path, errReplaced)
	}
	if sources.HostFault(t.Err) != nil {
		return t, newError(s.o.Path, t.Err)
	}
	if t.Err != nil {
		if !errors.Is(t.Err, sources.ErrGone) {
			t.Err = cause(t.Err)
		}
		t.Data, t.Err = nil, fmt.Errorf("read %q: %w", nameOf(ref), t.Err)
	}
	return t, nil
}

var errChanged = fmt.Errorf("%w: it changed each of %d times that it was read", sources.ErrUnstable, readTries)

// readOnce reads the file of t and checks that it did not change meanwhile. Opening
// does not wait, in case a FIFO has taken the file's place.
func (s *Source) readOnce(ctx context.Context, root *os.Root, t *held, room *semaphore.Weighted) error {
	f, err := root.OpenFile(nameOf(t.Ref), os.O_RDONLY|nonBlock, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return sources.ErrGone
	}
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	before := factsOf(fi)
	if err := s.readable(before); err != nil {
		return err
	}
	if err := room.Acquire(ctx, before.size); err != nil {
		return err
	}
	t.bytes = before.size
	// One byte more than expected shows that a file grows.
	data := s.buffers.Get(int(before.size) + 1)
	n, err := io.ReadFull(f, data)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return err
	}
	if fi, err = f.Stat(); err != nil {
		return err
	}
	// The change time, too: a program that sets the modification time back
	// (cp -p, rsync -t) does not hide that it wrote.
	if int64(n) != before.size || factsOf(fi) != before {
		return errChanged
	}
	t.Data, t.Lender = data[:n], &s.buffers
	return nil
}

// readable returns why a file is not read; nil: it is.
func (s *Source) readable(f facts) error {
	switch age := f.age(time.Now()); {
	case !f.regular():
		return errNotFile
	case f.size > sources.MaxPhotoBytes:
		return fmt.Errorf("%w: %d bytes, %d are read at most", sources.ErrTooLarge, f.size, sources.MaxPhotoBytes)
	case age < s.o.MinAge:
		return fmt.Errorf("%w: it was written %v ago, and min_age is %v", sources.ErrUnstable, max(age, 0).Round(time.Second), s.o.MinAge)
	}
	return nil
}
