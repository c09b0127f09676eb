package job

import (
	"context"
	"fmt"
	"maps"

	"photosync/sync/plan"
)

// appliedKey is the state's fact about the plans that were carried out from a file.
const appliedKey = "applied"

// maxApplied is how many of them are remembered.
const maxApplied = 100

type applied struct {
	PlanID string `json:"plan_id"`
	RunID  string `json:"run_id"`
}

// PlanError is a plan that may not be applied.
type PlanError struct {
	PlanID string
	Why    string
	hint   string
}

func (e *PlanError) Error() string {
	return fmt.Sprintf("plan %s was not applied, nothing was written: %s", e.PlanID, e.Why)
}

// Hint says what to do about it.
func (e *PlanError) Hint() string { return e.hint }

// preview prepares, for a plan, every picture that a sync would send, so that what
// would be refused shows.
func (r *run) preview(ctx context.Context) error {
	if r.o.Mode != Plan {
		return nil
	}
	r.file = r.plan.File(r.o.Limit)
	pool := r.pool()
	pool.Done = nil // nothing is sent
	r.limit()
	items, err := pool.Preview(ctx, r.plan.Uploads())
	for _, it := range items {
		sum := ""
		if it.Image != nil {
			sum = it.Image.UploadSHA256
		}
		r.file.Prepared(it.Email, sum, it.Code)
	}
	r.add(items)
	return err
}

// admit takes out of the plan what the file that is applied does not hold, and what
// moved since. Applying is the approval: the guards have their say when the plan is
// made. The error is why nothing may be done.
func (r *run) admit() error {
	f := r.o.Apply
	var done []applied
	if _, err := r.o.State.Meta(appliedKey, &done); err != nil {
		return err
	}
	moved := r.plan.Keep(f)
	refuse := func(why, hint string) { r.held = &PlanError{f.PlanID, why, hint} }
	const again = "make a new plan with photosync plan -o, look at it, and apply that"
	switch {
	case f.Account.Root != r.me.Root || f.Account.ID != r.me.ID:
		refuse(fmt.Sprintf("it is for account %q at %s, and the token belongs to %q at %s", f.Account.Name, f.Account.Root, r.me.Name, r.me.Root),
			"apply it with the configuration that made it")
	case f.Rendering != r.o.Photos.Fingerprint():
		refuse("the image settings changed since it was made", again)
	case r.o.Strict && (moved > 0 || r.plan.ID != f.PlanID):
		refuse(fmt.Sprintf("something moved since it was made, %d of its people among it", moved), again+"; or leave out --strict")
	}
	for _, d := range done {
		if d.PlanID == f.PlanID {
			refuse("run "+d.RunID+" carried it out already", again)
		}
	}
	if r.held != nil {
		r.plan.Hold()
	}
	return nil
}

// applied remembers that the plan was carried out. One that was stopped on the way
// is not: applied again, it goes on with those who are left.
func (r *run) applied() error {
	var done []applied
	if _, err := r.o.State.Meta(appliedKey, &done); err != nil {
		return err
	}
	done = append(done, applied{r.o.Apply.PlanID, r.o.RunID})
	return r.o.State.SetMeta(appliedKey, done[max(0, len(done)-maxApplied):])
}

// keep hands the plan out, as the file it can be kept in.
func (r *run) keep() {
	if r.file == nil || r.o.File == nil {
		return
	}
	r.file.Account, r.file.Rendering = r.me, r.o.Photos.Fingerprint()
	r.file.Listed = r.listed()
	for _, b := range r.report.Guards {
		r.file.Guards = append(r.file.Guards, plan.Breach(b))
	}
	r.o.File(r.file)
}

// listedAsPlanned tells whether the sources list as many entries as when the plan
// was made that is applied; without one it is true.
func (r *run) listedAsPlanned() bool {
	return r.o.Apply == nil || maps.Equal(r.o.Apply.Listed, r.listed())
}
