package state

import (
	"bytes"
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"
)

// schemaVersion is the version of the file's layout: 1 is the people and the facts
// about the whole, 2 has the table of texts too, and records with Missing and
// Placeholder, 3 the number of people, facts with a checksum, and records with
// Adopted. A program refuses files of a newer one.
const schemaVersion = 3

// schemaOfChecks is the first version in which nobody can be missing unnoticed.
const schemaOfChecks = 3

// migrations lead from each version, their index, to the next. Records are not
// rewritten: each tells its own version, and becomes the current one when it is
// next written.
var migrations = [schemaVersion]func(*bbolt.Tx) error{
	func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(peopleBucket)
		return err
	},
	func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(textsBucket)
		return err
	},
	addChecks,
}

// addChecks counts the people and gives the facts their checksums.
func addChecks(tx *bbolt.Tx) error {
	facts := map[string]json.RawMessage{}
	if b := tx.Bucket(metaBucket); b != nil {
		err := b.ForEach(func(k, data []byte) error {
			if !isFile(string(k)) {
				facts[string(k)] = bytes.Clone(data)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for name, data := range facts {
		if err := putMeta(tx, name, data); err != nil {
			return err
		}
	}
	w, n := walker{cursor: tx.Bucket(peopleBucket).Cursor()}, 0
	for {
		if err := w.read(); err != nil {
			return err
		}
		if len(w.ends) == 0 {
			return putMeta(tx, peopleKey, n)
		}
		n += len(w.ends) / 2
	}
}

// migrate leads a file from a version to the current one.
func migrate(tx *bbolt.Tx, from int) error {
	for _, m := range migrations[from:] {
		if err := m(tx); err != nil {
			return err
		}
	}
	return putMeta(tx, schemaKey, schemaVersion)
}

// migrate brings the open file to the current version, at once or not at all. A
// file that is only read stays as it is.
func (s *Store) migrate() error {
	if s.schema == schemaVersion {
		return nil
	}
	if err := s.update(func(tx *bbolt.Tx) error { return migrate(tx, s.schema) }); err != nil {
		return fmt.Errorf("migrate the state from schema %d to %d: %w", s.schema, schemaVersion, err)
	}
	s.schema = schemaVersion
	return nil
}
