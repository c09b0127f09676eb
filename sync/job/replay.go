package job

import (
	"cmp"
	"maps"
	"slices"

	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/report"
	"photosync/sync/upload"
)

// Replay brings a state that was restored from its backup up to date with the reports
// of the runs since then: the users that they uploaded pictures to, with the image ids
// and hashes. It returns how many uploads the state did not know. An upload whose
// answer is not clear counts as announced: what the user shows then counts as ours.
func Replay(st *state.Store, reports []*report.Report) (uploads int, err error) {
	rows := map[int64]state.User{}
	for _, r := range slices.SortedFunc(slices.Values(reports), func(a, b *report.Report) int { return cmp.Compare(a.RunID, b.RunID) }) {
		for i := range r.Items {
			it := &r.Items[i]
			if r.Mode == Plan || it.UserID == 0 || it.Image == nil || it.Attempts == 0 {
				continue
			}
			u, known := rows[it.UserID]
			if !known {
				if u, _, err = st.User(it.UserID); err != nil {
					return 0, err
				}
			}
			if u.Sent == nil || r.FinishedAt.After(u.Sent.At) {
				replay(&u, r, it)
				rows[it.UserID] = u
				uploads++
			}
		}
	}
	return uploads, st.Write(state.Change{Users: slices.Collect(maps.Values(rows))})
}

// replay puts into u what became of an upload.
func replay(u *state.User, r *report.Report, it *report.Item) {
	i := &state.Intent{
		Origin:       state.Origin{Source: it.Source, Email: it.Email},
		SourceSHA256: it.Image.SourceSHA256, UploadSHA256: it.Image.UploadSHA256, Rendering: r.Rendering,
		RunID: r.RunID, At: r.FinishedAt, Placeholder: it.Reason == string(outcome.Placeholder),
	}
	if u.Sent != nil && u.Sent.Source == i.Source && u.Sent.Email == i.Email {
		i.Key = u.Sent.Key
	}
	u.ID, u.Email = it.UserID, cmp.Or(u.Email, it.Email)
	switch took := it.Outcome == string(outcome.Uploaded) || it.Outcome == string(outcome.PartialSuccess); {
	case took && it.ImageID != "":
		u.Sent, u.Intent, u.Failure = upload.Confirmed(i, it.ImageID), nil, nil
	case u.Intent == nil:
		u.Intent = i
	}
}
