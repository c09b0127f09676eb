package folder

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"photosync/sources"
	"photosync/sources/sourcetest"
)

// forNobody is the folder that a test which runs as nobody looks at.
const forNobody = "PHOTOSYNC_TEST_FOR_NOBODY"

// asNobody runs the calling test once more for dir as a user who may read nothing
// of root's, so that it means the same in a container. It returns false if the
// test is run by an ordinary user.
func asNobody(t *testing.T, dir string) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		return false
	}
	exe := filepath.Join(t.TempDir(), "test")
	self, err := os.ReadFile("/proc/self/exe")
	if err := errors.Join(err, os.WriteFile(exe, self, 0o755), os.Chmod(filepath.Dir(exe), 0o755), os.Chmod(filepath.Dir(filepath.Dir(exe)), 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Dir, cmd.Env = dir, []string{forNobody + "=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
	return true
}

func TestUnreadableSubfolderIsNoShortList(t *testing.T) {
	if dir := os.Getenv(forNobody); dir != "" {
		unreadable(t, dir)
		return
	}
	dir := t.TempDir()
	sub, unsearchable := filepath.Join(dir, "sub"), filepath.Join(dir, ".unsearchable")
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "ann@example.com.jpg"), []byte("x"), 0o644),
		os.WriteFile(filepath.Join(dir, "bob@example.com.jpg"), []byte("x"), 0),
		os.Mkdir(sub, 0),
		os.Mkdir(unsearchable, 0o700),
		os.WriteFile(filepath.Join(unsearchable, "cy@example.com.jpg"), []byte("x"), 0o644),
		os.Chmod(unsearchable, 0o444),
		os.Chmod(dir, 0o755),
		os.Chmod(filepath.Dir(dir), 0o755),
	); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(sub, 0o700); os.Chmod(unsearchable, 0o700) }) // so that they can be removed
	if !asNobody(t, dir) {
		unreadable(t, dir)
	}
}

func unreadable(t *testing.T, dir string) {
	for _, c := range []struct {
		path, names string
		recursive   bool
	}{{dir, "sub", true}, {filepath.Join(dir, ".unsearchable"), ".unsearchable", false}} {
		l, err := New(Options{Path: c.path, Recursive: c.recursive}).List(t.Context(), func(sources.Person) error { return nil })
		e, ok := errors.AsType[*Error](err)
		if !ok || l.Complete || !strings.Contains(err.Error(), c.names) || !strings.Contains(e.Hint(), "right to read") {
			t.Errorf("List with an unreadable subfolder: complete %v, error %v", l.Complete, err)
		}
	}
	s := New(Options{Path: dir})
	p, ok := sourcetest.List(t, s)["bob@example.com"]
	if !ok {
		t.Error("a file that may not be read is not listed: its person would be taken for gone")
	}
	if ph := sourcetest.Read(t, s, p.Ref); !errors.Is(ph.Err, fs.ErrPermission) || !strings.Contains(ph.Err.Error(), "bob@example.com.jpg") {
		t.Errorf("photo without the right to read it: error %v", ph.Err)
	}
}

// Files under /proc say that they are empty and are not: to a reader, they grow.
func TestFileThatKeepsChanging(t *testing.T) {
	p := sourcetest.Read(t, New(Options{Path: "/proc/self"}), sources.Ref{Name: "status"})
	if !errors.Is(p.Err, sources.ErrUnstable) || p.Data != nil {
		t.Errorf("read a file that grows: %d bytes, error %v", len(p.Data), p.Err)
	}
}

func TestMappingFileThatKeepsChanging(t *testing.T) {
	_, err := New(Options{Path: t.TempDir(), MappingFile: "/proc/self/status"}).List(t.Context(), func(sources.Person) error { return nil })
	e, ok := errors.AsType[*MappingError](err)
	if !ok || !errors.Is(err, sources.ErrUnstable) || !strings.Contains(e.Hint(), "run again") {
		t.Errorf("List with a mapping file that grows: error %v", err)
	}
}
