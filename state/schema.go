package state

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// firstSchema is the layout of the first release. Files of older ones were made by
// versions that were never released, and are refused.
const firstSchema = 4

// migrations lead from firstSchema to the next version of the layout, and so on, each
// within one transaction.
var migrations []func(*bbolt.Tx) error

// schemaVersion is the version of the layout that this program writes. A program
// refuses files of a newer one.
func schemaVersion() int { return firstSchema + len(migrations) }

// version is that of the file's layout, one that this program can read.
func (s *Store) version(tx *bbolt.Tx) (version int, err error) {
	switch known, err := readFact(tx, schemaKey, &version); {
	case err != nil:
		return 0, err
	case !known:
		return 0, errors.New("it is a database of another program")
	case version > schemaVersion():
		return 0, refused(s.path, fmt.Sprintf("was written by a newer photosync (schema %d, this one knows %d)", version, schemaVersion()),
			"run the newer photosync")
	case version < firstSchema:
		return 0, refused(s.path, fmt.Sprintf("has the format of a photosync from before the first release (schema %d), which is not read any more", version),
			startAnew(s.path, ".old"))
	}
	for _, table := range tables {
		if tx.Bucket(table) == nil {
			return 0, errors.New("a table is missing")
		}
	}
	return version, nil
}

// migrate brings the open file from a version to the current one, at once or not at
// all.
func (s *Store) migrate(from int) error {
	if from == schemaVersion() {
		return nil
	}
	if s.writable() != nil {
		return refused(s.path, fmt.Sprintf("has an older format (schema %d, this photosync has %d), and may not be written", from, schemaVersion()),
			"photosync state compact brings it up to date")
	}
	err := s.update(func(tx *bbolt.Tx) error {
		for _, m := range migrations[from-firstSchema:] {
			if err := m(tx); err != nil {
				return err
			}
		}
		return putFact(tx, schemaKey, schemaVersion())
	})
	if err != nil {
		return fmt.Errorf("migrate the state from schema %d to %d: %w", from, schemaVersion(), err)
	}
	return nil
}
