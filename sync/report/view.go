package report

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"
)

// view is what the page shows of a report, besides the people.
type view struct {
	Report        *Report
	Preview       bool
	Verdict       string
	Mood, Icon    string
	Took          string
	Bar           []segment
	BarLabel      string
	Chips         []chip
	Chart         *chart
	Facts         []fact
	HasThumbs     bool
	Policy        string
	Style, Script template.HTML
}

// segment is a part of the bar of totals. Shape and words say what colour says.
type segment struct {
	Class, Mark, Label string
	N                  int
	X, Width           float64
}

type chip struct {
	Kind, Label string
	N           int
}

type fact struct{ Name, Value string }

func newView(r *Report, sections []Section) *view {
	v := &view{
		Report: r, Preview: r.Mode == "plan", Verdict: r.Verdict(), Took: Duration(r.FinishedAt.Sub(r.StartedAt)),
		Bar: bar(r.Totals), Chart: newChart(r), Facts: facts(r),
	}
	v.Mood, v.Icon = mood(r)
	var labels []string
	for _, s := range v.Bar {
		labels = append(labels, Number(s.N)+" "+s.Label)
	}
	v.BarLabel = strings.Join(labels, ", ")
	all := 0
	for _, s := range sections {
		v.Chips = append(v.Chips, chip{s.Kind, s.Title, s.N()})
		all += s.N()
	}
	v.Chips = slices.Insert(v.Chips, 0, chip{"", "Everybody listed", all})
	v.HasThumbs = slices.ContainsFunc(r.Items, func(it Item) bool { return thumb(&it) != "" })
	return v
}

// mood is the colour of the verdict and the path of its sign.
func mood(r *Report) (class, icon string) {
	const check, exclamation, cross, pause, arrow = "M7 12.5l3.5 3.5L17 9", "M12 6.5v7M12 17v.1", "M8 8l8 8M16 8l-8 8", "M9.5 8v8M14.5 8v8", "M12 17V7M8 11l4-4 4 4"
	switch {
	case r.Result == Failed:
		return "bad", cross
	case r.Result == Held || len(r.Guards) > 0 || r.Result == Interrupted:
		return "warn", pause
	case r.NeedsSomebody():
		return "warn", exclamation
	case r.Mode == "plan" && r.Totals.Planned > 0:
		return "info", arrow
	}
	return "good", check
}

// bar lays out the totals in a width of 1000. Nothing is too small to be seen.
func bar(t Totals) []segment {
	var parts []segment
	sum := 0
	for _, s := range []segment{
		{Class: "uploaded", Mark: "✓", Label: "uploaded", N: t.Uploaded},
		{Class: "planned", Mark: "↑", Label: "to upload", N: t.Planned},
		{Class: "partial", Mark: "!", Label: "partly successful", N: t.PartialSuccess},
		{Class: "failed", Mark: "✕", Label: "failed", N: t.Failed},
		{Class: "held", Mark: "‖", Label: "held", N: t.Held},
		{Class: "unfinished", Mark: "…", Label: "unfinished", N: t.Unfinished},
		{Class: "skipped", Mark: "–", Label: "left alone", N: t.Skipped},
		{Class: "unchanged", Mark: "=", Label: "unchanged", N: t.Unchanged},
	} {
		if s.N > 0 {
			parts = append(parts, s)
			sum += s.N
		}
	}
	const least, gap = 8, 3
	room := 1000 - float64(len(parts))*least - float64(len(parts)-1)*gap
	x := 0.0
	for i := range parts {
		parts[i].X, parts[i].Width = x, least+room*float64(parts[i].N)/float64(sum)
		x += parts[i].Width + gap
	}
	return parts
}

func facts(r *Report) []fact {
	t := r.Totals
	fs := []fact{
		{"Run", r.RunID}, {"Result", strings.ReplaceAll(r.Result, "_", " ")},
		{"Exit code", strings.TrimSuffix(fmt.Sprintf("%d: %s", r.ExitCode, exitWords[r.ExitCode]), ": ")},
		{"Began", timeText(r.StartedAt)}, {"Ended", timeText(r.FinishedAt)},
		{"People in the sources", Number(t.People)}, {"Plan", cmp.Or(r.PlanID, "none")}, {"photosync", r.Version},
		{"Requests to Smartsheet", Number(t.Requests)}, {"Retried", Number(t.Retries)}, {"Rate-limited", Number(t.RateLimited)},
		{"Waited for quota", Duration(time.Duration(t.QuotaWaitMS) * time.Millisecond)}, {"Sent", Size(t.BytesUploaded)},
	}
	if t.ETA > 0 {
		fs = append(fs, fact{"Left to do takes", Duration(time.Duration(t.ETA) * time.Second)})
	}
	return fs
}

// thumb is the small picture of an item, if it is one and nothing else: the page
// may show a report from anywhere.
func thumb(it *Item) template.URL {
	if it.Image == nil {
		return ""
	}
	return picture(it.Image.Thumbnail)
}

// now is the small picture of what Smartsheet showed, where it has one to stand beside.
func now(it *Item) template.URL {
	if thumb(it) == "" {
		return ""
	}
	return picture(it.Image.Before)
}

func picture(uri string) template.URL {
	data, ok := strings.CutPrefix(uri, "data:image/jpeg;base64,")
	notBase64 := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '+' || r == '/' || r == '=')
	}
	if !ok || strings.ContainsFunc(data, notBase64) {
		return ""
	}
	return template.URL(uri)
}

// refs are all refIds of an item, the last one first.
func refs(it *Item) []string {
	ids := []string{value(it.RefID)}
	for _, f := range it.FailedItems {
		ids = append(ids, value(f.RefID))
	}
	for _, e := range slices.Backward(it.EarlierErrors) {
		ids = append(ids, e.RefID)
	}
	var out []string
	for _, id := range ids {
		if id != "" && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// initial is the first letter of a name, for people without a picture.
func initial(email string) string {
	for _, r := range email {
		return strings.ToUpper(string(r))
	}
	return "?"
}

// at is where the domain of an address begins, with its @: it may be broken there.
func at(email string) int {
	if i := strings.LastIndexByte(email, '@'); i >= 0 {
		return i
	}
	return len(email)
}

var pageFuncs = template.FuncMap{
	"num": func(n any) string {
		switch n := n.(type) {
		case int:
			return Number(n)
		case int64:
			return Number(n)
		}
		return fmt.Sprint(n)
	},
	"bytes": Size[int], "when": timeText, "reason": reasonTitle, "thumb": thumb, "now": now, "refs": refs, "initial": initial,
	"local":  func(email string) string { return email[:at(email)] },
	"domain": func(email string) string { return email[at(email):] },
	"stamp":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"clock":  func(t time.Time) string { return t.UTC().Format("15:04 UTC") },
}
