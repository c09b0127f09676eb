//go:build unix

package safefile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// names are the files of a folder.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

func holds(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s holds %q, want %q (%v)", path, got, want, err)
	}
}

// A folder in which files can be made and not be filled is one that cannot be written.
func TestCheckOfAFullDisk(t *testing.T) {
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	full := before
	full.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full); err != nil {
		t.Fatal(err)
	}
	err := Check(t.TempDir())
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err == nil {
		t.Error("the folder passes")
	}
}

// Whoever has umask 0 or 077 gets the mode that was asked for, and never more on the way.
func TestModes(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o077} {
		old := syscall.Umask(mask)
		t.Cleanup(func() { syscall.Umask(old) })
		path := filepath.Join(t.TempDir(), "new", "file")
		err := Replace(path, 0o640, func(w io.Writer) error {
			fi, err := w.(*File).Stat()
			if fi.Mode().Perm() != 0o600 {
				t.Errorf("umask %o: %v while it is written", mask, fi.Mode())
			}
			return err
		})
		if fi, serr := os.Stat(path); err != nil || serr != nil || fi.Mode().Perm() != 0o640 {
			t.Errorf("umask %o: %v, %v", mask, fi, err)
		}
	}
}

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, text := range []string{"first", "a second one", ""} {
		if err := Write(path, 0o600, []byte(text)); err != nil {
			t.Fatal(err)
		}
		holds(t, path, text)
	}
	full := errors.New("no space left")
	err := Replace(path, 0o600, func(w io.Writer) error {
		io.WriteString(w, "half of")
		return full
	})
	if !errors.Is(err, full) {
		t.Error(err)
	}
	holds(t, path, "")
	if got := names(t, dir); got != "file" {
		t.Errorf("left in the folder: %q", got)
	}
}

// What is no regular file is neither followed, nor written to, nor replaced. Opening a
// pipe does not wait for its other end. No device of the machine is tried: a fault here
// would replace it for everybody.
func TestNoRegularFile(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	if err := Write(victim, 0o600, []byte("as it was")); err != nil {
		t.Fatal(err)
	}
	for name, lay := range map[string]func(path string) error{
		"link":     func(path string) error { return os.Symlink(victim, path) },
		"dangling": func(path string) error { return os.Symlink("nowhere", path) },
		"pipe":     func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"folder":   func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		path := filepath.Join(dir, name)
		if err := lay(path); err != nil {
			t.Fatal(err)
		}
		before, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := Write(path, 0o600, []byte("new")); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Create(path, path); !errors.Is(err, fs.ErrExist) {
			t.Errorf("create a %s: %v", name, err)
		}
		if data, err := Read(path); name != "pipe" && err == nil || len(data) > 0 {
			t.Errorf("read a %s: %q, %v", name, data, err)
		}
		if after, err := os.Lstat(path); err != nil || after.Mode() != before.Mode() {
			t.Errorf("%s: %v is now %v, %v", name, before, after, err)
		}
	}
	holds(t, victim, "as it was")
}

// A file that may not replace another one does not, and its other name goes.
func TestKeepNew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for i, want := range []error{nil, fs.ErrExist} {
		f, err := New(path)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(f, []string{"first", "second"}[i])
		if err := f.Commit(false); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
		f.Discard()
		holds(t, path, "first")
		if got := names(t, dir); got != "file" {
			t.Errorf("left in the folder: %q", got)
		}
	}
	// A file that has its name from the beginning keeps it.
	own := filepath.Join(dir, "own")
	f, err := Create(own, own)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(f, "mine")
	if err := f.Commit(true); err != nil {
		t.Error(err)
	}
	f.Discard()
	holds(t, own, "mine")
	if f, err = Create(own+"2", own+"2"); err != nil {
		t.Fatal(err)
	}
	f.Discard()
	if got := names(t, dir); got != "file own" {
		t.Errorf("left in the folder: %q", got)
	}
}

// What a killed run left goes after an hour; nothing else does.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	killed, err := New(filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	killed.Close()
	others := []string{".photosync-notes", "state.db", "offer.tmp"}
	for _, name := range append(others, filepath.Base(killed.Name())+".holder") {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(files int) {
		t.Helper()
		if err := Check(dir); err != nil {
			t.Fatal(err)
		}
		if got := names(t, dir); len(strings.Fields(got)) != files {
			t.Errorf("in the folder: %q", got)
		}
	}
	check(5)
	long := time.Now().Add(-61 * time.Minute)
	for _, name := range strings.Fields(names(t, dir)) {
		if err := os.Chtimes(filepath.Join(dir, name), long, long); err != nil {
			t.Fatal(err)
		}
	}
	check(3)
}

// Root gives what it writes to the owner of what it stands for, and never a file that has
// another name, too. A link is followed if root, oneself or the owner of the file laid it.
func TestOwners(t *testing.T) {
	const other, third = 65534, 65533
	dir := t.TempDir()
	like, mine := filepath.Join(dir, "like"), filepath.Join(dir, "mine")
	err := errors.Join(os.WriteFile(like, nil, 0o600), os.Chown(like, other, other), os.WriteFile(mine, nil, 0o600))
	if err != nil {
		t.Fatal(err, "(as root)")
	}
	f, err := New(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Discard()
	owner := func() uint32 {
		fi, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		return stat(fi).Uid
	}
	if err := Own(f.File, filepath.Join(dir, "none")); err != nil || owner() != 0 {
		t.Errorf("like a file that is not there: %v, user %d", err, owner())
	}
	if err := os.Link(f.Name(), filepath.Join(dir, "second")); err != nil {
		t.Fatal(err)
	}
	if err := Own(f.File, like); err == nil || owner() != 0 {
		t.Errorf("of two names: %v, user %d", err, owner())
	}
	if err := os.Remove(filepath.Join(dir, "second")); err != nil {
		t.Fatal(err)
	}
	if err := Own(f.File, like); err != nil || owner() != other {
		t.Errorf("%v, user %d", err, owner())
	}
	for i, c := range []struct {
		to       string
		by       int
		followed bool
	}{{like, 0, true}, {like, other, true}, {like, third, false}, {mine, 0, true}, {mine, other, false}} {
		link := filepath.Join(dir, "link")
		os.Remove(link)
		if err := errors.Join(os.Symlink(c.to, link), os.Lchown(link, c.by, c.by)); err != nil {
			t.Fatal(err)
		}
		if real, err := Real(link); (err == nil) != c.followed || c.followed && real != c.to {
			t.Errorf("%d: %q, %v", i, real, err)
		}
	}
	if real, err := Real(like); err != nil || real != like {
		t.Errorf("no link: %q, %v", real, err)
	}
}
