package job

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"photosync/sources"
	"photosync/sync/match"
	"photosync/sync/outcome"
	"photosync/sync/plan"
	"photosync/sync/report"
)

// findings says what is true of the whole run and needs a human. A run that is limited
// to a few people says nothing about the others.
func (j *Job) findings(rep *report.Report, p *prepared, l *listing) {
	if len(p.users.NotUnderstood) > 0 {
		n := len(p.users.NotUnderstood)
		rep.Findings = append(rep.Findings, outcome.Finding{
			Code: outcome.UsersNotUnderstood, Severity: outcome.Attention, Count: n, Examples: p.users.NotUnderstood,
			Message: fmt.Sprintf("%s entries of Smartsheet's user list cannot be understood, such as %s", outcome.Number(n), p.users.NotUnderstood[0]),
			Hint:    "look at these users in Smartsheet's Admin Center; photosync leaves them alone",
		})
	}
	if !j.Scope.Everybody() {
		return
	}
	rep.Findings = append(rep.Findings, plan.Findings(j.facts(p, l.proofs))...)
	rep.Findings = append(rep.Findings, p.lostClaims(l.people)...)
}

// facts are what the findings rest on.
func (j *Job) facts(p *prepared, listings []sources.Listing) plan.Facts {
	f := plan.Facts{Sources: p.changes.facts, Domains: map[string]int{}, UserDomains: p.users.Domains()}
	for i, l := range listings {
		s := &f.Sources[i]
		s.Name, s.Type, s.MayBeEmpty = j.Sources[i].Name, j.Sources[i].Type, j.Sources[i].MayBeEmpty
		s.Entries, s.Unnamed, s.NoPhotos = l.Entries, l.Unnamed, l.NoPhotos
	}
	for reason, n := range p.changes.quiet.byReason {
		if reason != outcome.NoPhoto && reason != outcome.Excluded {
			f.WithPhoto += n
			f.Matched += n
		}
	}
	for _, w := range p.changes.work {
		has := w.HasPhoto()
		at := 0
		if w.Photo != nil {
			at = w.Photo.Candidate
		}
		read := w.Photo != nil || !w.Moved()
		for i, c := range w.Candidates {
			f.Sources[c.Source].Add(c.HasPhoto, has && read && i == at, !read || i > at)
		}
		switch {
		case w.Gone(), !has, w.Reserved, j.Policy.LeavesOut(&w.Joined):
		case len(w.Users) > 0:
			f.WithPhoto++
			f.Matched++
		case w.LookUp:
			f.WithPhoto++
			f.Domains[match.Domain(w.Key())]++
		}
	}
	return f
}

// lostClaims is about addresses that two entries claim. Each is reported once.
func (p *prepared) lostClaims(people *sources.People) []outcome.Finding {
	var fresh []string
	for _, l := range people.Lost() {
		sum := sha256.Sum256([]byte(l.String()))
		id := hex.EncodeToString(sum[:8])
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
