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

// unplanned returns the items of the people to whom nothing is sent. Of those who have one picture
// with too many others, one item shows it.
func (j *Job) unplanned(ctx context.Context, p *prepared) (items []report.Item) {
	items = make([]report.Item, 0, len(p.plan.Steps)-len(p.plan.Planned())) // a first run has one for everybody: no room to grow
	shared := map[string]*plan.Step{}                                       // by the hash of the picture
	for _, s := range p.plan.Steps {
		if s.Outcome == outcome.Planned {
			continue
		}
		items = append(items, upload.Item(p.plan.Rules, s))
		if j.How.Thumbnails && s.Reason == outcome.SharedImage && !s.Reported() && shared[s.SHA256()] == nil {
			shared[s.SHA256()] = s
		}
	}
	shown, _ := j.pool(p).Preview(ctx, slices.Collect(maps.Values(shared))) // what follows notices if the run is stopped
	for _, it := range shown {
		if i := slices.IndexFunc(items, func(other report.Item) bool { return other.Email == it.Email }); i >= 0 {
			items[i].Image = it.Image
		}
	}
	return items
}

// carryOut previews or executes the plan, and returns the items of its uploads.
func (j *Job) carryOut(ctx context.Context, rep *report.Report, p *prepared) ([]report.Item, error) {
	writes := func() bool { return j.How.Mode != Plan && p.held == nil }
	var shown map[int64]string
	if !writes() || j.How.Apply != nil {
		shown = j.fetchShown(ctx, rep, p)
	}
	if writes() {
		items, err := j.execute(ctx, rep, p)
		show(items, shown)
		return items, err
	}
	items, err := j.preview(ctx, rep, p)
	if writes() { // the preview showed that nothing holds the run but, for some people, max_shared
		shared := slices.DeleteFunc(items, func(it report.Item) bool { return it.Outcome != outcome.Held })
		items, err = j.execute(ctx, rep, p)
		return append(shared, items...), err
	}
	show(items, shown)
	if j.How.Apply == nil && j.Events.File != nil {
		j.Events.File(j.file(rep, p, items))
	}
	if p.held == nil {
		return items, err
	}
	for i := range items {
		if it := &items[i]; it.Outcome == outcome.Planned {
			it.Message = it.Reason.Words().Title // why the picture would be sent
			it.Reason, it.Outcome = outcome.HeldBack, outcome.Held
		}
	}
	if err == nil || ctx.Err() != nil {
		err = p.held
	}
	return items, err
}

// preview prepares every picture that a sync would send, and sends nothing. It checks the guards
// again: they do not count pictures that turn out to be the same as before, or cannot be sent.
func (j *Job) preview(ctx context.Context, rep *report.Report, p *prepared) ([]report.Item, error) {
	pool := j.pool(p)
	pool.Empty = len(rep.Guards) == 0 && j.Events.File == nil
	items, err := pool.Preview(ctx, p.plan.Uploads())
	if err == nil && len(rep.Guards) > 0 && (j.Scope.Limit == 0 || len(items) < j.Scope.Limit) {
		err = j.check(rep, p)
	}
	return items, err
}

// file returns the plan for apply, with the pictures that items show.
func (j *Job) file(rep *report.Report, p *prepared, items []report.Item) *plan.File {
	f := p.plan.File()
	f.Account, f.Rendering, f.Listed = p.account, j.Policy.Rendering, p.entries
	f.Guards = append(f.Guards, rep.Guards...)
	for _, it := range items {
		sum := ""
		if it.Image != nil {
			sum = it.Image.UploadSHA256
		}
		f.Prepared(it.Email, sum, it.Code)
	}
	return f
}

// execute carries the plan out and records the results.
func (j *Job) execute(ctx context.Context, rep *report.Report, p *prepared) ([]report.Item, error) {
	if err := j.begin(p); err != nil {
		return nil, err
	}
	items, err := j.pool(p).Run(ctx, p.plan.Uploads())
	if err == nil && !slices.ContainsFunc(items, func(it report.Item) bool { return it.Outcome != outcome.Unfinished }) {
		rep.Findings = append(rep.Findings, plan.AllPostponed(len(items))...)
	}
	return items, err
}

