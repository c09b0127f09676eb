package state

import (
	"bufio"
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

// child holds the state and says which record is durable, until it is killed.
func child(path string) {
	s, err := Open(path, Options{})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println("open", os.Getpid())
	n, err := s.Len()
	for ; err == nil; n++ {
		if err = s.Put(sample(n)); err == nil {
			fmt.Println("put", n)
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
			fmt.Sscanf(lines.Text(), "put %d", &confirmed)
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
		for i := range confirmed + 1 {
			if _, found, err := s.Lookup(sample(i).Email); !found || err != nil {
				t.Fatalf("round %d: record %d of %d: %v, %v", round, i, confirmed, found, err)
			}
		}
		if n, err := s.Len(); err != nil || n > confirmed+2 {
			t.Fatalf("%d people, %d confirmed, %v", n, confirmed+1, err)
		}
		shut(t, s)
	}
}

func TestLockNamesTheHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	before := time.Now().Add(-2 * time.Second)
	c, _ := startChild(t, path)
	host, _ := os.Hostname()
	for _, o := range []Options{{}, {ReadOnly: true}} {
		_, err := Open(path, o)
		l, ok := errors.AsType[*LockedError](err)
		if !ok || l.PID != c.Process.Pid || l.Host != host || l.Since.Before(before) || l.Hint() == "" {
			t.Errorf("%+v: %v", o, err)
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
	var records []Record
	for i := range 300 {
		records = append(records, sample(i))
	}
	put(t, s, records...)
	shut(t, s)
	return path
}

func TestOpenRefuses(t *testing.T) {
	good, err := os.ReadFile(full(t))
	if err != nil {
		t.Fatal(err)
	}
	write := func(data []byte) func(string) error {
		return func(path string) error { return os.WriteFile(path, data, 0o600) }
	}
	database := func(f func(*bbolt.Tx) error) func(string) error {
		return func(path string) error {
			db, err := bbolt.Open(path, 0o600, nil)
			if err != nil {
				return err
			}
			defer db.Close()
			return db.Update(f)
		}
	}
	isDamaged := func(err error) bool { _, ok := errors.AsType[*DamagedError](err); return ok }
	isAccess := func(err error) bool { _, ok := errors.AsType[*AccessError](err); return ok }
	tests := []struct {
		name    string
		make    func(path string) error
		is      func(error) bool
		message string
	}{
		{"empty file", write(nil), isDamaged, "it is empty"},
		{"text file", write([]byte(strings.Repeat("not a database\n", 5000))), isDamaged, "it is no state"},
		{"short text file", write([]byte("hello")), isDamaged, "damaged"},
		{"cut in the meta pages", write(good[:5000]), isDamaged, "damaged"},
		{"cut in the middle", write(good[:10*os.Getpagesize()]), isDamaged, "damaged"},
		{"another program's", database(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("x")); return err }), isDamaged, "another program"},
		{"newer", database(func(tx *bbolt.Tx) error {
			if _, err := tx.CreateBucket(peopleBucket); err != nil {
				return err
			}
			return putMeta(tx, schemaKey, 99)
		}), func(err error) bool { e, ok := errors.AsType[*NewerError](err); return ok && e.Version == 99 }, "newer photosync (schema 99"},
		{"no people", database(func(tx *bbolt.Tx) error { return putMeta(tx, schemaKey, 1) }), isDamaged, "people are missing"},
		{"directory", func(path string) error { return os.Mkdir(path, 0o700) }, isAccess, "is a directory"},
	}
	for _, tt := range tests {
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
				h, ok := errors.AsType[interface {
					error
					Hint() string
				}](err)
				if !tt.is(err) || !ok || h.Hint() == "" || !strings.Contains(err.Error(), tt.message) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
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
	path := full(t)
	_, err := Open(filepath.Join(path, "state.db"), Options{})
	if _, ok := errors.AsType[*AccessError](err); !ok {
		t.Fatalf("%T: %v", err, err)
	}
}

// Whatever bytes are overwritten: an error or the truth, never a panic, never
// someone else's record, and nobody is missing without an error.
func TestDamageIsNoticed(t *testing.T) {
	good, err := os.ReadFile(full(t))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	path := filepath.Join(t.TempDir(), "state.db")
	noticed := 0
	for range 80 {
		data := append([]byte(nil), good...)
		at := rng.IntN(len(data))
		for i := range min(64, len(data)-at) {
			data[at+i] = byte(rng.Uint32())
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path, Options{ReadOnly: true})
		if err != nil {
			noticed++
			continue
		}
		for r, err := range s.All() {
			if err != nil {
				noticed++
				break
			}
			var i int
			if n, _ := fmt.Sscanf(r.Email, "firstname.lastname%07d@example.com", &i); n != 1 || r.SourceSHA256 != sample(i).SourceSHA256 {
				t.Fatalf("damage at %d made up %+v", at, r)
			}
		}
		s.Close()
	}
	if noticed == 0 {
		t.Fatal("no damage was noticed")
	}
}

// One bit of each kind of page, wherever bbolt relies on it: an error that says so,
// or everybody as they were, or as they were one write before.
func TestEveryKindOfPage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	var records []Record
	for i := range 300 {
		records = append(records, sample(i))
	}
	put(t, s, records...)
	put(t, s, sample(300), Record{Email: "goes@example.com"})
	if err := s.Delete("goes@example.com"); err != nil { // which makes pages free
		t.Fatal(err)
	}
	truth := append(records, sample(300))
	before := append(slices.Clone(truth), Record{Email: "goes@example.com"})
	shut(t, s)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size := os.Getpagesize()
	rng := rand.New(rand.NewPCG(3, 4))
	seen, noticed := map[string]int{}, map[string]int{}
	for page := 0; page < len(good)/size; page++ {
		kind := map[byte]string{1: "branch", 2: "leaf", 4: "meta", 16: "free"}[good[page*size+8]]
		bits := rng.Perm(80 * 8) // of the page's head and what comes first in it
		switch kind {
		case "": // nothing was ever there
			continue
		case "leaf":
			bits = bits[:4]
		default:
			bits = bits[:40]
		}
		for _, bit := range bits {
			data := append([]byte(nil), good...)
			data[page*size+bit/8] ^= 1 << (bit % 8)
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			seen[kind]++
			got, err := everybody(path)
			if _, ok := errors.AsType[*DamagedError](err); ok {
				noticed[kind]++
			} else if _, ok := errors.AsType[*NewerError](err); err != nil && !ok {
				t.Fatalf("page %d (%s), bit %d: %T: %v", page, kind, bit, err, err)
			} else if err == nil && !cmp.Equal(got, truth) && (kind != "meta" || !cmp.Equal(got, before)) {
				t.Fatalf("page %d (%s), bit %d: %d people, without an error", page, kind, bit, len(got))
			}
		}
	}
	for _, kind := range []string{"branch", "leaf", "free"} {
		if noticed[kind] == 0 {
			t.Errorf("of %d bits in %s pages none was noticed", seen[kind], kind)
		}
	}
	t.Log(seen, noticed)
}

// everybody is what a run reads of a state.
func everybody(path string) (rs []Record, err error) {
	s, err := Open(path, Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for r, err := range s.All() {
		if err != nil {
			return nil, err
		}
		rs = append(rs, r)
	}
	return rs, nil
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
	if _, _, err := s.Lookup(sample(1).Email); err == nil {
		t.Fatal("read from a file that is gone")
	} else if _, ok := errors.AsType[*DamagedError](err); !ok {
		t.Fatalf("%T: %v", err, err)
	}
}
