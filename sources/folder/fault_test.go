//go:build unix

package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"photosync/sources"
	"photosync/sources/sourcetest"
)

// Every file that names nobody is in the listing, with and without a mapping file.
func TestUnnamedFiles(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, map[string]string{
		"IMG_002.jpg": "", "IMG_001.jpg": "", "sub/10017.png": "", "lf\n.jpg": "", "ann@example.com.jpg": "", "readme.txt": "", "a.heic": "",
		".hidden.jpg": "", "badges.csv": "10017,bob@example.com\n",
	})
	for mapping, want := range map[string][]string{
		"":           {`"lf\n.jpg"`, "IMG_001.jpg", "IMG_002.jpg", "sub/10017.png"},
		"badges.csv": {`"lf\n.jpg"`, "IMG_001.jpg", "IMG_002.jpg", "ann@example.com.jpg"},
	} {
		people := 0
		l, err := New(Options{Path: dir, Recursive: true, MappingFile: mapping}).List(t.Context(), func(sources.Person) error { people++; return nil })
		if err != nil || people != 1 || !slices.Equal(l.Unnamed, want) {
			t.Errorf("with the mapping file %q: %d people, unnamed %q, want %q; error %v", mapping, people, l.Unnamed, want, err)
		}
	}
}

// A subfolder without photos may be a disk that is not mounted: nobody's photo was removed there.
func TestEmptySubfolders(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, map[string]string{"ann@example.com.jpg": "", "used/bob@example.com.jpg": "", "heic/cy@example.com.heic": "", "plant/Thumbs.db": "", "plant/empty/.keep": "", "north/plant/.keep": "", "north/more/e@example.com.jpg": "", "file": ""})
	for i := range 2 * namesAtOnce {
		put(t, dir, map[string]string{fmt.Sprintf("large/%04d.txt", i): ""})
	}
	put(t, dir, map[string]string{"large/0000.jpg": "", "large/d@example.com.jpg": ""})
	l, err := New(Options{Path: dir, Recursive: true}).List(t.Context(), func(sources.Person) error { return nil })
	l.NotRemoved = slices.DeleteFunc(l.NotRemoved, func(name string) bool { return strings.HasSuffix(name, ".txt") || strings.HasSuffix(name, ".db") })
	slices.Sort(l.NotRemoved)
	if want := []string{"file", "large/0000.jpg", "north/plant", "plant", "plant/empty"}; err != nil || !slices.Equal(l.NotRemoved, want) || strings.Contains(fmt.Sprint(l.Warnings), "subfolder") {
		t.Errorf("nameless %q, want %q; warnings %q; error %v", l.NotRemoved, want, l.Warnings, err)
	}
}

// What an error says, and what to do, depends on what is known.
func TestFaultsInWords(t *testing.T) {
	w := lister{s: New(Options{Path: "/photos"})}
	w.listing.Entries = 1200
	for _, c := range []struct {
		name        string
		errno       syscall.Errno
		text, hint  string
		moved, host bool
	}{
		{".", syscall.ENOENT, `read folder "/photos": no such file or directory`, "is the share mounted?", false, false},
		{".", syscall.EIO, `read folder "/photos": input/output error`, "is the share mounted?", false, false},
		{"a/b", syscall.EIO, `read folder "/photos/a/b": input/output error ("/photos" itself can be read: 1200 entries so far)`, "only this subfolder fails", false, false},
		{"a/b", syscall.ENOENT, `read folder "/photos/a/b": no such file or directory ("/photos" itself can be read: 1200 entries so far)`, "renamed or deleted", true, false},
		{"a", syscall.ENOTDIR, `read folder "/photos/a": not a directory`, "renamed or deleted", true, false},
		{"a", syscall.ESTALE, `read folder "/photos/a": stale NFS file handle`, "renamed or deleted", true, false},
		{"a", syscall.EACCES, `read folder "/photos/a": permission denied`, "the right to read it", false, false},
		{"a", syscall.EMFILE, `too few file descriptors for this process: too many open files`, "LimitNOFILE", false, true},
		{".", syscall.ENFILE, `too few file descriptors: too many open files in system`, "fs.file-max", false, true},
		{"a", syscall.ENOMEM, `too little memory: cannot allocate memory`, "more memory", false, true},
		{"a", syscall.ENOSPC, `no space or no inodes left: no space left on device`, "df -i", false, true},
	} {
		err := w.folderError(c.name, &fs.PathError{Op: "open", Path: c.name, Err: c.errno})
		e, ok := errors.AsType[*Error](err)
		if !ok || !strings.Contains(strings.Replace(err.Error(), "stale file handle", "stale NFS file handle", 1), c.text) || !strings.Contains(e.Hint(), c.hint) {
			t.Errorf("%s, %v: %v; %s", c.name, c.errno, err, e.Hint())
		}
		if host := limitReached(err) != nil; host != c.host || errors.Is(err, sources.ErrMoved) != c.moved || !errors.Is(err, c.errno) {
			t.Errorf("%s, %v: host %v, moved %v", c.name, c.errno, host, errors.Is(err, sources.ErrMoved))
		}
	}
}

