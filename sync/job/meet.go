package job

import (
	"context"
	"slices"
	"strings"

	"photosync/sources"
	"photosync/sync/plan"
	"photosync/sync/report"
)

// meet looks up those who were never met in Smartsheet, and whom the policy has to see
// there. The photo of somebody who is not there is not read, and nothing is remembered
// of them.
func (r *run) meet(ctx context.Context) error {
	if err := r.find(ctx); err != nil {
		return err
	}
	o := r.planOptions()
	rest := r.subjects[:0]
	for i, s := range r.subjects {
		r.subjects[i] = nil // in a large company most are dropped
		if !plan.Unmet(s, o) || len(s.Users) > 0 || r.o.Apply.Has(s.Key()) {
			rest = append(rest, s)
			continue
		}
		r.absent = append(r.absent, r.absentee(s))
		if i := slices.IndexFunc(s.Candidates, func(c plan.Candidate) bool { return c.HasPhoto == sources.Present }); i >= 0 {
			r.quiet.withPhoto[s.Candidates[i].Source]++
		}
	}
	r.subjects = rest
	return nil
}

// find looks up the users that the plan has to know, so far.
func (r *run) find(ctx context.Context) (err error) {
	o := r.planOptions()
	var wanted []*plan.Subject
	for _, s := range r.subjects {
		if plan.NeedsUser(s, o) {
			s.Sought = true
			wanted = append(wanted, s)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	if r.matched == nil {
		if r.matched, err = r.matcher(); err != nil {
			return err
		}
	}
	if err := r.findUsers(ctx, wanted, nil); err != nil {
		return err
	}
	return r.matched.match(ctx, wanted)
}

// absentee is somebody who is not in Smartsheet, in little memory.
type absentee struct{ email, source, ref string }

func (r *run) absentee(s *plan.Subject) absentee {
	c := s.Candidates[0]
	return absentee{strings.Clone(s.Key()), r.o.Sources[c.Source].Name, strings.Clone(c.Ref.Name)}
}

func (a absentee) item() report.Item {
	return report.Item{Email: a.email, Source: a.source, Ref: a.ref, Reason: string(plan.NotInSmartsheet), Outcome: string(plan.Skipped)}
}
