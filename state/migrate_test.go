package state

import (
	"errors"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// A file of the first version is brought to a later one at once or not at all, and not
// by a reader.
func TestMigration(t *testing.T) {
	path := full(t)
	before := contents(t, path)
	full := errors.New("full")
	t.Cleanup(func() { migrations = nil })
	migrations = []func(*bbolt.Tx) error{func(tx *bbolt.Tx) error {
		return errors.Join(putFact(tx, "second", true), full)
	}}
	if _, err := Open(path, Options{}); !errors.Is(err, full) {
		t.Fatalf("error %v", err)
	}
	_, err := Open(path, Options{ReadOnly: true})
	if _, ok := errors.AsType[*Error](err); !ok || !strings.Contains(err.Error(), "older format (schema 6, this photosync has 7)") {
		t.Fatalf("error %v", err)
	}
	if string(contents(t, path)) != string(before) {
		t.Error("the file was changed")
	}
	migrations = []func(*bbolt.Tx) error{
		func(tx *bbolt.Tx) error { return putFact(tx, "second", true) },
		func(tx *bbolt.Tx) error { return putFact(tx, "third", true) },
	}
	shut(t, open(t, path))
	s := open(t, path) // nothing is done twice
	for _, name := range []string{"second", "third"} {
		var done bool
		if _, err := s.Meta(name, &done); !done || err != nil {
			t.Errorf("%s: %v, %v", name, done, err)
		}
	}
	holds(t, s, both(0, 300))
	shut(t, s)
	migrations = migrations[:1]
	if _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), "newer photosync (schema 8, this one knows 7)") {
		t.Errorf("error %v", err)
	}
}
