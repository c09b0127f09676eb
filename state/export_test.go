package state

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func export(t rapid.TB, s *Store) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.Export(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// exported is the export of a state with this content.
func exported(t *testing.T, facts map[string]any, c Change) []byte {
	t.Helper()
	s := open(t, filepath.Join(t.TempDir(), "exported.db"))
	for name, fact := range facts {
		if err := s.SetMeta(name, fact); err != nil {
			t.Fatal(err)
		}
	}
	write(t, s, c)
	return export(t, s)
}

// imported is a new state made of an export.
func imported(t rapid.TB, dir string, data []byte) *Store {
	t.Helper()
	path := filepath.Join(dir, "state.db")
	if _, err := Import(path, bytes.NewReader(data), false); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What is exported and imported is exported again as the same bytes, and is the same
// state: rows with anything in any field, texts that are not UTF-8, facts, generation.
func TestExportAndImport(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "state")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		s, err := Open(filepath.Join(dir, "old.db"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.db.NoSync = true
		if rapid.Bool().Draw(t, "bound") {
			if err := s.Bind(Account{Root: "https://api.example.com/2.0", ID: 7, Name: rapid.String().Draw(t, "account")}); err != nil {
				t.Fatal(err)
			}
		}
		c := Change{
			People: rapid.SliceOfN(anyPerson(), 0, 20).Draw(t, "people"),
			Users:  rapid.SliceOfN(anyUser(), 0, 20).Draw(t, "users"),
		}
		if err := s.Write(c); err != nil {
			t.Fatal(err)
		}
		before := export(t, s)
		again := imported(t, dir, before)
		defer again.Close()
		if diff := cmp.Diff(string(before), string(export(t, again))); diff != "" {
			t.Fatal(diff)
		}
		want, err := everything(s)
		got, err2 := everything(again)
		if diff := cmp.Diff(want, got); diff != "" || err != nil || err2 != nil || s.Generation() != again.Generation() {
			t.Fatal(s.Generation(), again.Generation(), err, err2, diff)
		}
	})
}

// What is no whole export changes nothing.
func TestImportRefuses(t *testing.T) {
	lines := slices.Collect(strings.Lines(string(exported(t, nil, Change{People: both(1, 4).People, Users: both(1, 2).Users}))))
	header, people, user := lines[0], lines[1:4], lines[4]
	with := func(old, new string) string { return strings.Replace(header, old, new, 1) }
	for name, c := range map[string]struct {
		lines []string
		says  string
	}{
		"nothing":            {nil, "line 1: this is not an export"},
		"another file":       {[]string{"{\"email\":\"a@b.c\"}\n"}, "line 1: this is not an export"},
		"a state":            {[]string{"\x00\x01bolt"}, "line 1: this is not an export of a state: it begins with another line"},
		"newer":              {[]string{with(`"schema_version":3`, `"schema_version":9`)}, "newer photosync"},
		"older":              {[]string{with(`"schema_version":3`, `"schema_version":1`)}, "before the first release (schema 1)"},
		"cut":                {lines[:3], "line 4: the file ends after 2 of 4 rows"},
		"cut users":          {lines[:4], "line 5: the file ends after 3 of 4 rows"},
		"cut in line":        {[]string{header, people[0], people[1][:40]}, "line 3"},
		"twice":              {[]string{header, people[0], people[0], people[1], user}, "line 3: this is not a row of a state, or not in its place"},
		"one too many":       {append(slices.Clone(lines), strings.Replace(user, "48569348493401201", "48569348493401209", 1)), "line 6: this is not an export"},
		"another tail":       {append(slices.Clone(lines), "{\"kind\":\"another\"}\n"), "line 6: this is not an export"},
		"two, cut":           {append(slices.Clone(lines), header), "line 2 of export 2: the file ends after 0 of 4 rows"},
		"two, newer":         {append(slices.Clone(lines), with(`"schema_version":3`, `"schema_version":9`)), "line 1 of export 2: written by a newer"},
		"misspelt":           {[]string{header, strings.Replace(people[0], "user_id", "userid", 1), people[1], people[2], user}, "line 2"},
		"no row":             {[]string{header, "{}\n", people[1], people[2], user}, "line 2: this is not a row"},
		"a person as a user": {[]string{header, people[0], people[1], people[2], people[2]}, "line 5: this is not a row of a state, or not in its place"},
		"no id":              {[]string{header, people[0], people[1], people[2], strings.Replace(user, "48569348493401201", "0", 1)}, "line 5: this is not a row"},
		"a false stored row": {[]string{header, strings.Replace(people[0], `=="}`, `==","key":"YQ==","value":"AAAAAAA="}`, 1), people[1], people[2], user}, "line 2: it is damaged or cut short: its checksum"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := Import(filepath.Join(dir, "state.db"), strings.NewReader(strings.Join(c.lines, "")), false)
			if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(err.Error(), c.says) || e.Hint() == "" {
				t.Errorf("%v, want one that says %q", err, c.says)
			}
			if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 0 {
				t.Errorf("left behind: %q", files)
			}
		})
	}
}

