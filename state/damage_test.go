package state

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
)

// childEnv tells the test binary to be another process; see child.
const childEnv = "STATE_TEST_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		child(path)
	}
	os.Exit(m.Run())
}

// child holds the state and says which row is durable, until it is killed.
func child(path string) {
	s, err := Open(path, Options{})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println("open", os.Getpid())
	n, _, err := s.Len()
	for ; err == nil; n++ {
		if err = s.Write(both(n, n+1)); err == nil {
			fmt.Println("wrote", n)
		}
	}
	fmt.Println("error:", err)
	os.Exit(1)
}

func startChild(t *testing.T, path string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childEnv+"="+path)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "open ") {
		t.Fatalf("child said %q", lines.Text())
	}
	return c, lines
}

func TestKillLosesNothingConfirmed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	confirmed := -1
	for round := range 8 {
		c, lines := startChild(t, path)
		for range rand.IntN(20) {
			lines.Scan()
		}
		time.AfterFunc(time.Duration(rand.IntN(3000))*time.Microsecond, func() { c.Process.Kill() })
		for more := true; more; more = lines.Scan() {
			fmt.Sscanf(lines.Text(), "wrote %d", &confirmed)
		}
		c.Wait()
		// The note of the dead process is still there, and blocks nobody.
		if readHolder(path).PID != c.Process.Pid {
			t.Fatal("the child left no note")
		}
		s, err := Open(path, Options{})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		p, u, err := s.Len()
		if err != nil || p < confirmed+1 || p > confirmed+2 || p != u {
			t.Fatalf("%d people, %d users, %d confirmed, %v", p, u, confirmed+1, err)
		}
		holds(t, s, both(0, p))
		shut(t, s)
	}
}

func TestLockNamesTheHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	before := time.Now().Add(-2 * time.Second)
	c, _ := startChild(t, path)
	host, _ := os.Hostname()
	open := func(o Options) func() error { return func() error { _, err := Open(path, o); return err } }
	for name, f := range map[string]func() error{
		"writing": open(Options{}), "reading": open(Options{ReadOnly: true}),
		"restoring": func() error {
			if err := os.WriteFile(backupPath(path), []byte("a backup"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Restore(path)
			return err
		},
	} {
		err := f()
		l, ok := errors.AsType[*LockedError](err)
		if !ok || l.PID != c.Process.Pid || l.Host != host || l.Since.Before(before) || l.Hint() == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.Process.Kill()
	c.Wait()
	// A reader keeps writers out too, and is named instead of the dead process.
	r, err := Open(path, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(path, Options{})
	if l, ok := errors.AsType[*LockedError](err); !ok || l.PID != os.Getpid() {
		t.Errorf("beside a reader: %v", err)
	}
	shut(t, r)
	if _, err := os.Stat(holderPath(path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the note is left: %v", err)
	}
}

// full is a closed state with a few hundred people.
func full(t testing.TB) (path string) {
	path = filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	write(t, s, both(0, 300))
	shut(t, s)
	return path
}

func contents(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// foreign changes bbolt's file at path as no run does.
func foreign(f func(*bbolt.Tx) error) func(string) error {
	return func(path string) error {
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			return err
		}
		defer db.Close()
		return db.Update(f)
	}
}

func TestOpenRefuses(t *testing.T) {
	good := contents(t, full(t))
	file := func(data []byte) func(string) error {
		return func(path string) error { return os.WriteFile(path, data, 0o600) }
	}
	schema := func(n int) func(string) error {
		return foreign(func(tx *bbolt.Tx) error { return errors.Join(createTables(tx), putFact(tx, schemaKey, n)) })
	}
	for _, tt := range []struct {
		name    string
		make    func(path string) error
		as      error
		message string
	}{
		{"empty file", file(nil), &DamagedError{}, "it is empty"},
		{"text file", file([]byte(strings.Repeat("not a database\n", 5000))), &DamagedError{}, "it is not a state"},
		{"short text file", file([]byte("hello")), &DamagedError{}, "damaged"},
		{"cut in the meta pages", file(good[:5000]), &DamagedError{}, "damaged"},
		{"cut in the middle", file(good[:10*os.Getpagesize()]), &DamagedError{}, "damaged"},
		{"another program's", foreign(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("x")); return err }),
			&DamagedError{}, "another program"},
		{"newer", schema(99), &Error{}, "newer photosync (schema 99"},
		{"older", schema(3), &Error{}, "before the first release (schema 3)"},
		{"without users", foreign(func(tx *bbolt.Tx) error { return errors.Join(createTables(tx), tx.DeleteBucket(users)) }),
			&DamagedError{}, "a table is missing"},
		{"without a tally", foreign(func(tx *bbolt.Tx) error {
			return errors.Join(createTables(tx), tx.Bucket(facts).Delete(users))
		}), &DamagedError{}, "the number of users is missing"},
		{"directory", func(path string) error { return os.Mkdir(path, 0o700) }, &Error{}, "is a directory"},
		{"vanished", func(path string) error { return os.WriteFile(backupPath(path), good, 0o600) },
			&Error{}, "is missing, although its backup"},
	} {
		for _, readOnly := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, read-only %v", tt.name, readOnly), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "state.db")
				if err := tt.make(path); err != nil {
					t.Fatal(err)
				}
				before, _ := os.ReadFile(path)
				s, err := Open(path, Options{ReadOnly: readOnly})
				if err == nil {
					s.Close()
					t.Fatal("opened")
				}
				h, ok := err.(interface{ Hint() string })
				if fmt.Sprintf("%T", err) != fmt.Sprintf("%T", tt.as) || !ok || h.Hint() == "" || !strings.Contains(err.Error(), tt.message) ||
					!strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%T: %v", err, err)
				}
				if _, err := Open(path, Options{ReadOnly: readOnly}); err == nil {
					t.Error("opened at the second try")
				}
				if after, _ := os.ReadFile(path); string(after) != string(before) {
					t.Error("the file was changed")
				}
			})
		}
	}
}

