package job

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/upload"
)

// preview prepares every picture that a sync would send, and sends nothing. Its items show
// what would be refused, and what a guard holds.
func (j *Job) preview(ctx context.Context, rep *report.Report, p *prepared) ([]report.Item, error) {
	pool := j.pool(p)
	pool.Empty = len(rep.Guards) == 0 && j.Events.File == nil
	shown := j.fetchShown(ctx, rep, p)
	items, err := pool.Preview(ctx, p.plan.Uploads())
	if len(rep.Guards) > 0 && (j.Scope.Limit == 0 || len(items) < j.Scope.Limit) && err == nil { // guards do not count pictures that stay, or cannot be sent
		if p.held, err = j.guard(rep, p); err == nil && p.held == nil && j.How.Mode == Sync {
			items = slices.DeleteFunc(items, func(it report.Item) bool { return it.Outcome != outcome.Held }) // of max_shared
			sent, err := j.execute(ctx, rep, p)
			return append(items, sent...), err
		}
	}
	show(items, shown)
	if j.How.Mode != Apply && j.Events.File != nil {
		file := p.plan.File()
		file.Account, file.Rendering, file.Listed = p.account, j.Policy.Rendering, p.entries
		file.Guards = append(file.Guards, rep.Guards...)
		for i := range items {
			sum := ""
			if it := &items[i]; it.Image != nil {
				sum = it.Image.UploadSHA256
			}
			file.Prepared(items[i].Email, sum, items[i].Code)
		}
		j.Events.File(file)
	}
	for i := range items {
		if it := &items[i]; p.held != nil && it.Outcome == outcome.Planned {
			it.Message = it.Reason.Words().Title // why the picture would be sent
			it.Reason, it.Outcome = outcome.HeldBack, outcome.Held
		}
	}
	return items, err
}

// execute carries the plan out and records the results.
func (j *Job) execute(ctx context.Context, rep *report.Report, p *prepared) ([]report.Item, error) {
	if err := j.begin(p); err != nil {
		return nil, err
	}
	var shown map[int64]string
	if j.How.Mode == Apply {
		shown = j.fetchShown(ctx, rep, p)
	}
	items, err := j.pool(p).Run(ctx, p.plan.Uploads())
	show(items, shown)
	return items, err
}

func (j *Job) pool(p *prepared) *upload.Pool {
	return &upload.Pool{
		Plan: p.plan, Rules: p.rules, Photos: j.Photos, Smartsheet: j.Smartsheet, Users: p.users,
		State: j.State, Concurrency: j.How.Concurrency, RunID: j.How.RunID, Thumbnails: j.How.Thumbnails, Done: j.Events.Item,
		MaxShared: p.maxShared, Same: p.same,
	}
}

// rowsAtOnce is how many rows are written in one transaction. More would take more memory.
const rowsAtOnce = 2000

// begin records, before the first upload, what does not depend on how the run ends.
func (j *Job) begin(p *prepared) error {
	if j.How.Apply != nil {
		p.past.applied.RunIDs = append(p.past.applied.RunIDs, j.How.RunID)
		if err := j.State.SetMeta(appliedKey, p.past.applied); err != nil {
			return err
		}
	}
	if len(p.plan.Uploads()) > 0 {
		p.past.unended = append(p.past.unended, j.How.RunID)
		if err := j.State.SetMeta(unendedKey, p.past.unended); err != nil {
			return err
		}
	}
	rows := p.plan.SkippedRows()
	for email, user := range p.plan.Superseded() {
		row, found, err := j.State.Person(email)
		if err != nil {
			return err
		}
		if found && row.UserID == user {
			row.Fingerprint = state.Fingerprint{}
			rows.People = append(rows.People, row)
		}
	}
	for people := range slices.Chunk(rows.People, rowsAtOnce) {
		if err := j.State.Write(state.Change{People: people}); err != nil {
			return err
		}
	}
	if err := j.State.Write(state.Change{Users: rows.Users}); err != nil { // few: only users whose photo came back
		return err
	}
	// Whoever gets a first picture is remembered before: if no answer comes, and the person leaves
	// the source, the picture may have arrived. Without a stamp, the next run reads the photo again.
	for steps := range slices.Chunk(p.plan.Uploads(), rowsAtOnce) {
		var c state.Change
		for _, s := range steps {
			if s.Row == nil {
				p.plan.ResultRow(&c, s, "")
			}
		}
		for i := range c.People {
			c.People[i].Stamp = ""
		}
		if err := j.State.Write(c); err != nil {
			return err
		}
	}
	return p.users.SaveAlternates(j.State)
}

