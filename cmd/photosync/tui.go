package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"photosync/cmd/internal/config"
	"photosync/sync/job"
	"photosync/sync/report"
)

// Everything a person sees on stdout, and every error, is written here.

// printError writes an error and, where there is one, what to do about it.
func printError(w io.Writer, err error) {
	w = plainWriter{w}
	text := err.Error()
	if e, ok := errors.AsType[*config.Error](err); ok {
		text = e.Excerpts()
	}
	fmt.Fprintf(w, "photosync: %s\n", strings.TrimRight(text, "\n"))
	if h := job.Hint(err); h != "" {
		fmt.Fprintf(w, "  hint: %s\n", h)
	}
}

// printApproval says how a held plan is let pass.
func printApproval(w io.Writer, command string) {
	fmt.Fprintf(w, "  to let exactly this plan pass, once:\n    %s\n", command)
}

// verdicts are the results of a run in words.
var verdicts = map[string]string{
	report.Success:     "Done.",
	report.Partial:     "Done, but some people need attention.",
	report.Failed:      "The run failed.",
	report.Interrupted: "Stopped early. What was done is recorded; the next run continues.",
	report.NothingToDo: "Nothing to do.",
	report.Held:        "Held back by a guard: nothing was written.",
}

// maxListed is how many people who need attention the summary names; the report
// has them all.
const maxListed = 20

// printSummary writes what a run did.
func printSummary(w io.Writer, r *report.Report) {
	w = plainWriter{w}
	t := r.Totals
	verdict := verdicts[r.Result]
	if r.Mode == job.Apply && r.Result == report.Held {
		verdict = "The plan was not applied: nothing was written."
	}
	if r.Mode == job.Plan && t.Planned > 0 {
		verdict = fmt.Sprintf("A sync would upload %s.", count(t.Planned, "picture"))
	}
	fmt.Fprintf(w, "%s\n", verdict)
	for _, g := range r.Guards {
		fmt.Fprintf(w, "  guard   %s: %s\n", g.Guard, g.Message)
	}
	for _, s := range r.Sources {
		complete := ""
		if !s.Complete {
			complete = ", INCOMPLETE"
		}
		fmt.Fprintf(w, "  source %-12s %d listed, %d with a photo%s\n", s.Name, s.Listed, s.WithPhoto, complete)
		for _, warning := range s.Warnings {
			fmt.Fprintf(w, "    %s\n", warning)
		}
	}
	fmt.Fprintf(w, "  people  %d: %d unchanged", t.People, t.Unchanged)
	for _, c := range []struct {
		n    int
		name string
	}{
		{t.Planned, "planned"}, {t.Uploaded, "uploaded"}, {t.PartialSuccess, "partially successful"}, {t.Failed, "failed"},
		{t.Skipped, "skipped"}, {t.Held, "held"}, {t.Unfinished, "unfinished"},
	} {
		if c.n > 0 {
			fmt.Fprintf(w, ", %d %s", c.n, c.name)
		}
	}
	fmt.Fprintf(w, "%s\n", skippedReasons(r))
	if r.Mode != job.Plan {
		fmt.Fprintf(w, "  calls   %d to Smartsheet, %d retried, %d rate-limited; %s sent in %s\n", t.Requests, t.Retries, t.RateLimited,
			size(t.BytesUploaded), r.FinishedAt.Sub(r.StartedAt).Round(100*time.Millisecond))
	}
	if t.Verified+t.Unverified > 0 {
		fmt.Fprintf(w, "  verify  Smartsheet shows %d of %d uploads\n", t.Verified, t.Verified+t.Unverified)
	}
	if left := t.Unfinished + t.Planned; left > 0 {
		fmt.Fprintf(w, "  left    %s: about %s at this quota\n", countPeople(left), time.Duration(max(t.ETA, 1))*time.Second)
	}
	printAttention(w, r)
	for _, warning := range r.Warnings {
		fmt.Fprintf(w, "  warning %s\n", warning)
	}
}

// printReport writes the summary of a report that may be from elsewhere, with what
// sync says on stderr.
func printReport(w io.Writer, r *report.Report) {
	w = plainWriter{w}
	fmt.Fprintf(w, "%s of %s, run %s, exit code %d\n", r.Mode, r.StartedAt.UTC().Format("2006-01-02 15:04:05 MST"), r.RunID, r.ExitCode)
	printSummary(w, r)
	if r.Error != nil {
		fmt.Fprintf(w, "  error   %s\n", r.Error.Message)
		if r.Error.Hint != "" {
			fmt.Fprintf(w, "           hint: %s\n", r.Error.Hint)
		}
	}
	if r.Approve != "" {
		printApproval(w, r.Approve)
	}
}

