package console

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"photosync/sync/foreign"
	"photosync/sync/outcome"
	"photosync/sync/report"
)

// A summary has at most so many groups of people who need somebody, with so many names each.
const maxGroups, maxNamed = 12, 5

// Summary prints what a run did, or what a plan would do.
func (c *Console) Summary(r *report.Report) { c.show("summary", r) }

// moods are the styles of a verdict.
var moods = map[string]string{"good": bold + ";" + green, "info": bold + ";" + blue, "warn": bold + ";" + yellow, "bad": bold + ";" + red}

// The marks of lines.
var (
	good    = styled{green, "✓"}
	warning = styled{yellow, "!"}
	bad     = styled{red, "✗"}
	note    = styled{dim, "–"}
)

// trouble is a group of people who need somebody, or who did and were reported before.
type trouble struct {
	Old    bool // reported before
	N      int
	Title  string
	People []string // the first of them
	More   int      // the others
	Hint   string
}

// troubles returns the first groups of people with the same problem, and how many more there are.
func troubles(r *report.Report) (all struct {
	Shown []trouble
	More  int
}) {
	for _, s := range report.Sections(r) {
		for _, g := range s.Groups {
			old := s.Kind == "left" && len(g.Items) > 0 && (g.Code == string(outcome.KnownBad) || g.Items[0].AlreadyReported)
			switch {
			case !old && s.Kind != "attention":
			case len(all.Shown) == maxGroups:
				all.More++
			default:
				all.Shown = append(all.Shown, troubleOf(r, g, old))
			}
		}
	}
	return all
}

func troubleOf(r *report.Report, g *report.Group, old bool) trouble {
	t := trouble{Old: old, N: g.N(), Title: strings.TrimSuffix(g.Title, "."), Hint: g.Hint, More: max(len(g.Items)-maxNamed, 0)}
	if g.Code == string(outcome.HeldBack) && len(r.Guards) > 0 {
		t.Hint = "" // the guards say it
	} else {
		if g.Code != "" && !strings.EqualFold(g.Code, t.Title) {
			t.Title += " (" + g.Code + ")"
		}
		if text := g.Message(); text != "" && !strings.HasPrefix(g.Hint, text) {
			t.Title += ": " + text
		}
	}
	for _, it := range g.Items[:min(len(g.Items), maxNamed)] {
		text := it.Email
		if it.RefID != nil && *it.RefID != "" {
			text += ", refId " + *it.RefID
		}
		t.People = append(t.People, strings.Join(append([]string{text}, g.Lines(it)...), "; "))
	}
	return t
}

// upload is a reason to upload, and the people whose pictures a sync would upload for it.
type upload struct {
	Reason outcome.Reason
	Emails []string
}

// planned returns the uploads of a plan, most people first.
func planned(r *report.Report) (all []upload) {
	for _, it := range r.Items {
		if it.Outcome != outcome.Planned {
			continue
		}
		i := slices.IndexFunc(all, func(u upload) bool { return u.Reason == it.Reason })
		if i < 0 {
			i, all = len(all), append(all, upload{Reason: it.Reason})
		}
		all[i].Emails = append(all[i].Emails, it.Email)
	}
	slices.SortFunc(all, func(a, b upload) int {
		return cmp.Or(cmp.Compare(len(b.Emails), len(a.Emails)), cmp.Compare(a.Reason, b.Reason))
	})
	return all
}

// reasons counts the skipped people by reason.
func reasons(r *report.Report) string {
	var texts []string
	for _, reason := range slices.Sorted(maps.Keys(r.SkippedByReason)) {
		texts = append(texts, foreign.Text(string(reason))+" "+report.Number(r.SkippedByReason[reason]))
	}
	return strings.Join(texts, ", ")
}

// Approval prints the command that approves a held plan. Its line is never broken, so that it
// can be copied.
func (c *Console) Approval(command string) {
	c.line("  to approve exactly this plan, once:")
	fmt.Fprintf(c.w, "    %s\n", foreign.Text(command))
}

// Report prints a report from a file, including what sync prints on stderr.
func (c *Console) Report(r *report.Report) {
	c.show("report", r)
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

func count(n int, noun string) string { return report.Count(n, noun, noun+"s") }
