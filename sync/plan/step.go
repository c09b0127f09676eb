package plan

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"photosync/state"
	"photosync/sync/outcome"
)

// Step is what a run does about one person, and why. On a first run there is one for
// everybody in the company.
type Step struct {
	*Work
	Reason  outcome.Reason
	Outcome outcome.Outcome // Planned: to be uploaded; otherwise final
	Why     string          // in words, where the reason alone does not say it; may be empty

	To   *User       // whose picture it is about; nil: nobody's
	Sent *state.User // what we put there before; nil: nothing

	// Settle: the look at the sources came to its end, and its row is to be written. Of
	// a step that is skipped, the row says that there is nothing to do, and why.
	Settle bool

	Missing      int  // complete runs in a row without the photo, this one included
	NewlyMissing bool // the last run still saw the photo
	Lost         bool // the picture on the last user is not our concern any more
	Forget       bool // the row of people is not needed any more

	Conflict []string // the candidates of an ambiguous person
	Shared   int      // people with this picture, of one that is held for it
	Reported bool     // an earlier report said the same of this person
	Exact    bool     // of a plan that is applied: the photo must be the one that was planned
	Promised string   // of a plan that is applied: SHA-256 of the picture; empty: not prepared
}

// UserID is whose picture the step is about; 0: nobody's.
func (s *Step) UserID() int64 {
	if s.To == nil {
		return 0
	}
	return s.To.ID
}

func (s Step) skip(r outcome.Reason) Step {
	s.Reason, s.Outcome = r, outcome.Skipped
	return s
}

// settle skips s, and lets the next runs skip it too, until something moves.
func (s Step) settle(r outcome.Reason) Step {
	s.Settle = true
	return s.skip(r)
}

func (s Step) upload(r outcome.Reason) Step {
	s.Reason, s.Outcome = r, outcome.Planned
	return s
}

// postpone leaves an upload to the next run.
func (s Step) postpone(why string) Step {
	s.Reason, s.Outcome, s.Why, s.Settle = newOrChanged(s.Sent), outcome.Unfinished, why, false
	return s
}

func (s Step) ambiguous(candidates []string) Step {
	s.Conflict, s.Settle = candidates, false
	return s.skip(outcome.Ambiguous)
}

// lose ends the care for a picture that is not ours any more.
func (s Step) lose(r outcome.Reason) Step {
	s.Lost, s.Missing, s.Forget = true, 0, s.Gone()
	return s.skip(r)
}

// Anew reports whether the picture is sent even if it is the same as last time.
func (s *Step) Anew() bool {
	switch s.Reason {
	case outcome.Forced, outcome.Placeholder, outcome.Drifted:
		return true
	}
	return s.Sent == nil || s.Sent.Sent == nil || s.Sent.Intent != nil || s.Sent.Failure != nil && !s.Sent.Failure.Final
}

// replaces reports whether the upload takes the place of a picture of ours. An upload
// that was announced before and is sent again takes the place of nothing.
func (s *Step) replaces() bool {
	return s.Reason != outcome.Placeholder && s.Sent != nil && s.Sent.Sent != nil && s.Sent.Intent == nil
}

// urgency sorts uploads: users without a picture of ours, then new photos, then
// placeholders.
func (s *Step) urgency() int {
	switch {
	case s.Reason == outcome.Placeholder:
		return 2
	case s.Sent != nil && s.Sent.Sent != nil:
		return 1
	}
	return 0
}

// tried is when something was last sent to the user; zero: never.
func (s *Step) tried() (t time.Time) {
	if s.Sent == nil {
		return t
	}
	t = sentOf(s.Sent).At
	if f := s.Sent.Failure; f != nil && f.At.After(t) {
		t = f.At
	}
	return t
}

// reportDigest is short for what a report says of a person whom only a human can help:
// as long as it is the same, it raises the exit code once.
func (s *Step) reportDigest() string {
	var about string
	switch s.Reason {
	case outcome.Ambiguous:
		about = strings.Join(s.Conflict, "\n")
	case outcome.SharedImage:
		about = s.SHA256()
	case outcome.Hidden:
	default:
		return ""
	}
	return Sum([]byte(string(s.Reason) + "\n" + about))[:16]
}

// reported reports whether an earlier report said the same of the person.
func (s *Step) reported() bool {
	return s.Row != nil && s.Row.Reported != "" && s.Row.Reported == s.reportDigest()
}

// Origin is for whom the step sends a picture, and ref the path or DN of the photo.
func (r *Rules) Origin(s *Step) (o state.Origin, ref string) {
	o.Email = s.Key()
	if c, ok := s.Candidate(); ok {
		o.Source, o.Key, ref = r.Sources[c.Source].Name, c.Ref.Key, c.Ref.Name
	} else if s.Row != nil {
		o.Source, o.Key, ref = s.Row.Source, s.Row.Key, s.Row.Ref
	}
	return o, ref
}

// entryName names an entry for people: "source: path or DN".
func entryName(source, ref string) string {
	if !norm.NFC.IsNormalString(ref) { // it may look like another's
		ref = strconv.QuoteToASCII(ref)
	}
	return source + ": " + ref
}
