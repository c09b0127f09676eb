package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/job"
	"photosync/sync/photo"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

// faulty is how many people the matrix of faults uploads: two rounds of "every
// 7th attempt".
const faulty = 14

// A faultCase is a row of testdata/faults.txt, whose head explains the columns.
type faultCase struct{ fault, when, exit, people, state, next string }

func readFaultCases(t *testing.T) (cases []faultCase) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "faults.txt"))
	if err != nil {
		t.Fatal(err)
	}
	fault := ""
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		col := strings.Split(line, "|")
		if len(col) != 6 {
			t.Fatalf("faults.txt: %q has %d columns, want 6", line, len(col))
		}
		for i := range col {
			col[i] = strings.TrimSpace(col[i])
		}
		fault = cmp.Or(col[0], fault)
		cases = append(cases, faultCase{fault, col[1], col[2], col[3], col[4], col[5]})
	}
	return cases
}

// Every fault, on the first attempt, on each and on every 7th: what becomes of the
// people, the exit code, what the state remembers, and what the next run does once
// the fault is gone.
func TestFaultMatrix(t *testing.T) {
	cases := readFaultCases(t)
	if len(cases) < 90 {
		t.Fatalf("%d cases: rows are missing", len(cases))
	}
	for _, want := range cases {
		t.Run(want.fault+" "+want.when, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				got := newFaultBench(t).play(want.fault, want.when)
				if !slices.Contains(cases, got) { // a fault may end in two ways, as waits are drawn
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
			})
		})
	}
}

func (c faultCase) String() string {
	return strings.Join([]string{c.fault, c.when, c.exit, c.people, c.state, c.next}, " | ")
}

// faultBench is a run's surroundings in memory, but for the state file. Its one
// worker makes the order of attempts exact.
type faultBench struct {
	t       *testing.T
	mem     pictures
	sim     *simulator.Server
	state   *state.Store
	timeout time.Duration
}

// pictures is a source in memory: pictures by address.
type pictures map[string][]byte

func (p pictures) List(_ context.Context, each func(sources.Person) error) (sources.Listing, error) {
	for email := range p {
		if err := each(sources.Person{Own: []string{email}, Ref: sources.Ref{Name: email}, Stamp: "1", HasPhoto: sources.Present}); err != nil {
			return sources.Listing{}, err
		}
	}
	return sources.Listing{Entries: len(p), Complete: true}, nil
}

func (p pictures) Photos(ctx context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	for _, r := range refs {
		if err := errors.Join(ctx.Err(), each(sources.Photo{Ref: r, Data: slices.Clone(p[r.Name]), Emails: []string{r.Name}})); err != nil {
			return err
		}
	}
	return nil
}

