package plan

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"photosync/state"
)

// FileVersion is the version of a plan's JSON. A program refuses plans of another.
const FileVersion = 1

// File is a plan as JSON: what it would upload, and what that rests on. The same
// plan gives the same bytes.
type File struct {
	SchemaVersion   int            `json:"schema_version"`
	PlanID          string         `json:"plan_id"`
	Account         state.Account  `json:"account"`
	StateGeneration uint64         `json:"state_generation"`
	Rendering       string         `json:"rendering"` // fingerprint of the image settings
	Selection       Selection      `json:"selection"`
	Listed          map[string]int `json:"listed"`  // entries by source
	Guards          []Breach       `json:"guards"`  // that hold a sync with this plan
	Steps           []Step         `json:"steps"`   // what applying the plan does, by email
	Missing         []Step         `json:"missing"` // people whose photo is newly gone: they are counted
	Held            []Step         `json:"held"`    // by max_shared: applying leaves them out
}

// Selection is the part of a plan's rules that stood on the command line.
type Selection struct {
	Only        []string `json:"only,omitempty"`
	Source      string   `json:"source,omitempty"`
	Shard       string   `json:"shard,omitempty"`
	Limit       int      `json:"limit,omitempty"`
	Force       bool     `json:"force,omitempty"`
	Checksum    bool     `json:"checksum,omitempty"`
	RetryFailed bool     `json:"retry_failed,omitempty"`
}

// Step is one person in a File.
type Step struct {
	Email        string `json:"email"`
	UserID       int64  `json:"user_id,omitempty"`
	Reason       Reason `json:"reason"`
	Source       string `json:"source,omitempty"`
	Ref          string `json:"ref,omitempty"`
	Stamp        string `json:"stamp,omitempty"`
	SourceSHA256 string `json:"source_sha256,omitempty"`
	UploadSHA256 string `json:"upload_sha256,omitempty"` // empty: not prepared, or refused
	Refused      string `json:"refused,omitempty"`       // the code of a picture that will be
	ImageID      string `json:"image_id,omitempty"`      // in Smartsheet, where the policy has to know
	Record       string `json:"record"`                  // fingerprint of what the state remembers
	Shared       int    `json:"shared,omitempty"`        // people with this picture, of one held for it
}

// File is the plan as it can be kept: the first limit uploads of it (0: all).
func (p *Plan) File(limit int) *File {
	f := &File{
		SchemaVersion: FileVersion, PlanID: p.ID, StateGeneration: p.generation,
		Guards: []Breach{}, Steps: []Step{}, Missing: []Step{}, Held: []Step{},
	}
	up := p.Uploads()
	if limit > 0 && len(up) > limit {
		up = up[:limit]
	}
	for _, a := range up {
		f.Steps = append(f.Steps, a.step())
	}
	slices.SortFunc(f.Steps, func(a, b Step) int { return cmp.Compare(a.Email, b.Email) })
	for _, a := range p.Actions {
		switch {
		case a.newlyMissing():
			f.Missing = append(f.Missing, a.step())
		case a.Reason == SharedImage:
			f.Held = append(f.Held, a.step())
		}
	}
	return f
}

func (a Action) step() Step {
	return Step{
		Email: a.Key(), UserID: a.User().ID, Reason: a.Reason, Source: a.Source(), Ref: a.Candidate().Ref.Name, Stamp: a.Stamp(),
		SourceSHA256: a.SourceSHA256(), ImageID: a.User().ImageID, Record: fingerprint(a.Record()), Shared: a.Detail().Shared,
	}
}

// Prepared notes what preparing the picture of a step came to: the hash of what
// will be sent, or the code of its refusal.
func (f *File) Prepared(email, uploadSHA256, refused string) {
	if i, ok := place(f.Steps, email); ok {
		f.Steps[i].UploadSHA256, f.Steps[i].Refused = uploadSHA256, refused
	}
}

// fingerprint is short for everything that a record holds.
func fingerprint(r *state.Record) string {
	data, err := json.Marshal(r)
	if err != nil {
		panic(err) // texts, numbers and times that came from the state
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:6])
}

// Encode writes f.
func (f *File) Encode(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(f)
}

