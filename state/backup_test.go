package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// backedUp is a closed state of three people, with a backup of the first two.
func backedUp(t *testing.T) (path string) {
	path = filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	write(t, s, both(0, 2))
	if err := s.SetMeta(RefreshedKey, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(); err != nil {
		t.Fatal(err)
	}
	write(t, s, both(2, 3))
	shut(t, s)
	return path
}

func TestBackup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	write(t, s, both(0, 1))
	if err := s.Backup(); err != nil {
		t.Fatal(err)
	}
	first, err := os.Stat(backupPath(path))
	if err != nil || first.Mode().Perm() != 0o600 {
		t.Fatal(first, err)
	}
	if err := s.Backup(); err != nil {
		t.Fatal(err)
	}
	if again, err := os.Stat(backupPath(path)); err != nil || !os.SameFile(first, again) {
		t.Error("nothing had changed, and it was written again", err)
	}
	write(t, s, both(1, 2))
	if err := s.Backup(); err != nil {
		t.Fatal(err)
	}
	holds(t, open(t, backupPath(path)), both(0, 2))
}

// A backup that fails says since when there is none, and leaves the one before.
func TestBackupFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	if err := os.Mkdir(backupPath(path), 0o700); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-72 * time.Hour)
	if err := os.Chtimes(backupPath(path), long, long); err != nil {
		t.Fatal(err)
	}
	err := s.Backup()
	if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(err.Error(), long.UTC().Format(time.RFC3339)) || e.Hint() == "" {
		t.Errorf("error %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".photosync-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// What a damaged state holds never takes the place of the good backup.
func TestBackupOfADamagedState(t *testing.T) {
	path := backedUp(t)
	damage(t, path)
	s := open(t, path)
	if _, ok := errors.AsType[*DamagedError](s.Backup()); !ok {
		t.Errorf("error %v", s.Backup())
	}
	shut(t, s)
	holds(t, open(t, backupPath(path)), both(0, 2))
}

// damage spoils a row of the state, which Open does not read.
func damage(t *testing.T, path string) {
	data := contents(t, path)
	at := strings.LastIndex(string(data), hash(2))
	if at < 0 {
		t.Fatal("no row")
	}
	data[at] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// An older copy that was put in the place of the state is an error, as a missing one is: what
// was uploaded since would count as somebody else's.
func TestOlderThanItsBackup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	write(t, s, both(0, 1))
	if err := s.Backup(); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	old := contents(t, path)
	shut(t, open(t, path)) // as old as its backup
	s = open(t, path)
	write(t, s, both(1, 3))
	if err := s.Backup(); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{}, {ReadOnly: true}} {
		_, err := Open(path, o)
		if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(e.Error(), "older than its backup") || !strings.Contains(e.Hint(), "state restore") {
			t.Fatalf("%+v: %v", o, err)
		}
	}
	if err := os.Rename(path, path+".old"); err != nil { // as the hint says
		t.Fatal(err)
	}
	if _, err := Restore(path); err != nil {
		t.Fatal(err)
	}
	holds(t, open(t, path), both(0, 3))
}

func TestRestore(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, path string)
		aside bool
		says  string // of the refusal
	}{
		{"missing", func(t *testing.T, path string) { os.Remove(path) }, false, ""},
		{"damaged so that it does not open", func(t *testing.T, path string) { os.Truncate(path, 5000) }, true, ""},
		{"empty", func(t *testing.T, path string) { os.Truncate(path, 0) }, true, ""},
		{"damaged in a row", damage, true, ""},
		{"whole", func(*testing.T, string) {}, false, "is there and whole"},
		{"without a backup", func(t *testing.T, path string) { os.Remove(path); os.Remove(backupPath(path)) }, false, "has no backup"},
		{"with a damaged backup", func(t *testing.T, path string) { os.Remove(path); os.Truncate(backupPath(path), 5000) }, false, "is damaged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := backedUp(t)
			s := open(t, path)
			generation := s.Generation()
			shut(t, s)
			c.spoil(t, path)
			before, _ := os.ReadFile(path)
			aside, err := Restore(path)
			if c.says != "" {
				if h, ok := err.(interface{ Hint() string }); !ok || h.Hint() == "" || !strings.Contains(err.Error(), c.says) {
					t.Errorf("error %v, want %q", err, c.says)
				}
				if after, _ := os.ReadFile(path); string(after) != string(before) {
					t.Error("the state was changed")
				}
				return
			}
			if err != nil || (aside != "") != c.aside {
				t.Fatalf("aside %q, %v", aside, err)
			}
			if c.aside && string(contents(t, aside)) != string(before) {
				t.Error("the damaged state is not as it was")
			}
			s = open(t, path)
			holds(t, s, both(0, 2))
			var at time.Time
			if found, err := s.Meta(RefreshedKey, &at); found || err != nil {
				t.Errorf("the fact %q is still there (%v)", RefreshedKey, err)
			}
			if s.Generation() <= generation {
				t.Errorf("generation %d, of the lost one %d", s.Generation(), generation)
			}
			if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
				t.Error(fi.Mode(), err)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".photosync-*")); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// What is opened, and was a link put there by somebody else, is not followed.
func TestLinksAreNotFollowed(t *testing.T) {
	victim := full(t)
	before := contents(t, victim)
	path := backedUp(t)
	if err := errors.Join(os.Remove(backupPath(path)), os.Symlink(victim, backupPath(path)), os.Symlink(victim, holderPath(path))); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(path); err == nil || !strings.Contains(err.Error(), "has no backup") {
		t.Errorf("restored from a link: %v", err)
	}
	s := open(t, path)
	if err := s.Backup(); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Lstat(backupPath(path)); err != nil || !fi.Mode().IsRegular() {
		t.Error(fi, err)
	}
	shut(t, s)
	if string(contents(t, victim)) != string(before) {
		t.Error("the file that the links lead to was changed")
	}
}
