package job

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/report"
	"photosync/sync/upload"
)

// preview prepares every picture that a sync would send, and sends nothing: what would
// be refused shows, and of a run that is held, what is held.
func (j *Job) preview(ctx context.Context, p *prepared) ([]report.Item, error) {
	j.fetchShown(ctx, p)
	items, err := j.pool(p).Preview(ctx, p.plan.Uploads())
	for i := range items {
		it := &items[i]
		sum := ""
		if it.Image != nil {
			sum = it.Image.UploadSHA256
		}
		if p.file != nil {
			p.file.Prepared(it.Email, sum, it.Code)
		}
		if p.held != nil && it.Outcome == string(outcome.Planned) {
			it.Message = outcome.Reason(it.Reason).Words().Title // why it would be sent
			it.Reason, it.Outcome = string(outcome.HeldBack), string(outcome.Held)
		}
	}
	if p.file != nil && j.Events.File != nil {
		j.Events.File(p.file)
	}
	return items, err
}

// execute carries the plan out and records what it comes to.
func (j *Job) execute(ctx context.Context, p *prepared) ([]report.Item, error) {
	if err := j.begin(p); err != nil {
		return nil, err
	}
	if j.How.Mode == Apply {
		j.fetchShown(ctx, p)
	}
	items, err := j.pool(p).Run(ctx, p.plan.Uploads())
	if err == nil {
		err = j.end(p)
	}
	return items, err
}

func (j *Job) pool(p *prepared) *upload.Pool {
	return &upload.Pool{
		Plan: p.plan, Rules: p.rules, Photos: j.Photos, Smartsheet: j.Smartsheet, Users: p.users,
		State: j.State, Concurrency: j.How.Concurrency, RunID: j.How.RunID, Thumbnails: j.How.Thumbnails, Done: j.Events.Item,
	}
}

// rowsAtOnce is how many rows are written in one transaction, so that it takes little memory.
const rowsAtOnce = 10_000

// begin records, before the first upload, what does not depend on how the run ends.
func (j *Job) begin(p *prepared) error {
	if j.How.Approve != "" {
		if err := j.State.SetMeta(approvedKey, map[string]string{"plan_id": p.plan.ID, "run_id": j.How.RunID}); err != nil {
			return err
		}
	}
	if j.How.Apply != nil {
		a := j.appliedBefore(p)
		a.RunIDs = append(a.RunIDs, j.How.RunID)
		if err := j.State.SetMeta(appliedKey, a); err != nil {
			return err
		}
	}
	rows := p.plan.Rows()
	for people := range slices.Chunk(rows.People, rowsAtOnce) {
		if err := j.State.Write(state.Change{People: people}); err != nil {
			return err
		}
	}
	for users := range slices.Chunk(rows.Users, rowsAtOnce) {
		if err := j.State.Write(state.Change{Users: users}); err != nil {
			return err
		}
	}
	return p.users.SaveAlternates(j.State)
}

// end records what only a run that came to its end may say.
func (j *Job) end(p *prepared) error {
	c := p.plan.Ended()
	c.ForgetPeople = append(c.ForgetPeople, p.forget...)
	if err := j.State.Write(c); err != nil {
		return err
	}
	facts, asPlanned := map[string]any{}, true
	if f := j.How.Apply; f != nil {
		a := j.appliedBefore(p)
		a.RunIDs, a.Done = append(a.RunIDs, j.How.RunID), true
		facts[appliedKey], asPlanned = a, maps.Equal(f.Listed, p.entries)
	} else if p.whole {
		facts[state.RefreshedKey] = p.startedAt
	}
	if asPlanned && !maps.Equal(p.entries, p.past.listed) {
		facts[listedKey] = p.entries
	}
	if j.Scope.Everybody() && !slices.Equal(p.claims, p.past.claims) {
		facts[claimsKey] = p.claims
	}
	for key, v := range facts {
		if err := j.State.SetMeta(key, v); err != nil {
			return fmt.Errorf("remember %q: %w", key, err)
		}
	}
	return nil
}
