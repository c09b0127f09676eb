package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/photo"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
)

// Explanation is all there is to know of one address, and what the next run makes
// of it.
type Explanation struct {
	Email       string               `json:"email"` // asked for, canonical
	Known       bool                 `json:"known"` // in a source, the state or Smartsheet
	Nearest     []string             `json:"nearest,omitempty"`
	Key         string               `json:"key"` // the address under which state and reports know the person
	Emails      []string             `json:"emails"`
	Contested   bool                 `json:"contested,omitempty"` // several people claim the address asked for: it counts for none
	DisplayName string               `json:"display_name,omitempty"`
	Sources     []report.Source      `json:"sources"`
	Candidates  []ExplainedCandidate `json:"candidates"`
	Moved       bool                 `json:"stamp_moved"` // since the last look that was settled, or nobody can tell
	Users       []ExplainedUser      `json:"users"`
	Searched    *AlternateSearch     `json:"alternate_search,omitempty"` // null: alternate addresses do not count, or none was needed
	Record      *state.Record        `json:"state"`
	Next        *report.Item         `json:"next"`
	Rule        string               `json:"rule"` // why
}

// ExplainedCandidate is the person in one source.
type ExplainedCandidate struct {
	Source      string          `json:"source"`
	Type        string          `json:"type"`
	Ref         string          `json:"ref"`
	Emails      []string        `json:"emails"`
	DisplayName string          `json:"display_name,omitempty"`
	Stamp       string          `json:"stamp"`
	StampMoved  bool            `json:"stamp_moved"` // since the last look that was settled
	Attributes  []sources.Fact  `json:"attributes,omitempty"`
	Photo       *ExplainedPhoto `json:"photo"` // null: there is none
	Wins        bool            `json:"wins"`
	Why         string          `json:"why"`
}

// ExplainedPhoto is what a source holds, and what would be sent of it.
type ExplainedPhoto struct {
	Bytes   int           `json:"bytes"`
	SHA256  string        `json:"sha256,omitempty"`
	Error   string        `json:"error,omitempty"`   // it could not be read
	Refused string        `json:"refused,omitempty"` // the code, if it will be
	Message string        `json:"message,omitempty"`
	Image   *report.Image `json:"image,omitempty"`
}

// ExplainedUser is a Smartsheet user with one of the addresses.
type ExplainedUser struct {
	ID      int64  `json:"id"`
	Email   string `json:"email"`
	Name    string `json:"name,omitempty"`
	Status  string `json:"status,omitempty"`
	ImageID string `json:"image_id,omitempty"`
	Picture string `json:"picture"` // ours, our placeholder, adopted, another or none
	// Alternate is the address of the person that is an alternate one of this user;
	// empty: the user's own address is the person's.
	Alternate string `json:"alternate,omitempty"`
}

// AlternateSearch is how far runs have looked for alternate addresses.
type AlternateSearch struct {
	Last  time.Time `json:"last,omitzero"` // when all users had been asked; zero: never
	Asked int       `json:"asked"`         // users
}

// Explain tells all about one address. It reads the whole list of every source, the
// state and Smartsheet, and writes nothing.
func Explain(ctx context.Context, o Options, email string) (*Explanation, error) {
	o.Mode, o.Only = Plan, nil
	r := &run{o: o, report: report.New(Plan, o.RunID, o.Version, time.Now().UTC())}
	for _, step := range []func(context.Context) error{r.account, r.list} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	x := &explainer{run: r, Explanation: &Explanation{
		Email: email, Key: email, Emails: []string{email}, Sources: r.report.Sources, Candidates: []ExplainedCandidate{}, Users: []ExplainedUser{},
	}}
	x.person = r.person(email)
	x.subject = plan.About(x.person)
	for _, step := range []func(context.Context) error{x.remembered, x.candidates, x.inSmartsheet, x.next} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return x.Explanation, nil
}

