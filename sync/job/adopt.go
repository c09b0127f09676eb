package job

import (
	"context"
	"time"

	"photosync/state"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/upload"
)

// Adoption is what is to be remembered after the state was lost.
type Adoption struct {
	Records []state.Record
	account state.Account
}

// Adoptable finds whoever has a photo in a source, a picture in Smartsheet and no
// upload on record: they are to be taken for uploaded, with the photo of today. Nobody
// without a picture there is, nor whose photo would be refused. Nothing is written.
func Adoptable(ctx context.Context, o Options) (*Adoption, error) {
	o.Mode, o.Existing, o.Force, o.RetryFailed = Plan, plan.OnSourceChange, false, false
	r := &run{o: o, report: report.New(Plan, o.RunID, o.Version, time.Now().UTC())}
	for _, step := range []func(context.Context) error{r.account, r.list, r.remember, r.meet, r.look, r.find, r.decide} {
		if err := step(ctx); err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	records, err := r.adoptable(ctx)
	return &Adoption{Records: records, account: r.me}, err
}

// Adopt remembers the adoption, all of it or, with an error, none. Whose photo was
// uploaded since is left out.
func Adopt(st *state.Store, a *Adoption) (adopted int, err error) {
	if err := st.Bind(a.account); err != nil {
		return 0, err
	}
	var records []state.Record
	for _, r := range a.Records {
		now, found, err := st.Lookup(r.Email)
		if err != nil {
			return 0, err
		}
		if !found || now.UploadSHA256 == "" {
			records = append(records, r)
		}
	}
	return len(records), st.Put(records...)
}

// adoptable are the records of those who seem to have their picture already.
func (r *run) adoptable(ctx context.Context) ([]state.Record, error) {
	var actions []*plan.Action
	byEmail := map[string]*plan.Action{}
	for _, a := range r.plan.Uploads() {
		if a.Reason == plan.New && a.User().ImageID != "" && a.SourceSHA256() != "" {
			a.Pin() // the bytes that were hashed, or none
			actions = append(actions, a)
			byEmail[a.Key()] = a
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
		rec.UserID, rec.ImageID, rec.UploadSHA256 = a.User().ID, a.User().ImageID, it.Image.UploadSHA256
		rec.UploadedAt, rec.RunID, rec.Adopted = now, r.o.RunID, true
		records = append(records, rec)
	}
	return records, nil
}