func newFaultBench(t *testing.T) *faultBench {
	b := &faultBench{t: t, mem: pictures{}, sim: simulator.New(simulator.Options{Token: token, Users: users(faulty)}), timeout: 30 * time.Second}
	for i := range faulty {
		b.mem[email(i)] = picture(i)
	}
	st, err := state.Open(filepath.Join(memoryDir(t), "state.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	b.state = st
	return b
}

func (b *faultBench) run(ctx context.Context, runID string) (*report.Report, error) {
	b.t.Helper()
	return b.runUnder(ctx, runID, plan.Policy{})
}

func (b *faultBench) runUnder(ctx context.Context, runID string, policy plan.Policy) (*report.Report, error) {
	b.t.Helper()
	c, err := smartsheet.New(smartsheet.Options{
		BaseURL: "https://api.example.test/2.0", Transport: b.sim.Transport(), Token: token, RequestsPerMinute: 300,
		Timeout: b.timeout, MaxAttempts: 6, MaxWait: 5 * time.Minute, Grace: grace,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return job.Run(ctx, job.Job{
		Parts: job.Parts{
			State: b.state, Smartsheet: c, Root: "https://api.example.test/2.0", Photos: photo.Options{MaxBytes: 1_000_000},
			Sources: []sources.Named{{Name: "mem", Type: "memory", Source: b.mem}},
		},
		Policy: policy, How: job.How{Mode: job.Sync, RunID: runID, Concurrency: 1},
	})
}

// play runs into the fault, and once more without it.
func (b *faultBench) play(fault, when string) faultCase {
	text := fault + map[string]string{"first": ",count=1", "each": "", "7th": ",every=7"}[when]
	f, err := simulator.ParseFault(text)
	if err != nil {
		b.t.Fatal(err)
	}
	b.sim.AddFault(f)
	r, err := b.run(b.t.Context(), "first")
	got := faultCase{fault: fault, when: when, exit: fmt.Sprint(exitCode(r, err)), people: peopleOf(r), state: b.memory(r)}
	if f.Op == "upload" { // those of other calls are in the log, and the last one in the report
		b.allRefIDs(r)
	}
	b.sim.ClearFaults()
	r, err = b.run(b.t.Context(), "next")
	got.next = "exit " + fmt.Sprint(exitCode(r, err)) + ": " + peopleOf(r)
	for i := range faulty {
		if img, ok := b.sim.Image(email(i)); ok && string(img.Data) != string(picture(i)) {
			b.t.Errorf("%s has another picture", email(i))
		}
	}
	return got
}

// tally writes how many there are of each, in order.
func tally(all []string) string {
	n := map[string]int{}
	for _, s := range all {
		n[s]++
	}
	var parts []string
	for _, s := range slices.Sorted(maps.Keys(n)) {
		parts = append(parts, fmt.Sprint(n[s], " ", s))
	}
	return cmp.Or(strings.Join(parts, ", "), "nobody")
}

// endless are attempts of which only time bounds the number: backoff has jitter.
var (
	endless  = regexp.MustCompile(`@\d+( 4001)? after \d\d+ 4001`)
	overtime = regexp.MustCompile(`^(unfinished)@\d+( .*) after \d+ `)
	lookedAt = regexp.MustCompile(`@(?:[7-9]|\d\d)( HTTP 0)? after (?:[7-9]|\d\d) HTTP 0`) // again, as the look had grown old
	seenLate = regexp.MustCompile(`@(2 after 2|3 after 3|4 after 4|5 after 5) HTTP 0`)     // that look showed the picture
)

// peopleOf is what became of the people: outcome, @attempts, the last error, and
// those before it.
func peopleOf(r *report.Report) string {
	var all []string
	for range r.Totals.Unchanged {
		all = append(all, "unchanged")
	}
	for _, it := range r.Items {
		s := string(it.Outcome)
		if it.Outcome == "skipped" {
			s = string(it.Reason)
		}
		if it.Attempts > 1 {
			s += fmt.Sprint("@", it.Attempts)
		}
		var earlier []string
		for _, e := range it.EarlierErrors {
			if e.ErrorCode != 0 {
				earlier = append(earlier, fmt.Sprint(e.ErrorCode))
			} else {
				earlier = append(earlier, fmt.Sprint("HTTP ", e.HTTPStatus))
			}
		}
		switch {
		case it.ErrorCode != nil:
			s += fmt.Sprint(" ", *it.ErrorCode)
		case it.Attempts > 0 && it.Outcome != "uploaded":
			s += fmt.Sprint(" HTTP ", it.HTTPStatus)
		}
		if len(earlier) > 0 {
			s += " after " + tally(earlier)
		}
		s = endless.ReplaceAllString(s, "@*$1 after * 4001")
		s = seenLate.ReplaceAllString(s, "@* after * HTTP 0")
		s = lookedAt.ReplaceAllString(s, "@*$1 after * HTTP 0")
		all = append(all, overtime.ReplaceAllString(s, "$1@*$2 after * "))
	}
	return tally(all)
}

// memory is what the state remembers. What it calls uploaded is in Smartsheet,
// and its failures are those of the report.
func (b *faultBench) memory(r *report.Report) string {
	items := map[string]report.Item{}
	for _, it := range r.Items {
		items[it.Email] = it
	}
	var all []string
	for i := range faulty {
		u := onRecord(b.t, b.state, email(i))
		it := items[email(i)]
		if u.Intent != nil {
			all = append(all, "open")
		}
		switch img, _ := b.sim.Image(email(i)); {
		case u.ID == 0:
			all = append(all, "unknown")
		case u.Sent != nil:
			all = append(all, "uploaded")
			if it.Outcome != "uploaded" || u.Sent.ImageID != img.ID || u.Failure != nil {
				b.t.Errorf("%s is recorded as uploaded: %+v, report %+v", email(i), u.Sent, it)
			}
		case u.Failure == nil:
			if u.Intent == nil {
				b.t.Errorf("%s has a row that says nothing: %+v", email(i), u)
			}
		default:
			s := strings.TrimSpace("failed " + u.Failure.Code)
			if u.Failure.Final {
				s += " for good"
			}
			all = append(all, s)
			if ref := it.RefID; ref != nil && *ref != u.Failure.RefID || ref == nil && u.Failure.RefID != "" {
				b.t.Errorf("%s: refId %q in the state, report %+v", email(i), u.Failure.RefID, it)
			}
		}
		if it.Outcome == "uploaded" && u.Sent == nil {
			b.t.Errorf("%s was uploaded and is not recorded", email(i))
		}
	}
	return tally(all)
}

// allRefIDs checks that every refId that the server gave is in the report, once
// with its person; the run's own error may repeat one.
func (b *faultBench) allRefIDs(r *report.Report) {
	seen := map[string]int{}
	for _, it := range r.Items {
		if it.RefID != nil {
			seen[*it.RefID]++
		}
		for _, e := range it.EarlierErrors {
			if e.RefID != "" {
				seen[e.RefID]++
			}
		}
	}
	if r.Error != nil && r.Error.RefID != "" && seen[r.Error.RefID] == 0 {
		seen[r.Error.RefID]++
	}
	for n := 1; n <= b.sim.Counts().RefIDs; n++ {
		if id := fmt.Sprintf("sim%06d", n); seen[id] != 1 {
			b.t.Errorf("refId %s is in the report %d times, want once", id, seen[id])
		}
	}
}
