package plan

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"photosync/sources"
	"photosync/state"
)

// What looks the same is told apart.
func TestRivalsThatLookAlike(t *testing.T) {
	s := &Subject{Ambiguous: true, Emails: []string{"jürgen@x"}, Candidates: []Candidate{
		{Ref: sources.Ref{Name: "ju\u0308rgen@x.jpg"}}, {Ref: sources.Ref{Name: "j\u00fcrgen@x.jpg"}},
	}}
	a := decide(s, &Options{Sources: []string{"hr"}})
	if want := []string{`hr: "ju\u0308rgen@x.jpg"`, "hr: j\u00fcrgen@x.jpg"}; !slices.Equal(a.Detail().Rivals, want) {
		t.Errorf("rivals %q, want %q", a.Detail().Rivals, want)
	}
}

// Every situation of one person: whether the photo is read, and what is decided.
func TestDecide(t *testing.T) {
	known := state.Record{
		Email: "a@x", UserID: 7, Source: "s", Ref: "r", Stamp: "s=1", SourceSHA256: "old", UploadSHA256: "up", Rendering: "R",
	}
	with := func(change func(*state.Record)) state.Record {
		r := known
		change(&r)
		return r
	}
	refused := with(func(r *state.Record) {
		r.UploadSHA256, r.Failure = "", &state.Failure{Final: true, Hash: "old"}
	})
	users := []User{{ID: 7, Email: "a@x", Active: true}}
	for name, c := range map[string]struct {
		rec     state.Record
		stamp   string
		look    *Look
		o       Options
		users   []User
		read    bool
		reason  Reason
		outcome Outcome
	}{
		"new":                    {state.Record{}, "1", &Look{Sum: "x"}, Options{}, users, true, New, Planned},
		"new, unknown":           {state.Record{}, "1", &Look{Sum: "x"}, Options{}, nil, true, NotInSmartsheet, Skipped},
		"new, inactive":          {state.Record{}, "1", &Look{Sum: "x"}, Options{}, []User{{ID: 7, Email: "a@x"}}, true, InactiveUser, Skipped},
		"new, two users":         {state.Record{}, "1", &Look{Sum: "x"}, Options{}, []User{{ID: 7, Email: "a@x", Active: true}, {ID: 8, Email: "a@x", Active: true}}, true, Ambiguous, Skipped},
		"new, no photo":          {state.Record{}, "1", &Look{}, Options{}, users, true, NoPhoto, Skipped},
		"new, cannot be read":    {state.Record{}, "1", &Look{Err: errors.New("io")}, Options{}, users, true, New, Planned},
		"new, being written":     {state.Record{}, "", &Look{Err: fmt.Errorf("x: %w", sources.ErrUnstable)}, Options{}, users, true, BeingWritten, Skipped},
		"being written":          {known, "", &Look{Err: sources.ErrUnstable}, Options{Force: true}, nil, true, BeingWritten, Skipped},
		"seen, not yet in there": {with(func(r *state.Record) { r.UserID, r.UploadSHA256 = 0, "" }), "1", nil, Options{}, users, false, New, Planned},
		"unchanged":              {known, "1", nil, Options{}, nil, false, Unchanged, Skipped},
		"no stamp, same":         {known, "", &Look{Sum: "old"}, Options{}, nil, true, Unchanged, Skipped},
		"touched":                {known, "2", &Look{Sum: "old"}, Options{}, nil, true, Unchanged, Skipped},
		"changed":                {known, "2", &Look{Sum: "x"}, Options{}, nil, true, Changed, Planned},
		"checksum":               {known, "1", &Look{Sum: "x"}, Options{Checksum: true}, nil, true, Changed, Planned},
		"forced":                 {known, "1", nil, Options{Force: true}, nil, false, Forced, Planned},
		"excluded":               {known, "2", nil, Options{Excluded: func(string) bool { return true }}, nil, false, Excluded, Skipped},
		"settings":               {with(func(r *state.Record) { r.Rendering = "old" }), "1", nil, Options{}, nil, false, RenderingChanged, Planned},
		"photo gone":             {known, "2", &Look{}, Options{}, nil, true, NoPhoto, Skipped},
		"known bad":              {refused, "1", nil, Options{}, users, false, KnownBad, Skipped},
		"known bad, touched":     {refused, "2", &Look{Sum: "old"}, Options{}, users, true, KnownBad, Skipped},
		"known bad, again":       {refused, "1", nil, Options{RetryFailed: true}, users, false, New, Planned},
		"known bad, replaced":    {refused, "2", &Look{Sum: "x"}, Options{}, users, true, New, Planned},
		"known bad, settings":    {with(func(r *state.Record) { *r = refused; r.Rendering = "old" }), "1", nil, Options{}, users, false, New, Planned},
	} {
		c.o.Rendering, c.o.Sources = "R", []string{"s"}
		s := &Subject{Emails: []string{"a@x"}, Candidates: []Candidate{{Ref: sources.Ref{Name: "r"}, Stamp: c.stamp}}, Users: c.users}
		if c.rec.Email != "" {
			s.Remembered = &c.rec
		}
		if got := NeedsLook(s, &c.o); got != c.read {
			t.Errorf("%s: reads the photo: %v, want %v", name, got, c.read)
		}
		s.Look = c.look
		p := Build([]*Subject{s}, &c.o)
		if c.reason == Unchanged {
			if p.Unchanged != 1 || len(p.Actions) != 0 || (len(p.Settled) == 1) != c.read {
				t.Errorf("%s: plan %+v", name, p)
			}
			continue
		}
		if len(p.Actions) != 1 || p.Actions[0].Reason != c.reason || p.Actions[0].Outcome != c.outcome {
			t.Errorf("%s: actions %+v, want %s, %s", name, p.Actions, c.reason, c.outcome)
		}
	}
}

// Where an upload names its user, the address is the one that Smartsheet lists, and not
// the one under which the person is remembered.
func TestAfresh(t *testing.T) {
	s := &Subject{
		Remembered: &state.Record{Email: "a@x", UserID: 7, Stamp: "s=1", SourceSHA256: "old", UploadSHA256: "up"}, Look: &Look{Sum: "new"},
		Emails: []string{"a@x", "b@x"}, Candidates: []Candidate{{}},
	}
	o := &Options{Sources: []string{"s"}}
	if NeedsUser(s, o) {
		t.Error("looks up a person who is remembered")
	}
	o.Afresh = true
	if !NeedsUser(s, o) {
		t.Error("does not look up the user of an upload")
	}
	s.Meet(User{ID: 7, Email: "b@x", Active: true})
	if a := Build([]*Subject{s}, o).Actions[0]; a.Outcome != Planned || a.User().Email != "b@x" || a.Drift {
		t.Errorf("action %+v", a)
	}
}
