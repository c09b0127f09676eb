// Package state is the local memory of photosync: one bbolt file, bound to one
// Smartsheet account, with two tables.
//
//	people, by address   what the sources last listed, and the
//	                     fingerprint of "nothing to do for this person"
//	users, by id         what we put on a Smartsheet user: sent and confirmed,
//	                     announced and not yet answered, failed
//
// The people are a cache: a missing row costs one look-up and one read of a photo. Damage
// is an error that names the backup, and never a fresh start: each row has a checksum, each
// table a tally of its rows, and pages.go checks the pages of bbolt. The package holds no
// photo bytes and no secrets, and does not know who belongs to whom.
package state

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"
)

// Store is an open state file. It is safe for concurrent use.
type Store struct {
	path       string
	partial    bool      // see Options
	depth      depth     // of the check when it is opened
	db         *bbolt.DB // nil: read-only, and there is no file
	file       *os.File  // the one that db has open
	holder     holder
	joining    sync.Mutex       // held to use next
	next       *joint           // the transaction to which Write adds; nil: Write begins one
	writing    sync.Mutex       // held by a write transaction
	tallies    map[string]tally // of the tables, after the last write
	generation atomic.Uint64
	whole      sync.Map    // the tables of which every row was read, and none is missing
	broken     atomic.Bool // bbolt panicked, and may never release its own locks
}

// Close closes the file and releases its lock.
func (s *Store) Close() error {
	if s.db == nil {
		return nil
	}
	// This is done while the lock is still ours, unless another reader has left its own note since.
	if h := readHolder(s.path); h.PID == s.holder.PID && h.Host == s.holder.Host {
		os.Remove(holderPath(s.path))
	}
	return Inaccessible(s.path, s.release())
}

// Generation grows with every write, also across runs. It is 0 for a state that is missing.
func (s *Store) Generation() uint64 { return s.generation.Load() }

func (s *Store) writable() error {
	if s.db == nil || s.db.IsReadOnly() {
		return fmt.Errorf("write state %q: opened read-only", s.path)
	}
	return nil
}

// update runs f in a write transaction, durable when it returns nil.
func (s *Store) update(f func(*bbolt.Tx) error) error {
	if err := s.writable(); err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.guard(func() error {
		err := s.db.Update(func(tx *bbolt.Tx) error {
			if err := f(tx); err != nil {
				return err
			}
			generation, err := tx.Bucket(facts).NextSequence()
			if generation%walkRows == 0 {
				releasePages(tx)
			}
			tx.OnCommit(func() { s.generation.Store(generation) })
			return err
		})
		if err != nil {
			clear(s.tallies) // the transaction may be on disk nevertheless
		}
		return Inaccessible(s.path, err)
	})
}

// guard turns bbolt's panics over damaged pages, and the memory faults of a file that became
// shorter, into an error. After one, every call fails. No code of callers may run inside f: a
// panic of theirs is not about the file.
func (s *Store) guard(f func() error) (err error) {
	if s.broken.Load() {
		return s.damaged(errors.New("reading or writing it failed before"))
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			s.broken.Store(true)
			err = errors.New("its pages contradict each other")
			if _, fault := p.(interface{ Addr() uintptr }); fault { // see debug.SetPanicOnFault
				err = errors.New("a part of it cannot be read: it became shorter, the disk fails, or a page leads outside of it")
			}
			err = s.damaged(err)
		}
	}()
	return f()
}

// Change is what Write records. Rows are forgotten before others are written.
type Change struct {
	People       []Person
	Users        []User
	ForgetPeople []string // emails
	ForgetUsers  []int64  // ids
}

// Write records a change. It is durable when Write returns; after an error nothing of it is
// recorded. To forget a row that does not exist is no error.
func (s *Store) Write(c Change) error {
	p, u := make([]row, 0, len(c.ForgetPeople)+len(c.People)), make([]row, 0, len(c.ForgetUsers)+len(c.Users))
	for _, email := range c.ForgetPeople {
		p = append(p, row{key: email})
	}
	for i := range c.People {
		p = append(p, encodePerson(&c.People[i]))
	}
	for _, id := range c.ForgetUsers {
		u = append(u, row{key: userKey(id)})
	}
	for i := range c.Users {
		if c.Users[i].ID == 0 {
			return errors.New("write state: a user without an id")
		}
		u = append(u, encodeUser(&c.Users[i]))
	}
	if len(p)+len(u) == 0 {
		return nil
	}
	s.joining.Lock()
	j := s.next
	if j == nil {
		j = &joint{}
		j.commit = sync.OnceValue(func() error {
			return s.update(func(tx *bbolt.Tx) error {
				s.joining.Lock()
				s.next = nil
				s.joining.Unlock()
				return cmp.Or(s.put(tx, people, j.people), s.put(tx, users, j.users))
			})
		})
		s.next = j
	}
	j.people, j.users = append(j.people, p...), append(j.users, u...)
	s.joining.Unlock()
	runtime.Gosched() // workers that are ready add their rows: a tenth fewer transactions
	return j.commit()
}

