package console

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"photosync/sync/foreign"
	"photosync/sync/outcome"
	"photosync/sync/report"
)

// A summary has at most so many groups of people who need somebody, with so many names each.
const maxGroups, maxNamed = 12, 5

// Summary prints what a run did, or what a plan would do.
func (c *Console) Summary(r *report.Report) {
	c.line("%s", styled{moods[r.Mood()], r.Verdict()})
	for _, f := range r.Findings {
		mark := note
		if f.Severity == outcome.Attention {
			mark = warning
		}
		c.line("  %s %s", mark, f.Message)
		if len(f.Examples) > 0 && !strings.Contains(f.Message, f.Examples[0]) {
			c.line("    such as %s", Names(f.Examples))
		}
		c.remedy(4, f.Hint)
	}
	for _, g := range r.Guards {
		c.line("  %s guard %s: %s", warning, g.Guard, g.Message)
	}
	c.troubles(r)
	c.planned(r)
	for _, s := range r.Sources {
		complete := styled{}
		if !s.Complete {
			complete = styled{red, ", INCOMPLETE"}
		}
		c.line("  source  %s: %s listed, %s with a photo%s", s.Name, report.Number(s.Listed), report.Number(s.WithPhoto), complete)
		for _, text := range s.Warnings {
			c.line("          %s", text)
		}
	}
	c.numbers(r)
	for _, text := range r.Warnings {
		c.line("  warning %s", text)
	}
}

// moods are the styles of a verdict.
var moods = map[string]string{"good": bold + ";" + green, "info": bold + ";" + blue, "warn": bold + ";" + yellow, "bad": bold + ";" + red}

// The marks of lines.
var (
	good    = styled{green, "✓"}
	warning = styled{yellow, "!"}
	bad     = styled{red, "✗"}
	note    = styled{dim, "–"}
)

// remedy says what to do, below what is wrong.
func (c *Console) remedy(indent int, hint string) {
	if hint != "" {
		c.line("%*s%s %s", indent, "", styled{bold, "→"}, hint)
	}
}

// troubles prints the people who need somebody, and those who were reported before, in
// groups of the same problem.
func (c *Console) troubles(r *report.Report) {
	n := 0
	for _, s := range report.Sections(r) {
		for _, g := range s.Groups {
			mark := warning
			switch {
			case s.Kind == "left" && len(g.Items) > 0 && (g.Code == string(outcome.KnownBad) || g.Items[0].AlreadyReported):
				mark = note
			case s.Kind != "attention":
				continue
			}
			if n++; n <= maxGroups {
				c.group(mark, r, g)
			}
		}
	}
	if n > maxGroups {
		c.line("  … and %s more: see the report", count(n-maxGroups, "problem"))
	}
}

func (c *Console) group(mark styled, r *report.Report, g *report.Group) {
	title, hint := strings.TrimSuffix(g.Title, "."), g.Hint
	if g.Code == string(outcome.HeldBack) && len(r.Guards) > 0 {
		hint = "" // the guards say it
	} else {
		if g.Code != "" && !strings.EqualFold(g.Code, title) {
			title += " (" + g.Code + ")"
		}
		if text := g.Message(); text != "" && !strings.HasPrefix(hint, text) {
			title += ": " + text
		}
	}
	c.line("  %s %s: %s", mark, people(g.N()), title)
	for _, it := range g.Items[:min(len(g.Items), maxNamed)] {
		text := it.Email
		if it.RefID != nil && *it.RefID != "" {
			text += ", refId " + *it.RefID
		}
		c.line("      %s", strings.Join(append([]string{text}, g.Lines(it)...), "; "))
	}
	if more := len(g.Items) - maxNamed; more > 0 {
		c.line("      … and %s more: see the report", report.Number(more))
	}
	c.remedy(4, hint)
}

