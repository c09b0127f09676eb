package console

import (
	"fmt"
	"io"
	"strings"

	"photosync/sync/foreign"
	"photosync/sync/outcome"
	"photosync/sync/report"
)

func (c *Console) Summary(r *report.Report) { c.show("summary", r, "layouts/summary.txt") }

// moods are the styles of a verdict.
var moods = map[string]string{"good": bold + ";" + green, "info": bold + ";" + blue, "warn": bold + ";" + yellow, "bad": bold + ";" + red}

var (
	good    = styled{green, "✓"}
	warning = styled{yellow, "!"}
	bad     = styled{red, "✗"}
	note    = styled{dim, "–"}
)

// troubles returns the groups of people who need somebody, or who did and were reported before.
func troubles(r *report.Report) (all []*report.Group) {
	for _, s := range report.Sections(r) {
		for _, g := range s.Groups {
			old := s.Kind == "left" && len(g.Items) > 0 && g.Items[0].AlreadyReported
			if old || s.Kind == "attention" {
				all = append(all, g)
			}
		}
	}
	return all
}

// title says what is true of the people of a group.
func title(g *report.Group) string {
	text := strings.TrimSuffix(g.Title, ".")
	if g.Code != "" && !strings.EqualFold(g.Code, text) {
		text += " (" + g.Code + ")"
	}
	if message := g.Message(); message != "" && !strings.HasPrefix(g.Hint, message) {
		text += ": " + message
	}
	return text
}

// planned returns the people whose pictures a sync would upload, by the reason; of a run, those of drawn initials.
func planned(r *report.Report) map[outcome.Reason][]string {
	emails := map[outcome.Reason][]string{}
	for _, it := range r.Items {
		if it.Outcome == outcome.Planned || it.Outcome == outcome.Uploaded && it.Reason == outcome.Placeholder {
			emails[it.Reason] = append(emails[it.Reason], it.Email)
		}
	}
	return emails
}

// approval prints the command that approves a held plan. Its line is never broken, so that it can be copied.
func (c *Console) approval(command string) {
	c.line("  Look at the report. If it is a mistake, correct the source: the next run checks again. If it is right, approve exactly this plan, once:")
	fmt.Fprintf(c.w, "    %s\n", foreign.Text(command))
}

// Report prints a report from a file, including what sync prints on stderr.
func (c *Console) Report(r *report.Report) {
	c.show("report", r, "layouts/summary.txt")
	if r.Approve != "" {
		c.approval(r.Approve)
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

func count(n int, noun string) string { return report.Count(n, noun, noun+"s") }
