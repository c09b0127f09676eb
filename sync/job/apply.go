package job

import (
	"fmt"
	"maps"

	"photosync/sync/outcome"
)

// appliedKey is the state's fact about the plans that were carried out from a file.
const appliedKey = "applied"

// maxApplied is how many of them are remembered.
const maxApplied = 100

// applied is a plan from a file: the runs that worked on it, and whether it was
// carried out to its end.
type applied struct {
	PlanID string   `json:"plan_id"`
	RunIDs []string `json:"run_ids"`
	Done   bool     `json:"done"`
}

// admit takes out of the plan what the file that is applied does not hold, and what
// moved since.
func (j *Job) admit(p *prepared) {
	f := j.How.Apply
	var before applied
	for _, a := range p.past.applied {
		if a.PlanID == f.PlanID {
			before = a
		}
	}
	moved := p.plan.Keep(f, before.RunIDs)
	refuse := func(why, hint string) {
		p.held = &HeldError{false, fmt.Sprintf("plan %s was not applied: %s", f.PlanID, why), hint}
	}
	const again = "make a new plan with photosync plan -o, look at it, and apply that"
	switch {
	case f.Account.Root != p.account.Root || f.Account.ID != p.account.ID:
		refuse(fmt.Sprintf("it is for account %q at %s, and the token belongs to %q at %s", f.Account.Name, f.Account.Root, p.account.Name, p.account.Root),
			"apply it with the configuration that made it")
	case f.Rendering != j.Photos.Fingerprint():
		refuse("the image settings changed since it was made", again)
	case before.Done:
		refuse("run "+before.RunIDs[len(before.RunIDs)-1]+" carried it out already", again)
	case j.How.Strict && (moved > 0 || p.plan.ID != f.PlanID && len(before.RunIDs) == 0):
		refuse(fmt.Sprintf("something moved since it was made, %s of its people among it", outcome.Number(moved)), again+"; or leave out --strict")
	}
}

// applying remembers, before the first upload, that this run works on the plan: a run
// that is stopped and started again knows its own announcements.
func (j *Job) applying(p *prepared) error {
	if j.How.Apply == nil {
		return nil
	}
	return j.setApplied(p, false)
}

// appliedAll remembers that the plan was carried out.
func (j *Job) appliedAll(p *prepared) error { return j.setApplied(p, true) }

func (j *Job) setApplied(p *prepared, done bool) error {
	id := j.How.Apply.PlanID
	at := -1
	for i, a := range p.past.applied {
		if a.PlanID == id {
			at = i
		}
	}
	if at < 0 {
		p.past.applied = append(p.past.applied, applied{PlanID: id})
		p.past.applied = p.past.applied[max(0, len(p.past.applied)-maxApplied):]
		at = len(p.past.applied) - 1
	}
	a := &p.past.applied[at]
	if a.Done = done; !done {
		a.RunIDs = append(a.RunIDs, j.How.RunID)
	}
	return j.State.SetMeta(appliedKey, p.past.applied)
}

// listedAsPlanned reports whether the sources list as many entries as when the plan
// was made that is applied; without one it is true.
func (j *Job) listedAsPlanned(p *prepared) bool {
	return j.How.Apply == nil || maps.Equal(j.How.Apply.Listed, p.listed)
}
