package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/agnivade/levenshtein"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/photo"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/upload"
)

// Explanation is all that is known of one address, and what the next run does about it.
type Explanation struct {
	Email       string               `json:"email"` // asked for, canonical
	Known       bool                 `json:"known"` // in a source, the state or Smartsheet
	Nearest     []string             `json:"nearest,omitempty"`
	Key         string               `json:"key"`    // the address under which state and reports know the person
	Emails      []string             `json:"emails"` // own addresses, then aliases
	Own         int                  `json:"own"`    // how many of Emails are own ones
	Lost        []string             `json:"lost_claims,omitempty"`
	DisplayName string               `json:"display_name,omitempty"`
	Sources     []report.Source      `json:"sources"`
	Candidates  []ExplainedCandidate `json:"candidates"`  // the person in each source
	Moved       bool                 `json:"stamp_moved"` // since the last run, or that is not known
	Users       []ExplainedUser      `json:"users"`       // with one of the addresses
	Row         *state.Person        `json:"state"`       // what is remembered of the person
	Sent        *state.User          `json:"sent"`        // what we put on the last user, or on the user with the address now
	Next        *report.Item         `json:"next"`
	Rule        string               `json:"rule"` // why, in words
}

// ExplainedCandidate is the person in one source.
type ExplainedCandidate struct {
	Source      string          `json:"source"`
	Type        string          `json:"type"`
	Ref         string          `json:"ref"`
	Own         []string        `json:"own"`
	Aliases     []string        `json:"aliases,omitempty"`
	DisplayName string          `json:"display_name,omitempty"`
	Stamp       string          `json:"stamp"`
	Attributes  []sources.Fact  `json:"attributes,omitempty"`
	Photo       *ExplainedPhoto `json:"photo"` // null: there is none
	Wins        bool            `json:"wins"`
	Why         string          `json:"why"`
}

// ExplainedPhoto is the photo in a source, and the picture that would be sent.
type ExplainedPhoto struct {
	Bytes   int           `json:"bytes"`
	SHA256  string        `json:"sha256,omitempty"`
	Error   string        `json:"error,omitempty"`   // it could not be read
	Refused string        `json:"refused,omitempty"` // the code, if it will be refused
	Message string        `json:"message,omitempty"`
	Image   *report.Image `json:"image,omitempty"`
}

// ExplainedUser is a Smartsheet user with one of the addresses.
type ExplainedUser struct {
	plan.User
	Picture string `json:"picture"` // ours, our placeholder, adopted, another or none
}

// Explain says everything about one address, by the same plan as a run, and writes nothing.
func Explain(ctx context.Context, j Job, email string) (*Explanation, error) {
	j.How.Mode, j.How.Apply, j.How.Approve, j.How.Thumbnails = Plan, nil, "", false
	rep := report.New(Plan, j.How.RunID, j.How.Version, time.Now().UTC())
	x := &Explanation{Email: email, Candidates: []ExplainedCandidate{}, Users: []ExplainedUser{}}
	l, err := j.list(ctx, rep)
	if err != nil {
		return nil, err
	}
	person := x.person(l.people)
	j.Scope.Only = func(e string) bool { return e == x.Key }
	p, err := j.decide(ctx, rep, l)
	if err != nil {
		return nil, err
	}
	x.Sources = rep.Sources
	if err := j.explainCandidates(ctx, x, person); err != nil {
		return nil, err
	}
	if err := j.explainUsers(ctx, x, p, person); err != nil {
		return nil, err
	}
	x.Known = len(person.Candidates) > 0 || x.Row != nil || len(x.Users) > 0
	if !x.Known {
		x.Nearest, err = j.nearest(email, p.people)
		return x, err
	}
	return x, j.explainNext(ctx, x, p)
}

// person finds the listed person who holds the address, or one who claims it if nobody holds it.
func (x *Explanation) person(people *sources.People) sources.Joined {
	p, held := people.Holder(x.Email)
	if !held {
		p = sources.Joined{Own: []string{x.Email}}
		for j := range people.All() {
			if slices.ContainsFunc(j.Candidates, func(c sources.Candidate) bool { return slices.Contains(slices.Concat(c.Own, c.Aliases), x.Email) }) {
				p = j
			}
		}
	}
	x.Key, x.Emails, x.Own, x.DisplayName = p.Own[0], slices.Concat(p.Own, p.Aliases), len(p.Own), p.DisplayName
	for _, l := range people.Lost {
		if l.Address == x.Email || slices.Contains(x.Emails, l.Address) {
			x.Lost = append(x.Lost, l.String())
		}
	}
	return p
}

func (j *Job) explainCandidates(ctx context.Context, x *Explanation, person sources.Joined) error {
	winner := ""
	for i, c := range person.Candidates {
		src := j.Sources[c.Source]
		e := ExplainedCandidate{
			Source: src.Name, Type: src.Type, Ref: c.Ref.Name, Own: c.Own, Aliases: c.Aliases, DisplayName: c.DisplayName, Stamp: fmt.Sprintf("%x", c.Stamp),
		}
		err := src.Photos(ctx, []sources.Ref{c.Ref}, func(ph sources.Photo) error {
			if c.HasPhoto == sources.Hidden {
				ph.Err = errHidden
			}
			if photoFacts(ph, i, &plan.Work{Joined: person}, nil) != nil {
				e.Photo = j.explainPhoto(ctx, ph)
			}
			return nil
		})
		if d, ok := src.Source.(sources.Describer); ok && err == nil {
			e.Attributes, err = d.Describe(ctx, c.Ref)
		}
		if err != nil {
			return fmt.Errorf("read from source %q: %w", src.Name, err)
		}
		switch {
		case person.Ambiguous:
			e.Why = "ambiguous: several entries claim the same address, and only a human can tell which is right"
		case e.Photo == nil:
			e.Why = "has no photo"
		case slices.Contains(j.Policy.Ignored, e.Photo.SHA256):
			e.Why = "match.ignore_pictures names this picture, which counts as none"
		case winner != "":
			e.Why = fmt.Sprintf("source %s comes first and has a photo", winner)
		default:
			e.Wins, winner, e.Why = true, e.Source, "the first source in the configuration that has a photo"
		}
		x.Candidates = append(x.Candidates, e)
	}
	return nil
}

