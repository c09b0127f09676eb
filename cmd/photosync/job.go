package main

import (
	"context"
	"errors"
	"fmt"
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

// options are those of every job.
func (p *parts) options(c *config.Config, runID string, part plan.Shard) job.Options {
	return job.Options{
		RunID: runID, Version: versionText(), Sources: p.sources, Smartsheet: p.client, Root: baseURL(c.Smartsheet),
		Photos: photoOptions(c.Image), Concurrency: c.Smartsheet.Concurrency,
		Excluded: c.Match.Excluded, Existing: plan.Policy(c.Policy.Existing), RemovedAfter: removedAfter(c.Policy),
		AlternateEmails: c.Match.AlternateEmails, AssumeUser: c.Smartsheet.AssumeUser, Shard: part,
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
	o := p.options(c, runID, f.part)
	o.Mode, o.State, o.Guards, o.Thumbnails = mode, st, guards(c.Guard), c.Report.Thumbnails
	o.Only, o.Source, o.Limit, o.Force, o.Checksum, o.RetryFailed = f.match(), f.Source, f.Limit, f.Force, f.Checksum, f.RetryFailed
	o.Approve, o.Apply, o.Strict, o.Verify = f.approve, f.apply, f.strict, f.verify
	o.Listed, o.Asked, o.Item = w.Source, w.Asked, w.Item
	o.Made = func(p *plan.Plan) { w.Planned(p.ID, p.Planned(), p.Unchanged, f.Limit) }
	o.File = func(p *plan.File) { made = p }
	rep, err = job.Run(ctx, o)
	if err == nil || job.Held(err) { // then everyone was looked at
		for _, g := range f.matchNobody() {
			w.Log.Warn().Str("only", g).Msg("--only matches nobody in the sources or the state")
		}
	}
	if err == nil && mode != job.Plan {
		if berr := st.Backup(); berr != nil {
			w.Log.Warn().Err(berr).Msg("the state was not backed up; the run itself is recorded")
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
	o := p.options(c, "", part)
	o.Concurrency = 1
	if o.State, err = state.Open(path, state.Options{ReadOnly: true}); err != nil {
		return nil, err
	}
	x, err := job.Explain(ctx, o, email)
	return x, errors.Join(err, o.State.Close())
}

// adoptable finds the people whose pictures in Smartsheet can be taken for ours. It
// reads the state at path, which may be missing and stays as it is.
func (a *app) adoptable(ctx context.Context, c *config.Config, path string, part plan.Shard) (*job.Adoption, error) {
	p, err := open(c, nil, zerolog.Nop())
	if err != nil {
		return nil, err
	}
	defer p.close()
	o := p.options(c, newRunID(time.Now()), part)
	if o.State, err = state.Open(path, state.Options{ReadOnly: true}); err != nil {
		return nil, err
	}
	found, err := job.Adoptable(ctx, o)
	return found, errors.Join(err, o.State.Close())
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
