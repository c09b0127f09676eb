package console

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/report"
)

// What several people have in common is said once, with what to do.
func TestNothingIsSaidTwice(t *testing.T) {
	r := report.New("sync", "r1", "dev", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	for _, email := range []string{"a@x", "b@x"} {
		r.Add(report.Item{Email: email, Outcome: "skipped", Reason: "known_bad", Message: "refused before: 0 bytes", Hint: "fix it", AlreadyReported: true})
	}
	var out bytes.Buffer
	New(&out, noEnv).Summary(r)
	want := "  – 2 people: Refused before (known_bad)\n      a@x\n      b@x\n    → refused before: 0 bytes: fix it\n"
	if got := out.String(); !strings.Contains(got, want) {
		t.Errorf("%s\nlacks\n%s", got, want)
	}
}

// A failure may have no code.
func TestRememberedFailure(t *testing.T) {
	var out bytes.Buffer
	New(&out, noEnv).Remembered(&Record{Email: "a@x", User: &state.User{Failure: &state.Failure{Count: 1, Message: "no answer"}}})
	if got, want := out.String(), "a@x  nothing uploaded, failed 1 time: no answer\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A user whose person is gone, or is another user now, stands on a line of its own.
func TestRememberedUser(t *testing.T) {
	var out bytes.Buffer
	c := New(&out, noEnv)
	c.Remembered(&Record{Email: "a@x", Person: &state.Person{Source: "hr", Ref: "a.jpg"}})
	c.Remembered(&Record{Email: "a@x", UserID: 101, User: &state.User{ID: 101, Sent: &state.Sent{At: time.Unix(0, 0).UTC()}}})
	want := "a@x  hr: a.jpg  nothing uploaded\na@x  user 101, whom nobody in the sources matches  uploaded 1970-01-01T00:00:00Z\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

// bitOfAll is a plan with a bit of everything, which a guard would hold.
func bitOfAll() *report.Report {
	r := report.New("plan", "r1", "dev", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	code, ref := 1128, "k3x9"
	for i := range 7 {
		r.Add(report.Item{Email: fmt.Sprintf("bad%d@example.com", i), Outcome: "failed", Reason: "invalid_image", Code: "truncated", Message: "it ends early", Hint: "save it again"})
	}
	for i := range 1200 {
		r.Add(report.Item{Email: fmt.Sprintf("p%04d@example.com", i), Outcome: "planned", Reason: "changed"})
	}
	r.Add(
		report.Item{Email: "zoe@example.com", Outcome: "planned", Reason: "new"},
		report.Item{Email: "two@example.com", Outcome: "skipped", Reason: "ambiguous", Message: "two files", Candidates: []string{"a.jpg", "b.jpg"}},
		report.Item{Email: "big@example.com", Outcome: "skipped", Reason: "known_bad", AlreadyReported: true, ErrorCode: &code, RefID: &ref, Message: "too large"},
		report.Item{Email: "gone@example.com", Outcome: "skipped", Reason: "no_photo"},
	)
	r.Findings = []outcome.Finding{{
		Code: outcome.FewInSmartsheet, Severity: outcome.Attention, Count: 3, Of: 1210, Message: "Hardly anybody with a photo is in Smartsheet.",
		Hint: "rewrite the domain with match.domains", Examples: []string{"a@x", "b@x", "c@x", "d@x"},
	}}
	r.Guards = []outcome.Breach{{Guard: "max_replaced", Message: "1,200 of 1,210 people known would get another picture; at most 20 % may"}}
	r.Sources = []report.Source{{Name: "hr", Listed: 12345, WithPhoto: 1210, Warnings: []string{"one"}}}
	r.Totals.People, r.Totals.ETA = 12345, 240
	return r
}

// What needs somebody stands first, equal problems are one group, and the lists are
// short.
func TestSummary(t *testing.T) {
	var out bytes.Buffer
	c := New(&out, noEnv)
	c.Summary(bitOfAll())
	want := `A sync would upload 1,201 pictures, and a guard would hold it back.
  ! Hardly anybody with a photo is in Smartsheet.
    such as a@x, b@x, c@x and 1 more
    → rewrite the domain with match.domains
  ! guard max_replaced: 1,200 of 1,210 people known would get another picture; at most 20 % may
  ! 7 people: The picture is cut short or damaged (truncated): it ends early
      bad0@example.com
      bad1@example.com
      bad2@example.com
      bad3@example.com
      bad4@example.com
      … and 2 more: see the report
    → save it again
  ! 1 person: More than one candidate (ambiguous): two files
      two@example.com; a.jpg; b.jpg
    → Only a human can tell which is right.
  – 1 person: Refused before (known_bad)
      big@example.com, refId k3x9; too large
    → These photos have not changed since they were refused. Replace them at their source; --retry-failed sends them again as they are.
  upload  1,200 changed: p0000@example.com, p0001@example.com, p0002@example.com and 1,197 more
  upload  1 new: zoe@example.com
  source  hr: 12,345 listed, 1,210 with a photo, INCOMPLETE
          one
  people  12,345: 0 unchanged, 1,201 planned, 7 failed, 3 skipped (ambiguous 1, known_bad 1, no_photo 1)
  to go   1,201 people: about 4 min at this quota
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

// On a terminal the lines fit, and colour only repeats what is said anyway.
func TestSummaryOnATerminal(t *testing.T) {
	var narrow, coloured, plain bytes.Buffer
	(&Console{w: &plain}).Summary(bitOfAll())
	(&Console{w: &coloured, colour: true}).Summary(bitOfAll())
	(&Console{w: &narrow, colour: true, width: 80}).Summary(bitOfAll())
	if !strings.HasPrefix(coloured.String(), "\x1b[1;33mA sync would") || escapes.ReplaceAllString(coloured.String(), "") != plain.String() {
		t.Errorf("in colour: %q", coloured.String())
	}
	for line := range strings.Lines(narrow.String()) {
		if n := visible(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
}

// Whatever a report holds, nothing of it writes on the terminal, and a finding or a
// person who needs somebody has no good news above it.
func TestForeignText(t *testing.T) {
	evil := rapid.SampledFrom([]string{"\x1b]0;owned\a", "\x1b[2J", "a\u202eb", "x\ry", "fine"})
	rapid.Check(t, func(t *rapid.T) {
		r := report.New("sync", "r", "dev", time.Now())
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			r.Add(report.Item{Email: evil.Draw(t, "email"), Message: evil.Draw(t, "message"), Hint: evil.Draw(t, "hint"), Reason: outcome.Reason(evil.Draw(t, "reason")),
				Outcome: rapid.SampledFrom([]outcome.Outcome{"failed", "uploaded", "held", "skipped"}).Draw(t, "outcome")})
		}
		for range rapid.IntRange(0, 2).Draw(t, "findings") {
			r.Findings = append(r.Findings, outcome.Finding{Severity: rapid.SampledFrom([]string{outcome.Attention, outcome.Notice}).Draw(t, "severity"), Message: evil.Draw(t, "finding")})
		}
		var out bytes.Buffer
		c := &Console{w: &out, colour: true, width: 80}
		c.Summary(r)
		c.Error(outcome.WithHint(errors.New(evil.Draw(t, "error")), evil.Draw(t, "hint")))
		for _, format := range []string{"console", "json"} {
			run := Start(&out, &out, func(string) string { return "" }, RunOptions{ID: "r", Level: "debug", Format: format, Progress: "never", JSON: true})
			for _, it := range r.Items {
				run.Item(it)
			}
			run.Source(report.Source{Name: evil.Draw(t, "source"), Warnings: []string{evil.Draw(t, "warning")}})
			run.End(r, nil, errors.New(evil.Draw(t, "run's error")), nil)
			run.lines.Error(errors.New(evil.Draw(t, "JSON's error")), 1)
		}
		left := escapes.ReplaceAllString(out.String(), "")
		if strings.ContainsAny(left, "\x1b\a\r\u202e") {
			t.Errorf("%q", left)
		}
		if r.NeedsSomebody() && (strings.Contains(out.String(), "as it should be") || strings.HasPrefix(out.String(), "\x1b[1;32m")) {
			t.Errorf("good news: %q", out.String())
		}
	})
}

// Breaking lines loses and adds no word, and no line is wider than it must be.
func TestWrap(t *testing.T) {
	word := rapid.StringMatching(`[a-zé→]{1,14}`)
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(word, 0, 30).Draw(t, "words"), " ")
		width, hang := rapid.IntRange(20, 60).Draw(t, "width"), rapid.IntRange(0, 5).Draw(t, "hang")
		got := Wrap(text, width, hang)
		if strings.Join(strings.Fields(got), " ") != text {
			t.Fatalf("%q became %q", text, got)
		}
		for i, line := range strings.Split(got, "\n") {
			if visible(line) > width || i > 0 && !strings.HasPrefix(line, strings.Repeat(" ", hang)) {
				t.Fatalf("width %d, hang %d: %q", width, hang, line)
			}
		}
	})
}

func TestSomebodyHasToAct(t *testing.T) {
	with := func(result string, items ...report.Item) *report.Report {
		r := report.New("sync", "r", "dev", time.Now())
		r.Result = result
		r.Add(items...)
		return r
	}
	finding := with(report.Partial)
	finding.Findings = []outcome.Finding{{Severity: outcome.Attention}}
	guarded := with(report.Success)
	guarded.Guards = make([]outcome.Breach, 1)
	fault := errors.New("x")
	for name, c := range map[string]struct {
		r              *report.Report
		err, unwritten error
		want           bool
	}{
		"done":              {with(report.Success, report.Item{Outcome: "uploaded"}), nil, nil, false},
		"nothing to do":     {with(report.NothingToDo, report.Item{Outcome: "skipped", Reason: "known_bad", AlreadyReported: true}), nil, nil, false},
		"somebody failed":   {with(report.Partial, report.Item{Outcome: "failed"}), nil, nil, true},
		"a finding":         {finding, nil, nil, true},
		"a guard":           {guarded, nil, nil, true},
		"failed":            {with(report.Failed), fault, nil, true},
		"stopped early":     {with(report.Interrupted), fault, nil, false},
		"no report on disk": {with(report.Interrupted), fault, fault, true},
	} {
		if got := somebodyHasToAct(c.r, c.err, c.unwritten); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// What is shown before it is recorded stays as it is.
func TestAdoptableChangesNothing(t *testing.T) {
	users := []state.User{{ID: 1, Sent: &state.Sent{Origin: state.Origin{Email: "a@x"}, ImageID: "a\x1bb"}}}
	var out bytes.Buffer
	New(&out, noEnv).Adoptable(users)
	if got, want := out.String(), "  a@x  user 1  image a\ufffdb\n"; got != want || users[0].Sent.ImageID != "a\x1bb" {
		t.Errorf("%q, want %q; image id %q", got, want, users[0].Sent.ImageID)
	}
}

// A summary names twelve problems, and counts the others.
func TestManyProblems(t *testing.T) {
	r := report.New("sync", "r", "dev", time.Now())
	for i := range 14 {
		r.Add(report.Item{Email: fmt.Sprintf("p%02d@example.com", i), Outcome: "failed", Code: fmt.Sprintf("code%02d", i), Message: "no"})
	}
	var out bytes.Buffer
	New(&out, noEnv).Summary(r)
	if text := out.String(); strings.Count(text, "  ! 1 person: ") != 12 || !strings.Contains(text, "      p11@example.com\n  … and 2 more problems: see the report\n  people  ") {
		t.Error(text)
	}
}
