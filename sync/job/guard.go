package job

import (
	"fmt"
	"strings"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/plan"
	"photosync/sync/report"
)

// Facts of the state about its runs.
const (
	listedKey   = "listed"   // how many entries each source listed in the last run that the guards let pass
	approvedKey = "approved" // the plan that was last let pass by hand
	claimsKey   = "claims"   // the lost claims that a report named
)

// HeldError is why a run, or a plan from a file, is not carried out. Nothing was written.
type HeldError struct {
	Guards bool // guards hold it; else it is not the plan that was approved or made
	Why    string
	Advice string
}

func (e *HeldError) Error() string { return "held back, nothing was written: " + e.Why }

// Hint says what to do about it.
func (e *HeldError) Hint() string { return e.Advice }

// heldBy is the error for a plan that guards hold.
func heldBy(id string, bs []outcome.Breach) *HeldError {
	parts := make([]string, len(bs))
	for i, b := range bs {
		parts[i] = "guard." + b.Guard + ": " + b.Message
	}
	return &HeldError{true, strings.Join(parts, "; "),
		"look at the report; if all of it is right, let exactly this plan pass, once, with --approve " + id}
}

// past is what the state knows of earlier runs.
type past struct {
	plan.Past
	claims  []string  // digests of the lost claims that a report named
	applied []applied // plans that were carried out from a file
}

func (j *Job) readPast() (p past, err error) {
	for key, v := range map[string]any{listedKey: &p.Listed, claimsKey: &p.claims, appliedKey: &p.applied} {
		if _, err := j.State.Meta(key, v); err != nil {
			return p, err
		}
	}
	return p, nil
}

// guard looks at the whole plan, before the first write. A plan that was approved
// passes once: letting it pass moves the state on, and with it the ID of the next plan.
// Applying a plan is its approval.
func (j *Job) guard(people *sources.People, rep *report.Report, p *prepared) error {
	if j.How.Apply != nil {
		j.admit(p)
		return nil
	}
	approved := j.How.Approve == p.plan.ID
	if g := j.Policy.Guards; g != nil && !approved {
		if err := j.countUsers(p); err != nil {
			return err
		}
		rep.Guards = p.plan.Check(*g, p.past.Past, p.listed)
		if err := j.holdShared(people, p); err != nil {
			return err
		}
		if len(rep.Guards) > 0 && j.How.Mode != Plan { // a plan shows what there would be to hold
			p.held = heldBy(p.plan.ID, rep.Guards)
		}
	}
	if j.How.Approve != "" && !approved {
		p.held = &HeldError{false, fmt.Sprintf("plan %s was approved, and the plan is %s now: a source, Smartsheet or the state moved since, or the flags differ", j.How.Approve, p.plan.ID),
			"look at this plan; if it is right, approve it with --approve " + p.plan.ID}
	}
	if p.held != nil || j.How.Mode == Plan {
		p.file = p.plan.File(j.Scope.Limit)
		p.file.Account, p.file.Rendering, p.file.Listed = p.account, j.Photos.Fingerprint(), p.listed
		p.file.Guards = append(p.file.Guards, rep.Guards...)
	}
	return nil
}

// countUsers counts the users with a picture of ours.
func (j *Job) countUsers(p *prepared) error {
	return j.State.View(func(v *state.Snapshot) error {
		for u, err := range v.Users() {
			if err != nil {
				return err
			}
			if u.Sent != nil {
				p.past.Users++
			}
		}
		return nil
	})
}

// holdShared holds pictures that too many people have. Everybody listed counts, also
// those whom this run is not about.
func (j *Job) holdShared(people *sources.People, p *prepared) error {
	counts := p.plan.Hashes()
	most := j.Policy.Guards.MaxShared
	if most <= 0 || len(counts) == 0 {
		return nil
	}
	err := j.eachListed(people, p.changes.work, func(l listedPerson) error {
		h, err := l.hash()
		if _, planned := counts[h]; planned {
			counts[h]++
		}
		return err
	})
	p.plan.HoldShared(counts, most)
	return err
}
