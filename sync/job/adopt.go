package job

import (
	"context"
	"time"

	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/plan"
	"photosync/sync/report"
)

// Adoption is what is to be remembered after the state was lost: users whose picture in
// Smartsheet is taken for the one that we uploaded, and the people they are.
type Adoption struct {
	Users   []state.User
	people  []state.Person // by the same index
	account state.Account
}

// Adoptable finds whoever has a photo in a source, a picture in Smartsheet and no
// upload on record. Nobody without a picture there is, nor whose photo would be
// refused. Nothing is written.
func Adoptable(ctx context.Context, j Job) (*Adoption, error) {
	j.How.Mode, j.How.Apply, j.How.Approve, j.Policy.Guards = Plan, nil, "", nil
	j.Policy.Existing, j.Scope.Force, j.Scope.RetryFailed = plan.OnSourceChange, false, false
	p, err := j.prepare(ctx, report.New(Plan, j.How.RunID, j.How.Version, time.Now().UTC()), nil)
	if err != nil {
		return nil, err
	}
	var steps []*plan.Step
	byEmail := map[string]*plan.Step{}
	for _, s := range p.plan.Uploads() {
		if s.Reason == outcome.New && s.To.ImageID != "" && s.SHA256() != "" && (s.Sent == nil || s.Sent.Intent == nil) {
			s.Exact = true // the bytes that were hashed, or none
			steps, byEmail[s.Key()] = append(steps, s), s
		}
	}
	items, err := j.pool(p).Preview(ctx, steps)
	if err != nil {
		return nil, err
	}
	a := &Adoption{account: p.account}
	var rows state.Change
	for _, it := range items {
		if it.Outcome != string(outcome.Planned) || it.Image == nil {
			continue
		}
		s := byEmail[it.Email]
		o, _ := p.rules.Origin(s)
		a.Users = append(a.Users, state.User{ID: s.To.ID, Email: s.To.Email, Sent: &state.Sent{
			Origin: o, SourceSHA256: s.SHA256(), UploadSHA256: it.Image.UploadSHA256, Rendering: j.Policy.Rendering,
			ImageID: s.To.ImageID, RunID: j.How.RunID, At: time.Now().UTC(), Adopted: true,
		}})
		p.plan.Tried(&rows, s, s.SHA256(), outcome.Unchanged)
	}
	a.people = rows.People
	return a, nil
}

// Adopt remembers the adoption, all of it or, with an error, none. Users who got a
// picture from us since are left out.
func Adopt(st *state.Store, a *Adoption) (adopted int, err error) {
	if err := st.Bind(a.account); err != nil {
		return 0, err
	}
	var c state.Change
	for i, u := range a.Users {
		now, _, err := st.User(u.ID)
		if err != nil {
			return 0, err
		}
		if now.Sent == nil && now.Intent == nil {
			c.Users, c.People = append(c.Users, u), append(c.People, a.people[i])
		}
	}
	return len(c.Users), st.Write(c)
}
