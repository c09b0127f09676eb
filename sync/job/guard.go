package job

import (
	"context"
	"fmt"
	"strings"

	"photosync/sources"
	"photosync/sync/plan"
	"photosync/sync/report"
)

// listedKey is the state's fact about how many entries each source listed in the
// last run that the guards let pass.
const listedKey = "listed"

// approvedKey is the state's fact about the plan that was last let pass by hand.
const approvedKey = "approved"

// HeldError is a run that a guard held back before the first write.
type HeldError struct {
	PlanID   string
	Breaches []plan.Breach
}

func (e *HeldError) Error() string {
	parts := make([]string, len(e.Breaches))
	for i, b := range e.Breaches {
		parts[i] = "guard." + b.Guard + ": " + b.Message
	}
	return "held back, nothing was written: " + strings.Join(parts, "; ")
}

// Hint says what to do about it.
func (e *HeldError) Hint() string {
	return "look at the report; if all of it is right, let exactly this plan pass, once, with --approve " + e.PlanID
}

// ApprovalError is an approval of a plan that is not this run's.
type ApprovalError struct{ Approved, PlanID string }

func (e *ApprovalError) Error() string {
	return fmt.Sprintf("held back, nothing was written: plan %s was approved, and the plan is %s now: a source, Smartsheet or the state moved since, or the flags differ",
		e.Approved, e.PlanID)
}

// Hint says what to do about it.
func (e *ApprovalError) Hint() string {
	return "look at this plan; if it is right, approve it with --approve " + e.PlanID
}

// remember looks everyone up in the state. Both are in the order of the emails, so
// one pass over each is enough.
func (r *run) remember(context.Context) error {
	var people []sources.Joined
	people, r.people = r.people, nil
	r.generation = r.o.State.Generation()
	if _, err := r.o.State.Meta(listedKey, &r.past.Listed); err != nil {
		return err
	}
	o := r.planOptions()
	for rec, err := range r.o.State.All() {
		if err != nil {
			return err
		}
		for len(people) > 0 && people[0].Emails[0] < rec.Email {
			r.subject(plan.Subject{Joined: people[0]})
			people = people[1:]
		}
		if rec.UploadSHA256 != "" {
			r.past.People++
		}
		if len(people) > 0 && people[0].Emails[0] == rec.Email {
			r.subject(plan.Subject{Joined: people[0], Record: rec, Known: true})
			people = people[1:]
			continue
		}
		if plan.Misses(rec, o) {
			r.subject(plan.Subject{Joined: sources.Joined{Emails: []string{rec.Email}}, Record: rec, Known: true})
		}
	}
	for _, p := range people {
		r.subject(plan.Subject{Joined: p})
	}
	return nil
}

func (r *run) subject(s plan.Subject) {
	if r.o.Only == nil || r.o.Only(s.Key()) {
		r.subjects = append(r.subjects, s)
	}
}

// guard looks at the whole plan. A plan that was approved passes, once: letting it
// pass moves the state on, and with it the ID of the next plan.
func (r *run) guard(context.Context) error {
	id := r.plan.ID
	if r.o.Approve != "" {
		if r.o.Approve != id {
			r.plan.Hold()
			r.held = &ApprovalError{r.o.Approve, id}
			return nil
		}
		if r.o.Mode == Plan {
			return nil
		}
		return r.o.State.SetMeta(approvedKey, map[string]string{"plan_id": id, "run_id": r.o.RunID})
	}
	if r.o.Guards == nil {
		return nil
	}
	bs := r.plan.Check(*r.o.Guards, r.past, r.listed())
	r.plan.HoldShared(r.subjects, r.o.Guards.MaxShared)
	for _, b := range bs {
		r.report.Guards = append(r.report.Guards, report.Breach(b))
	}
	if len(bs) > 0 && r.o.Mode != Plan { // a plan shows what there would be to hold
		r.plan.Hold()
		r.held = &HeldError{id, bs}
	}
	return nil
}

func (r *run) listed() map[string]int {
	n := map[string]int{}
	for _, s := range r.report.Sources {
		n[s.Name] = s.Listed
	}
	return n
}

// passed remembers the listings that the guards let pass.
func (r *run) passed() error {
	now := r.listed()
	same := len(now) == len(r.past.Listed)
	for name, n := range now {
		same = same && r.past.Listed[name] == n
	}
	if same {
		return nil
	}
	return r.o.State.SetMeta(listedKey, now)
}
