package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet/simulator"
)

// An answerCase is a row of testdata/answers.txt, whose head explains the columns.
type answerCase struct{ answer, exit, people, state, requests, next, says string }

func (c answerCase) String() string {
	return strings.Join([]string{c.answer, c.exit, c.people, c.state, c.requests, c.next, c.says}, " | ")
}

func readAnswerCases(t *testing.T) (cases []answerCase) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "answers.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		col := strings.Split(line, "|")
		if len(col) != 7 {
			t.Fatalf("answers.txt: %q has %d columns, want 7", line, len(col))
		}
		for i := range col {
			col[i] = strings.TrimSpace(col[i])
		}
		cases = append(cases, answerCase{col[0], col[1], col[2], col[3], col[4], col[5], col[6]})
	}
	return cases
}

// What the real service may answer: what becomes of the people, the exit code, what the
// state remembers, how many requests that takes, and what the next run does when the
// cause is mended.
func TestAnswers(t *testing.T) {
	cases := readAnswerCases(t)
	if len(cases) < 70 {
		t.Fatalf("%d cases: rows are missing", len(cases))
	}
	for _, want := range cases {
		t.Run(want.answer, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				got := newFaultBench(t).provoke(want.answer)
				asWanted := func(c answerCase) bool {
					said := strings.Contains(got.says, c.says) && (c.says != "" || got.exit == "0")
					c.says = got.says
					return said && got == c
				}
				if !slices.ContainsFunc(cases, asWanted) { // an answer may end in two ways, as waits are drawn
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
			})
		})
	}
}

// provoke runs into an answer, and once more without it.
func (b *faultBench) provoke(answer string) answerCase {
	b.t.Helper()
	for part := range strings.SplitSeq(strings.ReplaceAll(answer, "P1", email(1)), " + ") {
		kind, rest, _ := strings.Cut(part, " ")
		switch kind {
		case "quirk":
			if err := b.sim.AddQuirk(rest); err != nil {
				b.t.Fatal(err)
			}
		case "script":
			if err := b.sim.AddScript(strings.NewReader(rest)); err != nil {
				b.t.Fatal(err)
			}
		default:
			f, err := simulator.ParseFault(part)
			if err != nil {
				b.t.Fatal(err)
			}
			b.sim.AddFault(f)
		}
	}
	r, err := b.run(b.t.Context(), "first")
	got := answerCase{
		answer: answer, exit: fmt.Sprint(exitCode(r, err)), people: peopleOf(r), state: b.memory(r), requests: b.requests(), says: saidOf(r),
	}
	if n := b.sim.Counts().Requests; got.exit == "6" && n > faulty && n < 40 { // backoff has jitter
		got.requests = "fewer than 40"
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

// requests are the calls that were made, by kind.
func (b *faultBench) requests() string {
	c := b.sim.Counts().ByOp
	var parts []string
	for _, op := range []string{"me", "users", "user", "upload"} {
		if c[op] > 0 {
			parts = append(parts, fmt.Sprint(c[op], " ", op))
		}
	}
	return cmp.Or(strings.Join(parts, ", "), "none")
}

// saidOf is what a report says to people: why the run failed, findings, hints.
func saidOf(r *report.Report) string {
	var all []string
	if r.Error != nil {
		all = append(all, r.Error.Message, r.Error.Hint)
	}
	for _, f := range r.Findings {
		all = append(all, string(f.Code), f.Message)
	}
	for _, it := range r.Items {
		for _, text := range []string{it.Hint, it.Message} {
			if it.Outcome != "uploaded" && !slices.Contains(all, text) {
				all = append(all, text)
			}
		}
	}
	return strings.Join(all, "; ")
}

// Where image ids are not stable, enforce ends by itself: after two uploads of the same
// bytes, and it says why.
func TestEnforceEndsWhereImageIDsAreNotStable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFaultBench(t)
		if err := b.sim.AddQuirk("unstable-ids"); err != nil {
			t.Fatal(err)
		}
		for night, want := range []string{"exit 0: 14 uploaded", "exit 0: 14 uploaded", "exit 0: 14 uploaded", "exit 3: 14 user_changed", "exit 3: 14 user_changed"} {
			r, err := b.runUnder(t.Context(), fmt.Sprint("night", night), plan.Policy{Existing: plan.Enforce})
			if got := "exit " + fmt.Sprint(exitCode(r, err)) + ": " + peopleOf(r); got != want {
				t.Errorf("night %d: %s, want %s", night, got, want)
			}
			if said := saidOf(r); night == 3 && !strings.Contains(said, "image ids are not stable here") && !strings.Contains(said, "another image id for each of 14 users") {
				t.Errorf("says %s", said)
			}
			time.Sleep(24 * time.Hour)
		}
	})
}
