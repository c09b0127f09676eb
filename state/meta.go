package state

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"

	"go.etcd.io/bbolt"
)

// The buckets of the file. The sequence of people is the generation.
var (
	people = []byte("people")
	users  = []byte("users")
	facts  = []byte("meta") // facts about the whole, by name

	tables = [][]byte{people, users}
)

// RefreshedKey names the fact when everybody's user was resolved for the last time. Without
// it, as after Restore and Import, the next run compares everybody.
const RefreshedKey = "refreshed"

// Facts that the package itself knows. All but the schema are JSON behind a checksum.
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
	err = s.guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) (err error) {
			found, err = readFact(tx, name, v)
			return err
		})
	})
	if err != nil {
		err = s.damaged(fmt.Errorf("read the fact %q: %w", name, err))
	}
	return found, err
}

// SetMeta records a fact about the whole state; it is durable when SetMeta returns.
func (s *Store) SetMeta(name string, v any) error {
	return s.update(func(tx *bbolt.Tx) error { return putFact(tx, name, v) })
}

func readFact(tx *bbolt.Tx, name string, v any) (found bool, err error) {
	var data []byte
	if b := tx.Bucket(facts); b != nil {
		data = b.Get([]byte(name))
	}
	if data == nil {
		return false, nil
	}
	if name != schemaKey {
		if err := (row{name, data}).verify(); err != nil {
			return false, err
		}
		data = data[checksumSize:]
	}
	return true, json.Unmarshal(data, v)
}

func putFact(tx *bbolt.Tx, name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if name != schemaKey {
		data = seal(name, data).value
	}
	return tx.Bucket(facts).Put([]byte(name), data)
}

// tally is a fact about a table: how many rows it has, and the sum of their checksums. A
// page that is missing, comes twice, or is an old one does not add up to it.
type tally struct {
	Rows int    `json:"rows"`
	Sum  uint64 `json:"sum"`
}

// count adds n rows with this value, or takes them away.
func (t *tally) count(value []byte, n int) {
	t.Rows += n
	t.Sum += uint64(n) * uint64(binary.LittleEndian.Uint32(value)) // modulo 2^64, either way
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

// tallies are those of both tables.
func tallies(tx *bbolt.Tx) (p, u tally, err error) {
	if p, err = tallyOf(tx, people); err == nil {
		u, err = tallyOf(tx, users)
	}
	return p, u, err
}

// createTables makes the tables of an empty file.
func createTables(tx *bbolt.Tx) error {
	for _, name := range [][]byte{facts, people, users} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return cmp.Or(putFact(tx, string(people), tally{}), putFact(tx, string(users), tally{}), putFact(tx, schemaKey, schemaVersion()))
}

// Account is the Smartsheet account that a state belongs to.
type Account struct {
	Root string `json:"root"` // API root
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// same reports whether a and b are one account; its name may change.
func (a Account) same(b Account) bool { return a.Root == b.Root && a.ID == b.ID }

// Account returns the account that the state is bound to, once it is.
func (s *Store) Account() (a Account, bound bool) {
	bound, err := s.Meta(accountKey, &a)
	return a, bound && err == nil
}

// Bind binds a new state to an account, and refuses another. A read-only one is compared.
func (s *Store) Bind(a Account) error {
	a.Root = strings.TrimRight(a.Root, "/")
	var have Account
	known, err := s.Meta(accountKey, &have)
	switch {
	case err != nil:
		return err
	case known && !have.same(a):
		return refused(s.path, fmt.Sprintf("belongs to account %d %q at %s, but the token to account %d %q at %s",
			have.ID, have.Name, have.Root, a.ID, a.Name, a.Root), "use the token of that account, or another state.path for this one")
	case known || s.writable() != nil:
		return nil
	}
	return s.SetMeta(accountKey, a)
}

// BindShard makes sure that the state is that of the shard ("2/4"), or of whole runs (""),
// and marks a new one. What others made is refused. A read-only store is compared only.
func (s *Store) BindShard(shard string) error {
	var have string
	if _, err := s.Meta(shardKey, &have); err != nil || have == shard {
		return err
	}
	nPeople, nUsers, err := s.Len()
	switch {
	case err != nil:
		return err
	case have != "" && shard == "":
		return refused(s.path, "is that of shard "+have+" only",
			"make one state of those of all shards with photosync state import, or add --shard "+have)
	case have != "" || nPeople+nUsers > 0:
		return refused(s.path, "was made by other runs than those of shard "+shard,
			"a shard begins with a new state: give each shard its own state.path")
	case s.writable() != nil:
		return nil
	}
	return s.SetMeta(shardKey, shard)
}
