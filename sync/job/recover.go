package job

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/plan"
	"photosync/sync/report"
)

// backupKey names the fact how many runs in a row could not back up the state.
const backupKey = "backup_failed"

// backupRuns is how many such runs it takes until somebody has to act.
const backupRuns = 3

// Backup backs up the state after a good run. A failure is a finding, which raises the exit code
// from the third run on: until then there is a recent backup.
func Backup(st *state.Store, rep *report.Report) error {
	failed := 0
	if _, err := st.Meta(backupKey, &failed); err != nil {
		return err
	}
	err := st.Backup()
	switch {
	case err == nil && failed == 0:
		return nil
	case err == nil:
		return st.SetMeta(backupKey, 0)
	}
	failed++
	f := backupFailing(failed)
	f.Message += ": " + err.Error()
	rep.Findings = append(rep.Findings, f)
	if rep.NeedsSomebody() && (rep.Result == report.Success || rep.Result == report.NothingToDo) {
		rep.Result, rep.FinishedAt = report.Partial, time.Now().UTC()
	}
	return st.SetMeta(backupKey, failed)
}

// LastBackup returns the finding that the last backup failed; if it did not, the zero Finding.
func LastBackup(st *state.Store) (f outcome.Finding, err error) {
	failed := 0
	if _, err := st.Meta(backupKey, &failed); err != nil || failed == 0 {
		return f, err
	}
	return backupFailing(failed), nil
}

func backupFailing(runs int) outcome.Finding {
	f := outcome.Finding{
		Code: outcome.BackupFailing, Severity: outcome.Notice, Count: runs,
		Message: fmt.Sprintf("the state could not be backed up (runs in a row: %d)", runs),
		Hint:    "make room beside state.path, and let the user that runs photosync write there",
	}
	if runs >= backupRuns {
		f.Severity = outcome.Attention
	}
	return f
}

// Replay adds to a state that was restored from its backup the uploads that the reports of later
// runs for the same account show, and returns how many the state did not know. It leaves out an
// upload without a clear answer: the picture that its user shows counts as the user's own.
func Replay(st *state.Store, reports []*report.Report) (uploads int, err error) {
	account, bound := st.Account()
	rows := map[int64]state.User{}
	oldestFirst := slices.SortedFunc(slices.Values(reports), func(a, b *report.Report) int { return cmp.Compare(a.RunID, b.RunID) })
	for _, r := range oldestFirst {
		for i := range r.Items {
			it := &r.Items[i]
			if bound && r.Account != account.String() || it.Outcome != outcome.Uploaded || it.UserID == 0 || it.Image == nil {
				continue
			}
			u, known := rows[it.UserID]
			if !known {
				if u, _, err = st.User(it.UserID); err != nil {
					return 0, err
				}
			}
			if !knows(&u, r) {
				replay(&u, r, it)
				rows[it.UserID] = u
				uploads++
			}
		}
	}
	return uploads, st.Write(state.Change{Users: slices.Collect(maps.Values(rows))})
}

// knows reports whether u has the result of r, or of a later run.
func knows(u *state.User, r *report.Report) bool {
	s, f := u.Sent, u.Failure
	return s != nil && (s.RunID == r.RunID || !r.FinishedAt.After(s.At)) || f != nil && (f.RunID == r.RunID || !r.FinishedAt.After(f.At))
}

// replay records in u what r uploaded.
func replay(u *state.User, r *report.Report, it *report.Item) {
	o := state.Origin{Source: it.Source, Email: it.Email}
	if u.Sent != nil && u.Sent.Source == o.Source && u.Sent.Email == o.Email {
		o = u.Sent.Origin
	}
	u.ID, u.Email, u.Sent = it.UserID, cmp.Or(u.Email, it.Email), &state.Sent{
		Origin: o, SourceSHA256: it.Image.SourceSHA256, UploadSHA256: it.Image.UploadSHA256, Rendering: r.Rendering,
		ImageID: it.ImageID, RunID: r.RunID, At: r.FinishedAt, Placeholder: it.Reason == outcome.Placeholder,
	}
	u.Intent, u.Failure, u.Missing = nil, nil, 0
}

// Adoption is what state adopt records: users whose picture counts as ours, and their people by the same index.
type Adoption struct {
	state.Change
	account state.Account
	shard   string
}

// Adoptable finds everybody with a picture, a usable photo, and no upload on record. It writes nothing.
func Adoptable(ctx context.Context, j Job) (*Adoption, error) {
	j.How.Mode, j.How.Apply, j.How.Approve, j.Policy.Guards = Plan, nil, "", nil
	j.Policy.Existing, j.Scope.Force, j.Scope.RetryFailed = plan.OnSourceChange, false, false
	p, err := j.prepare(ctx, report.New(Plan, j.How.RunID, j.How.Version, time.Now().UTC()))
	if err != nil {
		return nil, err
	}
	steps := slices.DeleteFunc(p.plan.Planned(), func(s *plan.Step) bool {
		return s.Reason != outcome.New || s.To.ImageID == "" || s.SHA256() == "" || s.Record.Intent != nil
	})
	items, err := j.pool(p).Preview(ctx, steps)
	if err != nil {
		return nil, err
	}
	byEmail := map[string]report.Item{}
	for _, it := range items {
		byEmail[it.Email] = it
	}
	a := &Adoption{account: p.account, shard: j.Scope.Shard.String()}
	for _, s := range steps {
		it := byEmail[s.Key()]
		if it.Outcome != outcome.Planned || it.Image == nil || it.Image.SourceSHA256 != s.SHA256() {
			continue // the photo is refused, or changed after it was hashed
		}
		o, _ := p.plan.Origin(s)
		a.Users = append(a.Users, state.User{ID: s.To.ID, Email: s.To.Email, Sent: &state.Sent{
			Origin: o, SourceSHA256: s.SHA256(), UploadSHA256: it.Image.UploadSHA256, Rendering: j.Policy.Rendering,
			ImageID: s.To.ImageID, RunID: j.How.RunID, At: time.Now().UTC(), Adopted: true,
		}})
		p.plan.ResultRow(&a.Change, s, outcome.Unchanged)
	}
	return a, nil
}

// Adopt records a. It leaves out users who got a picture from us since.
func Adopt(st *state.Store, a *Adoption) (adopted int, err error) {
	if err := cmp.Or(st.Bind(a.account), st.BindShard(a.shard)); err != nil {
		return 0, err
	}
	var c state.Change
	for i, u := range a.Users {
		now, _, err := st.User(u.ID)
		if err != nil {
			return 0, err
		}
		if now.Sent == nil && now.Intent == nil {
			c.Users, c.People = append(c.Users, u), append(c.People, a.People[i])
		}
	}
	return len(c.Users), st.Write(c)
}
