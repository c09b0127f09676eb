package job

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/match"
	"photosync/sync/outcome"
	"photosync/sync/plan"
	"photosync/sync/report"
)

// Names of facts that runs leave in the state.
const (
	listedKey  = "listed"       // how many entries each source listed in the last run that passed the guards
	claimsKey  = "claims"       // the lost claims that a report named
	appliedKey = "applied_plan" // the plan file that was last applied
	unendedKey = "unended"      // ids of the runs that did not come to their end since the last one that did
)

// HeldError says why a run, or a plan from a file, is not carried out. Nothing was written.
type HeldError struct {
	Guards bool // guards hold it; false: it is not the plan that was approved or made
	Why    string
	Advice string
}

func (e *HeldError) Error() string { return "held back, nothing was written: " + e.Why }

func (e *HeldError) Hint() string { return e.Advice }

// past is what the state knows of earlier runs.
type past struct {
	listed  map[string]int
	claims  []string
	applied applied
	unended []string
}

func (j *Job) readPast() (p past, err error) {
	for key, v := range map[string]any{listedKey: &p.listed, claimsKey: &p.claims, appliedKey: &p.applied, unendedKey: &p.unended} {
		if _, err := j.State.Meta(key, v); err != nil {
			return p, err
		}
	}
	if f := j.How.Apply; f != nil && p.applied.PlanID != f.PlanID {
		p.applied = applied{PlanID: f.PlanID} // only one plan is remembered
	}
	return p, nil
}

// guard holds the uploads, or the whole run, that no guard lets pass. An approved plan passes once:
// the run changes the state, so the next plan has another ID. To apply a file is to approve it.
func (j *Job) guard(rep *report.Report, p *prepared, listed plan.Listed) error {
	switch {
	case j.How.Apply != nil:
		p.held = j.restrict(p)
		return nil
	case j.How.Approve == p.plan.ID:
		return nil
	}
	if g := j.Policy.Guards; g != nil && g.MaxShared > 0 && len(p.plan.Planned()) > 0 {
		parts := max(j.Scope.Shard.Count, 1) // a shard knows the pictures of its own people only
		p.maxShared, p.same = (g.MaxShared+parts-1)/parts, map[string]int{}
		err := j.users(func(u *state.User) {
			for _, sum := range plan.Pictures(u) {
				p.same[sum]++
			}
		})
		if err != nil {
			return err
		}
		p.plan.HoldShared(listed, p.maxShared)
	}
	return j.check(rep, p)
}

// check checks the whole plan, and says in p why the run may write nothing.
func (j *Job) check(rep *report.Report, p *prepared) (err error) {
	if g := j.Policy.Guards; g != nil {
		known := sync.OnceValue(func() (n int) {
			n, err = j.known(p)
			return n
		})
		if rep.Guards = p.plan.Check(*g, known, p.past.listed, p.entries); err != nil {
			return err
		}
	}
	p.held = nil
	held := len(rep.Guards) > 0 || slices.ContainsFunc(p.plan.Steps, func(s *plan.Step) bool { return s.Outcome == outcome.Held })
	idle := !held && !slices.ContainsFunc(p.plan.Steps, func(s *plan.Step) bool { return s.Outcome == outcome.Planned || s.NewlyMissing })
	switch {
	case j.How.Approve != "" && !idle: // idle: the command was started again after it succeeded
		why := fmt.Sprintf("plan %s was approved, and the plan is %s now: a source, Smartsheet or the state has changed since, or the flags differ", j.How.Approve, p.plan.ID)
		advice := "look at this plan; if it is right, approve it with --approve " + p.plan.ID
		if !held {
			advice = "no guard holds this plan: leave out --approve"
		}
		p.held = &HeldError{Why: why, Advice: advice}
	case len(rep.Guards) > 0 && j.How.Mode != Plan: // mode Plan only reports the guards
		var why []string
		for _, b := range rep.Guards {
			why = append(why, "guard."+b.Guard+": "+b.Message)
		}
		advice := "look at the report; if all of it is right, let exactly this plan pass, once, with --approve " + p.plan.ID
		p.held = &HeldError{Guards: true, Why: strings.Join(why, "; "), Advice: advice}
	}
	return nil
}

