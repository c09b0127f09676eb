package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"photosync/sources"
	"photosync/state"
)

// MaxAge is how old the look at a user may be when a picture is sent to it.
const MaxAge = 5 * time.Minute

// User is a Smartsheet user as it was seen in this run.
type User struct {
	ID      int64
	Email   string // its own address, canonical
	Name    string
	ImageID string // of the picture that Smartsheet shows; empty: none
	Active  bool
	// External: the user belongs to another organisation, as far as Smartsheet says.
	External  bool
	Via       string // the person's address by which the user was found
	Alternate bool   // Via is an alternate address of the user
	// Seen is when Smartsheet was asked; zero: not in this run.
	Seen time.Time
}

// Domain is the part of an address behind the @.
func Domain(email string) string { return email[strings.LastIndexByte(email, '@')+1:] }

// Sum is the SHA-256 of data, hex.
func Sum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Work is one person of whom the run may have something to do, with what is known so
// far. Each stage of a run fills in its part.
type Work struct {
	sources.Joined               // the listing; no Candidates: the person is not listed any more
	Row            *state.Person // what the last look settled; nil: nothing is remembered

	// Matching.
	LookUp bool     // the user has to be looked up before anything is decided
	Users  []User   // that have one of the addresses, the best first; two equally good ones: a conflict
	Tied   bool     // Users holds a conflict
	Claims []string // of a conflict: further addresses of the user that other people have
	// Unusable says why Smartsheet's entry for one of the addresses cannot be used.
	Unusable string
	Sent     *state.User // what we put on the user; nil: nothing
	Photo    *Photo      // what reading showed; nil: not read
	Removal  *Removal    // of a person without a photo, of whom we uploaded one
	Former   *state.User // what we put on the user of Row; nil: nothing
	mark     mark        // of the candidates up to the one that counted last time
}

// Photo is what reading a person's candidates came to: the first that holds a photo
// counts.
type Photo struct {
	Candidate int    // the one that counts, or could not be read
	SHA256    string // of the bytes, hex; empty: no candidate has a photo, or Err
	Err       error  // there is a photo, and it could not be read
	Moved     bool   // the bytes are not, or not surely, those that the stamp stands for
	// Elsewhere: when the photo was read, the entry did not have the address any more
	// by which the user was found.
	Elsewhere bool
}

// Key is the address under which state and report know the person.
func (w *Work) Key() string {
	if len(w.Own) > 0 {
		return w.Own[0]
	}
	return w.Row.Email
}

// Gone reports whether the person is not listed any more.
func (w *Work) Gone() bool { return len(w.Candidates) == 0 }

// User is the user that the person is; false: nobody, or several.
func (w *Work) User() (User, bool) {
	if len(w.Users) == 0 || w.Tied {
		return User{}, false
	}
	return w.Users[0], true
}

// LastUser is the id of the user that the person was at the last look; 0: nobody.
func (w *Work) LastUser() int64 {
	if w.Row == nil {
		return 0
	}
	return w.Row.UserID
}

// Moved reports whether the photo must be read: the change mark is not the one of the
// last look, or proves nothing.
func (w *Work) Moved() bool {
	return w.Row == nil || w.mark.text() == "" || w.mark.text() != w.Row.Stamp
}

// HasNone reports whether the listing itself says that no candidate has a photo.
func (w *Work) HasNone() bool {
	return !slices.ContainsFunc(w.Candidates, func(c sources.Candidate) bool { return c.HasPhoto != sources.Absent })
}

// Listed reports whether the listing showed a photo, whatever reading came to.
func (w *Work) Listed() bool {
	return slices.ContainsFunc(w.Candidates, func(c sources.Candidate) bool { return c.HasPhoto == sources.Present })
}

// allHidden reports whether no candidate shows a photo, and at least one hides it.
func (w *Work) allHidden() bool {
	return !w.HasNone() && !slices.ContainsFunc(w.Candidates, func(c sources.Candidate) bool {
		return c.HasPhoto != sources.Hidden && c.HasPhoto != sources.Absent
	})
}

// winner is the candidate whose photo counts: the one just read, or the one that the
// last look settled on.
func (w *Work) winner() int {
	switch {
	case w.Photo != nil:
		return w.Photo.Candidate
	case w.Row != nil:
		return winnerOf(w.Row.Winner, w.Candidates)
	}
	return 0
}

// SHA256 is the hash of the photo that counts, as far as it is known; empty: there is
// none, or it was not read.
func (w *Work) SHA256() string {
	switch {
	case w.Photo != nil:
		return w.Photo.SHA256
	case w.Row != nil && !w.Moved():
		return w.Row.SourceSHA256
	}
	return ""
}

// Candidate is the one whose photo counts; false for a person who is not listed.
func (w *Work) Candidate() (sources.Candidate, bool) {
	if w.Gone() {
		return sources.Candidate{}, false
	}
	return w.Candidates[w.winner()], true
}
