package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"photosync/cmd/internal/config"
	"photosync/cmd/internal/console"
	"photosync/sources"
	"photosync/state"
	"photosync/sync/job"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
)

// Here, and nowhere else, the options of jobs are made.

// parts are what a job works with, but for the state.
type parts struct {
	sources []sources.Named
	client  *smartsheet.Client
	close   func()
}

// open makes the parts that a configuration names; nothing is contacted yet.
func open(c *config.Config, abort <-chan struct{}, log zerolog.Logger) (*parts, error) {
	client, err := newClient(c.Smartsheet, abort, log)
	if err != nil {
		return nil, err
	}
	srcs, closeSources, err := openSources(c)
	if err != nil {
		client.Close()
		return nil, usage(err)
	}
	return &parts{srcs, client, func() { closeSources(); client.Close() }}, nil
}

// job is what every job has of a configuration, but for the state.
func (p *parts) job(c *config.Config, runID string, part plan.Shard) job.Job {
	return job.Job{
		Parts: job.Parts{Sources: p.sources, Smartsheet: p.client, Root: baseURL(c.Smartsheet), Photos: photoOptions(c.Image)},
		Policy: plan.Policy{
			Existing: plan.Existing(c.Policy.Existing), RemovedAfter: removedAfter(c.Policy), Guards: guards(c.Guard),
			Included: c.Match.Includes(), Excluded: c.Match.Excludes(), Patterns: slices.Concat(c.Match.Include, []string{"-"}, c.Match.Exclude),
			Ignored: c.Match.IgnorePictures, AlternateEmails: c.Match.AlternateEmails, Refresh: time.Duration(c.Match.Refresh),
		},
		Scope: plan.Scope{Shard: part},
		How:   job.How{RunID: runID, Version: versionText(), Concurrency: c.Smartsheet.Concurrency},
	}
}

// perform opens everything and runs the job. It returns a report in every case, and
// the plan if it is to be kept.
func (a *app) perform(ctx context.Context, mode, runID string, c *config.Config, f *runFlags, w *console.Run, abort <-chan struct{}) (rep *report.Report, made *plan.File, err error) {
	fail := func(err error) (*report.Report, *plan.File, error) {
		r := report.New(mode, runID, versionText(), time.Now().UTC())
		r.Result, r.Error = report.Failed, job.ErrorOf(err)
		return r, nil, err
	}
	p, err := open(c, abort, w.Log)
	if err != nil {
		return fail(err)
	}
	defer p.close()
	w.Follow(traffic(p.client), c.Smartsheet.UploadWeight)
	count(p.sources, w)
	st, err := state.Open(c.State.Path, state.Options{ReadOnly: mode == job.Plan})
	if err != nil {
		return fail(err)
	}
	j := p.job(c, runID, f.part)
	j.State = st
	j.Scope.Only, j.Scope.Source, j.Scope.Limit = f.match(), f.Source, f.Limit
	j.Scope.Force, j.Scope.Checksum, j.Scope.RetryFailed = f.Force, f.Checksum, f.RetryFailed
	j.How.Mode, j.How.Thumbnails, j.How.Verify = mode, c.Report.Thumbnails, f.verify
	j.How.Before = c.Report.Before && c.Report.Thumbnails
	j.How.Approve, j.How.Apply, j.How.Strict = f.approve, f.apply, f.strict
	j.Events = job.Events{
		Listed: w.Source, Asked: w.Asked, Item: w.Item,
		Made: func(p *plan.Plan) { w.Planned(p.ID, len(p.Uploads()), p.Unchanged, f.Limit) },
		File: func(p *plan.File) { made = p },
	}
	rep, err = job.Run(ctx, j)
	if err == nil || job.Held(err) { // then everyone was looked at
		for _, g := range f.matchNobody() {
			w.Log.Warn().Str("only", g).Msg("--only matches nobody in the sources or the state")
		}
	}
	if err == nil && mode != job.Plan {
		if err = st.Current(); err == nil { // else somebody took the file away or put another in its place
			err = job.Backup(st, rep)
		}
		if err != nil {
			rep.Result, rep.Error = report.Failed, job.ErrorOf(err)
		}
	}
	if cerr := st.Close(); cerr != nil && err == nil {
		err = fmt.Errorf("close state: %w", cerr)
		rep.Result, rep.Error = report.Failed, job.ErrorOf(err)
	}
	return rep, made, err
}

// explanation explains one address from the state at path.
func (a *app) explanation(ctx context.Context, c *config.Config, path string, part plan.Shard, email string) (*job.Explanation, error) {
	p, err := open(c, nil, zerolog.Nop())
	if err != nil {
		return nil, err
	}
	defer p.close()
	j := p.job(c, "", part)
	j.How.Concurrency = 1
	if j.State, err = state.Open(path, state.Options{ReadOnly: true}); err != nil {
		return nil, err
	}
	x, err := job.Explain(ctx, j, email)
	return x, errors.Join(err, j.State.Close())
}

// adoptable finds the people whose pictures in Smartsheet can be taken for ours. It
// reads the state at path, which may be missing and stays as it is.
func (a *app) adoptable(ctx context.Context, c *config.Config, path string, part plan.Shard) (*job.Adoption, error) {
	p, err := open(c, nil, zerolog.Nop())
	if err != nil {
		return nil, err
	}
	defer p.close()
	j := p.job(c, newRunID(time.Now()), part)
	if j.State, err = state.Open(path, state.Options{ReadOnly: true}); err != nil {
		return nil, err
	}
	found, err := job.Adoptable(ctx, j)
	return found, errors.Join(err, j.State.Close())
}

// traffic is what a client did, for those who watch a run.
func traffic(client *smartsheet.Client) func() console.Traffic {
	return func() console.Traffic {
		s := client.Stats()
		return console.Traffic{Requests: s.Requests, RateLimited: s.RateLimited, PerMinute: s.PerMinute, PausedUntil: s.PausedUntil}
	}
}

// counted is a source that shows w what it gives.
type counted struct {
	sources.Source
	w *console.Run
}

func count(srcs []sources.Named, w *console.Run) {
	for i := range srcs {
		srcs[i].Source = counted{srcs[i].Source, w}
	}
}

func (c counted) List(ctx context.Context, each func(sources.Person) error) (sources.Listing, error) {
	return c.Source.List(ctx, func(p sources.Person) error {
		c.w.Listed()
		return each(p)
	})
}

func (c counted) Photos(ctx context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	return c.Source.Photos(ctx, refs, func(p sources.Photo) error {
		c.w.Read()
		return each(p)
	})
}
