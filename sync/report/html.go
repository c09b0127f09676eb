package report

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"photosync/sync/outcome"
)

// The page is one file with its style and its script. The policy in its head lets nothing else run, and nothing
// be loaded. Rows of people are made here, never by the script, so that html/template escapes them. Rows that
// are hidden at first are in <template> elements, which cost the browser hardly anything.

var (
	//go:embed page/page.html
	pageHTML string
	//go:embed page/page.css
	pageCSS string
	//go:embed page/page.js
	pageJS string
)

const (
	shownPeople   = 60     // of a group, at first
	shownPictures = 120    // of the contact sheet, at first
	maxPeople     = 20_000 // on a page; the JSON has all
)

func pageTemplates() *template.Template {
	return template.Must(template.New("").Funcs(Funcs).Funcs(pageFuncs).Parse(pageHTML))
}

func encodeHTML(w io.Writer, r *Report) error {
	sections := Sections(r)
	everybody := Section{Title: "Everybody listed"}
	room := maxPeople
	for _, s := range sections {
		for _, g := range s.Groups {
			g.show(&room)
		}
		everybody.Groups = append(everybody.Groups, s.Groups...)
	}
	b := bufio.NewWriter(w)
	err := pageTemplates().ExecuteTemplate(b, "page", map[string]any{
		"Style": template.HTML("<style>" + pageCSS + "</style>"), "Script": template.HTML("<script>" + pageJS + "</script>"),
		// The Content-Security-Policy.
		"Policy": "default-src 'none'; img-src data:; style-src " + hash(pageCSS) + "; script-src " + hash(pageJS) + "; base-uri 'none'; form-action 'none'",
		"Report": r, "Bar": bar(r.Totals), "Sections": sections, "Chart": newChart(r),
		"Chips": append([]Section{everybody}, sections...), // that the page can be narrowed to
	})
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	return b.Flush()
}

// hash names a text in a Content-Security-Policy.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// show decides what the page shows of a group, and takes from room what its people need.
func (g *Group) show(room *int) {
	slices.SortStableFunc(g.Items, func(a, b *Item) int { return cmp.Compare(pictures(b), pictures(a)) })
	first := shownPeople
	if g.Kind == "sent" || g.Code == string(outcome.HeldBack) && slices.ContainsFunc(g.Items, func(it *Item) bool { return pictures(it) > 0 }) {
		g.Sheet, first = true, shownPictures
	}
	items := g.Items[:min(len(g.Items), *room)]
	*room -= len(items)
	first = min(first, len(items))
	g.First, g.Rest, g.Omitted = items[:first], items[first:], len(g.Items)-len(items)
}

// Row is a person on the page.
func (g *Group) Row(it *Item) any {
	return struct {
		*Item
		Lines []string
	}{it, g.Lines(it)}
}

// pictures counts the thumbnails of a person: of the new picture and of the one before.
func pictures(it *Item) int {
	image := value(it.Image)
	return min(len(image.Thumbnail), 1) + min(len(image.Before), 1)
}

// segment is a part of the bar of totals. Nothing depends on its colour alone.
type segment struct {
	Class, Mark, Label string
	N                  int
	X, Width           float64
}

// bar lays out the totals in a width of 1000. No part is too small to be seen.
func bar(t Totals) []segment {
	var parts []segment
	sum := 0
	for _, s := range []segment{
		{Class: "uploaded", Mark: "✓", Label: "uploaded", N: t.Uploaded},
		{Class: "planned", Mark: "↑", Label: "to upload", N: t.Planned},
		{Class: "partial", Mark: "!", Label: "partially successful", N: t.PartialSuccess},
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

var jpegURI = regexp.MustCompile(`^data:image/jpeg;base64,[A-Za-z0-9+/=]*$`)

// jpeg returns uri if it is a JPEG and nothing else: the page may show a report from anywhere.
func jpeg(uri string) template.URL { return template.URL(jpegURI.FindString(uri)) }

// refs returns all refIds of an item, the last one first.
func refs(it *Item) []string {
	ids := []string{value(it.RefID)}
	for _, f := range it.FailedItems {
		ids = append(ids, value(f.RefID))
	}
	for _, e := range slices.Backward(it.EarlierErrors) {
		ids = append(ids, e.RefID)
	}
	return without(ids)
}

// domain returns an address from its @ on: a line may be broken there.
func domain(email string) string { return email[max(strings.LastIndexByte(email, '@'), 0):] }

var pageFuncs = template.FuncMap{
	"when":   func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04:05 UTC") },
	"stamp":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"clock":  func(t time.Time) string { return t.UTC().Format("15:04 UTC") },
	"spaced": func(text string) string { return strings.ReplaceAll(text, "_", " ") },
	"reason": func(r outcome.Reason) string { return r.Words().Title },
	"local":  func(email string) string { return strings.TrimSuffix(email, domain(email)) },
	"domain": domain,
	"jpeg":   jpeg,
	"refs":   refs,
}

// chart is the traffic of a run against its quota: a bar for each minute with requests.
type chart struct {
	Bars     []chartBar
	Total    Minute // of all
	Minutes  int
	Busiest  int64 // requests in a minute
	Quota    int
	Width    int   // of the chart, in minutes
	Top      int64 // requests a minute at the upper edge
	From, To time.Time
}

// chartBar is a minute: when, in minutes after the first one, and the requests that passed the rate limit.
type chartBar struct {
	Minute
	At     int
	Passed int64
}

// newChart draws the timeline of a run; nil if it has none.
func newChart(r *Report) *chart {
	if len(r.Timeline) == 0 {
		return nil
	}
	c := &chart{Quota: r.QuotaPerMinute, From: r.Timeline[0].Start}
	for _, m := range r.Timeline {
		at := max(int(m.Start.Sub(c.From)/time.Minute), 0)
		c.Bars = append(c.Bars, chartBar{m, at, max(m.Requests-m.RateLimited, 0)})
		t := &c.Total
		t.Requests, t.RateLimited, t.WaitMS = t.Requests+m.Requests, t.RateLimited+m.RateLimited, t.WaitMS+m.WaitMS
		c.Minutes, c.Busiest = max(c.Minutes, at+1), max(c.Busiest, m.Requests)
	}
	c.To = c.From.Add(time.Duration(c.Minutes) * time.Minute)
	c.Width = max(c.Minutes, 12) // few bars stay slim
	c.Top = max(c.Busiest, int64(c.Quota), 1)
	return c
}