func TestOpenBelowAFile(t *testing.T) {
	_, err := Open(filepath.Join(full(t), "state.db"), Options{})
	if _, ok := errors.AsType[*Error](err); !ok {
		t.Fatalf("%T: %v", err, err)
	}
}

// observe is what a run sees of a state: everything, and by its key every row that there
// was and some that there were not.
func observe(path string, truth Change) (Change, error) {
	s, err := Open(path, Options{ReadOnly: true})
	if err != nil {
		return Change{}, err
	}
	defer s.Close()
	for i := range truth.People {
		p, found, err := s.Person(truth.People[i].Email)
		if err == nil && (!found || p != truth.People[i]) {
			return Change{}, fmt.Errorf("the look-up of %q made up %v %+v", truth.People[i].Email, found, p)
		}
		if p, found, err := s.Person(truth.People[i].Email + "x"); err == nil && found {
			return Change{}, fmt.Errorf("the look-up of nobody made up %+v", p)
		}
		u, found, err := s.User(truth.Users[i].ID)
		if err == nil && (!found || !cmp.Equal(u, truth.Users[i])) {
			return Change{}, fmt.Errorf("the look-up of %d made up %v %+v", truth.Users[i].ID, found, u)
		}
	}
	return everything(s)
}

// noticed reports whether a state that was damaged says so; it fails if it says
// anything else that is not true.
func noticed(t *testing.T, what, path string, truth Change) bool {
	t.Helper()
	got, err := observe(path, truth)
	damaged, is := errors.AsType[*DamagedError](err)
	_, refused := errors.AsType[*Error](err)
	switch {
	case is && (strings.Contains(err.Error(), "nil pointer") || strings.Contains(err.Error(), "runtime error") || damaged.Hint() == ""):
		t.Fatalf("%s: %v", what, err)
	case is:
		return true
	case err != nil && !refused: // a flipped bit in the version
		t.Fatalf("%s: %T: %v", what, err, err)
	case err == nil && !cmp.Equal(got, truth):
		t.Fatalf("%s: %d people and %d users, without an error", what, len(got.People), len(got.Users))
	}
	return false
}

// Whatever bytes are overwritten: an error or the truth, never a panic, never someone
// else's row, and nobody is missing without an error.
func TestDamageIsNoticed(t *testing.T) {
	good := contents(t, full(t))
	rng := rand.New(rand.NewPCG(1, 2))
	path := filepath.Join(t.TempDir(), "state.db")
	n := 0
	for range cases(150) {
		data := append([]byte(nil), good...)
		at, length := rng.IntN(len(data)), 1+rng.IntN(64)
		for i := range min(length, len(data)-at) {
			data[at+i] = byte(rng.Uint32())
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if noticed(t, fmt.Sprintf("%d bytes at %d", length, at), path, both(0, 300)) {
			n++
		}
	}
	if n == 0 {
		t.Fatal("no damage was noticed")
	}
}

// changed is a closed state with pages that are free, and what it holds.
func changed(t *testing.T) (good []byte, truth Change) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	write(t, s, both(0, 121))
	write(t, s, Change{ForgetPeople: []string{person(120).Email}, ForgetUsers: []int64{userID(120)}})
	truth = both(0, 120)
	truth.People[119].Ref, truth.Users[119].Missing = "another", 2
	write(t, s, Change{People: truth.People[119:], Users: truth.Users[119:]})
	shut(t, s)
	return contents(t, path), truth
}