// explainer is an explanation in the making.
type explainer struct {
	*Explanation
	run     *run
	person  sources.Joined
	subject *plan.Subject
	looks   []plan.Look // what reading each candidate's photo showed
}

// person finds the person with an address among those in the sources; without
// candidates if there is none. An address that several people claim may be nobody's,
// and still stand with each of them.
func (r *run) person(email string) sources.Joined {
	claims := func(c sources.Candidate) bool { return slices.Contains(c.Emails, email) }
	var claimed sources.Joined
	for j := range r.people.All() {
		if slices.Contains(j.Emails, email) {
			return j.Clone()
		}
		if slices.ContainsFunc(j.Candidates, claims) {
			claimed = j.Clone()
		}
	}
	if claimed.Candidates == nil {
		claimed.Emails = []string{email}
	}
	return claimed
}

// remembered looks the person up in the state.
func (x *explainer) remembered(context.Context) error {
	s := x.subject
	x.Key, x.Emails, x.DisplayName = s.Key(), s.Emails, s.DisplayName
	x.Contested = s.Ambiguous || !slices.Contains(s.Emails, x.Email)
	x.run.generation = x.run.o.State.Generation()
	rec, known, err := x.run.o.State.Lookup(s.Key())
	if err != nil || !known {
		return err
	}
	s.Remembered, x.Record = &rec, &rec
	return nil
}

// candidates reads every candidate's photo.
func (x *explainer) candidates(ctx context.Context) error {
	for i, c := range x.person.Candidates {
		src := x.run.o.Sources[c.Source]
		e := ExplainedCandidate{
			Source: src.Name, Type: src.Type, Ref: c.Ref.Name, Emails: c.Emails, DisplayName: c.DisplayName, Stamp: c.Stamp,
		}
		var got sources.Photo
		err := src.Photos(ctx, []sources.Ref{c.Ref}, func(p sources.Photo) error { got = p; return nil })
		if err != nil {
			return fmt.Errorf("read photos from source %q: %w", src.Name, err)
		}
		if e.Attributes, err = sources.Describe(ctx, src.Source, c.Ref); err != nil {
			return fmt.Errorf("read attributes from source %q: %w", src.Name, err)
		}
		l := looked(got, i, x.subject)
		if l == nil {
			x.looks = append(x.looks, plan.Look{Candidate: i})
		} else {
			x.looks = append(x.looks, *l)
			e.Photo = x.photo(ctx, got)
		}
		x.Candidates = append(x.Candidates, e)
	}
	x.choose()
	return nil
}

// photo is what there is to say of a photo.
func (x *explainer) photo(ctx context.Context, got sources.Photo) *ExplainedPhoto {
	if got.Err != nil {
		return &ExplainedPhoto{Error: got.Err.Error()}
	}
	p := &ExplainedPhoto{Bytes: len(got.Data), SHA256: state.SHA256(sum(got.Data))}
	pic, err := photo.Prepare(ctx, got.Data, x.run.o.Photos)
	if bad, ok := errors.AsType[*photo.Error](err); ok {
		p.Refused, p.Message = bad.Code, bad.Detail
		return p
	}
	if err != nil {
		p.Error = err.Error()
		return p
	}
	p.Image = &report.Image{
		Format: pic.Format, Width: pic.Width, Height: pic.Height, Bytes: len(pic.Data), SourceFormat: pic.SourceFormat,
		SourceWidth: pic.SourceWidth, SourceHeight: pic.SourceHeight, SourceBytes: p.Bytes,
		SourceSHA256: p.SHA256, UploadSHA256: state.SHA256(sum(pic.Data)), Changes: pic.Changes,
	}
	return p
}

