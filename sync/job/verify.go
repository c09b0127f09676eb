package job

import (
	"context"
	"fmt"

	"photosync/sync/outcome"
	"photosync/sync/plan"
	"photosync/sync/report"
)

// maxAskedAgain bounds how many users are asked for one by one.
const maxAskedAgain = 200

// verify looks at the users again whose pictures were uploaded, and notes in each item
// whether Smartsheet shows the picture that its answer named. What the state knows
// stays: that answer was the confirmation.
func (j *Job) verify(ctx context.Context, rep *report.Report, p *prepared) error {
	items := map[string]*report.Item{}
	for i := range rep.Items {
		if it := &rep.Items[i]; it.Outcome == string(outcome.Uploaded) {
			items[it.Email] = it
		}
	}
	var steps []*plan.Step
	for i := range p.plan.Steps {
		if s := &p.plan.Steps[i]; items[s.Key()] != nil && s.To != nil {
			steps = append(steps, s)
		}
	}
	users, err := p.users.Again(ctx, steps)
	asked := 0
	for i := 0; i < len(steps) && err == nil; i++ {
		it, u := items[steps[i].Key()], users[i]
		if u.ImageID != it.ImageID && asked < maxAskedAgain { // the list may lag behind
			asked++
			if u, err = p.users.One(ctx, it.UserID); err != nil {
				break
			}
		}
		switch {
		case u.ID == 0:
			rep.Doubt(it, "no such user")
		case u.ImageID == "":
			rep.Doubt(it, "no picture")
		case u.ImageID != it.ImageID:
			rep.Doubt(it, "another picture, "+u.ImageID)
		default:
			rep.Verify(it)
		}
	}
	if err != nil {
		return fmt.Errorf("verify what was uploaded, and recorded: %w", err)
	}
	return nil
}
