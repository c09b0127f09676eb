package job

import (
	"cmp"
	"slices"

	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/report"
)

// Replay brings a state that was restored from its backup up to date with the reports
// of the runs since then: the users that they uploaded pictures to, with the image ids
// and hashes. It returns how many uploads the state did not know. An upload whose
// answer is not clear counts as announced: what the user shows then counts as ours.
func Replay(st *state.Store, reports []*report.Report) (uploads int, err error) {
	reports = slices.Clone(reports)
	slices.SortFunc(reports, func(a, b *report.Report) int { return cmp.Compare(a.RunID, b.RunID) })
	rows := map[int64]state.User{}
	for _, r := range reports {
		if r.Mode == Plan {
			continue
		}
		for i := range r.Items {
			it := &r.Items[i]
			if it.UserID == 0 || it.Image == nil || it.Attempts == 0 {
				continue
			}
			u, known := rows[it.UserID]
			if !known {
				if u, _, err = st.User(it.UserID); err != nil {
					return 0, err
				}
			}
			if replay(&u, r, it) {
				rows[it.UserID] = u
				uploads++
			}
		}
	}
	var c state.Change
	for _, u := range rows {
		c.Users = append(c.Users, u)
	}
	return uploads, st.Write(c)
}

// replay puts into u what became of an upload, and reports whether u did not know.
func replay(u *state.User, r *report.Report, it *report.Item) bool {
	if u.Sent != nil && !r.FinishedAt.After(u.Sent.At) {
		return false
	}
	u.ID = it.UserID
	u.Email = cmp.Or(u.Email, it.Email)
	o := state.Origin{Source: it.Source, Email: it.Email}
	if u.Sent != nil && u.Sent.Source == o.Source && u.Sent.Email == o.Email {
		o.Key = u.Sent.Key
	}
	placeholder := it.Reason == string(outcome.Placeholder)
	if it.ImageID != "" && (it.Outcome == string(outcome.Uploaded) || it.Outcome == string(outcome.PartialSuccess)) {
		u.Sent = &state.Sent{
			Origin: o, SourceSHA256: it.Image.SourceSHA256, UploadSHA256: it.Image.UploadSHA256, Rendering: r.Rendering,
			ImageID: it.ImageID, RunID: r.RunID, At: r.FinishedAt, Placeholder: placeholder,
		}
		u.Intent, u.Failure = nil, nil
		return true
	}
	if u.Intent == nil {
		u.Intent = &state.Intent{
			Origin: o, SourceSHA256: it.Image.SourceSHA256, UploadSHA256: it.Image.UploadSHA256, Rendering: r.Rendering,
			RunID: r.RunID, At: r.FinishedAt, Placeholder: placeholder,
		}
	}
	return true
}