// end records what is known only when a run has come to its end.
func (j *Job) end(p *prepared) (err error) {
	defer outcome.Recover(&err) // so that the report has what was uploaded
	if err := p.users.SaveAlternates(j.State); err != nil {
		return err
	}
	facts, asPlanned := map[string]any{}, true
	if len(p.past.unended) > 0 { // whoever this run is not about is still to be reported
		facts[unendedKey] = slices.DeleteFunc(p.past.unended, func(id string) bool { return j.Scope.Everybody() || id == j.How.RunID })
	}
	if f := j.How.Apply; f != nil {
		p.past.applied.Done = true
		facts[appliedKey], asPlanned = p.past.applied, maps.Equal(f.Listed, p.entries)
	} else if p.refreshed {
		facts[state.RefreshedKey] = p.startedAt
	}
	if asPlanned && (j.Scope.Everybody() || p.past.listed == nil) && !maps.Equal(p.entries, p.past.listed) {
		facts[listedKey] = p.entries
	}
	if claims := claimIDs(p.people.Lost); j.Scope.Everybody() && !slices.Equal(claims, p.past.claims) {
		facts[claimsKey] = claims
	}
	for _, key := range slices.Sorted(maps.Keys(facts)) { // "unended" comes last
		if err := j.State.SetMeta(key, facts[key]); err != nil {
			return fmt.Errorf("remember %q: %w", key, err)
		}
	}
	c := p.plan.FinalRows()
	c.ForgetPeople = append(c.ForgetPeople, p.forget...)
	return j.State.Write(c) // last: a run that fails must count nobody as missing
}

const (
	idsAtOnce   = 100 // image ids in one call
	fetchWithin = 2 * time.Minute
)

// fetchShown fetches small copies of the pictures that the plan replaces, by user id. It leaves
// out pictures that cannot be fetched: nothing depends on them.
func (j *Job) fetchShown(ctx context.Context, rep *report.Report, p *prepared) map[int64]string {
	if !j.How.Before {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	users := map[string]int64{} // by image id
	for _, s := range upload.ByNeed(p.plan.Uploads()) {
		if s.To.ImageID != "" && len(users) < upload.MaxThumbnails {
			users[s.To.ImageID] = s.To.ID
		}
	}
	shown := map[int64]string{}
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(max(j.How.Concurrency, 1))
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(users)), idsAtOnce) {
		urls, err := j.Smartsheet.ImageURLs(ctx, ids)
		if err != nil {
			rep.Warnings = append(rep.Warnings, "report.before: the pictures that Smartsheet shows now could not be fetched: "+err.Error())
			break
		}
		for _, id := range ids {
			g.Go(func() error {
				if data, err := j.Smartsheet.Picture(ctx, urls[id]); err == nil {
					small := upload.Small(ctx, data)
					mu.Lock()
					defer mu.Unlock()
					shown[users[id]] = small
				}
				return nil
			})
		}
	}
	_ = g.Wait() // no function fails
	return shown
}

// show adds to the pictures of items what Smartsheet shows now.
func show(items []report.Item, shown map[int64]string) {
	for i := range items {
		if it := &items[i]; it.Image != nil && it.Image.Thumbnail != "" {
			it.Image.Before = shown[it.UserID]
		}
	}
}

// showShared adds a small copy of each picture that too many people have, to the item of one of them.
func (j *Job) showShared(ctx context.Context, p *prepared, items []report.Item) {
	steps := map[string]*plan.Step{} // by hash
	for i := range p.plan.Steps {
		if s := &p.plan.Steps[i]; j.How.Thumbnails && s.Reason == outcome.SharedImage && !s.Reported() && steps[s.SHA256()] == nil {
			steps[s.SHA256()] = s
		}
	}
	made, _ := j.pool(p).Preview(ctx, slices.Collect(maps.Values(steps))) // what follows notices if the run is stopped
	for _, m := range made {
		if i := slices.IndexFunc(items, func(it report.Item) bool { return it.Email == m.Email }); i >= 0 {
			items[i].Image = m.Image
		}
	}
}

// maxAskedAgain bounds how many users verify looks up one by one.
const maxAskedAgain = 200

// verify looks up the users again whose pictures were uploaded, and says in each item whether
// Smartsheet shows that picture. The state keeps what the answers confirmed.
func (j *Job) verify(ctx context.Context, rep *report.Report, p *prepared) error {
	items := map[string]*report.Item{}
	for i := range rep.Items {
		if it := &rep.Items[i]; it.Outcome == outcome.Uploaded {
			items[it.Email] = it
		}
	}
	steps := slices.DeleteFunc(p.plan.Uploads(), func(s *plan.Step) bool { return items[s.Key()] == nil })
	users, err := p.users.LookUpAgain(ctx, steps)
	asked := 0
	for i := 0; i < len(steps) && err == nil; i++ {
		it, u := items[steps[i].Key()], users[i]
		if u.ImageID != it.ImageID && asked < maxAskedAgain { // the list may lag behind
			asked++
			if u, err = p.users.ByID(ctx, it.UserID); err != nil {
				break
			}
		}
		switch {
		case u.ID == 0:
			rep.Doubt(it, "no such user")
		case u.ImageID == "":
			rep.Doubt(it, "no picture")
		case u.ImageID != it.ImageID:
			rep.Doubt(it, "another picture, "+u.ImageID)
		default:
			rep.Verify(it)
		}
	}
	if err != nil {
		return fmt.Errorf("verify what was uploaded, and recorded: %w", err)
	}
	return nil
}