// page calls f for every page of a file with its kind.
func eachPage(data []byte, f func(at int, kind uint16)) {
	for at := 0; at < len(data); at += os.Getpagesize() {
		f(at, binary.NativeEndian.Uint16(data[at+8:]))
	}
}

// One bit of each kind of page, wherever bbolt relies on it: an error that says so, or
// the truth. Also in the newest meta page, without which bbolt takes the one before it,
// and the last change is gone.
func TestEveryKindOfPage(t *testing.T) {
	good, truth := changed(t)
	path := filepath.Join(t.TempDir(), "state.db")
	rng := rand.New(rand.NewPCG(3, 4))
	seen, n := map[uint16]int{}, map[uint16]int{}
	eachPage(good, func(at int, kind uint16) {
		bits := rng.Perm(80 * 8) // of the page's head and what comes first in it
		switch kind {
		case 0: // nothing was ever there
			return
		case leafPage:
			bits = bits[:cases(8)]
		default:
			bits = bits[:cases(40)]
		}
		for _, bit := range bits {
			data := append([]byte(nil), good...)
			data[at+bit/8] ^= 1 << (bit % 8)
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			seen[kind]++
			if noticed(t, fmt.Sprintf("page at %d of kind %d, bit %d", at, kind, bit), path, truth) {
				n[kind]++
			}
		}
	})
	for _, kind := range []uint16{branchPage, leafPage, 4, freePages} {
		if n[kind] == 0 {
			t.Errorf("of %d bits in pages of kind %d none was noticed", seen[kind], kind)
		}
	}
	t.Log(seen, n)
}

// Each bit of both meta pages that their checksums cover.
func TestMetaPages(t *testing.T) {
	good, truth := changed(t)
	path := filepath.Join(t.TempDir(), "state.db")
	for bit := range 2 * metaSize * 8 {
		data := append([]byte(nil), good...)
		data[bit/8/metaSize*os.Getpagesize()+pageHeader+bit/8%metaSize] ^= 1 << (bit % 8)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, Options{}); err == nil {
			t.Fatalf("bit %d was not noticed", bit)
		}
		if bit%64 == 0 && !noticed(t, fmt.Sprint("bit ", bit), path, truth) {
			t.Fatalf("bit %d was not noticed", bit)
		}
	}
}

// leads returns where in the file a branch that is in use names the page.
func (p *pages) leads(data []byte, id int) (at int) {
	eachPage(data, func(page int, kind uint16) {
		for i := range int(binary.NativeEndian.Uint16(data[page+10:])) {
			e := page + pageHeader + 16*i + 8
			if kind == branchPage && p.used[page/os.Getpagesize()] && binary.NativeEndian.Uint64(data[e:]) == uint64(id) {
				at = e
			}
		}
	})
	return at
}

// A page that leads to one that is whole, and wrong: checksums and numbers of rows, of
// bbolt and of the rows, are right there.
func TestPagesThatLeadAstray(t *testing.T) {
	good, truth := changed(t)
	size := os.Getpagesize()
	path := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	var p *pages
	if err := s.db.View(func(tx *bbolt.Tx) (err error) { p, err = checkPages(s.file, tx); return err }); err != nil {
		t.Fatal(err)
	}
	_, list, err := p.meta()
	shut(t, s)
	var branches, leaves, old []int
	eachPage(good, func(at int, kind uint16) {
		switch id := at / size; {
		case kind == branchPage && p.used[id]:
			branches = append(branches, id)
		case kind == leafPage && p.used[id] && p.leads(good, id) != 0:
			leaves = append(leaves, id)
		case kind == leafPage && !p.used[id]:
			old = append(old, id)
		}
	})
	head := func(page int) string { // the number of rows and the first key of a leaf
		at := page*size + pageHeader
		key := at + int(binary.NativeEndian.Uint32(good[at+4:]))
		return string(good[at-6:at-4]) + string(good[key:key+int(binary.NativeEndian.Uint32(good[at+8:]))])
	}
	stale := map[int]int{} // a page of the tree, and a free one with the same rows as they once were
	for _, leaf := range leaves {
		for _, o := range old {
			if head(leaf) == head(o) {
				stale[leaf] = o
			}
		}
	}
	if err != nil || len(branches) == 0 || len(stale) < 2 {
		t.Fatal(err, branches, stale)
	}
	try := func(what string, change func(data []byte)) {
		data := append([]byte(nil), good...)
		change(data)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if !noticed(t, what, path, truth) {
			t.Errorf("%s: not noticed", what)
		}
	}
	for leaf, old := range stale {
		try("a page leads to an old one", func(data []byte) {
			binary.NativeEndian.PutUint64(data[p.leads(data, leaf):], uint64(old))
		})
		// A write that the disk lost: only a pass over all rows can notice it.
		data := append([]byte(nil), good...)
		copy(data[leaf*size+8:(leaf+1)*size], data[old*size+8:])
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := observe(path, truth); err == nil || !strings.Contains(err.Error(), "older than what was written last") {
			t.Errorf("an old page in the place of the new one: %v", err)
		}
	}
	for _, branch := range branches {
		try("a page leads to itself", func(data []byte) {
			binary.NativeEndian.PutUint64(data[branch*size+pageHeader+8:], uint64(branch))
		})
	}
	try("a page in use counts as free", func(data []byte) {
		binary.NativeEndian.PutUint64(data[int(list)*size+pageHeader:], uint64(leaves[0]))
	})
}

