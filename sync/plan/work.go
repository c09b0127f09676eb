package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
)

// MaxAge is how long ago a user may have been looked up when a picture is sent to it.
const MaxAge = 5 * time.Minute

// User is a Smartsheet user as it was seen in this run.
type User struct {
	ID        int64     `json:"id"`
	Email     string    `json:"email"` // its own address, canonical
	Name      string    `json:"name,omitempty"`
	Active    bool      `json:"active"`
	ImageID   string    `json:"image_id,omitempty"`  // of the picture that Smartsheet shows; empty: none
	Via       string    `json:"via,omitempty"`       // the person's address by which the user was found
	Alternate bool      `json:"alternate,omitempty"` // Via is an alternate address of the user
	External  bool      `json:"-"`                   // of another organisation, as far as Smartsheet says
	Seen      time.Time `json:"-"`                   // when Smartsheet was asked; zero: not in this run

	Alternates []string `json:"-"` // confirmed alternate addresses, canonical; only of a user that was asked for by its id
	NoAnswer   string   `json:"-"` // why the user could not be looked up again; nothing else is set then
}

// Readdressed reports whether the entry of c has lost the address by which u was found, as ph shows.
func (u *User) Readdressed(c sources.Candidate, ph sources.Photo) bool {
	return ph.Emails != nil && !slices.Contains(ph.Emails, u.Via) && (slices.Contains(c.Own, u.Via) || slices.Contains(c.Aliases, u.Via))
}

// Domain is the part of an address after the @.
func Domain(email string) string { return email[strings.LastIndexByte(email, '@')+1:] }

// Sum is the SHA-256 of data, hex.
func Sum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Work is one person for whom the run may have something to do. Each stage of a run fills in its part.
type Work struct {
	sources.Joined               // the listing; no Candidates: the person is no longer listed
	Row            *state.Person // what is remembered of the person; nil: nothing

	Users     []User      // that have one of the addresses, the best first
	Tied      bool        // several of Users are equally good: a conflict
	Overlap   []string    // of a conflict: further addresses of the user that other people have
	Unusable  string      // why Smartsheet's entry for one of the addresses cannot be used
	LastEmail string      // the address of LastUser now; empty: this run did not see the user
	Current   *state.User // what we put on the user; nil: nothing
	Former    *state.User // what we put on the user of Row; nil: nothing
	Photo     *Photo      // what reading showed; nil: not read
	Removal   *Removal    // of a person without a photo, if we uploaded one before
	stamp     string      // now, of the candidates up to the winner of last time; see Rules.stamp
}

// Photo is the result of reading a person's candidates: the first one with a photo wins.
type Photo struct {
	Candidate   int    // the winner, or the one that could not be read
	SHA256      string // of the bytes, hex; empty: no candidate has a photo, or Err
	Err         error  // there is a photo, and it could not be read
	Moved       bool   // the bytes may not be those that the stamp stands for
	Readdressed bool   // the entry that was read has lost the address by which the user was found
}

// Key is the address under which state and report know the person.
func (w *Work) Key() string { return w.Own[0] }

// Gone reports whether the person is no longer listed.
func (w *Work) Gone() bool { return len(w.Candidates) == 0 }

// User returns the user that the person is; nil: none, or several.
func (w *Work) User() *User {
	if len(w.Users) == 0 || w.Tied {
		return nil
	}
	return &w.Users[0]
}

// LastUser is the id of the user that the person was the last time; 0: none.
func (w *Work) LastUser() int64 {
	if w.Row == nil {
		return 0
	}
	return w.Row.UserID
}

// Unsearched reports whether nothing was ever sent to the person, and no run failed to find their user.
func (w *Work) Unsearched() bool { return w.Row == nil || w.LastUser() != 0 && w.Former == nil }

// Moved reports whether the stamp is not the remembered one, or there is none to compare.
func (w *Work) Moved() bool {
	return w.Row == nil || w.stamp == "" || w.stamp != w.Row.Stamp
}

