package plan

import (
	"errors"
	"slices"
	"strings"

	"photosync/sources"
	"photosync/state"
)

// NeedsLook tells whether the photo of s must be read before Build can decide.
func NeedsLook(s *Subject, o *Options) bool {
	if len(s.Candidates) == 0 || s.Ambiguous || o.excluded(s.Key()) || !from(s, o) {
		return false
	}
	return s.Remembered == nil || o.Checksum || moved(s, o)
}

// Unmet tells whether s was never seen in Smartsheet and has to be there: the photo of
// somebody who is not is not even read.
func Unmet(s *Subject, o *Options) bool {
	return s.Record().UserID == 0 && len(s.Candidates) > 0 && (NeedsLook(s, o) || decide(s, o).Outcome == Planned)
}

// NeedsUser tells whether s is to be looked up in Smartsheet: a person who may have
// something to upload and whose user is not remembered, or whose picture in Smartsheet
// the policy has to see, or all of them with Afresh.
func NeedsUser(s *Subject, o *Options) bool {
	if s.Sought {
		return false
	}
	a := decide(s, o)
	uploads := a.Outcome == Planned || s.Look == nil && NeedsLook(s, o)
	return uploads && (a.User().ID == 0 || o.Existing.sees() || o.Afresh) || a.Outcome == Planned && a.Reason == Placeholder ||
		a.Reason == Unchanged && o.Existing == Enforce
}

// decide is the way from what is known of a person to an action, without
// Smartsheet's side.
func decide(s *Subject, o *Options) Action {
	a := Action{Subject: s, rules: o, Missing: s.Record().Missing}
	if a.Gone() {
		return a.missing(o)
	}
	a.at = uint16(winner(s, o))
	switch {
	case s.Ambiguous:
		var rivals []string
		for _, c := range s.Candidates {
			rivals = append(rivals, rival(o.Sources[c.Source], c))
		}
		return a.dispute(rivals)
	case o.excluded(s.Key()) || !from(s, o):
		return a.skip(Excluded)
	}
	a.seen = true
	if s.Look != nil {
		a.Settle = true
		if s.Look.Err != nil && !a.hasPhoto() {
			a.Settle, a.Missing = false, 0
			if errors.Is(s.Look.Err, sources.ErrUnstable) {
				return a.skip(BeingWritten)
			}
			return a.upload(newOrChanged(a.Record())) // reading is tried once more; then it fails
		}
	}
	if o.Source != "" && a.Source() != o.Source {
		return a.skip(Excluded)
	}
	if !a.hasPhoto() {
		return a.missing(o)
	}
	a.Settle, a.Missing = a.Settle || a.Missing > 0, 0
	return decidePhoto(a, s, o)
}

// decidePhoto goes on for a person who has a photo.
func decidePhoto(a Action, s *Subject, o *Options) Action {
	same := s.Look == nil || a.sum() == state.Sum(a.Record().SourceSHA256)
	rendered := a.Record().Rendering == o.Rendering
	switch {
	case o.Force:
		return a.upload(Forced)
	case same && rendered && a.refused():
		if o.RetryFailed {
			return a.upload(newOrChanged(a.Record()))
		}
		return a.skip(KnownBad)
	case a.Record().UploadSHA256 == "":
		return a.upload(New)
	case !same:
		return a.upload(Changed)
	case !rendered:
		return a.upload(RenderingChanged)
	}
	return a.skip(Unchanged)
}

// refused tells whether the same bytes were refused for good before.
func (a Action) refused() bool {
	f := a.Record().Failure
	return f != nil && f.Final && f.Hash == a.SourceSHA256()
}

func (a Action) skip(r Reason) Action {
	a.Reason, a.Outcome = r, Skipped
	return a
}

func (a Action) upload(r Reason) Action {
	a.Reason, a.Outcome = r, Planned
	return a
}

func newOrChanged(r *state.Record) Reason {
	if r.UploadSHA256 == "" {
		return New
	}
	return Changed
}

// from tells whether s may have a photo from the source that the run is limited to.
func from(s *Subject, o *Options) bool {
	return o.Source == "" || slices.ContainsFunc(s.Candidates, func(c Candidate) bool { return o.Sources[c.Source] == o.Source })
}

func (o *Options) excluded(email string) bool { return o.Excluded != nil && o.Excluded(email) }

// moved tells whether the change marks differ from those of the last settled
// look, or cannot be trusted.
func moved(s *Subject, o *Options) bool {
	stamp := chainStamp(s, o, winner(s, o))
	return stamp == "" || stamp != s.Record().Stamp
}

// winner is the candidate whose photo counts: the one just read, the one that the
// state remembers, or, for a person without a photo, the last one asked.
func winner(s *Subject, o *Options) int {
	switch {
	case s.Ambiguous:
		return 0
	case s.Look != nil:
		return s.Look.Candidate
	case s.Record().SourceSHA256 == "":
		return len(s.Candidates) - 1
	}
	for i, c := range s.Candidates {
		if c.Ref.Name == s.Record().Ref && o.Sources[c.Source] == s.Record().Source {
			return i
		}
	}
	return 0
}

// chainStamp is the change mark of a person: those of all candidates up to the
// one at. A photo that appears in a source of higher precedence changes it too.
// It is empty if one of them is not known.
func chainStamp(s *Subject, o *Options, at int) string {
	var b strings.Builder
	for i, c := range s.Candidates[:at+1] {
		if c.Stamp == "" && c.HasPhoto != sources.Absent {
			return ""
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(o.Sources[c.Source] + "=" + c.Stamp)
	}
	return b.String()
}
