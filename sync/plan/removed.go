package plan

import "photosync/state"

// Smartsheet has no call that removes a picture. In the place of a photo that was
// removed at its source a placeholder can be uploaded: only where the picture is
// still the one we uploaded, and only after the photo was missing for several
// complete runs in a row.

// Misses tells whether someone in no source any more belongs into the plan: we
// uploaded their photo, and it is not yet known that it is gone, or what is to be
// done about that is not done.
func Misses(r *state.Record, o *Options) bool {
	return o.counts(r) && !o.excluded(r.Email) && (r.SourceSHA256 != "" || r.Missing == 0 || o.RemovedAfter > 0)
}

// counts tells whether runs without a photo are counted for the person of r. A run
// that is limited to one source says nothing about anybody's removal.
func (o *Options) counts(r *state.Record) bool {
	return r.UploadSHA256 != "" && !r.Placeholder && o.Source == ""
}

// missing goes on for a person of whom no source has a photo.
func (a Action) missing(o *Options) Action {
	if !o.counts(a.Record()) {
		return a.skip(NoPhoto)
	}
	if a.Missing < max(o.RemovedAfter, 1) {
		a.Missing++
	}
	// What is known already is not written again.
	a.Settle = a.Settle || a.Missing != a.Record().Missing || a.Record().SourceSHA256 != ""
	switch {
	case o.RemovedAfter == 0 || a.Missing < o.RemovedAfter:
		return a.skip(NoPhoto)
	case a.refused() && !o.RetryFailed:
		return a.skip(KnownBad)
	}
	return a.upload(Placeholder)
}

// replace completes the decision for a placeholder with Smartsheet's side.
func (a Action) replace() Action {
	for _, u := range a.found() {
		switch {
		case u.ID != a.Record().UserID:
			continue
		case !a.ours(u):
			return a.lose(UserChanged)
		}
		if a = a.For(u); !u.Active {
			return a.skip(InactiveUser) // asked again: they may come back
		}
		return a
	}
	return a.lose(NotInSmartsheet)
}

// lose ends the care for a picture that is not ours any more.
func (a Action) lose(r Reason) Action {
	a.Lost, a.Settle, a.Missing = true, true, 0
	return a.skip(r)
}