// pool returns the workers for the plan.
func (j *Job) pool(p *prepared) *upload.Pool {
	return &upload.Pool{
		Plan: p.plan, Photos: j.Photos, Smartsheet: j.Smartsheet, Users: p.users,
		State: j.State, Concurrency: j.How.Concurrency, RunID: j.How.RunID, Thumbnails: j.How.Thumbnails, Done: j.Events.Item,
		MaxShared: p.maxShared, Same: maps.Clone(p.same), // the workers count on
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
	if len(p.plan.Planned()) > 0 {
		p.past.unended = append(p.past.unended, j.How.RunID)
		if err := j.State.SetMeta(unendedKey, p.past.unended); err != nil {
			return err
		}
	}
	for steps := range slices.Chunk(slices.Concat(p.plan.Unchanged, p.plan.Steps), rowsAtOnce) {
		c := p.plan.FirstRows(steps)
		for _, s := range steps {
			if s.Superseded() == "" {
				continue
			}
			row, found, err := j.State.Person(s.Superseded())
			if err != nil {
				return err
			}
			if found && row.UserID == s.To.ID {
				row.Fingerprint = state.Fingerprint{}
				c.People = append(c.People, row)
			}
		}
		if err := j.State.Write(c); err != nil {
			return err
		}
	}
	return p.users.SaveAlternates(j.State)
}

// end records what later runs need to know of this one, once it has come to its end.
func (j *Job) end(rep *report.Report, p *prepared) (err error) {
	defer outcome.Recover(&err) // so that the report has what was uploaded
	err = p.users.SaveAlternates(j.State)
	remember := func(key string, fact any) {
		if err != nil {
			return
		}
		if err = j.State.SetMeta(key, fact); err != nil {
			err = fmt.Errorf("remember %q: %w", key, err)
		}
	}
	everybody, asPlanned := j.Scope.Everybody(), true
	if f := j.How.Apply; f != nil {
		p.past.applied.Done = true
		remember(appliedKey, p.past.applied)
		asPlanned = maps.Equal(f.Listed, p.entries)
	} else if everybody && p.users.All {
		remember(state.RefreshedKey, rep.StartedAt)
	}
	if asPlanned && (everybody || p.past.listed == nil) && !maps.Equal(p.entries, p.past.listed) {
		remember(listedKey, p.entries)
	}
	if everybody && !slices.Equal(p.claims, p.past.claims) {
		remember(claimsKey, p.claims)
	}
	if len(p.past.unended) > 0 { // after the other facts. Whoever this run is not about is still to be reported
		remember(unendedKey, slices.DeleteFunc(p.past.unended, func(id string) bool { return everybody || id == j.How.RunID }))
	}
	if err != nil {
		return err
	}
	return j.State.Write(p.plan.FinalRows()) // last: a run that fails must count nobody as missing
}

const (
	idsAtOnce   = 100 // image ids in one call
	fetchWithin = 2 * time.Minute
)

// fetchShown fetches small copies of the pictures that the plan replaces, by user id, as far as it can.
func (j *Job) fetchShown(ctx context.Context, rep *report.Report, p *prepared) map[int64]string {
	if !j.How.Before {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	users := map[string]int64{} // by image id
	for _, s := range upload.ByNeed(p.plan.Planned()) {
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

// maxAskedAgain bounds how many users verify looks up one by one.
const maxAskedAgain = 200

// verify looks up the users of uploads again, and says in each item whether Smartsheet shows the picture.
func (j *Job) verify(ctx context.Context, rep *report.Report, p *prepared) error {
	items := map[string]*report.Item{}
	for i := range rep.Items {
		if it := &rep.Items[i]; it.Outcome == outcome.Uploaded && !it.Unverified {
			items[it.Email] = it
		}
	}
	steps := slices.DeleteFunc(p.plan.Planned(), func(s *plan.Step) bool { return items[s.Key()] == nil })
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
			rep.Verify(it, "no such user")
		case u.ImageID == "":
			rep.Verify(it, "no picture")
		case u.ImageID != it.ImageID:
			rep.Verify(it, "another picture, "+u.ImageID)
		default:
			rep.Verify(it, "")
		}
	}
	if err != nil {
		err = fmt.Errorf("verify what was uploaded, and recorded: %w", err)
	}
	return err
}
