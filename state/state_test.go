package state

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func hash(i int) string {
	sum := sha256.Sum256(fmt.Append(nil, i))
	return hex.EncodeToString(sum[:])
}

func person(i int) Person {
	p := Person{
		Email: fmt.Sprintf("firstname.lastname%07d@example.com", i), Source: "ad",
		Ref: fmt.Sprintf("CN=Firstname Lastname %07d,OU=People,DC=example,DC=com", i), Key: hash(i)[:16],
		Stamp: fmt.Sprintf("20261124021559.%06dZ#000000#000#000000", i), SourceSHA256: hash(i), UserID: userID(i),
	}
	copy(p.Fingerprint[:], hash(i))
	return p
}

func userID(i int) int64 { return 48569348493401200 + int64(i) }

func user(i int) User {
	o := Origin{Source: "ad", Key: hash(i)[:16], Email: person(i).Email}
	return User{ID: userID(i), Email: o.Email, Sent: &Sent{
		Origin: o, SourceSHA256: hash(i), UploadSHA256: hash(i), Rendering: "r1-1050-none-90", ImageID: hash(i)[:16],
		RunID: "20261124T020000Z-5a3f", At: time.Date(2026, 11, 24, 2, 0, 0, i, time.UTC),
	}}
}

// both are the rows of people and of their users.
func both(from, to int) (c Change) {
	for i := from; i < to; i++ {
		c.People, c.Users = append(c.People, person(i)), append(c.Users, user(i))
	}
	return c
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

func write(t testing.TB, s *Store, c Change) {
	t.Helper()
	if err := s.Write(c); err != nil {
		t.Fatal(err)
	}
}

func shut(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// everything reads all rows, each of them also by its key.
func everything(s *Store) (c Change, err error) {
	err = s.View(func(v *Snapshot) error {
		for r, err := range v.People() {
			if err != nil {
				return err
			}
			p, err := r.Person()
			if err != nil {
				return err
			}
			if r.Email != p.Email || r.Fingerprint != p.Fingerprint || r.Winner != p.Winner || r.Note != p.Note {
				return fmt.Errorf("row %+v of person %+v", r, p)
			}
			if one, found, err := v.Person(p.Email); err != nil || !found || one != p {
				return errors.Join(err, fmt.Errorf("person %+v found %v as %+v", p, found, one))
			}
			c.People = append(c.People, p)
		}
		for u, err := range v.Users() {
			if err != nil {
				return err
			}
			if one, found, err := v.User(u.ID); err != nil || !found || !cmp.Equal(one, u) {
				return errors.Join(err, fmt.Errorf("user %+v found %v as %+v", u, found, one))
			}
			c.Users = append(c.Users, u)
		}
		return nil
	})
	if err != nil {
		return Change{}, err
	}
	return c, nil
}

func holds(t testing.TB, s *Store, want Change) {
	t.Helper()
	got, err := everything(s)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// A store behaves like two maps that outlive its process.
func TestStoreIsTwoDurableMaps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	number := rapid.IntRange(0, 12)
	rapid.Check(t, func(t *rapid.T) {
		s, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { s.Close() }()
		s.db.NoSync = true // what a kill leaves is another test's
		old, err := everything(s)
		if err != nil {
			t.Fatal(err)
		}
		var empty Change // what the check before left
		for _, p := range old.People {
			empty.ForgetPeople = append(empty.ForgetPeople, p.Email)
		}
		for _, u := range old.Users {
			empty.ForgetUsers = append(empty.ForgetUsers, u.ID)
		}
		if err := s.Write(empty); err != nil {
			t.Fatal(err)
		}
		people, users := map[string]Person{}, map[int64]User{}
		generation := s.Generation()
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				var c Change
				for _, i := range rapid.SliceOfN(number, 1, 3).Draw(t, "forgotten") {
					c.ForgetPeople, c.ForgetUsers = append(c.ForgetPeople, person(i).Email), append(c.ForgetUsers, userID(i))
					delete(people, person(i).Email)
					delete(users, userID(i))
				}
				for _, i := range rapid.SliceOfN(number, 0, 4).Draw(t, "written") {
					p, u := anyPerson().Draw(t, "person"), anyUser().Draw(t, "user")
					p.Email, u.ID = person(i).Email, userID(i)
					c.People, c.Users = append(c.People, p), append(c.Users, u)
					people[p.Email], users[u.ID] = p, u
				}
				if err := s.Write(c); err != nil {
					t.Fatal(err)
				}
				if g := s.Generation(); g <= generation {
					t.Fatalf("generation %d after %d", g, generation)
				}
				generation = s.Generation()
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
				got, err := everything(s)
				if err != nil {
					t.Fatal(err)
				}
				var want Change
				for _, e := range slices.Sorted(maps.Keys(people)) {
					want.People = append(want.People, people[e])
				}
				for _, id := range slices.Sorted(maps.Keys(users)) {
					want.Users = append(want.Users, users[id])
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Fatal(d)
				}
				for i := range 13 {
					_, known := people[person(i).Email]
					if _, found, err := s.Person(person(i).Email); found != known || err != nil {
						t.Fatalf("person %d: %v, %v", i, found, err)
					}
					_, known = users[userID(i)]
					if _, found, err := s.User(userID(i)); found != known || err != nil {
						t.Fatalf("user %d: %v, %v", i, found, err)
					}
				}
				if p, u, err := s.Len(); err != nil || p != len(people) || u != len(users) {
					t.Fatalf("%d people, %d users, %v; want %d and %d", p, u, err, len(people), len(users))
				}
			},
		})
	})
}

