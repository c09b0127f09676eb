package job

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"photosync/sync/report"
	"photosync/sync/smartsheet"
)

// maxAskedAgain bounds how many users are asked for one by one.
const maxAskedAgain = 200

// verify reads the users again whose pictures were uploaded, and notes in each item
// whether Smartsheet shows the picture that its answer named. What the state knows
// stays: that answer was the confirmation.
func (r *run) verify(ctx context.Context) error {
	if !r.o.Verify || r.o.Mode == Plan {
		return nil
	}
	v := verification{run: r, shown: map[int64]smartsheet.User{}}
	if err := v.list(ctx); err != nil {
		return fmt.Errorf("verify what was uploaded, and recorded: %w", err)
	}
	for _, it := range v.open {
		if err := v.again(ctx, it); err != nil {
			return fmt.Errorf("verify what was uploaded, and recorded: %w", err)
		}
	}
	return nil
}

// verification is one in progress.
type verification struct {
	run   *run
	shown map[int64]smartsheet.User // by the list of users
	open  []*report.Item            // the list does not show their picture
	asked int
}

// list settles everyone whose picture the list of users shows.
func (v *verification) list(ctx context.Context) error {
	items := map[string]*report.Item{}
	for i := range v.run.report.Items {
		if it := &v.run.report.Items[i]; it.Outcome == "uploaded" {
			items[it.Email] = it
		}
	}
	if len(items) == 0 {
		return nil
	}
	var emails []string
	wanted := map[int64]bool{}
	for _, a := range v.run.plan.Actions {
		if it := items[a.Key()]; it != nil {
			emails, wanted[it.UserID] = append(emails, a.Emails...), true
		}
	}
	err := v.run.o.Smartsheet.Find(ctx, append(emails, v.run.matched.own(emails)...), func(u smartsheet.User) error {
		if wanted[u.ID] {
			v.shown[u.ID] = u
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range v.run.report.Items {
		it := &v.run.report.Items[i]
		switch {
		case it.Outcome != "uploaded":
		case v.shown[it.UserID].ImageID == it.ImageID:
			v.run.report.Verify(it)
		default:
			v.open = append(v.open, it)
		}
	}
	return nil
}

// again asks for one user alone: the list may lag behind, or know the user under an
// address that no source has.
func (v *verification) again(ctx context.Context, it *report.Item) error {
	u := v.shown[it.UserID]
	if v.asked++; v.asked <= maxAskedAgain {
		var err error
		u, err = v.run.o.Smartsheet.User(ctx, it.UserID)
		if e, ok := errors.AsType[*smartsheet.Error](err); err != nil && (!ok || e.Status != http.StatusNotFound) {
			return err
		}
	}
	switch {
	case u.ID == 0 && v.asked > maxAskedAgain:
		v.run.report.Doubt(it, "no such user in its list")
	case u.ID == 0:
		v.run.report.Doubt(it, "no such user")
	case u.ImageID == "":
		v.run.report.Doubt(it, "no picture")
	case u.ImageID != it.ImageID:
		v.run.report.Doubt(it, "another picture, "+u.ImageID)
	default:
		v.run.report.Verify(it)
	}
	return nil
}