// planned says whose pictures a sync would upload, by the reason.
func (c *Console) planned(r *report.Report) {
	byReason := map[outcome.Reason][]string{}
	for _, it := range r.Items {
		if it.Outcome == outcome.Planned {
			byReason[it.Reason] = append(byReason[it.Reason], it.Email)
		}
	}
	for _, reason := range slices.SortedFunc(maps.Keys(byReason), func(a, b outcome.Reason) int {
		return cmp.Or(cmp.Compare(len(byReason[b]), len(byReason[a])), cmp.Compare(a, b))
	}) {
		emails := byReason[reason]
		c.line("  upload  %s %s: %s", report.Number(len(emails)), reason, Names(emails))
	}
}

func (c *Console) numbers(r *report.Report) {
	t := r.Totals
	what := report.Number(t.Unchanged) + " unchanged"
	for _, p := range []struct {
		n    int
		what string
	}{
		{t.Planned, "planned"}, {t.Uploaded, "uploaded"}, {t.PartialSuccess, "partially successful"}, {t.Failed, "failed"},
		{t.Skipped, "skipped"}, {t.Held, "held"}, {t.Unfinished, "unfinished"},
	} {
		if p.n > 0 {
			what += ", " + report.Number(p.n) + " " + p.what
		}
	}
	var reasons []string
	for _, reason := range slices.Sorted(maps.Keys(r.SkippedByReason)) {
		reasons = append(reasons, string(reason)+" "+report.Number(r.SkippedByReason[reason]))
	}
	if len(reasons) > 0 {
		what += " (" + strings.Join(reasons, ", ") + ")"
	}
	c.line("  people  %s: %s", report.Number(t.People), what)
	if r.Mode != "plan" {
		c.line("  calls   %s to Smartsheet, %s retried, %s rate-limited; %s sent in %s", report.Number(t.Requests), report.Number(t.Retries),
			report.Number(t.RateLimited), report.Size(t.BytesUploaded), report.Duration(r.FinishedAt.Sub(r.StartedAt)))
	}
	if t.Verified+t.Unverified > 0 {
		c.line("  verify  Smartsheet shows %s of %s uploads", report.Number(t.Verified), report.Number(t.Verified+t.Unverified))
	}
	if left := t.Unfinished + t.Planned; left > 0 {
		c.line("  to go   %s: about %s at this quota", people(left), report.Duration(time.Duration(max(t.ETA, 1))*time.Second))
	}
}

// Approval prints the command that approves a held plan. Its line is never broken, so that it
// can be copied.
func (c *Console) Approval(command string) {
	c.line("  to approve exactly this plan, once:")
	fmt.Fprintf(c.w, "    %s\n", foreign.Text(command))
}

// Report prints a report from a file, including what sync prints on stderr.
func (c *Console) Report(r *report.Report) {
	c.line("%s of %s, run %s, exit code %d", r.Mode, r.StartedAt.UTC().Format("2006-01-02 15:04:05 MST"), r.RunID, r.ExitCode)
	c.Summary(r)
	if r.Error != nil {
		c.line("  error   %s", r.Error.Message)
		c.remedy(10, r.Error.Hint)
	}
	if r.Approve != "" {
		c.Approval(r.Approve)
	}
}

// Notice writes a report in words, for a webhook or a mail.
func Notice(w io.Writer, r *report.Report, err error) {
	c := &Console{w: w}
	fmt.Fprintf(w, "photosync %s: ", r.Mode)
	c.Summary(r)
	if err != nil {
		c.Error(err)
	}
	c.line("  run     %s", r.RunID)
}

// Names lists the first few of some names.
func Names(all []string) string {
	const few = 3
	if len(all) <= few {
		return strings.Join(all, ", ")
	}
	return strings.Join(all[:few], ", ") + " and " + report.Number(len(all)-few) + " more"
}

func count(n int, noun string) string { return report.Count(n, noun, noun+"s") }

func people(n int) string { return report.Count(n, "person", "people") }
