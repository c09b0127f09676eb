package plan

import (
	"strconv"
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

	// Settle: the look at the sources came to its end, and its row is to be written.
	// Nothing is owed to the person then if Final, and note says why.
	Settle, Final bool
	note          uint8

	Missing      int  // complete runs in a row without the photo, this one included
	NewlyMissing bool // the last run still saw the photo
	Left         bool // --limit leaves it to a later run
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

func (s Step) upload(r outcome.Reason) Step {
	s.Reason, s.Outcome, s.Final = r, outcome.Planned, false
	return s
}

// postpone leaves an upload to the next run.
func (s Step) postpone(why string) Step {
	s.Reason, s.Outcome, s.Why, s.Settle, s.Final = newOrChanged(s.Sent), outcome.Unfinished, why, false, false
	return s
}

// settle says that nothing is owed to the person, and why.
func (s Step) settle(note uint8) Step {
	s.Settle, s.Final, s.note = true, true, note
	return s
}

func (s Step) ambiguous(candidates []string) Step {
	s.Conflict, s.Settle, s.Final = candidates, false, false
	return s.skip(outcome.Ambiguous)
}

// Anew reports whether the picture is sent even if it is the same as last time.
func (s *Step) Anew() bool {
	switch s.Reason {
	case outcome.Forced, outcome.Placeholder, outcome.Drifted:
		return true
	}
	return s.Sent == nil || s.Sent.Sent == nil || s.Sent.Intent != nil || s.Sent.Failure != nil && !s.Sent.Failure.Final
}

// Replaces reports whether the upload takes the place of a picture of ours. An upload
// that was announced before and is sent again takes the place of nothing.
func (s *Step) Replaces() bool {
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

// Source is the name of the source whose photo counts, and Ref the path or DN there.
func (p *Plan) Source(s *Step) (source, ref string) {
	if c, ok := s.Candidate(); ok {
		return p.sources[c.Source].Name, c.Ref.Name
	}
	if s.Row != nil {
		return s.Row.Source, s.Row.Ref
	}
	return "", ""
}

// Origin is for whom the step sends a picture.
func (p *Plan) Origin(s *Step) state.Origin {
	o := state.Origin{Email: s.Key()}
	if c, ok := s.Candidate(); ok {
		o.Source, o.Key = p.sources[c.Source].Name, c.Ref.Key
	} else if s.Row != nil {
		o.Source, o.Key = s.Row.Source, s.Row.Key
	}
	return o
}

// entryName names an entry for people: "source: path or DN".
func entryName(source, ref string) string {
	if !norm.NFC.IsNormalString(ref) { // it may look like another's
		ref = strconv.QuoteToASCII(ref)
	}
	return source + ": " + ref
}