// plainWriter replaces control characters, which could write anything on a
// terminal, but for the ends of lines and tabs.
type plainWriter struct{ w io.Writer }

func (p plainWriter) Write(b []byte) (int, error) {
	plain := bytes.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return '\uFFFD'
		}
		return r
	}, b)
	if _, err := p.w.Write(plain); err != nil {
		return 0, err
	}
	return len(b), nil
}

func skippedReasons(r *report.Report) string {
	var parts []string
	for reason, n := range r.SkippedByReason {
		parts = append(parts, fmt.Sprintf("%s %d", reason, n))
	}
	if len(parts) == 0 {
		return ""
	}
	slices.Sort(parts)
	return " (" + strings.Join(parts, ", ") + ")"
}

// printAttention names the people whom a human should look at, or, for a plan,
// what would be done.
func printAttention(w io.Writer, r *report.Report) {
	n := 0
	for _, it := range r.Items {
		if !worthALine(it) && (r.Mode != job.Plan || it.Outcome != "planned") {
			continue
		}
		if n++; n > maxListed {
			continue
		}
		if r.Result == report.Held && it.Reason == "held" { // because everyone is
			fmt.Fprintf(w, "  held     %s\n", it.Email)
			continue
		}
		fmt.Fprintf(w, "  %-8s %s: %s", mark(it), it.Email, it.Reason)
		if it.Outcome != "planned" && it.Outcome != it.Reason {
			fmt.Fprintf(w, ", %s", it.Outcome)
		}
		fmt.Fprintf(w, "%s\n", details(it))
		if it.Hint != "" && it.Outcome != "planned" {
			fmt.Fprintf(w, "           hint: %s\n", it.Hint)
		}
		for _, c := range it.Candidates {
			fmt.Fprintf(w, "           %s\n", c)
		}
	}
	if n > maxListed {
		fmt.Fprintf(w, "  … and %d more: see the report\n", n-maxListed)
	}
}

// worthALine tells whether an item is shown: also what was reported in an earlier run.
func worthALine(it report.Item) bool {
	return it.NeedsAttention() || it.Outcome == "skipped" && it.Reason == "known_bad"
}

func mark(it report.Item) string {
	switch it.Outcome {
	case "planned":
		return "upload"
	case "skipped":
		return "note"
	}
	return "look at"
}

func details(it report.Item) string {
	var b strings.Builder
	if it.Code != "" {
		fmt.Fprintf(&b, " (%s)", it.Code)
	}
	if it.ErrorCode != nil {
		fmt.Fprintf(&b, ", errorCode %d", *it.ErrorCode)
	}
	if it.RefID != nil {
		fmt.Fprintf(&b, ", refId %s", *it.RefID)
	}
	if it.Message != "" && it.Outcome != "planned" {
		fmt.Fprintf(&b, ": %s", it.Message)
	}
	for _, f := range it.FailedItems {
		fmt.Fprintf(&b, ": %s", f.Message)
	}
	return b.String()
}

// printCheckup writes what a checkup found, and what to do about it.
func printCheckup(w io.Writer, findings []finding) {
	w = plainWriter{w}
	width, problems, warnings := 0, 0, 0
	for _, f := range findings {
		width = max(width, len([]rune(f.what)))
		switch f.mark {
		case bad:
			problems++
		case warning:
			warnings++
		}
	}
	for _, f := range findings {
		fmt.Fprintf(w, "%s %-*s  %s\n", f.mark, width, f.what, f.detail)
		if f.remedy != "" {
			fmt.Fprintf(w, "  %*s  → %s\n", width, "", f.remedy)
		}
	}
	verdict := "A run can begin"
	if problems > 0 {
		verdict = "A run would fail: " + count(problems, "problem")
	}
	if warnings > 0 {
		verdict += ", " + count(warnings, "warning")
	}
	fmt.Fprintf(w, "%s.\n", verdict)
}

func countPeople(n int) string {
	if n == 1 {
		return "1 person"
	}
	return fmt.Sprintf("%d people", n)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d bytes", n)
}
