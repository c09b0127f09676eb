package state

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"
)

// The buckets of the file. The sequence of people is the generation.
var (
	people = []byte("people")
	users  = []byte("users")
	facts  = []byte("meta") // facts about the whole, by name

	tables = [][]byte{people, users}
)

// RefreshedKey names the fact when everybody's user was resolved for the last time.
// Restore and Import remove it, so that the next run compares everybody.
const RefreshedKey = "refreshed"

// Facts that the package itself knows. All but the schema are JSON behind a checksum
// that covers the name too.
const (
	schemaKey  = "schema_version" // plain, so that every program can read it
	accountKey = "account"
	shardKey   = "shard"
)

// ofFile reports whether a fact is about the file, and not about what it remembers.
func ofFile(name string) bool {
	return name == schemaKey || name == string(people) || name == string(users)
}

// Meta reads a fact about the whole state into v.
func (s *Store) Meta(name string, v any) (found bool, err error) {
	if s.db == nil {
		return false, nil
	}
	err = s.view(func(tx *bbolt.Tx) (err error) {
		found, err = readFact(tx, name, v)
		return err
	})
	if err != nil {
		return false, s.damaged(fmt.Errorf("read the fact %q: %w", name, err))
	}
	return found, nil
}

// SetMeta records a fact about the whole state, as JSON; it is durable when SetMeta
// returns.
func (s *Store) SetMeta(name string, v any) error {
	return s.update(func(tx *bbolt.Tx) error { return putFact(tx, name, v) })
}

func readFact(tx *bbolt.Tx, name string, v any) (found bool, err error) {
	data, err := factOf(tx, name)
	if data == nil || err != nil {
		return false, err
	}
	return true, json.Unmarshal(data, v)
}

// factOf is the JSON of a fact; nil if there is none.
func factOf(tx *bbolt.Tx, name string) ([]byte, error) {
	b := tx.Bucket(facts)
	if b == nil {
		return nil, nil
	}
	data := b.Get([]byte(name))
	if data == nil || name == schemaKey {
		return data, nil
	}
	if err := verify([]byte(name), data); err != nil {
		return nil, err
	}
	return data[checksumSize:], nil
}

func putFact(tx *bbolt.Tx, name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if name != schemaKey {
		data = seal([]byte(name), data)
	}
	return tx.Bucket(facts).Put([]byte(name), data)
}

// tally is a fact about a table: how many rows it has, and the sum of their
// checksums. A page that is missing, comes twice, or is an old one that the disk kept
// does not add up to it.
type tally struct {
	Rows int    `json:"rows"`
	Sum  uint64 `json:"sum"`
}

func (t *tally) add(value []byte) {
	t.Rows++
	t.Sum += uint64(binary.LittleEndian.Uint32(value))
}

func (t *tally) remove(value []byte) {
	t.Rows--
	t.Sum -= uint64(binary.LittleEndian.Uint32(value))
}

func tallyOf(tx *bbolt.Tx, table []byte) (t tally, err error) {
	switch found, err := readFact(tx, string(table), &t); {
	case err != nil:
		return tally{}, fmt.Errorf("read the number of %s: %w", table, err)
	case !found || t.Rows < 0:
		return tally{}, fmt.Errorf("the number of %s is missing", table)
	}
	return t, nil
}

// createTables makes the tables of an empty file.
func createTables(tx *bbolt.Tx) error {
	if _, err := tx.CreateBucket(facts); err != nil {
		return err
	}
	for _, table := range tables {
		if _, err := tx.CreateBucket(table); err != nil {
			return err
		}
		if err := putFact(tx, string(table), tally{}); err != nil {
			return err
		}
	}
	return putFact(tx, schemaKey, schemaVersion())
}
