package plan

import "photosync/state"

// Action is what a run does for one person. The order of actions is by email. On a
// first run there is one for everybody in the company.
type Action struct {
	*Subject
	Reason  Reason
	Outcome Outcome // Planned: to be uploaded; otherwise final

	Missing int // complete runs in a row without a photo, this one included

	// Settle: nothing is uploaded, but the state has something to learn. Lost: the
	// picture that we uploaded is not in Smartsheet any more.
	Settle, Lost bool
	// Drift: the picture in Smartsheet is known not to be the one that we uploaded.
	Drift bool

	seen   bool     // the photo, now or before
	at     uint16   // the candidate's place
	user   *User    // nil: the remembered one
	detail *Detail  // nil: none
	rules  *Options // of the plan
}

// Detail is what only a few actions have.
type Detail struct {
	Rivals []string // of an ambiguous person: every candidate, "source: ref"
	Shared int      // people with this picture, of one held for it

	// Of a plan that is applied from a File:
	Exact    bool   // the photo must be the one that was planned
	Promised string // SHA-256 of the picture that was planned; empty: it was not prepared
	Why      string // it was left out
}

// Detail is empty for most.
func (a Action) Detail() Detail {
	if a.detail == nil {
		return Detail{}
	}
	return *a.detail
}

// Pin demands that the photo is the one that was seen for the plan.
func (a *Action) Pin() { a.detail = &Detail{Exact: true} }

// SourceSHA256 is the hash of the photo, hex; empty when there is none, or it was not
// read for the plan.
func (a Action) SourceSHA256() string {
	switch {
	case !a.seen:
		return ""
	case a.Look != nil:
		return state.SHA256(a.Look.Sum)
	}
	return a.Record().SourceSHA256
}

// sum is SourceSHA256 as state.Sum has it.
func (a Action) sum() string {
	if a.seen && a.Look != nil {
		return a.Look.Sum
	}
	return state.Sum(a.SourceSHA256())
}

// hasPhoto tells whether there is a SourceSHA256.
func (a Action) hasPhoto() bool {
	if a.Look != nil {
		return a.seen && a.Look.Sum != ""
	}
	return a.seen && a.Record().SourceSHA256 != ""
}

// User is the Smartsheet user of a; ID 0: none is known yet.
func (a Action) User() User {
	if a.user != nil {
		return *a.user
	}
	return User{ID: a.Record().UserID, Email: a.Key(), Active: true}
}

// For returns a for another user.
func (a Action) For(u User) Action {
	a.user = &u
	return a
}

// Gone tells whether the person is in no source any more.
func (a Action) Gone() bool { return len(a.Candidates) == 0 }

// Candidate is the one whose photo counts; of somebody who is gone, what is remembered
// of it.
func (a Action) Candidate() (c Candidate) {
	if a.Gone() {
		c.Ref.Name = a.Record().Ref
		return c
	}
	return a.Candidates[a.at]
}

// Source is the name of the candidate's source.
func (a Action) Source() string {
	if a.Gone() {
		return a.Record().Source
	}
	return a.rules.Sources[a.Candidates[a.at].Source]
}

// Stamp is the change mark of the whole chain of candidates up to the one that counts.
func (a Action) Stamp() string {
	if a.Gone() {
		return ""
	}
	return chainStamp(a.Subject, a.rules, int(a.at))
}

// Err is why the photo could not be read.
func (a Action) Err() error {
	if a.Look == nil {
		return nil
	}
	return a.Look.Err
}

// Anew tells whether the picture is uploaded even if it is the same as last time.
func (a Action) Anew() bool { return a.Reason == Forced || a.Reason == Placeholder || a.Drift }
