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

	jsonv2 "github.com/go-json-experiment/json" // encoding/json/v2 of Go 1.27: it writes a value in parts
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
)

// FileVersion is the version of a plan's JSON. A program refuses plans of another.
const FileVersion = 1

// File is a plan as JSON: what it would upload, and what that depends on.
type File struct {
	SchemaVersion   int              `json:"schema_version"`
	PlanID          string           `json:"plan_id"`
	Checksum        string           `json:"checksum"` // of everything else in the file: an edited plan is refused
	Account         state.Account    `json:"account"`
	StateGeneration uint64           `json:"state_generation"`
	Rendering       string           `json:"rendering"` // fingerprint of the image settings
	Selection       Selection        `json:"selection"`
	Listed          map[string]int   `json:"listed"`  // entries by source
	Guards          []outcome.Breach `json:"guards"`  // that hold a sync with this plan
	Steps           []FileStep       `json:"steps"`   // what apply does, by email
	Missing         []FileStep       `json:"missing"` // people whose photo is newly missing: apply counts this run
	Held            []FileStep       `json:"held"`    // by max_shared: apply leaves them out
}

// Selection is the part of a plan's rules that came from the command line.
type Selection struct {
	Only        []string `json:"only,omitempty"`
	Source      string   `json:"source,omitempty"`
	Shard       string   `json:"shard,omitempty"`
	Limit       int      `json:"limit,omitempty"`
	Force       bool     `json:"force,omitempty"`
	Checksum    bool     `json:"checksum,omitempty"`
	RetryFailed bool     `json:"retry_failed,omitempty"`
}

// FileStep is one person in a File, who is the user with this id and address.
type FileStep struct {
	Email        string         `json:"email"`
	UserID       int64          `json:"user_id,omitempty"`
	UserEmail    string         `json:"user_email,omitempty"`
	Reason       outcome.Reason `json:"reason"`
	Source       string         `json:"source,omitempty"`
	Ref          string         `json:"ref,omitempty"`
	SourceSHA256 string         `json:"source_sha256,omitempty"`
	UploadSHA256 string         `json:"upload_sha256,omitempty"` // empty: not prepared, or refused
	Refused      string         `json:"refused,omitempty"`       // the code of a picture that will be
	ImageID      string         `json:"image_id,omitempty"`      // that Smartsheet showed
	Record       string         `json:"record"`                  // fingerprint of what we put on the user before
	Shared       int            `json:"shared,omitempty"`        // how many people have this picture, if it is held for that
}

// File returns the plan in the form that photosync plan -o writes.
func (p *Plan) File() *File {
	f := &File{
		SchemaVersion: FileVersion, PlanID: p.ID, StateGeneration: p.generation,
		Guards: []outcome.Breach{}, Steps: make([]FileStep, 0, len(p.Steps)), Missing: []FileStep{}, Held: []FileStep{},
	}
	for _, s := range p.Steps { // by address
		switch {
		case s.Outcome == outcome.Planned:
			f.Steps = append(f.Steps, p.fileStep(s))
		case s.NewlyMissing:
			f.Missing = append(f.Missing, p.fileStep(s))
		case s.Reason == outcome.SharedImage:
			f.Held = append(f.Held, p.fileStep(s))
		}
	}
	return f
}

func (p *Plan) fileStep(s *Step) FileStep {
	o, ref := p.Origin(s)
	f := FileStep{
		Email: s.Key(), Reason: s.Reason, Source: o.Source, Ref: ref, SourceSHA256: s.SHA256(), Shared: s.Shared,
	}
	if s.Record.ID != 0 {
		f.Record = hex.EncodeToString(digest(s.Record)[:6])
	}
	if s.To != nil {
		f.UserID, f.UserEmail, f.ImageID = s.To.ID, s.To.Email, s.To.ImageID
	}
	return f
}

// digest is the SHA-256 of v's JSON.
func digest(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts, numbers and times of the configuration, the state or JSON
	}
	sum := sha256.Sum256(data)
	return sum[:]
}

