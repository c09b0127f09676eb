package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A real small disk, which fills up and is then mounted read-only: the error says
// so, what was confirmed stays, and the next run goes on.
func TestFullAndReadOnlyDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		t.Fatalf("a small disk cannot be mounted (%v): run these tests as root, where mounting is allowed", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	path := filepath.Join(dir, "state.db")
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 100<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	n, err := 0, error(nil)
	for ; err == nil && n < 5000; n++ {
		err = s.Write(both(n, n+1))
	}
	n-- // the last one failed
	if a, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("full disk: %T: %v", err, err)
	} else {
		t.Log(a, "—", a.Hint())
	}
	if err := s.Backup(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("backup on a full disk: %v", err)
	}
	s.Close()

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	for i := range n {
		if _, found, err := s.User(userID(i)); !found || err != nil {
			t.Fatalf("record %d of %d: %v, %v", i, n, found, err)
		}
	}
	write(t, s, both(n, n+1))
	shut(t, s)

	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	_, err = Open(path, Options{})
	if a, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, syscall.EROFS) {
		t.Fatalf("read-only disk: %T: %v", err, err)
	} else {
		t.Log(a, "—", a.Hint())
	}
	r, err := Open(path, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := r.Len(); got != n+1 || err != nil {
		t.Errorf("%d people, %v; want %d", got, err, n+1)
	}
	shut(t, r)
}

// A holder that is stopped still has the state: others are refused at once, and it goes
// on where it was.
func TestStoppedHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	c, lines := startChild(t, path)
	confirmed := -1
	read := func(n int) {
		for range n {
			if !lines.Scan() {
				t.Fatal("the holder has ended")
			}
			fmt.Sscanf(lines.Text(), "wrote %d", &confirmed)
		}
	}
	for range 3 {
		read(5)
		if err := c.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		for _, readOnly := range []bool{false, true} {
			began := time.Now()
			_, err := Open(path, Options{ReadOnly: readOnly})
			if l, ok := errors.AsType[*LockedError](err); !ok || l.PID != c.Process.Pid {
				t.Errorf("beside a stopped holder: %v", err)
			}
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("it took %v", took)
			}
		}
		if err := c.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	read(5)
	c.Process.Kill()
	for lines.Scan() {
		fmt.Sscanf(lines.Text(), "wrote %d", &confirmed)
	}
	c.Wait()
	s := open(t, path)
	n, _, err := s.Len()
	if err != nil || n < confirmed+1 || n > confirmed+2 {
		t.Fatalf("%d people, %d confirmed, %v", n, confirmed+1, err)
	}
	holds(t, s, both(0, n))
}
