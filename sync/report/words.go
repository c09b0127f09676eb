package report

import (
	"fmt"
	"strings"
	"time"

	"photosync/sync/outcome"
)

var codeWords = map[string]string{
	"empty":              "The file is empty",
	"truncated":          "The picture is cut short or damaged",
	"unsupported_format": "The picture is of a kind that cannot be used",
	"too_many_pixels":    "The picture has too many pixels",
	"too_large":          "The file is too large",
	"not_an_image":       "The file is no picture",
}

// Verdict says in one sentence what became of the run. It is good news only if
// nobody is needed.
func (r *Report) Verdict() string {
	t, attention := r.Totals, r.NeedsAttention()
	sent := "Nothing was uploaded"
	if t.Uploaded > 0 {
		sent = Count(t.Uploaded, "picture was uploaded", "pictures were uploaded")
	}
	switch {
	case r.Mode == "plan" && r.Result == Failed:
		return "The plan could not be made."
	case r.Mode == "plan" && r.Result == Interrupted:
		return "Stopped early: there is no plan."
	case r.Mode == "plan":
		return r.planVerdict(t.Planned, attention)
	case r.Result == Failed && t.Uploaded > 0:
		return "The run failed after " + Count(t.Uploaded, "picture was", "pictures were") + " uploaded."
	case r.Result == Failed:
		return "The run failed."
	case r.Result == Held && r.Mode == "apply":
		return "The plan was not applied: nothing was written."
	case r.Result == Held && len(r.Guards) == 0: // another plan was approved
		return "Held back: nothing was written."
	case r.Result == Held:
		return "Held back by a guard: nothing was written."
	case r.Result == Interrupted && t.Unfinished > 0:
		return "Stopped early: " + strings.ToLower(sent[:1]) + sent[1:] + ", " + Count(t.Unfinished, "is", "are") + " left for the next run."
	case r.Result == Interrupted:
		return "Stopped early. What was done is recorded; the next run continues."
	case r.NeedsSomebody():
		return sent + ", and " + r.needs(attention) + " attention."
	case t.People+t.Uploaded+t.Skipped == 0: // such as --only with an address that nobody has
		return "Nothing to do: this run is about nobody."
	case t.Uploaded+t.Skipped+t.Held+t.Failed == 0:
		return "Nothing to do: everybody's picture is as it should be."
	case t.Uploaded == 0:
		return "Nothing to do."
	}
	return sent + "."
}

// Mood is the colour of the verdict: good, info, warn or bad.
func (r *Report) Mood() string {
	switch {
	case r.Result == Failed:
		return "bad"
	case r.Result == Held || r.Result == Interrupted || len(r.Guards) > 0 || r.NeedsSomebody():
		return "warn"
	case r.Mode == "plan" && r.Totals.Planned > 0:
		return "info"
	}
	return "good"
}

func (r *Report) planVerdict(planned, attention int) string {
	s := "A sync would upload nothing"
	if planned > 0 {
		s = "A sync would upload " + Count(planned, "picture", "pictures")
	}
	switch {
	case len(r.Guards) > 0:
		return s + ", and a guard would hold it back."
	case r.NeedsSomebody():
		return s + ", and " + r.needs(attention) + " attention."
	case planned == 0:
		return "Nothing to do: a sync would upload nothing."
	}
	return s + "."
}

// needs says who needs attention: a finding counts for more than any number of people.
func (r *Report) needs(n int) string {
	if r.Urgent() {
		return "the run as a whole needs"
	}
	return Count(n, "person needs", "people need")
}

// Count is a number with its noun.
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Number(n) + " " + many
}

// Number writes a number with its digits in groups of three.
func Number[N int | int64](n N) string { return outcome.Number(int(n)) }

// Size is a number of bytes in the unit that suits it.
func Size[N int | int64](n N) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d bytes", n)
}

// Duration is a time as people say it, to the second once it is that long.
func Duration(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", max(d, 0).Milliseconds())
	}
	var parts []string
	for _, u := range []struct {
		size time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		if n := d / u.size; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, u.name))
		}
		d %= u.size
	}
	return strings.Join(parts, " ")
}

func timeText(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04:05 UTC") }
