package job

import (
	"context"
	"fmt"
	"strings"

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

// guard looks at the whole plan. A plan that was approved passes, once: letting it
// pass moves the state on, and with it the ID of the next plan.
func (r *run) guard(context.Context) error {
	if r.o.Apply != nil {
		return r.admit()
	}
	id := r.plan.ID
	if r.o.Approve != "" {
		if r.o.Approve != id {
			r.file = r.plan.File(r.o.Limit)
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
	if r.o.Guards.MaxShared > 0 {
		counts := r.plan.Sums()
		if err := r.countQuiet(counts); err != nil {
			return err
		}
		r.plan.HoldShared(r.subjects, counts, r.o.Guards.MaxShared)
	}
	for _, b := range bs {
		r.report.Guards = append(r.report.Guards, report.Breach(b))
	}
	if len(bs) > 0 && r.o.Mode != Plan { // a plan shows what there would be to hold
		r.file = r.plan.File(r.o.Limit)
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
	if same || !r.listedAsPlanned() {
		return nil
	}
	return r.o.State.SetMeta(listedKey, now)
}
