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

// preview prepares every picture that a sync would send, so that what would be refused
// shows, and sends nothing. Of a run that is held it shows what is held.
func (j *Job) preview(ctx context.Context, p *prepared) ([]report.Item, error) {
	if j.How.Mode == Plan {
		p.plan.Limit(j.Scope.Limit)
	}
	j.fetchShown(ctx, p)
	pool := j.pool(p)
	pool.Done = nil // nothing is sent
	items, err := pool.Preview(ctx, p.plan.Uploads())
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
	return append(items, p.left()...), err
}

// execute carries the plan out and records what it comes to.
func (j *Job) execute(ctx context.Context, p *prepared) ([]report.Item, error) {
	if err := j.begin(p); err != nil {
		return nil, err
	}
	p.plan.Limit(j.Scope.Limit)
	if j.How.Mode == Apply {
		j.fetchShown(ctx, p)
	}
	items, err := j.pool(p).Run(ctx, p.plan.Uploads())
	items = append(items, p.left()...)
	if err == nil {
		err = j.end(p)
	}
	return items, err
}

// left are the items of those whom --limit leaves to a later run.
func (p *prepared) left() (items []report.Item) {
	for i := range p.plan.Steps {
		if s := &p.plan.Steps[i]; s.Left {
			items = append(items, upload.Item(p.plan, s))
		}
	}
	return items
}

func (j *Job) pool(p *prepared) *upload.Pool {
	return &upload.Pool{
		Plan: p.plan, Sources: j.Sources, Photos: j.Photos, Smartsheet: j.Smartsheet, Users: p.users,
		State: j.State, Concurrency: j.How.Concurrency, RunID: j.How.RunID, Thumbnails: j.How.Thumbnails, Done: j.Events.Item,
	}
}

// rowsAtOnce is how many rows are written in one transaction: enough to be quick, few
// enough not to take memory.
const rowsAtOnce = 10_000

// begin records, before the first upload, what does not depend on how the run ends.
func (j *Job) begin(p *prepared) error {
	if j.How.Approve != "" {
		if err := j.State.SetMeta(approvedKey, map[string]string{"plan_id": p.plan.ID, "run_id": j.How.RunID}); err != nil {
			return err
		}
	}
	if err := j.applying(p); err != nil {
		return err
	}
	rows := p.plan.Rows()
	for rows := range slices.Chunk(rows.People, rowsAtOnce) {
		if err := j.State.Write(state.Change{People: rows}); err != nil {
			return err
		}
	}
	for rows := range slices.Chunk(rows.Users, rowsAtOnce) {
		if err := j.State.Write(state.Change{Users: rows}); err != nil {
			return err
		}
	}
	return p.users.SaveAlternates(j.State)
}

// end records what only a run that came to its end may say.
func (j *Job) end(p *prepared) error {
	if j.How.Apply != nil {
		if err := j.appliedAll(p); err != nil {
			return err
		}
	}
	c := p.plan.Ended()
	c.ForgetPeople = append(c.ForgetPeople, p.changes.forget...)
	if err := j.State.Write(c); err != nil {
		return err
	}
	facts := map[string]any{}
	if j.listedAsPlanned(p) && !maps.Equal(p.listed, p.past.Listed) {
		facts[listedKey] = p.listed
	}
	if j.Scope.Everybody() && !slices.Equal(p.claims, p.past.claims) {
		facts[claimsKey] = p.claims
	}
	if p.changes.whole && j.How.Apply == nil {
		facts[state.RefreshedKey] = p.startedAt
	}
	for key, v := range facts {
		if err := j.State.SetMeta(key, v); err != nil {
			return fmt.Errorf("remember %q: %w", key, err)
		}
	}
	return nil
}