// A folder that is renamed under the listing is listed again, once.
func TestSubfoldersRenamedUnderTheListing(t *testing.T) {
	for times, complete := range map[int]bool{1: true, 2: false} {
		dir := t.TempDir()
		n := 20 * (runtime.GOMAXPROCS(0) + 1) // many for each worker
		for i := range n {
			put(t, dir, map[string]string{fmt.Sprintf("%03d/p%03d@example.com.jpg", i, i): ""})
		}
		r := &renaming{Source: New(Options{Path: dir, Recursive: true}), t: t, dir: dir, times: times}
		people, ls, err := sources.Join(t.Context(), []sources.Named{{Name: "f", Source: r}})
		if ls[0].Complete != complete || r.lists != 2 {
			t.Fatalf("%d listings, complete %v, error %v", r.lists, ls[0].Complete, err)
		}
		if !complete {
			if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(e.Hint(), "renamed or deleted each time") {
				t.Errorf("error %v", err)
			}
			continue
		}
		if joined := slices.Collect(people.All()); len(joined) != n {
			t.Errorf("%d people, error %v", len(joined), err)
		}
		for j := range people.All() {
			if len(j.Candidates) != 1 || !strings.HasPrefix(j.Candidates[0].Ref.Name, "new") {
				t.Errorf("listed %+v", j)
			}
		}
	}
}

// renaming renames all subfolders when the first person of a listing is taken. The
// listing is held up by then, a few folders further.
type renaming struct {
	sources.Source
	t            *testing.T
	dir          string
	times, lists int
}

func (r *renaming) List(ctx context.Context, each func(sources.Person) error) (sources.Listing, error) {
	r.lists++
	first := r.lists <= r.times
	return r.Source.List(ctx, func(p sources.Person) error {
		if first {
			first = false
			entries, err := os.ReadDir(r.dir)
			for _, e := range entries {
				err = errors.Join(err, os.Rename(filepath.Join(r.dir, e.Name()), filepath.Join(r.dir, "new"+e.Name())))
			}
			if err != nil {
				r.t.Error(err)
			}
		}
		return each(p)
	})
}

// Too few descriptors are one fault of the machine, not one of each photo.
func TestTooFewDescriptors(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, map[string]string{"ann@example.com.jpg": "a", "sub/bob@example.com.jpg": "b"})
	s := New(Options{Path: dir, Recursive: true})
	people := sourcetest.List(t, s)
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	few := was
	few.Cur = 100
	var used []*os.File
	defer func() {
		err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was)
		for _, f := range used {
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Error(err)
		}
	}()
	err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few)
	for err == nil {
		var f *os.File
		if f, err = os.Open(dir); err == nil {
			used = append(used, f)
		}
	}
	if !errors.Is(err, syscall.EMFILE) {
		t.Fatal(err)
	}
	for left := range 2 { // one is enough for the folder, and not for what is in it
		_, err := s.List(t.Context(), func(sources.Person) error { return nil })
		if e, ok := errors.AsType[*Error](err); !ok || limitReached(e) == nil {
			t.Errorf("%d descriptors left: listing: error %v", left, err)
		}
		err = s.Photos(t.Context(), []sources.Ref{people["ann@example.com"].Ref, people["bob@example.com"].Ref}, func(p sources.Photo) error {
			t.Errorf("%d descriptors left: photo with error %v", left, p.Err)
			return nil
		})
		if e, ok := errors.AsType[*Error](err); !ok || limitReached(e) == nil {
			t.Errorf("%d descriptors left: photos: error %v", left, err)
		}
		if err := used[left].Close(); err != nil {
			t.Fatal(err)
		}
	}
	used = used[2:]
}
