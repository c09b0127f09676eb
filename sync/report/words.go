package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// words are a stable identifier in words: a title and what it means.
type words struct{ title, meaning string }

var reasonWords = map[string]words{
	"new":               {"new", "The person had no picture from us yet."},
	"changed":           {"changed at the source", "The photo at the source has changed."},
	"rendering_changed": {"image settings changed", "The image settings have changed."},
	"drifted":           {"drifted", "The picture in Smartsheet was not the one from us any more."},
	"forced":            {"forced", "Uploaded because of --force."},
	"placeholder":       {"placeholder", "The photo is gone from the sources: neutral initials take its place."},
	"unchanged":         {"Unchanged", "There is nothing to do."},
	"same_picture":      {"Same picture", "The source changed, and what would be sent did not."},
	"no_photo":          {"No photo", "No source has a photo of these people."},
	"not_in_smartsheet": {"Not in Smartsheet", "Smartsheet knows nobody by these addresses."},
	"inactive_user":     {"Inactive user", "The Smartsheet accounts of these people are not active."},
	"excluded":          {"Excluded", "match.include and match.exclude leave these people out."},
	"ambiguous":         {"More than one candidate", "Only a human can tell which is right."},
	"shared_image":      {"One picture for many people", "A silhouette, a logo or a bad import?"},
	"user_changed":      {"The user's own picture", "policy.existing leaves it alone."},
	"known_bad":         {"Refused before", "The same photos were refused before and have not changed since. They are not sent again until they do."},
	"invalid_image":     {"Refused picture", ""},
	"being_written":     {"Being written", "The file is being copied, or younger than min_age: the next run reads it."},
	"held":              {"Held back", "A guard holds the whole run."},
	"out_of_shard":      {"In another shard", "Another run answers for these people."},
}

var codeWords = map[string]string{
	"empty":              "The file is empty",
	"truncated":          "The picture is cut short or damaged",
	"unsupported_format": "The picture is of a kind that cannot be used",
	"too_many_pixels":    "The picture has too many pixels",
	"too_large":          "The file is too large",
	"not_an_image":       "The file is no picture",
}

var exitWords = map[int]string{
	0: "done", 1: "the run failed", 2: "usage or configuration error", 3: "done, but some people need attention",
	4: "held back by a guard", 5: "another run holds the state", 6: "stopped early", 10: "there are changes",
}

// reasonTitle is a reason in words; one that is not known, as it is.
func reasonTitle(reason string) string {
	if w, ok := reasonWords[reason]; ok {
		return w.title
	}
	return reason
}

// verdict is what became of the run, in one sentence.
func (r *Report) verdict() string {
	t, attention := r.Totals, r.NeedsAttention()
	sent := were(t.Uploaded)
	switch {
	case r.Mode == "plan" && r.Result == Failed:
		return "The plan could not be made."
	case r.Mode == "plan":
		return r.planVerdict(t.Planned, attention)
	case r.Result == Failed && t.Uploaded > 0:
		return "The run failed after " + people(t.Uploaded, "picture was", "pictures were") + " uploaded."
	case r.Result == Failed:
		return "The run failed."
	case r.Result == Held:
		return "Held back by a guard: nothing was written."
	case r.Result == Interrupted && t.Unfinished > 0:
		return "Stopped early: " + sent + ", " + people(t.Unfinished, "is", "are") + " left for the next run."
	case r.Result == Interrupted:
		return "Stopped early. What was done is recorded; the next run continues."
	case attention > 0:
		return sent + ", and " + people(attention, "person needs", "people need") + " attention."
	case t.Uploaded == 0:
		return "Nothing to do: everybody's picture is as it should be."
	}
	return sent + "."
}

func (r *Report) planVerdict(planned, attention int) string {
	s := "A sync would upload nothing"
	if planned > 0 {
		s = "A sync would upload " + people(planned, "picture", "pictures")
	}
	switch {
	case len(r.Guards) > 0:
		return s + ", and a guard would hold it back."
	case attention > 0:
		return s + ", and " + people(attention, "person needs", "people need") + " attention."
	}
	return s + "."
}

func were(n int) string {
	if n == 0 {
		return "Nothing was uploaded"
	}
	return people(n, "picture was uploaded", "pictures were uploaded")
}

// people is a number with its noun.
func people(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// thousands writes a number with its digits in groups of three.
func thousands[N int | int64](n N) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func bytesText[N int | int64](n N) string {
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

// durationText is a time as people say it, to the second once it is that long.
func durationText(d time.Duration) string {
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
