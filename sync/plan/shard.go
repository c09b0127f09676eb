package plan

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// Shard is one of Count equal parts of all people, Index from 0. The zero value is
// everyone.
type Shard struct{ Index, Count int }

// maxShards is more than there can be tokens.
const maxShards = 1000

// ParseShard reads "i/n", such as 0/4 to 3/4.
func ParseShard(s string) (Shard, error) {
	i, n, found := strings.Cut(s, "/")
	index, err := strconv.Atoi(i)
	count, err2 := strconv.Atoi(n)
	switch {
	case !found || err != nil || err2 != nil || count < 1 || count > maxShards || index < 0:
		return Shard{}, fmt.Errorf("%q is no shard: want i/n, such as 0/4", s)
	case index >= count:
		return Shard{}, fmt.Errorf("%q is no shard: they count from 0, so the last of %d is %d/%d", s, count, count-1, count)
	}
	return Shard{index, count}, nil
}

func (s Shard) String() string {
	if s.Count == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Count)
}

// Has tells whether the person with this canonical email belongs to s. It rests on
// the address alone, so that it is the same on every machine and in every run.
func (s Shard) Has(email string) bool {
	if s.Count <= 1 {
		return true
	}
	sum := sha256.Sum256([]byte(email))
	return binary.BigEndian.Uint64(sum[:])%uint64(s.Count) == uint64(s.Index)
}