func TestFileCutWhileOpen(t *testing.T) {
	path := full(t)
	s, err := Open(path, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Person(person(1).Email); err == nil {
		t.Fatal("read from a file that is gone")
	} else if _, ok := errors.AsType[*DamagedError](err); !ok || strings.Contains(err.Error(), "runtime") {
		t.Fatalf("%T: %v", err, err)
	}
}

// A run beside a state that was deleted or replaced notices it.
func TestCurrent(t *testing.T) {
	path := full(t)
	s := open(t, path)
	if err := s.Current(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	for message, make := range map[string]func() error{
		"was deleted":                     func() error { return nil },
		"was replaced by another file":    func() error { return os.WriteFile(path, contents(t, path+".old"), 0o600) },
		"was replaced by another file wh": func() error { os.Remove(path); return os.Symlink(path+".old", path) },
	} {
		os.Remove(path)
		if err := make(); err != nil {
			t.Fatal(err)
		}
		err := s.Current()
		if e, ok := errors.AsType[*Error](err); !ok || e.Hint() == "" || !strings.Contains(err.Error(), message) {
			t.Errorf("%v, want %q", err, message)
		}
	}
}

// With Partial, a look-up checks what it reads; without, the whole table.
func TestPartialReadsCheckWhatTheyRead(t *testing.T) {
	path := full(t)
	err := foreign(func(tx *bbolt.Tx) (err error) {
		for table, key := range map[string]string{"people": person(200).Email, "users": userKey(userID(200))} {
			value := slices.Clone(tx.Bucket([]byte(table)).Get([]byte(key)))
			value[len(value)-1] ^= 1
			err = errors.Join(err, tx.Bucket([]byte(table)).Put([]byte(key), value))
		}
		return err
	})(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, partial := range []bool{true, false} {
		s, err := Open(path, Options{ReadOnly: true, Partial: partial})
		if err != nil {
			t.Fatal(err)
		}
		p, _, err := s.Person(person(7).Email)
		u, _, uerr := s.User(userID(7))
		if err = errors.Join(err, uerr); partial && (err != nil || p != person(7) || !cmp.Equal(u, user(7))) || !partial && err == nil {
			t.Errorf("partial %v: %+v, %+v, %v", partial, p, u, err)
		}
		_, _, err = s.Person(person(200).Email)
		_, _, uerr = s.User(userID(200))
		for _, err := range []error{err, uerr} {
			if _, ok := errors.AsType[*DamagedError](err); !ok {
				t.Errorf("partial %v: the damaged row: %v", partial, err)
			}
		}
		s.Close()
	}
}

// The commands that a hint gives to begin anew are enough: the backup does not stand in the way.
func TestBeginAnew(t *testing.T) {
	path := full(t)
	s := open(t, path)
	if err := s.Backup(); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	for _, file := range []string{path, path + ".backup"} {
		if err := os.WriteFile(file, []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Open(path, Options{})
	e, damaged := errors.AsType[*DamagedError](err)
	if !damaged {
		t.Fatalf("error %v", err)
	}
	_, move, _ := strings.Cut(e.Hint(), "move it away: ")
	move, _, _ = strings.Cut(move, "; then ")
	if out, err := exec.Command("sh", "-c", move).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", move, err, out)
	}
	shut(t, open(t, path))
}
