package job

import (
	"crypto/sha256"
	"encoding/hex"
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
		id := sum([]byte(l.String()))[:16]
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

// unstableIDs is about a Smartsheet that shows another image id at each look.
func unstableIDs(p *plan.Plan) []outcome.Finding {
	stopped, drifted := p.Drifts()
	if stopped == 0 || drifted > 0 {
		return nil
	}
	return []outcome.Finding{{
		Code: outcome.ImageIDsNotStable, Severity: outcome.Attention, Count: stopped,
		Message: fmt.Sprintf("policy.existing is enforce, and Smartsheet shows another image id for each of %s users after every upload", outcome.Number(stopped)),
		Hint:    "image ids are not stable here: use policy.existing: on_source_change",
	}}
}

// sum is the SHA-256 of data, hex.
func sum(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}