// Presence is what the listing says of a person's photo, whatever reading showed: Present if
// any candidate has one, else Unknown if any may have one, and so on.
func Presence(j *sources.Joined) sources.Presence {
	for _, p := range [...]sources.Presence{sources.Present, sources.Unknown, sources.Hidden} {
		if slices.ContainsFunc(j.Candidates, func(c sources.Candidate) bool { return c.HasPhoto == p }) {
			return p
		}
	}
	return sources.Absent
}

// winner is the index of the candidate whose photo counts, as read or as remembered.
func (w *Work) winner() int {
	switch {
	case w.Photo != nil:
		return w.Photo.Candidate
	case w.Row != nil:
		return winnerOf(w.Row.Winner, w.Candidates)
	}
	return 0
}

// SHA256 is the hash of the winner's photo; empty: there is none, or it was not read.
func (w *Work) SHA256() string {
	switch {
	case w.Photo != nil:
		return w.Photo.SHA256
	case !w.Moved():
		return w.Row.SourceSHA256
	}
	return ""
}

// Candidate returns the winner; the zero Candidate for a person who is no longer listed.
func (w *Work) Candidate() sources.Candidate {
	if w.Gone() {
		return sources.Candidate{}
	}
	return w.Candidates[w.winner()]
}

// SetStamp computes the stamp of w, which must have its Row.
func (r *Rules) SetStamp(w *Work) {
	at := len(w.Candidates) - 1
	if w.Row != nil {
		at = winnerOf(w.Row.Winner, w.Candidates)
	}
	w.stamp = r.stamp(&w.Joined, at)
}

// NeedsUser reports whether the user must be looked up before anything is decided.
func (w *Work) NeedsUser() bool {
	return !w.Ambiguous && !w.Reserved && (w.Row != nil || Presence(&w.Joined) != sources.Absent)
}

// Unread reports whether the person may have a photo of which no run knows the hash.
func (w *Work) Unread() bool { return w.Photo == nil && w.SHA256() == "" && w.HasPhoto() }

// NeedsRead reports whether the photo must be read before anything is decided: only if the
// person is one active user, and no rule leaves the person out.
func (r *Rules) NeedsRead(w *Work) bool {
	u, listed := w.User(), Presence(&w.Joined)
	return u != nil && u.Active && (listed == sources.Present || listed == sources.Unknown) && (r.Scope.Checksum || w.Moved()) &&
		!w.Ambiguous && !w.Reserved && !r.Policy.LeavesOut(&w.Joined) && !r.Policy.leavesOutUser(u.Email)
}

// Step is what a run does about one person, and why.
type Step struct {
	*Work
	Reason  outcome.Reason
	Outcome outcome.Outcome // Planned: to be uploaded; otherwise final
	Why     string          // in words, where the reason alone does not say it; may be empty

	To     *User       // whose picture it is about; nil: nobody's
	Record *state.User // what we put on To before; zero: nothing

	// WriteRow: everything is known, so the person's row is written. If the step is skipped,
	// the row says that there is nothing to do, and why.
	WriteRow bool

	Missing      int  // complete runs in a row without the photo, this one included
	NewlyMissing bool // the last run still saw the photo
	Dropped      bool // preparing the bytes showed that the picture is the same, or cannot be used
	Released     bool // the picture on the last user is no longer this person's: if the person is gone, the row is forgotten

	Conflict []string  // the candidates of an ambiguous person
	Shared   int       // how many people have this picture, if it is held for that
	Applied  *FileStep // the step of the applied plan: the picture must be the one it names; nil: any
}

func (s Step) because(why string) Step {
	s.Why = why
	return s
}

func (s Step) skip(r outcome.Reason) Step {
	s.Reason, s.Outcome = r, outcome.Skipped
	return s
}

