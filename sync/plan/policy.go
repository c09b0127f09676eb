package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"photosync/sources"
)

// Existing says what happens to the picture that a user has in Smartsheet already.
type Existing string

// Policies for existing pictures. Drift is that Smartsheet shows another image id than
// the one that answered our upload.
const (
	OnSourceChange Existing = "on_source_change" // upload when the source's photo changed
	Enforce        Existing = "enforce"          // and when the picture drifted
	RespectUser    Existing = "respect_user"     // never touch a picture that is not ours
	FillEmpty      Existing = "fill_empty"       // only users without a picture
)

// Policy is by which rules a run decides. The zero value uploads what changed.
type Policy struct {
	Existing        Existing                // empty: OnSourceChange
	RemovedAfter    int                     // complete runs without a photo before a placeholder replaces our picture; 0: it stays
	Rendering       string                  // fingerprint of the image settings
	Excluded        func(email string) bool // match.exclude; nil: nobody
	Included        func(email string) bool // match.include; nil: everybody
	Ignored         []string                // SHA-256 of pictures that count as no photo, hex
	AlternateEmails bool                    // a user is also found by a confirmed alternate address
	Guards          *Guards                 // nil: none
	Refresh         time.Duration           // after which time everybody's user is looked up anew; 0: 7 days
	Patterns        []string                // what Excluded and Included were made of; only compared
}

// Scope is what a run looks at. The zero value is everybody, in the usual way.
type Scope struct {
	Only        func(email string) bool // nil: everyone
	Source      string                  // only photos of this source; empty: of all
	Shard       Shard                   // the part of all people that the run is about
	Limit       int                     // uploads at most; 0: all
	Force       bool                    // upload unchanged pictures too
	Checksum    bool                    // read every photo, whatever its stamp says
	RetryFailed bool                    // send again what was refused for good
}

// Everybody reports whether the run is about everybody, of all sources.
func (s *Scope) Everybody() bool { return s.Only == nil && s.Source == "" }

// LooksAtAll reports whether the run looks also at those for whom there was nothing to do.
func (s *Scope) LooksAtAll() bool { return s.Force || s.Checksum || s.Source != "" }

// IsAbout reports whether the run is about the person with these addresses.
func (s *Scope) IsAbout(addresses ...[]string) bool {
	return s.Only == nil || slices.ContainsFunc(addresses, func(as []string) bool { return slices.ContainsFunc(as, s.Only) })
}

// NeedsAllUsers reports whether the policy has to see every user's picture in every run.
func (p *Policy) NeedsAllUsers() bool { return p.Existing == Enforce }

func (p *Policy) excluded(emails ...string) bool {
	return p.Excluded != nil && slices.ContainsFunc(emails, p.Excluded)
}

// LeavesOut reports whether match.exclude names one of the person's addresses.
func (p *Policy) LeavesOut(j *sources.Joined) bool {
	return p.excluded(j.Own...) || p.excluded(j.Aliases...)
}

func (p *Policy) included(emails ...string) bool {
	return p.Included == nil || slices.ContainsFunc(emails, p.Included)
}

// Excludes reports whether match leaves the person out, whoever their user is. Without
// alternate addresses, the user's address is one of the person's.
func (p *Policy) Excludes(j *sources.Joined) bool {
	return p.LeavesOut(j) || !p.AlternateEmails && !p.included(slices.Concat(j.Own, j.Aliases)...)
}

// leavesOutUser reports whether no picture goes to the user with this address.
func (p *Policy) leavesOutUser(email string) bool { return p.excluded(email) || !p.included(email) }

// digest is short for everything in p that a decision about one person rests on.
func (p *Policy) digest() [sha256.Size]byte {
	data, err := json.Marshal([]any{cmp.Or(p.Existing, OnSourceChange), p.RemovedAfter, p.Rendering, p.Ignored, p.AlternateEmails, p.Patterns})
	if err != nil {
		panic(err) // texts and numbers only
	}
	return sha256.Sum256(data)
}

// Rules are what every decision of a run rests on.
type Rules struct {
	Sources []sources.Named
	Policy  *Policy
	Scope   *Scope
	Seen    map[int64]User // users that this run saw, by id; may be nil
	digest  [sha256.Size]byte
}

// NewRules returns the rules for what the sources list.
func NewRules(srcs []sources.Named, p *Policy, s *Scope) *Rules {
	return &Rules{Sources: srcs, Policy: p, Scope: s, digest: p.digest()}
}

// Shard is one of Count equal parts of all people, Index from 0. Zero is everyone.
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

// Has reports whether the person with this canonical email belongs to s.
func (s Shard) Has(email string) bool {
	if s.Count <= 1 {
		return true
	}
	sum := sha256.Sum256([]byte(email))
	return binary.BigEndian.Uint64(sum[:])%uint64(s.Count) == uint64(s.Index)
}
