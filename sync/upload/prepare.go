package upload

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/photo"
	"photosync/sync/plan"
	"photosync/sync/report"
)

// ready is what preparing the picture of a step came to.
type ready struct {
	item  report.Item // planned: the picture is to be sent
	pic   photo.Picture
	sum   string // SHA-256 of pic's bytes, hex
	src   original
	learn *state.Change // what the state has to learn of an item that is final
}

// original is what was read at the source.
type original struct {
	sha256 string // hex; empty if it was not read
	bytes  int
}

// errElsewhere is a photo whose entry does not have the address any more by which its
// user was found.
var errElsewhere = errors.New("the entry's address changed while this run was under way")

// prepare prepares the picture of a step.
func (p *Pool) prepare(ctx context.Context, s *plan.Step) ready {
	it := Item(p.Plan, s)
	pic, src, err := p.picture(ctx, s)
	if s.Exact && src.sha256 != "" && src.sha256 != s.SHA256() {
		return ready{item: moved(it)}
	}
	if err != nil {
		return p.unprepared(ctx, it, s, src.sha256, err)
	}
	r := ready{item: it, pic: pic, sum: hash(pic.Data), src: src}
	if s.Promised != "" && r.sum != s.Promised {
		return ready{item: moved(it)}
	}
	r.item.Image = Image(pic, src.sha256, src.bytes, r.sum)
	if !s.Anew() && r.sum == s.Sent.Sent.UploadSHA256 {
		r.item.Reason, r.item.Outcome, r.item.Hint = string(outcome.SamePicture), string(outcome.Skipped), ""
		u := rowOf(s)
		sent := *u.Sent
		sent.SourceSHA256, sent.Rendering, sent.Origin = src.sha256, p.Photos.Fingerprint(), p.Plan.Origin(s)
		u.Sent, u.Missing, u.Failure = &sent, 0, nil
		r.learn = &state.Change{Users: []state.User{u}}
		p.addRow(r.learn, s, src.sha256, plan.Done)
		return r
	}
	r.item.Image.Thumbnail = p.thumbnail(pic)
	return r
}

// moved is the item of a picture that is not the one that the applied plan holds.
func moved(it report.Item) report.Item {
	it.Reason, it.Outcome = string(outcome.HeldBack), string(outcome.Held)
	it.Message, it.Hint = "the photo changed after the plan was made", "retry by itself: the next sync looks at it"
	return it
}

// picture reads the photo and makes the picture of it. src is about the bytes read, as
// far as they were.
func (p *Pool) picture(ctx context.Context, s *plan.Step) (pic photo.Picture, src original, err error) {
	if s.Reason == outcome.Placeholder {
		pic, err = placeholder(s, p.Photos.MaxEdge)
		return pic, src, err
	}
	if s.Photo != nil && errors.Is(s.Photo.Err, sources.ErrTooLarge) {
		return pic, original{sha256: s.SHA256()}, s.Photo.Err
	}
	c, _ := s.Candidate()
	var got sources.Photo
	err = p.Sources[c.Source].Photos(ctx, []sources.Ref{c.Ref}, func(ph sources.Photo) error { got = ph; return nil })
	if err == nil {
		err = got.Err
	}
	if err == nil && got.Emails != nil && !slices.Contains(got.Emails, s.To.Via) && slices.Contains(slices.Concat(c.Own, c.Aliases), s.To.Via) {
		err = errElsewhere
	}
	if errors.Is(err, sources.ErrTooLarge) {
		src.sha256 = s.SHA256()
	}
	if err != nil {
		return pic, src, err
	}
	src = original{hash(got.Data), len(got.Data)}
	pic, err = photo.Prepare(ctx, got.Data, p.Photos)
	return pic, src, err
}

// placeholderEdge is the size of a placeholder in pixels, where larger ones are
// allowed: sharp wherever Smartsheet shows people.
const placeholderEdge = 400

// placeholder draws the picture that stands for a person whose photo was removed.
func placeholder(s *plan.Step, maxEdge int) (photo.Picture, error) {
	edge := placeholderEdge
	if maxEdge > 0 {
		edge = min(edge, maxEdge)
	}
	return photo.Initials(cmp.Or(s.To.Name, s.DisplayName), s.Key(), edge)
}

// unprepared is about a photo that could not be read or is refused.
func (p *Pool) unprepared(ctx context.Context, it report.Item, s *plan.Step, src string, err error) ready {
	unread := errors.Is(err, sources.ErrTooLarge)
	if unread {
		err = &photo.Error{Code: photo.TooLarge, Detail: err.Error()}
	}
	bad, refused := errors.AsType[*photo.Error](err)
	switch {
	case ctx.Err() != nil:
		return ready{item: p.unfinished(s)}
	case errors.Is(err, errElsewhere):
		it.Outcome, it.Message, it.Hint = string(outcome.Unfinished), err.Error(), nextRun
		return ready{item: it}
	case errors.Is(err, sources.ErrNoPhoto), errors.Is(err, sources.ErrGone):
		it.Reason, it.Outcome, it.Message = string(outcome.NoPhoto), string(outcome.Skipped), "gone since it was listed"
		return ready{item: it} // the next run sees what it means
	case errors.Is(err, sources.ErrUnstable):
		it.Reason, it.Outcome, it.Message, it.Hint = string(outcome.BeingWritten), string(outcome.Skipped), err.Error(), waitHint
		return ready{item: it}
	case !refused:
		it.Outcome, it.Message, it.Hint = string(outcome.Failed), err.Error(), "fix the source: photosync could not read this photo; the next run tries again"
		if h := hintOf(err); h != "" { // the source as a whole
			it.Hint = "fix the source: " + h
		}
		return ready{item: it}
	}
	it.Reason, it.Outcome = string(outcome.InvalidImage), string(outcome.Failed)
	it.Code, it.Message, it.Hint = bad.Code, bad.Detail, bad.Hint()
	if unread {
		it.Hint = "save the photo smaller at the source: no setting lets a larger one in"
	}
	if src == "" { // too large to be read, so that there is no hash to know it by
		return ready{item: it}
	}
	u := rowOf(s)
	u.Failure = p.failure(s, src, state.Failure{Code: bad.Code, Message: bad.Detail, Final: true})
	c := state.Change{Users: []state.User{u}}
	p.addRow(&c, s, src, plan.Refused)
	return ready{item: it, learn: &c}
}