// skipFromNow skips s, and lets the next runs skip it too, until something changes.
func (s Step) skipFromNow(r outcome.Reason) Step {
	s.WriteRow = true
	return s.skip(r)
}

func (s Step) upload(r outcome.Reason) Step {
	s.Reason, s.Outcome = r, outcome.Planned
	return s
}

// postpone leaves an upload to the next run.
func (s Step) postpone(why string) Step {
	s.Reason, s.Outcome, s.Why, s.WriteRow = cmp.Or(s.Reason, newOrChanged(s.Record)), outcome.Unfinished, why, false
	return s
}

func (s Step) ambiguous(candidates []string) Step {
	s.Conflict, s.WriteRow = candidates, false
	return s.skip(outcome.Ambiguous)
}

// release skips s, and gives up a picture that is no longer ours.
func (s Step) release(r outcome.Reason) Step {
	s.Released, s.Missing = true, 0
	return s.skip(r)
}

// MustSend reports whether the picture is sent even if it is the same as last time.
func (s *Step) MustSend() bool {
	switch s.Reason {
	case outcome.Forced, outcome.Placeholder, outcome.Drifted:
		return true
	}
	u, f := s.Record, s.Record.Failure
	return u.Sent == nil || u.Intent != nil || f != nil && !f.Final && (f.Hash == s.SHA256() || f.Hash == u.Sent.SourceSHA256)
}

// urgency sorts uploads: users without a picture of ours, then changed photos, then
// placeholders, then uploads that failed or were held the last time. Among equals, the user for
// whom we tried longest ago, or never, comes first.
func (s *Step) urgency() (class int, tried time.Time) {
	u := s.Record
	failure, intent := cmp.Or(u.Failure, &state.Failure{}), cmp.Or(u.Intent, &state.Intent{})
	tried = slices.MaxFunc([]time.Time{sentOf(u).At, failure.At, intent.At}, time.Time.Compare)
	switch {
	case u.Intent != nil, u.Failure != nil && failure.Hash == s.SHA256(), s.Row != nil && s.Row.Reported != "":
		return 3, tried
	case s.Reason == outcome.Placeholder:
		return 2, tried
	case u.Sent != nil:
		return 1, tried
	}
	return 0, tried
}

// reportDigest is a digest of what only a human can mend. While it stays the same, it is reported once.
func (s *Step) reportDigest() string {
	about := string(s.Reason) + "\n"
	switch s.Reason {
	case outcome.Ambiguous:
		about += strings.Join(s.Conflict, "\n")
	case outcome.SharedImage:
		about += s.SHA256()
	case outcome.Hidden:
	default:
		return ""
	}
	return Sum([]byte(about))[:16]
}

// Reported reports whether an earlier report said the same of the person.
func (s *Step) Reported() bool {
	return s.Row != nil && s.Row.Reported != "" && s.Row.Reported == s.reportDigest()
}

// unreported reports whether the step says something that no earlier report said. It counts as
// reported once a run comes to its end: until then the exit code may be about something else.
func (s *Step) unreported() bool { return s.reportDigest() != "" && !s.Reported() }

// Origin returns for whom the step sends a picture, and the path or DN of the photo.
func (r *Rules) Origin(s *Step) (o state.Origin, ref string) {
	o.Email = s.Key()
	if c := s.Candidate(); !s.Gone() {
		o.Source, o.Key, ref = r.Sources[c.Source].Name, c.Ref.Key, c.Ref.Name
		o.Rewritten = slices.Contains(c.Rewritten, o.Email)
	} else if s.Row != nil {
		o.Source, o.Key, ref = s.Row.Source, s.Row.Key, s.Row.Ref
	}
	return o, ref
}

// entryName names an entry for people: "source: path or DN".
func entryName(source, ref string) string {
	if !norm.NFC.IsNormalString(ref) { // it may look like the name of another entry
		ref = strconv.QuoteToASCII(ref)
	}
	return source + ": " + ref
}
