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
)

// open makes the job that a configuration describes, but for the state. Nothing is
// contacted yet. Here, and nowhere else, jobs are made.
func open(c *config.Config, runID string, part plan.Shard, abort <-chan struct{}, log zerolog.Logger) (j job.Job, closeAll func(), err error) {
	client, err := newClient(c.Smartsheet, abort, log)
	if err != nil {
		return j, nil, err
	}
	srcs, closeSources, err := openSources(c)
	if err != nil {
		client.Close()
		return j, nil, usage(err)
	}
	return job.Job{
		Parts: job.Parts{Sources: srcs, Smartsheet: client, Root: baseURL(c.Smartsheet), Photos: photoOptions(c.Image)},
		Policy: plan.Policy{
			Existing: plan.Existing(c.Policy.Existing), RemovedAfter: removedAfter(c.Policy), Guards: guards(c.Guard),
			Included: c.Match.Includes(), Excluded: c.Match.Excludes(), Patterns: slices.Concat(c.Match.Include, []string{"-"}, c.Match.Exclude),
			Ignored: c.Match.IgnorePictures, AlternateEmails: c.Match.AlternateEmails, Refresh: time.Duration(c.Match.Refresh),
		},
		Scope: plan.Scope{Shard: part},
		How:   job.How{RunID: runID, Version: versionText(), Concurrency: c.Smartsheet.Concurrency},
	}, func() { closeSources(); client.Close() }, nil
}

// reading calls do with the job that a configuration describes, and with the state, which
// may be missing and stays as it is.
func reading[T any](c *config.Config, part plan.Shard, do func(job.Job) (T, error)) (result T, err error) {
	j, closeAll, err := open(c, newRunID(time.Now()), part, nil, zerolog.Nop())
	if err != nil {
		return result, err
	}
	defer closeAll()
	if j.State, err = state.Open(shardPath(c.State.Path, part), state.Options{ReadOnly: true}); err != nil {
		return result, err
	}
	result, err = do(j)
	return result, errors.Join(err, j.State.Close())
}

// perform opens everything and runs the job. It returns a report in every case, and
// the plan if it is to be kept.
func perform(ctx context.Context, mode, runID string, c *config.Config, f *runFlags, w *console.Run, abort <-chan struct{}) (rep *report.Report, made *plan.File, err error) {
	rep = report.New(mode, runID, versionText(), time.Now().UTC())
	fail := func(err error) (*report.Report, *plan.File, error) {
		rep.Result, rep.Error, rep.FinishedAt = report.Failed, job.ErrorOf(err), time.Now().UTC()
		return rep, made, err
	}
	j, closeAll, err := open(c, runID, f.part, abort, w.Log)
	if err != nil {
		return fail(err)
	}
	defer closeAll()
	if j.State, err = state.Open(c.State.Path, state.Options{ReadOnly: mode == job.Plan}); err != nil {
		return fail(err)
	}
	w.Follow(j.Smartsheet.Stats)
	for i := range j.Sources {
		j.Sources[i].Source = counted{j.Sources[i].Source, w}
	}
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
		for _, g := range f.unmatched {
			w.Log.Warn().Str("only", g).Msg("--only matches nobody in the sources or the state")
		}
	}
	if err == nil && mode != job.Plan {
		if err = j.State.Current(); err == nil { // else somebody took the file away or put another in its place
			err = job.Backup(j.State, rep)
		}
		if err != nil {
			rep.Result, rep.Error = report.Failed, job.ErrorOf(err)
		}
	}
	if cerr := j.State.Close(); cerr != nil && err == nil {
		return fail(fmt.Errorf("close state: %w", cerr))
	}
	return rep, made, err
}

// counted is a source that shows w what it gives.
type counted struct {
	sources.Source
	w *console.Run
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
