package state

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
)

// testdata/vN.db was written by the program of schema N, testdata/vN.jsonl holds
// the same records.
func versions(t *testing.T, n int) (path string, want []Record) {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("testdata/v%d.db", n))
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(fmt.Sprintf("testdata/v%d.jsonl", n))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r Record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		want = append(want, r)
	}
	return path, want
}

func all(t *testing.T, s *Store) (rs []Record) {
	t.Helper()
	for r, err := range s.All() {
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
	}
	return rs
}

func TestEveryVersion(t *testing.T) {
	for n := 1; n <= schemaVersion; n++ {
		t.Run(fmt.Sprint("schema ", n), func(t *testing.T) {
			path, want := versions(t, n)
			if len(want) < 4 {
				t.Fatalf("%d records of this version", len(want))
			}
			old, err := Open(path, Options{ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, all(t, old)); d != "" || old.schema != n {
				t.Errorf("schema %d, read-only: %s", old.schema, d)
			}
			shut(t, old)

			s := open(t, path)
			if d := cmp.Diff(want, all(t, s)); d != "" || s.schema != schemaVersion {
				t.Errorf("schema %d, migrated: %s", s.schema, d)
			}
			var listed map[string]int
			if a, bound := s.Account(); !bound || a.ID != 1<<60 {
				t.Errorf("account %+v", a)
			}
			if found, err := s.Meta("listed", &listed); !found || err != nil || listed["ad"] != 4 {
				t.Error(listed, err)
			}
			want[1].Missing, want[1].Placeholder = 2, true
			put(t, s, want[1])
			shut(t, s)
			s = open(t, path)
			if d := cmp.Diff(want, all(t, s)); d != "" {
				t.Errorf("one record written anew: %s", d)
			}
			if err := s.db.View(func(tx *bbolt.Tx) error {
				var v int
				if _, err := readMeta(tx, schemaKey, &v); err != nil || v != schemaVersion {
					return fmt.Errorf("the file says %d, %v", v, err)
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
}

// A migration that fails leaves the file as it was.
func TestMigrationFails(t *testing.T) {
	path, want := versions(t, 1)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	good, full := migrations[1], errors.New("full")
	t.Cleanup(func() { migrations[1] = good })
	migrations[1] = func(tx *bbolt.Tx) error { return errors.Join(good(tx), full) }
	if _, err := Open(path, Options{}); !errors.Is(err, full) {
		t.Fatalf("error %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the file was changed (%v)", err)
	}
	migrations[1] = good
	if d := cmp.Diff(want, all(t, open(t, path))); d != "" {
		t.Error(d)
	}
}

// What repeats in every record is in the file once, also of runs that failed to
// write, of concurrent writers, and of a table that is full.
func TestTexts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	a, b := sample(1), sample(2)
	b.Rendering = "other settings"
	boom := errors.New("boom")
	if err := s.update(func(tx *bbolt.Tx) error {
		s.texts.encode(&a)
		if _, err := s.texts.save(tx); err != nil {
			return err
		}
		return boom
	}); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	put(t, s, b)
	put(t, s, a)
	shut(t, s)
	s = open(t, path)
	if d := cmp.Diff([]Record{a, b}, all(t, s)); d != "" {
		t.Error(d)
	}
	if len(s.texts.all) != 4 || s.texts.saved != 4 {
		t.Errorf("texts %q, %d of them in the file", s.texts.all, s.texts.saved)
	}
	for i := len(s.texts.all); i < maxTexts; i++ {
		s.texts.add(fmt.Sprint("text ", i))
	}
	a.RunID = "one too many"
	put(t, s, a)
	shut(t, s)
	s = open(t, path)
	if d := cmp.Diff([]Record{a, b}, all(t, s)); d != "" || len(s.texts.all) != maxTexts {
		t.Errorf("%d texts; %s", len(s.texts.all), d)
	}
}

func TestDamagedText(t *testing.T) {
	path := full(t)
	s := open(t, path)
	if err := s.update(func(tx *bbolt.Tx) error {
		return tx.Bucket(textsBucket).Put([]byte{0, 0, 0, 0}, []byte("1234ad"))
	}); err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	_, err := Open(path, Options{})
	if d, ok := errors.AsType[*DamagedError](err); !ok || d.Hint() == "" {
		t.Errorf("error %v", err)
	}
}
