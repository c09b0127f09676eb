package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"photosync/cmd/internal/config"
	"photosync/cmd/internal/console"
	"photosync/cmd/internal/notify"
	"photosync/sources"
	"photosync/state"
	"photosync/sync/job"
	"photosync/sync/outcome"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
)

func TestExitCode(t *testing.T) {
	with := func(mode string, items ...report.Item) *report.Report {
		r := &report.Report{Mode: mode, SkippedByReason: map[outcome.Reason]int{}}
		r.Add(items...)
		return r
	}
	skip := func(reason outcome.Reason) report.Item { return report.Item{Outcome: "skipped", Reason: reason} }
	found := func(severity string) *report.Report {
		r := with(job.Sync)
		r.Findings = []outcome.Finding{{Severity: severity}}
		return r
	}
	for name, c := range map[string]struct {
		r    *report.Report
		err  error
		want int
	}{
		"nothing to do":      {with(job.Sync), nil, 0},
		"uploaded":           {with(job.Sync, report.Item{Outcome: "uploaded"}), nil, 0},
		"normal life":        {with(job.Sync, skip("no_photo"), skip("not_in_smartsheet"), skip("inactive_user"), skip("excluded"), skip("same_picture")), nil, 0},
		"known before":       {with(job.Sync, report.Item{Outcome: "skipped", Reason: "known_bad", AlreadyReported: true}), nil, 0},
		"known, not told":    {with(job.Sync, skip("known_bad")), nil, 3},
		"failed":             {with(job.Sync, report.Item{Outcome: "failed"}), nil, 3},
		"partial":            {with(job.Sync, report.Item{Outcome: "partial_success"}), nil, 3},
		"ambiguous":          {with(job.Sync, skip("ambiguous")), nil, 3},
		"a finding":          {found(outcome.Attention), nil, 3},
		"a notice":           {found(outcome.Notice), nil, 0},
		"plan of nothing":    {with(job.Plan), nil, 0},
		"plan":               {with(job.Plan, report.Item{Outcome: "planned"}), nil, 10},
		"plan that is held":  {&report.Report{Mode: job.Plan, Guards: make([]outcome.Breach, 1)}, nil, 10},
		"source failed":      {with(job.Sync), &sources.ListError{Source: "x", Err: errors.New("y")}, 1},
		"usage":              {nil, fmt.Errorf("x: %w", usage(errors.New("y"))), 2},
		"locked":             {with(job.Sync), fmt.Errorf("open: %w", &state.LockedError{}), 5},
		"other account":      {with(job.Sync), &state.Error{}, 1},
		"held":               {with(job.Sync), &job.HeldError{}, 4},
		"not approved":       {with(job.Sync), &job.HeldError{}, 4},
		"shared picture":     {with(job.Sync, report.Item{Outcome: "held", Reason: "shared_image"}), nil, 3},
		"limit":              {with(job.Sync, report.Item{Outcome: "unfinished"}), nil, 0},
		"signal":             {with(job.Sync), job.ErrSignal, 6},
		"time is over":       {with(job.Sync), fmt.Errorf("x: %w", job.ErrMaxDuration), 6},
		"cancelled":          {with(job.Sync), context.Canceled, 6},
		"maintenance":        {with(job.Sync), &smartsheet.Error{Status: 503, Code: 4001}, 6},
		"no quota for good":  {with(job.Sync), &smartsheet.Error{Status: 429, Code: 4003}, 6},
		"token":              {with(job.Sync), &smartsheet.Error{Status: 401, Code: 1002}, 1},
		"token while failed": {with(job.Sync, report.Item{Outcome: "failed"}), &smartsheet.Error{Status: 401}, 1},
	} {
		if got := exitCode(c.r, c.err); got != c.want {
			t.Errorf("%s: exit code %d, want %d", name, got, c.want)
		}
	}
}

// What is wrong with a command line is a usage error, whoever notices it.
func TestUsageErrors(t *testing.T) {
	for _, line := range []string{
		"snyc", "sync now", "sync --no-such-flag", "sync --limit many", "sync --output xml", "explain", "explain nobody",
		"report latest.json --html --csv", "report latest.json --serve 127.0.0.1:0 --html", "completion basch", "state list [", "state show x",
		"state adopt --state x", "state import", "config schema more", "check --output xml",
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), strings.Fields(line), func(string) string { return "" }, &out, &errs); code != exitUsage {
			t.Errorf("photosync %s: exit %d, want %d\n%s", line, code, exitUsage, errs.String())
		}
	}
}

// A fault of the program itself is a run that failed, with a report that says so: it is no
// mistake in the configuration, which is what Go's own exit code would say.
func TestFaultOfTheProgram(t *testing.T) {
	s := newSite(t, nil, "")
	a := &app{env: func(name string) string { return map[string]string{"SMARTSHEET_ACCESS_TOKEN": token}[name] }}
	c, err := config.Load(s.conf, a.env)
	if err != nil {
		t.Fatal(err)
	}
	f := &runFlags{setup: &setup{Config: c}, How: job.How{Mode: job.Sync, RunID: "r"}}
	r, err := perform(t.Context(), f, &console.Run{}, notify.New(notify.Options{}), nil) // one that was not started
	if err == nil || !strings.Contains(err.Error(), "perform") || exitCode(r, err) != exitFailed {
		t.Fatalf("exit %d, error %v", exitCode(r, err), err)
	}
	if r.Result != report.Failed || r.Error == nil {
		t.Errorf("the report says %q, %+v", r.Result, r.Error)
	}
}
