package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"photosync/sync/outcome"
)

// Section is a part of the report with people in it.
type Section struct {
	Kind, Title string
	Groups      []*Group
}

func (s Section) N() int {
	n := 0
	for _, g := range s.Groups {
		n += g.N()
	}
	return n
}

// subject is what the report says of a person. People with the same subject are one group.
type subject struct {
	Kind              string // of the section
	Code, Title, Hint string
}

// Group is a group of people about whom the report says the same.
type Group struct {
	subject
	RefIDs  bool // some of the items have refIds
	Items   []*Item
	Counted int    // people without an item
	common  string // the message, if all people have the same

	Sheet       bool    // on the page it is a contact sheet, not a list
	First, Rest []*Item // on the page; the script shows Rest
	Omitted     int     // people for whom the page has no room
}

func (g *Group) N() int { return len(g.Items) + g.Counted }

const attention, sent, later, left = "attention", "sent", "later", "left"

// Sections sorts everyone in the report by what a human has to do. It leaves empty sections out.
func Sections(r *Report) (all []Section) {
	uploaded := "Uploaded"
	if r.Mode == "plan" {
		uploaded = "Would be uploaded"
	}
	groups := slices.Concat(listed(r), counted(r))
	for _, s := range []Section{ // from top to bottom
		{Kind: attention, Title: "Needs attention"},
		{Kind: sent, Title: uploaded},
		{Kind: later, Title: "Left for the next run"},
		{Kind: left, Title: "Left alone"},
	} {
		for _, g := range groups {
			if g.Kind == s.Kind {
				s.Groups = append(s.Groups, g)
			}
		}
		slices.SortStableFunc(s.Groups, func(a, b *Group) int {
			return cmp.Or(cmp.Compare(a.urgency(), b.urgency()), cmp.Compare(b.N(), a.N()), cmp.Compare(a.Code, b.Code))
		})
		if len(s.Groups) > 0 {
			all = append(all, s)
		}
	}
	return all
}

// listed returns groups of the people who have items.
func listed(r *Report) (groups []*Group) {
	known := map[subject]*Group{}
	for i := range r.Items {
		it := &r.Items[i]
		about := it.subject()
		g := known[about]
		if g == nil {
			g = &Group{subject: about, common: it.text()}
			known[about] = g
			groups = append(groups, g)
		}
		if g.common != it.text() {
			g.common = ""
		}
		g.RefIDs = g.RefIDs || len(refs(it)) > 0
		g.Items = append(g.Items, it)
	}
	for _, g := range groups {
		g.describe()
	}
	return groups
}

