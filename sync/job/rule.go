package job

import (
	"cmp"
	"fmt"
	"slices"

	"photosync/sync/plan"
	"photosync/sync/report"
)

// rules say in words why a run does what it does with a person.
var rules = map[plan.Reason]string{
	plan.New:              "nothing of this person was uploaded yet",
	plan.Changed:          "the photo is not the one that was uploaded last",
	plan.RenderingChanged: "the image settings changed since the last upload",
	plan.Drifted:          "policy.existing is enforce, and the picture in Smartsheet is not the one that we uploaded",
	plan.Forced:           "--force uploads what is unchanged, too",
	plan.Placeholder:      "policy.removed is placeholder: no source has a photo any more, and the picture in Smartsheet is still ours",
	plan.Unchanged:        "the photo was uploaded already and did not change since",
	plan.SamePicture:      "the photo's bytes changed, but the picture that would be sent did not",
	plan.NoPhoto:          "no source has a photo of this person",
	plan.NotInSmartsheet:  "no Smartsheet user has one of these addresses",
	plan.InactiveUser:     "the Smartsheet user is not active",
	plan.Excluded:         "match.include or match.exclude leaves this person out, or the run is limited to another source",
	plan.Ambiguous:        "there are several candidates, and only a human can tell which is right",
	plan.KnownBad:         "the same bytes were refused before and did not change since",
	plan.UserChanged:      "the picture in Smartsheet is not ours, and the policy leaves it alone",
	plan.InvalidImage:     "the picture is refused",
}

// rule is why the next run does that with a, whose item would be it.
func (r *run) rule(a plan.Action, it report.Item) string {
	reason := plan.Reason(it.Reason)
	switch {
	case reason == plan.NoPhoto && it.Message != "":
		return it.Message
	case reason == plan.NotInSmartsheet && r.o.AlternateEmails:
		return rules[reason] + ", nor one of them as an alternate address that is known and confirmed"
	case reason == plan.UserChanged && !a.Lost:
		return fmt.Sprintf("policy.existing is %s, and the picture in Smartsheet is not ours to replace", r.o.Existing)
	}
	return rules[reason]
}

// maxNearest is how many addresses are suggested for one that nobody knows.
const maxNearest = 5

// nearest finds the addresses in the sources and in the state that look most like
// the one asked for.
func (x *explainer) nearest() error {
	type near struct {
		email    string
		distance int
	}
	var all []near
	most := max(3, len(x.Email)/3)
	consider := func(email string) {
		n := near{email, distance(x.Email, email, most)}
		if n.distance > most || slices.Contains(all, n) {
			return
		}
		all = append(all, n)
		slices.SortStableFunc(all, func(a, b near) int { return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.email, b.email)) })
		if len(all) > maxNearest {
			all = all[:maxNearest]
			most = all[maxNearest-1].distance
		}
	}
	for j := range x.run.people.All() {
		for _, e := range j.Emails {
			consider(e)
		}
	}
	for rec, err := range x.run.o.State.All() {
		if err != nil {
			return err
		}
		consider(rec.Email)
	}
	for _, n := range all {
		x.Nearest = append(x.Nearest, n.email)
	}
	return nil
}

// distance is how many characters have to be put in, taken out or exchanged to make
// a of b (Levenshtein), or more than most.
func distance(a, b string, most int) int {
	if d := len(a) - len(b); d > most || -d > most {
		return most + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, least := row[0], i
		row[0] = i
		for j := 1; j <= len(b); j++ {
			d := before
			if a[i-1] != b[j-1] {
				d++
			}
			before = row[j]
			row[j] = min(d, row[j]+1, row[j-1]+1)
			least = min(least, row[j])
		}
		if least > most {
			return most + 1
		}
	}
	return row[len(b)]
}
