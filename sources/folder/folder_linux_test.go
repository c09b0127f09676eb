package folder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"photosync/sources"
	"photosync/sources/sourcetest"
)

// asNobody takes root's right to read everything from the calling thread, so
// that the test means the same in a container. The thread is not used again.
func asNobody(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	runtime.LockOSThread()
	if err := syscall.Setfsuid(65534); err != nil {
		t.Fatal(err)
	}
}

func TestUnreadableSubfolderIsNoShortList(t *testing.T) {
	dir := t.TempDir()
	sub := filepath.Join(dir, "sub")
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "ann@example.com.jpg"), []byte("x"), 0o644),
		os.WriteFile(filepath.Join(dir, "bob@example.com.jpg"), []byte("x"), 0),
		os.Mkdir(sub, 0),
		os.Chmod(dir, 0o755),
		os.Chmod(filepath.Dir(dir), 0o755),
	); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // a goroutine of its own: its thread ends with it
		defer close(done)
		asNobody(t)
		l, err := New(Options{Path: dir, Recursive: true}).List(t.Context(), func(sources.Person) error { return nil })
		e, ok := errors.AsType[*Error](err)
		if !ok || l.Complete || !strings.Contains(err.Error(), sub) || !strings.Contains(e.Hint(), "right to read") {
			t.Errorf("List with an unreadable subfolder: complete %v, error %v", l.Complete, err)
		}
		err = New(Options{Path: dir}).Photos(t.Context(), []sources.Ref{{Name: "bob@example.com.jpg"}}, func(p sources.Photo) error {
			if !errors.Is(p.Err, fs.ErrPermission) || !strings.Contains(p.Err.Error(), "bob@example.com.jpg") {
				t.Errorf("photo without the right to read it: error %v", p.Err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}()
	<-done
}

// Files under /proc say that they are empty and are not: to a reader, they grow.
func TestFileThatKeepsChanging(t *testing.T) {
	p := sourcetest.Read(t, New(Options{Path: "/proc/self"}), sources.Ref{Name: "status"})
	if !errors.Is(p.Err, sources.ErrUnstable) || p.Data != nil {
		t.Errorf("read a file that grows: %d bytes, error %v", len(p.Data), p.Err)
	}
}