// joint is a transaction with the rows of all workers that wait for the previous one to end.
type joint struct {
	people, users []row
	commit        func() error // runs once, and returns its result to all of them
}

// put writes rows, and keeps the tally of their table.
func (s *Store) put(tx *bbolt.Tx, table []byte, rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	b, t := tx.Bucket(table), s.tallies[string(table)]
	if t.Rows == 0 { // none, or not read since a failed write
		var err error
		if t, err = tallyOf(tx, table); err != nil {
			return s.damaged(err)
		}
	}
	// People, and many users, come in the order of their keys: pages that fill up are not
	// touched again, and half of each would stay empty. Users of uploads come in any order.
	if b.FillPercent = 0.7; bytes.Equal(table, people) || len(rows) > 100 {
		b.FillPercent = 0.9
	}
	for _, r := range rows {
		key := []byte(r.key)
		if old := b.Get(key); old != nil {
			t.count(old, -1)
		}
		var err error
		if r.value == nil {
			err = b.Delete(key)
		} else {
			t.count(r.value, 1)
			err = b.Put(key, r.value)
		}
		if err != nil {
			return err
		}
	}
	tx.OnCommit(func() { s.tallies[string(table)] = t })
	return putFact(tx, string(table), t)
}

// The buckets of the file. The sequence of facts is the generation: every write changes a fact.
var (
	people = []byte("people")
	users  = []byte("users")
	facts  = []byte("meta") // facts about the whole, by name

	tables = [][]byte{people, users}
)

// RefreshedKey names the fact when everybody's user was last looked up. Without it, as after
// Restore and Import, the next run looks up everybody.
const RefreshedKey = "refreshed"

// Names of facts that the package itself uses. All but the schema are JSON after a checksum.
const (
	schemaKey  = "schema_version" // plain, so that every program can read it
	accountKey = "account"
	shardKey   = "shard"
)

// ofFile reports whether a fact is about the file itself, and not about what it stores.
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
		data = seal(name, append(make([]byte, checksumSize), data...)).value
	}
	return tx.Bucket(facts).Put([]byte(name), data)
}

// tally is a fact about a table: how many rows it has, and the sum of their checksums. If a page
// is missing, comes twice, or is an old one, the rows do not add up to it.
type tally struct {
	Rows int    `json:"rows"`
	Sum  uint64 `json:"sum"`
}

// count adds n rows with this value; a negative n subtracts them.
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

// String identifies the account, even if its name changes.
func (a Account) String() string {
	return fmt.Sprintf("%s account %d", strings.TrimRight(a.Root, "/"), a.ID)
}

// Account returns the account that the state is bound to, once it is.
func (s *Store) Account() (a Account, bound bool) {
	bound, err := s.Meta(accountKey, &a)
	return a, bound && err == nil
}

// empty reports whether nothing is remembered of anybody.
func (s *Store) empty() bool {
	return s.tallies[string(people)].Rows+s.tallies[string(users)].Rows == 0
}

// Bind binds an empty state to an account, and refuses a state with rows of another account. If the
// store is read-only, Bind only compares.
func (s *Store) Bind(a Account) error {
	a.Root = strings.TrimRight(a.Root, "/")
	var have Account
	known, err := s.Meta(accountKey, &have)
	switch {
	case err != nil:
		return err
	case have.String() == a.String() || s.writable() != nil && (s.empty() || !known):
		return nil
	case known && !s.empty():
		hint := "use the token of that account, or another state.path for this one"
		if have.ID == a.ID {
			hint += "; if this is the same Smartsheet, write smartsheet.base_url or region as before"
		}
		return refused(s.path, fmt.Sprintf("belongs to account %d %q at %s, but the token to account %d %q at %s",
			have.ID, have.Name, have.Root, a.ID, a.Name, a.Root), hint)
	}
	return s.SetMeta(accountKey, a)
}

// BindShard binds a new state to a shard ("2/4"), or to whole runs (""), and refuses a state
// that other runs made. If the store is read-only, BindShard only compares.
func (s *Store) BindShard(shard string) error {
	var have string
	if _, err := s.Meta(shardKey, &have); err != nil || have == shard {
		return err
	}
	switch {
	case have != "" && shard == "":
		return refused(s.path, "is that of shard "+have+" only",
			"make one state of those of all shards with photosync state import, or add --shard "+have)
	case have != "" || !s.empty():
		return refused(s.path, "was made by other runs than those of shard "+shard,
			"a shard begins with a new state: give each shard its own state.path")
	case s.writable() != nil:
		return nil
	}
	return s.SetMeta(shardKey, shard)
}
