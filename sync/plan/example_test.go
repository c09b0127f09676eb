package plan_test

import (
	"fmt"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/plan"
)

// Three people: Ann has no picture from us yet, Bob's photo changed since we uploaded one,
// and Cyd is not in Smartsheet.
func ExampleBuild() {
	srcs := []sources.Named{{Name: "hr", Type: "folder"}}
	rules := plan.NewRules(srcs, &plan.Policy{}, &plan.Scope{})
	facts := plan.NewFacts(srcs, nil)

	// What the source lists, who it is in Smartsheet, and what reading the photo showed.
	person := func(email string, hash string, users ...plan.User) *plan.Work {
		w := &plan.Work{Users: users, Photo: &plan.Photo{SHA256: hash}}
		w.Joined = sources.Joined{Own: []string{email}, Candidates: []sources.Candidate{{Person: sources.Person{
			Own: []string{email}, Ref: sources.Ref{Name: email + ".jpg"}, HasPhoto: sources.Present,
		}}}}
		rules.SetStamp(w)
		return w
	}
	ann := person("ann@x", "h1", plan.User{ID: 101, Email: "ann@x", Active: true})
	bob := person("bob@x", "h3", plan.User{ID: 102, Email: "bob@x", Active: true, ImageID: "i2"})
	bob.Current = &state.User{ID: 102, Sent: &state.Sent{SourceSHA256: "h2", ImageID: "i2"}}
	cyd := person("cyd@x", "h4")

	p := plan.Build(rules, []*plan.Work{ann, bob, cyd}, facts, 1)
	for _, s := range p.Steps {
		fmt.Println(s.Key(), s.Reason, s.Outcome)
	}
	fmt.Println(facts.WithPhoto, "with a photo,", facts.Matched, "of them in Smartsheet")
	// Output:
	// ann@x new planned
	// bob@x changed planned
	// cyd@x not_in_smartsheet skipped
	// 3 with a photo, 2 of them in Smartsheet
}