// choose says which candidate wins, and why: the first with a photo, which is what
// a run finds when it reads them, too.
func (x *explainer) choose() {
	won := ""
	for i := range x.Candidates {
		c := &x.Candidates[i]
		switch {
		case x.subject.Ambiguous:
			c.Why = "ambiguous: its rivals claim the same address, and only a human can tell which is right"
		case c.Photo == nil:
			c.Why = "has no photo"
		case won != "":
			c.Why = fmt.Sprintf("source %s comes first and has a photo", won)
		default:
			c.Wins, won = true, c.Source
			c.Why = "the first source in the configuration that has a photo"
		}
	}
}

// inSmartsheet looks all addresses of the person up. Of alternate addresses it knows
// what earlier runs were told.
func (x *explainer) inSmartsheet(ctx context.Context) (err error) {
	r, s := x.run, x.subject
	if r.matched, err = r.matcher(); err != nil {
		return err
	}
	if r.matched != nil {
		r.claims.claim(r.people)
	}
	shown := map[int64]smartsheet.User{}
	err = r.findUsers(ctx, []*plan.Subject{s}, func(w smartsheet.User, u plan.User) { shown[u.ID] = w })
	if err != nil {
		return err
	}
	if r.matched != nil {
		if left := r.matched.assign([]*plan.Subject{s}); len(left) > 0 {
			x.Searched = &AlternateSearch{Last: r.matched.last, Asked: len(r.matched.known)}
		}
	}
	for _, u := range s.Users {
		w := shown[u.ID]
		e := ExplainedUser{
			ID: w.ID, Email: w.Email, Name: w.Name, Status: w.Status, ImageID: w.ImageID, Picture: plan.Action{Subject: s}.Picture(u),
		}
		if u.Alternate != nil {
			e.Alternate = u.Alternate.Email
		}
		x.Users = append(x.Users, e)
	}
	return nil
}

// next asks the rules what the next run does.
func (x *explainer) next(ctx context.Context) error {
	s, o := x.subject, x.run.planOptions()
	x.Known = len(s.Candidates) > 0 || s.Remembered != nil || len(x.Users) > 0
	if !x.Known {
		return x.nearest()
	}
	if len(s.Candidates) == 0 && s.Remembered == nil {
		x.Rule = "the person is in no source, and the state remembers nothing: no run does anything"
		return nil
	}
	if len(s.Candidates) == 0 && !plan.Misses(s.Remembered, o) {
		x.Rule = "the person is in no source any more, and nothing is left to be done about it"
		return nil
	}
	if !x.run.o.Shard.Has(s.Key()) {
		x.Rule = "the person belongs to another shard"
		return nil
	}
	x.Moved = plan.NeedsLook(s, o)
	if len(x.Users) == 0 && plan.Unmet(s, o) {
		it := x.run.absentee(s).item()
		x.Next, x.Rule = &it, x.run.rule(plan.Action{}, it)
		return nil
	}
	if x.Moved {
		s.Look = x.look()
	}
	return x.decide(ctx, plan.Build([]*plan.Subject{s}, o))
}

// decide tells what p, which is about this person alone, does.
func (x *explainer) decide(ctx context.Context, p *plan.Plan) error {
	if len(p.Actions) == 0 {
		r := x.subject.Record()
		it := report.Item{Email: r.Email, UserID: r.UserID, Source: r.Source, Ref: r.Ref, Reason: string(plan.Unchanged), Outcome: string(plan.Skipped)}
		x.Next, x.Rule = &it, rules[plan.Unchanged]
		return nil
	}
	a := p.Actions[0]
	it := x.run.skipped(a)
	if a.Outcome == plan.Planned {
		pool := x.run.pool()
		pool.Done = nil
		items, err := pool.Preview(ctx, p.Uploads())
		if err != nil {
			return err
		}
		it = items[0]
	}
	x.Next, x.Rule = &it, x.run.rule(a, it)
	return nil
}

// look is what a run that reads the candidates in order comes to.
func (x *explainer) look() *plan.Look {
	for i := range x.looks {
		if l := &x.looks[i]; l.Sum != "" || l.Err != nil {
			return l
		}
	}
	return &plan.Look{Candidate: len(x.looks) - 1}
}