func (f *File) checksum() string {
	without, h := *f, sha256.New()
	without.Checksum = ""
	_ = without.write(h) // cannot fail: texts, numbers and times
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// write writes f as encoding/json would, in parts: there may be a step for everybody.
func (f *File) write(w io.Writer) error {
	return jsonv2.MarshalWrite(w, f, jsonv1.DefaultOptionsV1(), jsontext.EscapeForHTML(false), jsontext.WithIndent("  "))
}

// Prepared adds the hash of the picture that will be sent, or the code if it is refused.
func (f *File) Prepared(email, uploadSHA256, refused string) {
	if s := findStep(f.Steps, email); s != nil {
		s.UploadSHA256, s.Refused = uploadSHA256, refused
	}
}

// findStep finds a person among steps, which are sorted; nil: there is none.
func findStep(steps []FileStep, email string) *FileStep {
	i, found := slices.BinarySearchFunc(steps, email, func(s FileStep, e string) int { return cmp.Compare(s.Email, e) })
	if !found {
		return nil
	}
	return &steps[i]
}

// Encode writes f, with its checksum.
func (f *File) Encode(w io.Writer) error {
	f.Checksum = f.checksum()
	err := f.write(w)
	if err == nil {
		_, err = io.WriteString(w, "\n")
	}
	return err
}

// Decode reads what Encode wrote.
func Decode(data []byte) (*File, error) {
	f, strict := &File{}, json.NewDecoder(bytes.NewReader(data))
	strict.DisallowUnknownFields() // a plan with unknown fields cannot be carried out exactly
	err := json.Unmarshal(data, f)
	switch {
	case err == nil && f.SchemaVersion > FileVersion:
		return nil, fmt.Errorf("schema_version %d, and this photosync knows %d: apply it with the one that made it", f.SchemaVersion, FileVersion)
	case err == nil && (f.SchemaVersion < 1 || f.PlanID == "" || f.Steps == nil):
		return nil, errors.New("it is not a plan: photosync plan -o makes one")
	case err == nil:
		err = strict.Decode(&File{})
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok { // its own text names a type of Go
		return nil, fmt.Errorf("it is not a plan, or damaged: a %s does not belong at byte %d", e.Value, e.Offset)
	}
	if err != nil {
		return nil, fmt.Errorf("it is not a plan, or damaged: %w", err)
	}
	if f.Checksum != f.checksum() {
		return nil, errors.New("it was edited or is damaged: its checksum does not match")
	}
	return f, nil
}

// Restrict holds the steps of f that changed since, skips what f does not have, and returns how many
// changed. What was done by runs that applied f before and were stopped is no change.
func (p *Plan) Restrict(f *File, runs []string) (moved int) {
	seen := map[string]bool{}
	leave := func(s *Step, o outcome.Outcome, why string) {
		s.Reason, s.Outcome, s.Why, s.WriteRow, s.Released = outcome.HeldBack, o, why, false, false
	}
	for _, s := range p.Steps {
		seen[s.Key()] = true
		if then := findStep(f.Steps, s.Key()); then != nil {
			if why := p.moved(then, s, runs); why != "" {
				moved++
				leave(s, outcome.Held, why)
			}
			s.Applied = then
		} else if s.Outcome == outcome.Planned {
			leave(s, outcome.Skipped, "not in the plan; the next sync decides about it")
		} else if s.Missing > 0 {
			counted := findStep(f.Missing, s.Key())
			if counted == nil || counted.Record != p.fileStep(s).Record { // f does not count this run for the person
				s.Missing, s.NewlyMissing = s.Former.Missing, false
			}
		}
	}
	for _, then := range f.Steps {
		if !seen[then.Email] { // unchanged now, not listed any more, or not selected
			moved++
			s := &Step{
				Record: nothing,
				Work: &Work{
					Joined: sources.Joined{Own: []string{then.Email}},
					Row:    &state.Person{Email: then.Email, Source: then.Source, Ref: then.Ref, UserID: then.UserID},
				},
				To: &User{ID: then.UserID, Email: then.UserEmail},
			}
			leave(s, outcome.Skipped, fmt.Sprintf("it was %s when the plan was made, and there is nothing to do any more", then.Reason))
			s.Reason = outcome.Unchanged // the report counts it as unchanged
			p.Steps = append(p.Steps, s)
		}
	}
	slices.SortFunc(p.Steps, byKey)
	return moved
}

// moved says what changed about s since the file was made; empty: nothing. A new change mark alone is no change.
func (p *Plan) moved(then *FileStep, s *Step, runs []string) string {
	own := s.Record.Intent != nil && slices.Contains(runs, s.Record.Intent.RunID)
	switch now := p.fileStep(s); {
	case s.Outcome != outcome.Planned || now.Reason != then.Reason && !own:
		return fmt.Sprintf("it was %s when the plan was made, and is %s now", then.Reason, now.Reason)
	case now.SourceSHA256 != then.SourceSHA256 || now.Source != then.Source || now.Ref != then.Ref:
		return "the photo changed after the plan was made"
	case now.UserID != then.UserID || now.UserEmail != then.UserEmail:
		return fmt.Sprintf("the Smartsheet user was %d %s when the plan was made, and is %d %s now", then.UserID, then.UserEmail, now.UserID, now.UserEmail)
	case own:
		return ""
	case now.ImageID != then.ImageID:
		return "the picture in Smartsheet changed after the plan was made"
	case now.Record != then.Record:
		return "another run was here after the plan was made"
	}
	return ""
}
