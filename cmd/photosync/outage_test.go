package main

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/job"
	"photosync/sync/photo"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

// A day without Smartsheet, in the middle of a first run of 3,000 people: the run makes
// few requests and ends, with the default max_wait and with one of most of a day. The next run
// completes it.
func TestOutageOfADay(t *testing.T) {
	t.Parallel() // it waits for the disk
	const before = 300
	people := 3_000
	if testing.Short() {
		people = 1_000 // the race detector makes each ten times as slow
	}
	for _, maxWait := range []time.Duration{5 * time.Minute, 23 * time.Hour} {
		t.Run(maxWait.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sim := simulator.New(simulator.Options{Token: token, Users: users(people), RequestsPerMinute: 300})
				sim.AddFault(simulator.Fault{Kind: "html", Op: "any", Skip: before, For: 24 * time.Hour})
				mem := pictures{}
				for i := range people {
					mem[email(i)] = picture(i)
				}
				st, err := state.Open(filepath.Join(memoryDir(t), "state.db"), state.Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer st.Close()
				run := func(id string) (*report.Report, error) {
					c, err := smartsheet.New(smartsheet.Options{
						BaseURL: "https://api.example.test/2.0", Transport: sim.Transport(), Token: token, RequestsPerMinute: 300,
						Timeout: 30 * time.Second, MaxAttempts: 6, MaxWait: maxWait, Grace: grace,
					})
					if err != nil {
						t.Fatal(err)
					}
					return job.Run(context.Background(), job.Job{
						Parts: job.Parts{
							State: st, Smartsheet: c, Root: "https://api.example.test/2.0", Photos: photo.Options{MaxBytes: 1_000_000},
							Sources: []sources.Named{{Name: "mem", Type: "memory", Source: mem}},
						},
						How: job.How{Mode: job.Sync, RunID: id, Concurrency: 4},
					})
				}
				r, err := run("first")
				wasted := sim.Counts().Requests - before
				if exitCode(r, err) != 6 || r.Totals.Uploaded < before-100 || wasted >= 500 || r.Totals.Failed > 100 {
					t.Errorf("exit %d, %d requests into the outage, %+v, %v", exitCode(r, err), wasted, r.Totals, err)
				}
				t.Logf("%d requests into the outage, %d failed, %d uploaded before", wasted, r.Totals.Failed, r.Totals.Uploaded)
				if maxWait > time.Hour {
					return // the next run is the same
				}
				time.Sleep(24 * time.Hour)
				r, err = run("next")
				if got := fmt.Sprint(exitCode(r, err), " ", r.Totals.Uploaded+r.Totals.Unchanged, " ", sim.Counts().Accepted); got != fmt.Sprint("0 ", people, " ", people) {
					t.Errorf("the next run: exit, people who are done, uploads: %s", got)
				}
			})
		})
	}
}