// counted returns groups of people who are only in the totals, such as those of other shards.
func counted(r *Report) (groups []*Group) {
	rest := maps.Clone(r.SkippedByReason)
	for _, it := range r.Items {
		if it.Outcome == outcome.Skipped {
			rest[it.Reason]--
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(rest)) {
		if n := rest[reason]; n > 0 {
			groups = append(groups, &Group{subject: ofReason(left, reason), Counted: n})
		}
	}
	return groups
}

func (it *Item) subject() subject {
	switch {
	case it.NeedsAttention():
		return it.trouble(attention)
	case it.Outcome == outcome.Uploaded || it.Outcome == outcome.Planned:
		return subject{Kind: sent}
	case it.Outcome == outcome.Unfinished:
		return subject{Kind: later}
	case it.AlreadyReported && it.Outcome != outcome.Skipped:
		return it.trouble(left)
	}
	return ofReason(left, it.Reason)
}

func ofReason(kind string, reason outcome.Reason) subject {
	w := reason.Words()
	return subject{kind, string(reason), w.Title, w.Meaning}
}

// trouble returns the subject of a problem: by errorCode, else by what is wrong with the picture, else by reason.
func (it *Item) trouble(kind string) subject {
	code := value(it.ErrorCode)
	switch {
	case code != 0:
		return subject{kind, fmt.Sprint("errorCode ", code), "", it.Hint}
	case it.Code != "":
		return subject{kind, it.Code, cmp.Or(codeWords[it.Code], it.Code), it.Hint}
	case it.Unverified:
		return subject{kind, "unverified", "Smartsheet does not show what was uploaded", it.Hint}
	case it.HTTPStatus >= 300:
		return subject{kind, fmt.Sprint("HTTP ", it.HTTPStatus), "", it.Hint}
	case it.Outcome == outcome.Failed || it.Outcome == outcome.PartialSuccess:
		return subject{kind, string(it.Outcome), "", it.Hint}
	}
	about := ofReason(kind, it.Reason)
	about.Hint = cmp.Or(it.Hint, about.Hint)
	return about
}

// describe gives a group the words that depend on all of its people: what is true of each is said once.
func (g *Group) describe() {
	switch {
	case g.Kind == attention && g.Title == "":
		g.Title = cmp.Or(g.common, "Smartsheet or the source did not do what was asked")
	case g.Kind == left && g.common != "" && g.N() > 1:
		g.Hint = g.common
		if hint := g.Items[0].Hint; g.Items[0].AlreadyReported && hint != "" {
			g.Hint += ": " + hint
		}
	case g.Kind != attention:
		g.common = ""
	}
}

// urgency sorts groups: refusals first, problems that go away by themselves last.
func (g *Group) urgency() int {
	switch {
	case strings.HasPrefix(g.Hint, "retry by itself"):
		return 3
	case g.Code == string(outcome.KnownBad):
		return 1
	}
	return 2
}

// text is the most exact message about what happened to a person.
func (it *Item) text() string {
	if len(it.FailedItems) > 0 {
		return cmp.Or(it.FailedItems[0].Message, it.Message)
	}
	return it.Message
}

// Message says what happened to each person of the group; empty if that differs, or if the title says it.
func (g *Group) Message() string {
	if g.common == g.Title {
		return ""
	}
	return g.common
}

// Lines returns what the report says about one person in the group.
func (g *Group) Lines(it *Item) []string {
	texts := []string{it.Message}
	for _, f := range it.FailedItems {
		texts = append(texts, f.Message)
	}
	return append(without(texts, g.common, g.Title), it.Candidates...)
}

// without returns the texts, each once, without those that were said already.
func without(texts []string, said ...string) (left []string) {
	for _, text := range texts {
		if text != "" && !slices.Contains(said, text) && !slices.Contains(left, text) {
			left = append(left, text)
		}
	}
	return left
}

var codeWords = map[string]string{
	"empty":              "The file is empty",
	"truncated":          "The picture is cut short or damaged",
	"unsupported_format": "The picture is of a kind that cannot be used",
	"too_many_pixels":    "The picture has too many pixels",
	"too_large":          "The file is too large",
	"not_an_image":       "The file is not a picture",
}

// Verdict says in one sentence how the run ended. It is good news only if nobody has to act.
func (r *Report) Verdict() string {
	t, plan, sent := r.Totals, r.Mode == "plan", "Nothing was uploaded"
	switch {
	case plan && t.Planned > 0:
		sent = "A sync would upload " + Count(t.Planned, "picture", "pictures")
	case plan:
		sent = "A sync would upload nothing"
	case t.Uploaded > 0:
		sent = Count(t.Uploaded, "picture was uploaded", "pictures were uploaded")
	}
	who := Count(r.NeedsAttention(), "person needs", "people need")
	if r.Urgent() { // a finding is more important than any number of people
		who = "the run as a whole needs"
	}
	for _, verdict := range []struct {
		holds bool
		text  string
	}{
		{plan && r.Result == Failed, "The plan could not be made."},
		{plan && r.Result == Interrupted, "Stopped early: there is no plan."},
		{plan && len(r.Guards) > 0, sent + ", and a guard would hold it back."},
		{r.Result == Failed && t.Uploaded > 0, "The run failed after " + Count(t.Uploaded, "picture was", "pictures were") + " uploaded."},
		{r.Result == Failed, "The run failed."},
		{r.Result == Held && r.Mode == "apply", "The plan was not applied: nothing was written."},
		{r.Result == Held && len(r.Guards) > 0, "Held back by a guard: nothing was written."},
		{r.Result == Held && !plan, "Held back: nothing was written."}, // another plan was approved
		{r.Result == Interrupted && t.Unfinished > 0,
			"Stopped early: " + strings.ToLower(sent[:1]) + sent[1:] + ", " + Count(t.Unfinished, "is", "are") + " left for the next run."},
		{r.Result == Interrupted, "Stopped early. What was done is recorded; the next run continues."},
		{r.NeedsSomebody(), sent + ", and " + who + " attention."},
		{plan && t.Planned == 0, "Nothing to do: a sync would upload nothing."},
		{plan, sent + "."},
		{t.Unfinished > 0, sent + ", and " + Count(t.Unfinished, "is", "are") + " left for the next run."},
		{t.People+t.Uploaded+t.Skipped == 0, "Nothing to do: this run is about nobody."}, // such as --only with an address that nobody has
		{t.Uploaded+t.Skipped+t.Held+t.Failed == 0, "Nothing to do: everybody's picture is as it should be."},
		{t.Uploaded == 0, "Nothing to do."},
	} {
		if verdict.holds {
			return verdict.text
		}
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