// The exports of the shards make one state, of one account and for whole runs, with
// everyone. That everybody's user was resolved is not true of it.
func TestImportShards(t *testing.T) {
	ours := Account{Root: "https://api.example.com/2.0", ID: 7, Name: "ours"}
	var exports []byte
	for i, c := range []Change{both(1, 3), both(3, 6), {}} {
		facts := map[string]any{shardKey: fmt.Sprintf("%d/3", i), RefreshedKey: time.Now()}
		if i < 2 { // the last one never asked Smartsheet
			facts[accountKey] = ours
		}
		exports = append(exports, exported(t, facts, c)...)
	}
	s := imported(t, t.TempDir(), exports)
	defer s.Close()
	holds(t, s, both(1, 6))
	if a, _ := s.Account(); a != ours {
		t.Errorf("bound to %+v", a)
	}
	if err := s.BindShard(""); err != nil {
		t.Error(err)
	}
	if found, err := s.Meta(RefreshedKey, new(time.Time)); found || err != nil {
		t.Errorf("the fact %q is there (%v)", RefreshedKey, err)
	}
	exports = append(exports, exported(t, map[string]any{accountKey: Account{Root: ours.Root, ID: 8}}, Change{})...)
	_, err := Import(filepath.Join(t.TempDir(), "state.db"), bytes.NewReader(exports), false)
	if err == nil || !strings.Contains(err.Error(), "line 1 of export 4: this export is of another Smartsheet account") {
		t.Error(err)
	}
}

// One shard's state that moves to another machine stays the shard's.
func TestImportOneShard(t *testing.T) {
	s := imported(t, t.TempDir(), exported(t, map[string]any{shardKey: "2/3"}, both(0, 1)))
	defer s.Close()
	if err := s.BindShard("2/3"); err != nil {
		t.Error(err)
	}
}

// Of two rows of a user the newer one counts; what was announced stays announced. Of
// two different rows of a person nobody knows which is newer: the next run looks the person up.
func TestImportMerges(t *testing.T) {
	at := func(day int) time.Time { return time.Date(2026, 11, day, 2, 0, 0, 0, time.UTC) }
	sent := func(day int, hash string) User {
		return User{ID: 7, Email: hash + "@b.c", Sent: &Sent{SourceSHA256: hash, At: at(day)}}
	}
	announced := sent(3, "a")
	announced.Intent = &Intent{SourceSHA256: "announced", At: at(4)}
	answered := sent(5, "b")
	answeredOpen := answered
	answeredOpen.Intent = announced.Intent
	later := sent(5, "b")
	later.Intent = &Intent{SourceSHA256: "later", At: at(6)}
	failed := sent(3, "a")
	failed.Failure = &Failure{Code: "1001", At: at(9)}
	for name, c := range map[string]struct{ a, b, want User }{
		"same":                    {answered, answered, answered},
		"older and newer":         {sent(3, "a"), answered, answered},
		"announced in the newer":  {sent(3, "a"), announced, announced},
		"announced in the older":  {announced, answered, answeredOpen},
		"announced in both":       {announced, later, later},
		"the newer one failed":    {failed, answered, failed},
		"nothing was ever sent":   {User{ID: 7, Missing: 2}, answered, answered},
		"announced, nothing sent": {User{ID: 7, Intent: announced.Intent}, answered, answeredOpen},
	} {
		for _, order := range [][]User{{c.a, c.b}, {c.b, c.a}} {
			var exports []byte
			for _, u := range order {
				exports = append(exports, exported(t, nil, Change{Users: []User{u}})...)
			}
			s := imported(t, t.TempDir(), exports)
			got, _, err := s.User(7)
			if d := cmp.Diff(c.want, got); d != "" || err != nil {
				t.Errorf("%s: %v %s", name, err, d)
			}
			shut(t, s)
		}
	}
	one, other := person(1), person(1)
	other.Stamp = "another"
	other.Fingerprint[0]++
	s := imported(t, t.TempDir(), slices.Concat(exported(t, nil, Change{People: []Person{one, person(2)}}),
		exported(t, nil, Change{People: []Person{other, person(2)}})))
	defer s.Close()
	holds(t, s, Change{People: []Person{other, person(2)}})
}

// A state in use is only replaced when asked, and stays as the backup.
func TestImportReplaces(t *testing.T) {
	data := exported(t, nil, both(1, 2))
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	write(t, s, both(2, 3))
	shut(t, s)
	if _, err := Import(path, bytes.NewReader(data), false); err == nil {
		t.Fatal("replaced without being asked")
	} else if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(e.Hint(), "--replace") {
		t.Error(err)
	}
	if n, err := Import(path, bytes.NewReader(data), true); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	s = open(t, path)
	holds(t, s, both(1, 2))
	backup := open(t, backupPath(path))
	holds(t, backup, both(2, 3))
	if s.Generation() <= backup.Generation() {
		t.Errorf("generation %d, of the backup %d: the next one would not be made", s.Generation(), backup.Generation())
	}
}

func TestCompact(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	c := both(0, 3000)
	write(t, s, c)
	if err := s.Bind(Account{Root: "https://api.example.com", ID: 7}); err != nil {
		t.Fatal(err)
	}
	for i := 10; i < 3000; i++ {
		c.People[i], c.Users[i] = Person{Email: c.People[i].Email}, User{ID: c.Users[i].ID}
	}
	write(t, s, c)
	generation := s.Generation()
	before, after, err := s.Compact()
	if err != nil || after >= before {
		t.Fatal(before, after, err)
	}
	s = open(t, path)
	holds(t, s, c)
	if a, bound := s.Account(); !bound || a.ID != 7 || s.Generation() != generation {
		t.Error(a, s.Generation(), generation)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Error(fi.Mode(), err)
	}
}

// A damaged state is neither exported nor compacted as if it were whole.
func TestDamageIsNotCopied(t *testing.T) {
	path := backedUp(t)
	damage(t, path)
	s := open(t, path)
	if _, ok := errors.AsType[*DamagedError](s.Export(&bytes.Buffer{})); !ok {
		t.Error("exported")
	}
	before := contents(t, path)
	_, _, err := s.Compact()
	if _, ok := errors.AsType[*DamagedError](err); !ok || string(contents(t, path)) != string(before) {
		t.Errorf("compacted: %v", err)
	}
}
