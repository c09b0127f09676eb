package state

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// Facts about the whole state that the package itself knows. All but the schema are
// JSON behind a checksum that covers the name, too.
const (
	schemaKey  = "schema_version" // the file's: plain, so that every program can read it
	accountKey = "account"
	peopleKey  = "people" // how many there are: what the pages hold must come to that
)

// isFile tells the facts that are about the file, and not about what it remembers.
func isFile(name string) bool { return name == schemaKey || name == peopleKey }

// Meta reads a fact about the whole state into v.
func (s *Store) Meta(name string, v any) (found bool, err error) {
	if s.db == nil {
		return false, nil
	}
	err = s.view(func(tx *bbolt.Tx) (err error) {
		found, err = readMeta(tx, name, v)
		return err
	})
	if err != nil {
		return false, s.unreadable(fmt.Errorf("read %q: %w", name, err))
	}
	return found, nil
}

// SetMeta remembers a fact about the whole state; it is durable when SetMeta
// returns.
func (s *Store) SetMeta(name string, v any) error {
	return s.update(func(tx *bbolt.Tx) error { return putMeta(tx, name, v) })
}

func readMeta(tx *bbolt.Tx, name string, v any) (found bool, err error) {
	data, err := factOf(tx, name)
	if data == nil || err != nil {
		return false, err
	}
	return true, json.Unmarshal(data, v)
}

// factOf is the JSON of a fact; nil if there is none.
func factOf(tx *bbolt.Tx, name string) ([]byte, error) {
	b := tx.Bucket(metaBucket)
	if b == nil {
		return nil, nil
	}
	data := b.Get([]byte(name))
	if data == nil || name == schemaKey {
		return data, nil
	}
	var schema int
	if _, err := readMeta(tx, schemaKey, &schema); err != nil || schema < schemaOfChecks {
		return data, err
	}
	if len(data) < 4 || checksum([]byte(name), data[4:]) != binary.LittleEndian.Uint32(data) {
		return nil, errors.New("it does not add up")
	}
	return data[4:], nil
}

func putMeta(tx *bbolt.Tx, name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	b, err := tx.CreateBucketIfNotExists(metaBucket)
	if err != nil {
		return err
	}
	if name != schemaKey {
		data = append(binary.LittleEndian.AppendUint32(nil, checksum([]byte(name), data)), data...)
	}
	return b.Put([]byte(name), data)
}

// addPeople counts people who came or, with a negative number, went.
func addPeople(tx *bbolt.Tx, n int) error {
	if n == 0 {
		return nil
	}
	before, err := countOf(tx)
	if err != nil {
		return err
	}
	return putMeta(tx, peopleKey, before+n)
}

// countOf is how many people there are; -1: the file is of a version that does not
// say.
func countOf(tx *bbolt.Tx) (n int, err error) {
	var schema int
	if _, err := readMeta(tx, schemaKey, &schema); err != nil {
		return 0, err
	}
	if schema < schemaOfChecks {
		return -1, nil
	}
	switch found, err := readMeta(tx, peopleKey, &n); {
	case err != nil:
		return 0, fmt.Errorf("read the number of people: %w", err)
	case !found || n < 0:
		return 0, errors.New("the number of people is missing")
	}
	return n, nil
}
