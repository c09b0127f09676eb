package plan

import (
	"cmp"
	"slices"

	"photosync/sources"
	"photosync/state"
)

// Subject is all that is known of one person before anything is decided. Someone
// who is in no source any more has no Candidates; see Misses.
type Subject struct {
	Emails      []string // preferred first; the first is the key
	DisplayName string   // may be empty
	Candidates  []Candidate
	Ambiguous   bool          // the candidates are rivals
	Sought      bool          // in Smartsheet, by all addresses
	Remembered  *state.Record // by the state; nil: nothing
	Users       []User        // of Smartsheet, by the order of the addresses; see Meet
	Look        *Look         // what reading the photo showed; nil when it was not read
}

// Candidate is a person's photo in one source.
type Candidate struct {
	Source   int // index into Options.Sources
	Ref      sources.Ref
	Stamp    string
	HasPhoto sources.Presence
}

// About returns what the sources know of a person. It shares no slice with j.
func About(j sources.Joined) *Subject {
	s := &Subject{Emails: slices.Clone(j.Emails), DisplayName: j.DisplayName, Ambiguous: j.Ambiguous, Candidates: make([]Candidate, len(j.Candidates))}
	for i, c := range j.Candidates {
		s.Candidates[i] = Candidate{c.Source, c.Ref, c.Stamp, c.HasPhoto}
	}
	return s
}

// nothing is the record of those of whom nothing is remembered.
var nothing state.Record

// Record is what the state remembers, empty if nothing. Nobody may change it.
func (s *Subject) Record() *state.Record {
	if s.Remembered == nil {
		return &nothing
	}
	return s.Remembered
}

// Key is the address under which the state and the report know the person.
func (s *Subject) Key() string { return s.Emails[0] }

// Meet adds a user who has one of the person's addresses, once.
func (s *Subject) Meet(u User) {
	if slices.ContainsFunc(s.Users, func(o User) bool { return o.ID == u.ID }) {
		return
	}
	if i := slices.Index(s.Emails, u.Email); i >= 0 {
		u.Email = s.Emails[i] // one text for both
	}
	if u.Name == s.DisplayName {
		u.Name = s.DisplayName
	}
	s.Users = append(s.Users, u)
	rank := func(u User) int { return slices.Index(s.Emails, u.Address()) }
	slices.SortStableFunc(s.Users, func(a, b User) int { return cmp.Compare(rank(a), rank(b)) })
}

// found returns the users that may be the person: the remembered one, or else those
// with the most preferred address that any has.
func (s *Subject) found() []User {
	n := 0
	for i, u := range s.Users {
		if u.ID == s.Record().UserID && u.ID != 0 {
			return s.Users[i : i+1]
		}
		if u.Address() == s.Users[0].Address() {
			n = i + 1
		}
	}
	return s.Users[:n]
}

// Look is the result of reading a person's candidates in order until one holds a
// photo.
type Look struct {
	Candidate int    // the one that holds the photo, or failed
	Sum       string // SHA-256 of the source bytes as state.Sum has it; empty: no candidate has a photo, or Err
	Err       error  // the photo is there and could not be read
}

// User is what a plan needs to know of a Smartsheet user.
type User struct {
	ID        int64
	Email     string // canonical
	Name      string
	ImageID   string     // of the picture in Smartsheet; empty: none
	Alternate *Alternate // nil: Email is an address of the person
	Active    bool
}

// Alternate is how a user was found who is listed under another address than the
// person's.
type Alternate struct {
	Email string // the person's, and an alternate one of the user
	// Claims are further addresses of this user that other people in the sources
	// have: then only a human can tell whose user it is.
	Claims []string
}

// Address is the address of the person by which u was found.
func (u User) Address() string {
	if u.Alternate != nil {
		return u.Alternate.Email
	}
	return u.Email
}

// claims are those of u's alternate addresses that other people have.
func (u User) claims() []string {
	if u.Alternate == nil {
		return nil
	}
	return u.Alternate.Claims
}