func (j *Job) explainPhoto(ctx context.Context, got sources.Photo) *ExplainedPhoto {
	if got.Err != nil {
		return &ExplainedPhoto{Error: got.Err.Error()}
	}
	p := &ExplainedPhoto{Bytes: len(got.Data), SHA256: plan.Sum(got.Data)}
	pic, err := photo.Prepare(ctx, got.Data, j.Photos)
	if bad, ok := errors.AsType[*photo.Error](err); ok {
		p.Refused, p.Message = bad.Code, bad.Detail
	} else if err != nil {
		p.Error = err.Error()
	} else {
		p.Image = upload.Image(pic, p.SHA256, p.Bytes, plan.Sum(pic.Data))
	}
	return p
}

// explainUsers says what the state knows of the person, and who has the addresses now.
func (j *Job) explainUsers(ctx context.Context, x *Explanation, p *prepared, person sources.Joined) error {
	w := &plan.Work{Joined: person}
	row, known, err := j.State.Person(x.Key)
	if err == nil && known {
		w.Row = &row
		w.Former, err = readUser(j.State.User, row.UserID)
	}
	if err == nil {
		err = p.users.Resolve(ctx, []*plan.Work{w})
	}
	if err != nil {
		return err
	}
	x.Row, x.Sent = w.Row, w.Former
	for _, u := range w.Users {
		sent, _, err := j.State.User(u.ID)
		if err != nil {
			return err
		}
		if sent.ID != 0 {
			x.Sent = cmp.Or(x.Sent, &sent)
		}
		x.Users = append(x.Users, ExplainedUser{u, pictureOf(&sent, u)})
	}
	return nil
}

func pictureOf(sent *state.User, u plan.User) string {
	switch {
	case u.ImageID == "":
		return "none"
	case sent.Sent != nil && sent.Sent.Adopted && sent.Sent.ImageID == u.ImageID:
		return "adopted"
	case !plan.Ours(sent, u):
		return "another"
	case sent.Intent == nil && sent.Sent.Placeholder:
		return "our placeholder"
	}
	return "ours"
}

// explainNext says what the next run does, by the plan of p.
func (j *Job) explainNext(ctx context.Context, x *Explanation, p *prepared) error {
	if !j.Scope.Shard.Has(x.Key) {
		x.Rule = outcome.OutOfShard.Words().Rule
		return nil
	}
	at := slices.IndexFunc(p.plan.Steps, func(s *plan.Step) bool { return s.Key() == x.Key })
	if at < 0 && (x.Row == nil || len(x.Candidates) == 0) {
		x.Rule = "the person is in no source, and nothing is left to be done"
		return nil
	}
	if at < 0 { // nothing is to be done for the person
		reason := outcome.Unchanged
		if x.Row.Fingerprint != (state.Fingerprint{}) {
			reason = plan.NoteOf(x.Row.Note)
		}
		x.Next = &report.Item{Email: x.Key, UserID: x.Row.UserID, Source: x.Row.Source, Ref: x.Row.Ref, Reason: reason, Outcome: outcome.Skipped}
		x.Rule = reason.Words().Rule
		return nil
	}
	s := p.plan.Steps[at]
	it := upload.Item(p.plan.Rules, s)
	if s.Outcome == outcome.Planned {
		items, err := j.pool(p).Preview(ctx, []*plan.Step{s})
		if err != nil {
			return err
		}
		it = items[0]
	}
	x.Moved, x.Next, x.Rule = s.Moved(), &it, it.Reason.Words().Rule
	if s.Why != "" && it.Reason == s.Reason {
		x.Rule = it.Message
	}
	if it.Outcome == outcome.Planned && !x.Moved && x.Row.Fingerprint != (state.Fingerprint{}) {
		x.Rule += "; a run of everybody looks users up again only every match.refresh; sync --only does so at once"
	}
	if s.Reason == outcome.NotInSmartsheet && j.Policy.AlternateEmails {
		x.Rule += fmt.Sprintf("; nor, of %s that runs asked so far, as a confirmed alternate address", report.Count(p.users.Asked(), "user", "users"))
	}
	return nil
}

// maxNearest is how many addresses are suggested for an unknown one.
const maxNearest = 5

// nearest returns the addresses in the sources and the state that are most similar to email.
func (j *Job) nearest(email string, people *sources.People) (emails []string, err error) {
	distance := map[string]int{}
	err = j.everybody(people, func(_ *state.Snapshot, p sources.Joined, _ *state.Row) error {
		for _, e := range slices.Concat(p.Own, p.Aliases) {
			if d := levenshtein.ComputeDistance(email, e); d <= max(3, len(email)/3) {
				distance[e] = d
			}
		}
		return nil
	})
	emails = slices.SortedFunc(maps.Keys(distance), func(a, b string) int {
		return cmp.Or(cmp.Compare(distance[a], distance[b]), cmp.Compare(a, b))
	})
	return emails[:min(len(emails), maxNearest)], err
}
