package state

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func sample(i int) Record {
	sum := sha256.Sum256(fmt.Append(nil, i))
	hash := hex.EncodeToString(sum[:])
	return Record{
		Email: fmt.Sprintf("firstname.lastname%07d@example.com", i), UserID: 48569348493401200 + int64(i),
		Source: "ad", Ref: fmt.Sprintf("CN=Firstname Lastname %07d,OU=People,DC=example,DC=com", i), Stamp: fmt.Sprintf("20261124021559.%06dZ#000000#000#000000", i),
		SourceSHA256: hash, Rendering: "r1-1050-none-90", UploadSHA256: hash, ImageID: hash[:16],
		UploadedAt: time.Date(2026, 11, 24, 2, 0, 0, i, time.UTC), RunID: "20261124T020000Z-5a3f",
	}
}

func open(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t testing.TB, s *Store, records ...Record) {
	t.Helper()
	if err := s.Put(records...); err != nil {
		t.Fatal(err)
	}
}

func shut(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A store behaves like a map that outlives its process.
func TestStoreIsADurableMap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	few := rapid.Custom(func(t *rapid.T) Record { // people of whom something changes
		r := sample(rapid.IntRange(0, 20).Draw(t, "person"))
		r.UserID = rapid.Int64().Draw(t, "id")
		return r
	})
	rapid.Check(t, func(t *rapid.T) {
		s, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { s.Close() }()
		s.db.NoSync = true // what a kill leaves is another test's
		var old []string   // of the check before
		for r := range s.All() {
			old = append(old, r.Email)
		}
		for _, e := range old {
			if err := s.Delete(e); err != nil {
				t.Fatal(err)
			}
		}
		want := map[string]Record{}
		generation := s.Generation()
		grown := func() {
			if g := s.Generation(); g <= generation {
				t.Fatalf("generation %d after %d", g, generation)
			} else {
				generation = g
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				records := rapid.SliceOfN(few, 1, 4).Draw(t, "records")
				if err := s.Put(records...); err != nil {
					t.Fatal(err)
				}
				for _, r := range records {
					want[r.Email] = r
				}
				grown()
			},
			"delete": func(t *rapid.T) {
				e := few.Draw(t, "record").Email
				if err := s.Delete(e); err != nil {
					t.Fatal(err)
				}
				delete(want, e)
				grown()
			},
			"reopen": func(t *rapid.T) {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if s, err = Open(path, Options{}); err != nil {
					t.Fatal(err)
				}
				s.db.NoSync = true
				if g := s.Generation(); g != generation {
					t.Fatalf("generation %d, before %d", g, generation)
				}
			},
			"": func(t *rapid.T) {
				got, last := map[string]Record{}, ""
				for r, err := range s.All() {
					if err != nil || r.Email <= last {
						t.Fatalf("%q after %q: %v", r.Email, last, err)
					}
					got[r.Email], last = r, r.Email
					if one, found, err := s.Lookup(r.Email); err != nil || !found || !cmp.Equal(one, r) {
						t.Fatalf("lookup %q: %+v %v %v, listed as %+v", r.Email, one, found, err, r)
					}
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Fatal(d)
				}
				if n, err := s.Len(); err != nil || n != len(want) {
					t.Fatalf("%d people, %v; want %d", n, err, len(want))
				}
			},
		})
	})
}

func TestConcurrentPutsAllArrive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "folder", "state.db")
	s := open(t, path)
	const workers, each = 16, 20
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				r := sample(w*each + i)
				if err := s.Put(r); err != nil {
					t.Error(err)
				}
				if _, found, err := s.Lookup(r.Email); !found || err != nil {
					t.Errorf("%q: %v, %v after Put", r.Email, found, err)
				}
			}
		})
	}
	wg.Wait()
	shut(t, s)
	s = open(t, path)
	if n, err := s.Len(); n != workers*each || err != nil {
		t.Fatalf("%d people, %v", n, err)
	}
	if g := s.Generation(); g == 0 || g > workers*each {
		t.Errorf("%d writes for %d puts", g, workers*each)
	}
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if fi, err := os.Stat(p); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", p, fi.Mode(), err, want)
		}
	}
}

func TestPutRefusesWhatHasNoEmail(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.db"))
	if err := s.Put(sample(1), Record{}); err == nil {
		t.Fatal("no error")
	}
	if n, _ := s.Len(); n != 0 {
		t.Fatalf("%d people of a refused Put", n)
	}
}

