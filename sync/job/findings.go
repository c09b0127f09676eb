package job

import (
	"fmt"
	"slices"

	"photosync/sources"
	"photosync/sync/outcome"
	"photosync/sync/plan"
	"photosync/sync/report"
)

// findings says what is true of the whole run and needs a human. A run that is limited
// to a few people says nothing about the others.
func (j *Job) findings(rep *report.Report, p *prepared) {
	if bad := p.users.NotUnderstood; len(bad) > 0 {
		rep.Findings = append(rep.Findings, outcome.Finding{
			Code: outcome.UsersNotUnderstood, Severity: outcome.Attention, Count: len(bad), Examples: bad,
			Message: fmt.Sprintf("%s entries of Smartsheet's user list cannot be understood, such as %s", outcome.Number(len(bad)), bad[0]),
			Hint:    "look at these users in Smartsheet's Admin Center; photosync leaves them alone",
		})
	}
	if j.Scope.Everybody() {
		rep.Findings = append(rep.Findings, plan.Findings(*p.facts)...)
		rep.Findings = append(rep.Findings, p.lostClaims(p.people)...)
	}
}

// lostClaims is about addresses that two entries claim. Each is reported once.
func (p *prepared) lostClaims(people *sources.People) []outcome.Finding {
	var fresh []string
	for _, l := range people.Lost() {
		id := plan.Sum([]byte(l.String()))[:16]
		p.claims = append(p.claims, id)
		if !slices.Contains(p.past.claims, id) {
			fresh = append(fresh, l.String())
		}
	}
	slices.Sort(p.claims)
	p.claims = slices.Compact(p.claims)
	if len(fresh) == 0 {
		return nil
	}
	return []outcome.Finding{{
		Code: outcome.ClaimsLost, Severity: outcome.Attention, Count: len(fresh), Of: len(people.Lost()), Examples: fresh,
		Message: fmt.Sprintf("%s addresses are claimed by more than one entry, such as: %s", outcome.Number(len(fresh)), fresh[0]),
		Hint:    "look whether the address stands where it should; each of these is reported once",
	}}
}