// known counts the users with a picture that we uploaded, of people who are listed or have a step.
// Neither those who left count nor users who are gone: with them, percentages would hold ever less.
func (j *Job) known(p *prepared) (n int, err error) {
	counts := map[int64]bool{} // by the user's id
	err = j.everybody(p.people, func(_ *state.Snapshot, person sources.Joined, row *state.Row) error {
		if len(person.Candidates) == 0 || row == nil {
			return nil
		}
		known, err := row.Person()
		counts[known.UserID] = true
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, s := range p.plan.Steps {
		there := s.Reason != outcome.NotInSmartsheet && s.Reason != outcome.InactiveUser
		counts[s.Record.ID] = there
		counts[cmp.Or(s.Former, s.Record).ID] = there
	}
	err = j.users(func(u *state.User) {
		if u.Sent != nil && counts[u.ID] {
			n++
		}
	})
	return n, err
}

// users calls each for every user in the state.
func (j *Job) users(each func(*state.User)) error {
	return j.State.View(func(v *state.Snapshot) error {
		for u, err := range v.Users() {
			if err != nil {
				return err
			}
			each(&u)
		}
		return nil
	})
}

// applied is the plan file that was last applied.
type applied struct {
	PlanID string   `json:"plan_id"`
	RunIDs []string `json:"run_ids"` // of all runs that applied it: what they announced was in this plan
	Done   bool     `json:"done"`    // one of them came to its end
}

// restrict limits the plan to the steps of the applied file that did not change since, or refuses the file.
func (j *Job) restrict(p *prepared) error {
	f, before := j.How.Apply, p.past.applied
	moved := p.plan.Restrict(f, before.RunIDs)
	const again = "make a new plan with photosync plan -o, look at it, and apply that"
	why, advice := "", again
	switch {
	case f.Account.String() != p.account.String():
		why = fmt.Sprintf("it is for account %q at %s, and the token belongs to %q at %s", f.Account.Name, f.Account.Root, p.account.Name, p.account.Root)
		advice = "apply it with the configuration that made it"
	case f.Rendering != j.Policy.Rendering:
		why = "the image settings changed since it was made"
	case before.Done:
		why = "run " + before.RunIDs[len(before.RunIDs)-1] + " carried it out already"
	case j.How.Strict && (moved > 0 || p.plan.ID != f.PlanID && len(before.RunIDs) == 0):
		why = fmt.Sprintf("something has changed since it was made (people of the plan concerned: %s)", outcome.Number(moved))
		advice = again + "; or leave out --strict"
	default:
		return nil
	}
	return &HeldError{Why: fmt.Sprintf("plan %s was not applied: %s", f.PlanID, why), Advice: advice}
}

// findings adds to the report what is true of the whole run and needs a human.
func (j *Job) findings(ctx context.Context, rep *report.Report, p *prepared) {
	if bad := p.users.NotUnderstood; len(bad) > 0 {
		f := outcome.Attend(outcome.UsersNotUnderstood, len(bad), 0,
			fmt.Sprintf("Smartsheet's user list has entries that cannot be understood: %s, such as %s", outcome.Number(len(bad)), bad[0]),
			"look at these users in Smartsheet's Admin Center; photosync leaves them alone")
		f.Examples = bad
		rep.Findings = append(rep.Findings, f)
	}
	if f := p.plan.Replaced(); f.Count > 0 {
		rep.Findings = append(rep.Findings, f)
	}
	if facts, named := p.plan.Facts, *p.plan.Facts; j.Scope.Everybody() {
		named.Lost = 0 // that people lost their users is the one of these findings that names no domains
		few := slices.ContainsFunc(named.MatchFindings(), func(f outcome.Finding) bool {
			return f.Code == outcome.NobodyInSmartsheet || f.Code == outcome.FewInSmartsheet
		})
		if all := match.New(j.Smartsheet); few && !facts.AllUsers && all.List(ctx) == nil { // to name the domains on both sides
			facts.UserDomains = all.Domains()
		}
		rep.Findings = slices.Concat(rep.Findings, facts.Findings(), lostClaims(p.people.Lost, p.past.claims))
	}
}

// claimIDs returns digests of the lost claims, sorted.
func claimIDs(lost []sources.LostClaim) (ids []string) {
	for _, l := range lost {
		ids = append(ids, plan.Sum([]byte(l.String()))[:16])
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// lostClaims returns a finding about the lost claims that no earlier run reported; reported is sorted.
// It leaves out excluded and ambiguous people, as their items say it.
func lostClaims(lost []sources.LostClaim, reported []string) []outcome.Finding {
	var fresh []string
	for _, l := range lost {
		if _, known := slices.BinarySearch(reported, claimIDs([]sources.LostClaim{l})[0]); !known && l.Why != sources.WhyExcluded && l.Why != sources.WhyAmbiguous {
			fresh = append(fresh, l.String())
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	return []outcome.Finding{{
		Code: outcome.ClaimsLost, Severity: outcome.Attention, Count: len(fresh), Of: len(lost), Examples: fresh,
		Message: fmt.Sprintf("claims to an address that another entry has: %s, such as: %s", outcome.Number(len(fresh)), fresh[0]),
		Hint:    "check that the right entry has each address; every case is reported once",
	}}
}