func TestBind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	us := Account{Root: "https://api.smartsheet.com/2.0/", ID: 1 << 60, Name: "Example"}
	if _, bound := s.Account(); bound {
		t.Fatal("bound at birth")
	}
	if err := s.Bind(us); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	s = open(t, path)
	us.Root, us.Name = "https://api.smartsheet.com/2.0", "Example, renamed"
	if err := s.Bind(us); err != nil {
		t.Error(err)
	}
	if a, bound := s.Account(); !bound || a.ID != us.ID || a.Root != us.Root {
		t.Errorf("account %+v, %v", a, bound)
	}
	for _, other := range []Account{{Root: us.Root, ID: us.ID + 1}, {Root: "https://api.smartsheet.eu/2.0", ID: us.ID}} {
		if _, ok := errors.AsType[*AccountError](s.Bind(other)); !ok {
			t.Errorf("bound to %+v too", other)
		}
	}
}

func TestMeta(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.db"))
	var listed map[string]int
	if found, err := s.Meta("listed", &listed); found || err != nil {
		t.Fatal(found, err)
	}
	if err := s.SetMeta("listed", map[string]int{"ad": 1000}); err != nil {
		t.Fatal(err)
	}
	if found, err := s.Meta("listed", &listed); !found || err != nil || listed["ad"] != 1000 {
		t.Fatal(found, err, listed)
	}
	if err := s.SetMeta("bad", func() {}); err == nil {
		t.Fatal("stored a function")
	}
}

func TestReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s, err := Open(path, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Len(); n != 0 || err != nil {
		t.Error(n, err)
	}
	for r, err := range s.All() {
		t.Error(r, err)
	}
	if _, found, err := s.Lookup("a@b.c"); found || err != nil {
		t.Error(found, err)
	}
	if s.Put(sample(1)) == nil || s.Delete("a@b.c") == nil || s.SetMeta("a", 1) == nil {
		t.Error("wrote to a read-only state")
	}
	shut(t, s)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a file came into being: %v", err)
	}

	w := open(t, path)
	put(t, w, sample(1))
	shut(t, w)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = Open(path, Options{ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	if r, found, err := s.Lookup(sample(1).Email); !found || err != nil || !cmp.Equal(r, sample(1)) {
		t.Error(r, found, err)
	}
	if s.Put(sample(2)) == nil || s.Bind(Account{ID: 1}) != nil {
		t.Error("want no writing, and nothing to refuse")
	}
	two, err := Open(path, Options{ReadOnly: true})
	if err != nil {
		t.Fatalf("a second reader: %v", err)
	}
	shut(t, two)
	shut(t, s)
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Fatalf("reading changed the file (%v)", err)
	}
}

func TestPanicInTheLoopIsTheCallers(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.db"))
	put(t, s, sample(1))
	defer func() {
		if p := recover(); p != "mine" {
			t.Fatalf("recovered %v", p)
		}
		put(t, s, sample(2)) // nothing is left locked
	}()
	for range s.All() {
		panic("mine")
	}
}

func TestBackup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	put(t, s, sample(1))
	if err := s.Backup(); err != nil {
		t.Fatal(err)
	}
	first, err := os.Stat(path + ".backup")
	if err != nil || first.Mode().Perm() != 0o600 {
		t.Fatal(first, err)
	}
	if err := s.Backup(); err != nil {
		t.Fatal(err)
	}
	if again, err := os.Stat(path + ".backup"); err != nil || !os.SameFile(first, again) {
		t.Error("nothing had changed, and it was written again", err)
	}
	put(t, s, sample(2))
	if err := s.Backup(); err != nil {
		t.Fatal(err)
	}
	shut(t, s)

	if err := os.Truncate(path, 5000); err != nil {
		t.Fatal(err)
	}
	_, err = Open(path, Options{})
	if d, ok := errors.AsType[*DamagedError](err); !ok || d.Backup != path+".backup" {
		t.Fatalf("%v", err)
	}
	// The remedy of the hint works.
	if err := os.Rename(path+".backup", path); err != nil {
		t.Fatal(err)
	}
	if n, err := open(t, path).Len(); n != 2 || err != nil {
		t.Fatalf("%d people, %v", n, err)
	}
}
