package job

import (
	"context"
	"time"

	"photosync/state"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/upload"
)

// Adopt fills a state that was lost: whoever has a photo in a source, a picture in
// Smartsheet and no upload on record is taken for uploaded, with the photo of today.
// Nobody without a picture there is, nor whose photo would be refused. confirm sees
// the records before they are written; with its error none is. Smartsheet is only
// asked.
func Adopt(ctx context.Context, o Options, confirm func([]state.Record) error) error {
	o.Existing, o.Force, o.RetryFailed = plan.OnSourceChange, false, false
	r := &run{o: o, report: report.New(Sync, o.RunID, o.Version, time.Now().UTC())}
	for _, step := range []func(context.Context) error{r.account, r.list, r.remember, r.meet, r.look, r.find, r.decide} {
		if err := step(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	records, err := r.adoptable(ctx)
	if err != nil {
		return err
	}
	if err := confirm(records); err != nil {
		return err
	}
	return o.State.Put(records...)
}

// adoptable are the records of those who seem to have their picture already.
func (r *run) adoptable(ctx context.Context) ([]state.Record, error) {
	var actions []*plan.Action
	byEmail := map[string]*plan.Action{}
	for _, a := range r.plan.Uploads() {
		if a.Reason == plan.New && a.User.ImageID != "" && a.SourceSHA256 != "" {
			a.Exact = true // the bytes that were hashed, or none
			actions = append(actions, a)
			byEmail[a.Email] = a
		}
	}
	pool := r.pool()
	pool.Done = nil // nothing is sent
	items, err := pool.Preview(ctx, actions)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var records []state.Record
	now := time.Now().UTC()
	for _, it := range items {
		if it.Outcome != string(plan.Planned) || it.Image == nil {
			continue
		}
		a := byEmail[it.Email]
		rec := upload.Settled(*a, r.o.Photos.Fingerprint())
		rec.UserID, rec.ImageID, rec.UploadSHA256 = a.User.ID, a.User.ImageID, it.Image.UploadSHA256
		rec.UploadedAt, rec.RunID = now, r.o.RunID
		records = append(records, rec)
	}
	return records, nil
}
