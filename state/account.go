package state

import (
	"fmt"
	"strings"
)

// Account is the Smartsheet account that a state belongs to.
type Account struct {
	Root string `json:"root"` // API root
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// same reports whether a and b are one account; its name may change.
func (a Account) same(b Account) bool { return a.Root == b.Root && a.ID == b.ID }

// Account returns the account that the state is bound to. It is false before the
// first Bind.
func (s *Store) Account() (a Account, bound bool) {
	bound, err := s.Meta(accountKey, &a)
	return a, bound && err == nil
}

// Bind binds a new state to an account, and refuses another one. A read-only store is
// compared only.
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

// BindShard makes sure that the state is that of the shard ("2/4"), or of whole runs
// (""), and marks a new state as the shard's. What others made is refused. A read-only
// store is compared only.
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
