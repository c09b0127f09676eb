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

// imported is a new state made of an export.
func imported(t rapid.TB, dir string, data []byte) *Store {
	t.Helper()
	path := filepath.Join(dir, "state.db")
	if _, err := Import(path, bytes.NewReader(data), ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What is exported and imported is exported again as the same bytes, and is the
// same state: records with any field, texts that are not UTF-8, facts, generation.
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
		if err := s.Put(rapid.SliceOfN(anyRecord(), 0, 20).Draw(t, "records")...); err != nil {
			t.Fatal(err)
		}
		before := export(t, s)
		again := imported(t, dir, before)
		defer again.Close()
		if diff := cmp.Diff(string(before), string(export(t, again))); diff != "" {
			t.Fatal(diff)
		}
		var want, got []Record
		for r := range s.All() {
			want = append(want, r)
		}
		for r := range again.All() {
			got = append(got, r)
		}
		if diff := cmp.Diff(want, got); diff != "" || s.Generation() != again.Generation() {
			t.Fatal(s.Generation(), again.Generation(), diff)
		}
	})
}

// A file of every version is exported, and comes back as the current one.
func TestExportOfEveryVersion(t *testing.T) {
	for n := 1; n <= schemaVersion; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			path, want := versions(t, n)
			s, err := Open(path, Options{ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			again := imported(t, t.TempDir(), export(t, s))
			defer again.Close()
			if diff := cmp.Diff(want, all(t, again)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What is no whole export changes nothing.
func TestImportRefuses(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "old.db"))
	put(t, s, sample(1), sample(2), sample(3))
	lines := slices.Collect(strings.Lines(string(export(t, s))))
	for name, c := range map[string]struct {
		lines []string
		says  string
	}{
		"nothing":       {nil, "line 1: this is no export"},
		"another file":  {[]string{"{\"email\":\"a@b.c\"}\n"}, "line 1: this is no export"},
		"newer":         {[]string{strings.Replace(lines[0], `"schema_version":1`, `"schema_version":9`, 1)}, "newer photosync"},
		"cut":           {lines[:3], "line 4: the file ends after 2 of 3 people"},
		"two in a line": {[]string{lines[0], strings.TrimSpace(lines[1]) + lines[2], lines[3]}, "line 4: the file ends after 2 of 3"},
		"empty line":    {[]string{lines[0], lines[1], "\n", lines[2], lines[3]}, "line 3: the line is cut short"},
		"cut in line":   {[]string{lines[0], lines[1], lines[2][:40]}, "line 3"},
		"twice":         {[]string{lines[0], lines[1], lines[1], lines[2]}, "line 3"},
		"one too many":  {append(slices.Clone(lines), strings.Replace(lines[3], "lastname", "lastnamf", 1)), "line 5"},
		"another tail":  {append(slices.Clone(lines), "{\"kind\":\"another\"}\n"), "line 5: one too many"},
		"two, twice":    {append(slices.Clone(lines), lines...), "line 2 of export 2: \"firstname.lastname0000001"},
		"two, cut":      {append(slices.Clone(lines), lines[0]), "line 2 of export 2: the file ends after 0 of 3 people"},
		"two, newer":    {append(slices.Clone(lines), strings.Replace(lines[0], `"schema_version":1`, `"schema_version":9`, 1)), "line 1 of export 2: written by a newer"},
		"in capitals":   {[]string{lines[0], lines[1], strings.Replace(lines[2], `"email":"f`, `"email":"F`, 1), lines[3]}, "line 3: email \"Firstname"},
		"a false fact":  {[]string{strings.Replace(lines[0], `"facts":{`, `"facts":{"people":7`, 1), lines[1], lines[2], lines[3]}, "line 1: the fact \"people\""},
		"misspelt":      {[]string{lines[0], strings.Replace(lines[1], "user_id", "userid", 1), lines[2], lines[3]}, "line 2"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "state.db")
			canonical := func(e string) (string, error) { return strings.ToLower(e), nil }
			_, err := Import(path, strings.NewReader(strings.Join(c.lines, "")), ImportOptions{Canonical: canonical})
			if e, ok := errors.AsType[*ImportError](err); !ok || !strings.Contains(err.Error(), c.says) || e.Hint() == "" {
				t.Errorf("%v, want one that says %q", err, c.says)
			}
			if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 0 {
				t.Errorf("left behind: %q", files)
			}
		})
	}
}

// The exports of the shards make one state, of one account, with everyone.
func TestImportShards(t *testing.T) {
	var exports bytes.Buffer
	ours := Account{Root: "https://api.example.com/2.0", ID: 7, Name: "ours"}
	for i, records := range [][]Record{{sample(2), sample(5)}, {sample(1), sample(3), sample(4)}, nil} {
		s := open(t, filepath.Join(t.TempDir(), "shard.db"))
		if i < 2 { // the last one never asked Smartsheet
			if err := s.Bind(ours); err != nil {
				t.Fatal(err)
			}
		}
		put(t, s, records...)
		exports.Write(export(t, s))
	}
	s := imported(t, t.TempDir(), exports.Bytes())
	defer s.Close()
	if diff := cmp.Diff([]Record{sample(1), sample(2), sample(3), sample(4), sample(5)}, all(t, s)); diff != "" {
		t.Error(diff)
	}
	if a, _ := s.Account(); a != ours {
		t.Errorf("bound to %+v", a)
	}
	other := open(t, filepath.Join(t.TempDir(), "other.db"))
	if err := other.Bind(Account{Root: ours.Root, ID: 8}); err != nil {
		t.Fatal(err)
	}
	exports.Write(export(t, other))
	_, err := Import(filepath.Join(t.TempDir(), "state.db"), &exports, ImportOptions{})
	if err == nil || !strings.Contains(err.Error(), "line 1 of export 4: this export is of another Smartsheet account") {
		t.Error(err)
	}
}

// A state in use is only replaced when asked, and stays as the backup.
func TestImportReplaces(t *testing.T) {
	from := open(t, filepath.Join(t.TempDir(), "old.db"))
	put(t, from, sample(1))
	data := export(t, from)
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	put(t, s, sample(2))
	shut(t, s)
	if _, err := Import(path, bytes.NewReader(data), ImportOptions{}); err == nil {
		t.Fatal("replaced without being asked")
	}
	if n, err := Import(path, bytes.NewReader(data), ImportOptions{Replace: true}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	s = open(t, path)
	if diff := cmp.Diff([]Record{sample(1)}, all(t, s)); diff != "" {
		t.Error(diff)
	}
	backup := open(t, backupPath(path))
	if diff := cmp.Diff([]Record{sample(2)}, all(t, backup)); diff != "" {
		t.Error(diff)
	}
	if s.Generation() <= backup.Generation() {
		t.Errorf("generation %d, of the backup %d: the next one would not be made", s.Generation(), backup.Generation())
	}
}

func TestCompact(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	var records []Record
	for i := range 3000 {
		records = append(records, sample(i))
	}
	put(t, s, records...)
	for i := 10; i < 3000; i++ {
		records[i] = Record{Email: records[i].Email}
	}
	put(t, s, records...)
	generation := s.Generation()
	before, after, err := s.Compact()
	if err != nil || after >= before {
		t.Fatal(before, after, err)
	}
	s = open(t, path)
	if diff := cmp.Diff(records, all(t, s)); diff != "" || s.Generation() != generation {
		t.Error(s.Generation(), diff)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Error(fi.Mode(), err)
	}
}