// Decode reads what Encode wrote.
func Decode(data []byte) (*File, error) {
	var v struct {
		SchemaVersion int    `json:"schema_version"`
		PlanID        string `json:"plan_id"`
		Steps         []Step `json:"steps"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, fmt.Errorf("it is no plan, or damaged: %w", err)
	}
	switch {
	case v.SchemaVersion > FileVersion:
		return nil, fmt.Errorf("schema_version %d, and this photosync knows %d: apply it with the one that made it", v.SchemaVersion, FileVersion)
	case v.SchemaVersion < 1 || v.PlanID == "" || v.Steps == nil:
		return nil, errors.New("it is no plan: photosync plan -o makes one")
	}
	f := &File{}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields() // what is not understood cannot be carried out exactly
	if err := d.Decode(f); err != nil {
		return nil, fmt.Errorf("it is no plan, or damaged: %w", err)
	}
	for _, steps := range [][]Step{f.Steps, f.Missing} {
		for i := range steps {
			if i > 0 && steps[i-1].Email >= steps[i].Email {
				return nil, fmt.Errorf("it is damaged: %q is out of order", steps[i].Email)
			}
		}
	}
	return f, nil
}

// place finds a person among steps, which are sorted.
func place(steps []Step, email string) (at int, ok bool) {
	return slices.BinarySearchFunc(steps, email, func(s Step, e string) int { return cmp.Compare(s.Email, e) })
}

// Has tells whether f, which may be nil, has a step for a person.
func (f *File) Has(email string) bool {
	if f == nil {
		return false
	}
	_, has := place(f.Steps, email)
	return has
}

// Keep leaves of the plan what f holds and what has not moved since: a step of f
// that is not what it was is Held, with Why, and what f does not hold is skipped. It
// returns how many steps moved.
func (p *Plan) Keep(f *File) (moved int) {
	seen := map[string]bool{}
	for i := range p.Actions {
		a := &p.Actions[i]
		at, planned := place(f.Steps, a.Key())
		seen[a.Key()] = true
		switch {
		case planned:
			if s := f.Steps[at]; s.moved(*a) != "" {
				moved++
				a.leave(Held, s.moved(*a))
			} else {
				a.detail = &Detail{Exact: true, Promised: s.UploadSHA256}
			}
		case a.Outcome == Planned:
			a.leave(Skipped, "not in the plan; the next sync looks at it")
		case a.newlyMissing(), a.Missing != a.Record().Missing:
			m, counted := place(f.Missing, a.Key())
			a.Settle = counted && f.Missing[m].Record == fingerprint(a.Record())
		}
		if !a.Settle && a.Outcome != Planned {
			a.Missing = a.Record().Missing // nothing is counted that the plan does not say
		}
	}
	for _, s := range f.Steps {
		if !seen[s.Email] { // unchanged now, in no source any more, or not selected
			moved++
			a := Action{Subject: &Subject{
				Emails: []string{s.Email}, Remembered: &state.Record{UserID: s.UserID, Source: s.Source, Ref: s.Ref},
			}}
			a.leave(Skipped, fmt.Sprintf("it was %s when the plan was made, and there is nothing to do any more", s.Reason))
			p.Actions = append(p.Actions, a)
		}
	}
	slices.SortFunc(p.Actions, byEmail)
	return moved
}

// leave takes a out of the plan that is applied.
func (a *Action) leave(o Outcome, why string) {
	d := a.Detail()
	d.Why = why
	a.Reason, a.Outcome, a.detail, a.Settle, a.Lost = HeldBack, o, &d, false, false
}

// moved says what of a is not as it was for s; empty: nothing. A change mark that
// moved had the photo read again: then its bytes tell.
func (s Step) moved(a Action) string {
	switch {
	case a.Outcome != Planned || a.Reason != s.Reason:
		return fmt.Sprintf("it was %s when the plan was made, and is %s now", s.Reason, a.Reason)
	case a.SourceSHA256() != s.SourceSHA256 || a.Source() != s.Source || a.Candidate().Ref.Name != s.Ref:
		return "the photo changed after the plan was made"
	case a.User().ID != s.UserID:
		return fmt.Sprintf("the Smartsheet user was %d when the plan was made, and is %d now", s.UserID, a.User().ID)
	case a.User().ImageID != s.ImageID:
		return "the picture in Smartsheet changed after the plan was made"
	case fingerprint(a.Record()) != s.Record:
		return "another run was here after the plan was made"
	}
	return ""
}