func TestConcurrentWritesAllArrive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "folder", "state.db")
	s := open(t, path)
	const workers, each = 16, 20
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w * each; i < (w+1)*each; i++ {
				if err := s.Write(both(i, i+1)); err != nil {
					t.Error(err)
				}
				if _, found, err := s.User(userID(i)); !found || err != nil {
					t.Errorf("user %d: %v, %v after Write", i, found, err)
				}
			}
		})
	}
	wg.Wait()
	shut(t, s)
	s = open(t, path)
	holds(t, s, both(0, workers*each))
	if g := s.Generation(); g == 0 || g > workers*each {
		t.Errorf("%d transactions for %d writes", g, workers*each)
	}
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if fi, err := os.Stat(p); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", p, fi.Mode(), err, want)
		}
	}
}

func TestWriteIsAllOrNothing(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state.db"))
	for _, bad := range []Change{{People: []Person{{}}}, {Users: []User{{}}}} {
		c := both(0, 3)
		c.People, c.Users = append(c.People, bad.People...), append(c.Users, bad.Users...)
		if err := s.Write(c); err == nil {
			t.Error("no error")
		}
	}
	holds(t, s, Change{})
	if err := s.Write(Change{}); err != nil || s.Generation() != 0 {
		t.Errorf("nothing to write: %v, generation %d", err, s.Generation())
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
	// An empty state is nobody's: it is bound anew, such as after a run that was refused.
	if err := errors.Join(s.Bind(Account{Root: us.Root, ID: 7}), s.Bind(us)); err != nil {
		t.Error(err)
	}
	write(t, s, both(0, 1))
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
		e, ok := errors.AsType[*Error](s.Bind(other))
		if !ok {
			t.Errorf("bound to %+v too", other)
		} else if spelled := other.ID == us.ID; strings.Contains(e.Hint(), "base_url") != spelled {
			t.Errorf("%+v: hint %q", other, e.Hint())
		}
	}
}

// Each state is that of one shard, or that of whole runs.
func TestBindShard(t *testing.T) {
	const refused = "refused"
	for _, c := range []struct {
		name, mark, shard string
		rows              bool
		want              string // the mark after it, or refused
	}{
		{"a new state, a whole run", "", "", false, ""},
		{"a new state, a shard", "", "2/4", false, "2/4"},
		{"whole runs, a whole run", "", "", true, ""},
		{"whole runs, a shard", "", "2/4", true, refused},
		{"a shard, the same", "2/4", "2/4", true, "2/4"},
		{"a shard without rows, the same", "2/4", "2/4", false, "2/4"},
		{"a shard, another", "2/4", "1/4", true, refused},
		{"a shard, one of another number", "2/4", "2/8", false, refused},
		{"a shard, a whole run", "2/4", "", true, refused},
		{"a shard without rows, a whole run", "2/4", "", false, refused},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.db")
			s := open(t, path)
			if c.mark != "" {
				if err := s.BindShard(c.mark); err != nil {
					t.Fatal(err)
				}
			}
			if c.rows {
				write(t, s, both(0, 1))
			}
			shut(t, s)
			readOnly, err := Open(path, Options{ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			errRead := readOnly.BindShard(c.shard)
			shut(t, readOnly)
			s = open(t, path)
			err = s.BindShard(c.shard)
			if (errRead == nil) != (err == nil) {
				t.Errorf("read-only %v, else %v", errRead, err)
			}
			if c.want == refused {
				if e, ok := errors.AsType[*Error](err); !ok || e.Hint() == "" {
					t.Errorf("error %v", err)
				}
				return
			}
			var mark string
			if _, merr := s.Meta(shardKey, &mark); err != nil || merr != nil || mark != c.want {
				t.Errorf("%v, %v, the mark is %q, want %q", err, merr, mark, c.want)
			}
		})
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
	holds(t, s, Change{})
	if _, found, err := s.User(1); found || err != nil {
		t.Error(found, err)
	}
	if _, found, err := s.Person("a@b.c"); found || err != nil {
		t.Error(found, err)
	}
	if s.Write(both(0, 1)) == nil || s.SetMeta("a", 1) == nil || s.Current() != nil {
		t.Error("wrote to a read-only state")
	}
	shut(t, s)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a file came into being: %v", err)
	}

	w := open(t, path)
	write(t, w, both(0, 1))
	shut(t, w)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = Open(path, Options{ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	holds(t, s, both(0, 1))
	if s.Write(both(1, 2)) == nil || s.Bind(Account{ID: 1}) != nil {
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
	write(t, s, both(0, 2))
	func() {
		defer func() {
			if p := recover(); p != "mine" {
				t.Fatalf("recovered %v", p)
			}
		}()
		s.View(func(v *Snapshot) error {
			for range v.People() {
				panic("mine")
			}
			return nil
		})
	}()
	write(t, s, both(2, 3)) // nothing is left locked
}

// Len is how many people and users the state has.
func (s *Store) Len() (nPeople, nUsers int, err error) {
	err = s.View(func(v *Snapshot) error {
		h, err := v.header()
		nPeople, nUsers = h.People, h.Users
		return err
	})
	return nPeople, nUsers, err
}
