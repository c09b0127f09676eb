package report

import (
	"cmp"
	"fmt"
	"html/template"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"photosync/sync/outcome"
)

// view is what the page shows of a report, besides the people.
type view struct {
	*parts
	Report *Report
	Bar    []segment
	Chips  []Section // that the page can be narrowed to; the first one is everybody
	Chart  *chart
	Facts  []fact
}

// segment is a part of the bar of totals. Shape and words say what colour says.
type segment struct {
	Class, Mark, Label string
	N                  int
	X, Width           float64
}

type fact struct{ Name, Value string }

func newView(r *Report, sections []Section) *view {
	v := &view{parts: loadParts(), Report: r, Bar: bar(r.Totals), Chart: newChart(r), Facts: facts(r)}
	everybody := Section{Title: "Everybody listed"}
	for _, s := range sections {
		everybody.Groups = append(everybody.Groups, s.Groups...)
	}
	v.Chips = append([]Section{everybody}, sections...)
	return v
}

// icons are the paths of the verdict's sign, by its mood.
var icons = map[string]string{"good": "M7 12.5l3.5 3.5L17 9", "info": "M12 17V7M8 11l4-4 4 4", "warn": "M12 6.5v7M12 17v.1", "bad": "M8 8l8 8M16 8l-8 8"}

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
	return []fact{
		{"Run", r.RunID}, {"Result", strings.ReplaceAll(r.Result, "_", " ")}, {"Exit code", fmt.Sprint(r.ExitCode)},
		{"Began", timeText(r.StartedAt)}, {"Ended", timeText(r.FinishedAt)},
		{"People in the sources", Number(t.People)}, {"Plan", cmp.Or(r.PlanID, "none")}, {"photosync", r.Version},
		{"Requests to Smartsheet", Number(t.Requests)}, {"Retried", Number(t.Retries)}, {"Rate-limited", Number(t.RateLimited)},
		{"Waited for quota", Duration(time.Duration(t.QuotaWaitMS) * time.Millisecond)}, {"Sent", Size(t.BytesUploaded)},
		{"Left to do takes", Duration(time.Duration(t.ETA) * time.Second)},
	}
}

var jpegURI = regexp.MustCompile(`^data:image/jpeg;base64,[A-Za-z0-9+/=]*$`)

// jpeg is a small picture, if uri is one and nothing else: the page may show a report
// from anywhere.
func jpeg(uri string) template.URL { return template.URL(jpegURI.FindString(uri)) }

// examples are the first examples of a finding, if its sentence does not name them.
func examples(f outcome.Finding) string {
	if len(f.Examples) == 0 || strings.Contains(f.Message, f.Examples[0]) {
		return ""
	}
	return strings.Join(f.Examples[:min(len(f.Examples), 5)], ", ")
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

// domain is an address from its @ on: it may be broken there.
func domain(email string) string { return email[max(strings.LastIndexByte(email, '@'), 0):] }

var pageFuncs = template.FuncMap{
	"took":  func(r *Report) string { return Duration(r.FinishedAt.Sub(r.StartedAt)) },
	"num":   func(n any) string { return Number(reflect.ValueOf(n).Int()) },
	"bytes": Size[int], "when": timeText, "reason": func(r outcome.Reason) string { return r.Words().Title }, "jpeg": jpeg, "refs": refs, "examples": examples, "icon": func(mood string) string { return icons[mood] },
	"initial": func(email string) string { return strings.ToUpper(fmt.Sprintf("%.1s", email)) }, // of people without a picture
	"local":   func(email string) string { return strings.TrimSuffix(email, domain(email)) }, "domain": domain,
	"stamp": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"clock": func(t time.Time) string { return t.UTC().Format("15:04 UTC") },
}

// chart is the traffic of a run against its quota, in a box of 1000 by 100: a bar for each
// minute with requests.
type chart struct {
	Bars       []chartBar
	Top        int64 // requests a minute at the upper edge
	Quota      int
	QuotaY     float64
	AnyLimited bool
	From, To   time.Time
	Summary    string
}

type chartBar struct{ X, Y, Width, Height, Limited float64 }

// newChart draws the timeline of a run; nil if it has none.
func newChart(r *Report) *chart {
	if len(r.Timeline) == 0 {
		return nil
	}
	first := r.Timeline[0].Start
	at := func(m Minute) int { return max(int(m.Start.Sub(first)/time.Minute), 0) }
	minutes, busiest := 1, int64(0)
	var total Minute
	for _, m := range r.Timeline {
		minutes = max(minutes, at(m)+1)
		total.Requests, total.RateLimited, total.WaitMS = total.Requests+m.Requests, total.RateLimited+m.RateLimited, total.WaitMS+m.WaitMS
		busiest = max(busiest, m.Requests)
	}
	c := &chart{
		Top: max(busiest, int64(r.QuotaPerMinute), 1), Quota: r.QuotaPerMinute, AnyLimited: total.RateLimited > 0,
		From: first, To: first.Add(time.Duration(minutes) * time.Minute),
	}
	scale := 100 / float64(c.Top)
	step := 1000 / float64(max(minutes, 12)) // few bars stay slim
	for _, m := range r.Timeline {
		h := float64(m.Requests) * scale
		c.Bars = append(c.Bars, chartBar{float64(at(m)) * step, 100 - h, step * 0.85, h, min(float64(m.RateLimited)*scale, h)})
	}
	c.QuotaY = 100 - 100*float64(c.Quota)/float64(c.Top)
	c.Summary = chartSummary(total, busiest, minutes, c.Quota)
	return c
}

// chartSummary is what the chart shows, for those who do not see it.
func chartSummary(total Minute, busiest int64, minutes, quota int) string {
	allowed := ""
	if quota > 0 {
		allowed = " of " + Number(quota) + " allowed"
	}
	s := fmt.Sprintf("%s in %s; %s in the busiest minute%s. ", Count(int(total.Requests), "request", "requests"),
		Count(minutes, "minute", "minutes"), Number(busiest), allowed)
	if total.RateLimited > 0 {
		s += Count(int(total.RateLimited), "request was", "requests were") + " rate-limited. "
	}
	if wait := time.Duration(total.WaitMS) * time.Millisecond; wait >= time.Second {
		s += "Waiting for quota, summed over the workers: " + Duration(wait) + "."
	}
	return s
}
