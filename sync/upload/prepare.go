package upload

import (
	"cmp"
	"context"
	"errors"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/photo"
	"photosync/sync/plan"
	"photosync/sync/report"
)

// Preview prepares the picture of each action as Run does, and sends and records
// nothing. The items are those that Run would begin with: planned, or what already
// the picture decides.
func (p *Pool) Preview(ctx context.Context, actions []*plan.Action) ([]report.Item, error) {
	return p.each(ctx, actions, func(ctx context.Context, a plan.Action) (report.Item, error) {
		return p.ready(ctx, a).item, nil
	})
}

// ready is what preparing the picture of an action came to.
type ready struct {
	item  report.Item // planned: the picture is to be sent
	pic   photo.Picture
	src   original
	learn *state.Record // what the state has to learn of an item that is final
}

// ready prepares the picture of an action.
func (p *Pool) ready(ctx context.Context, a plan.Action) ready {
	it := Item(a)
	pic, src, err := p.prepare(ctx, a)
	if a.Detail().Exact && src.sha256 != "" && src.sha256 != a.SourceSHA256() {
		return ready{item: moved(it)}
	}
	if err != nil {
		return p.unprepared(ctx, it, a, src.sha256, err)
	}
	sum := hash(pic.Data)
	if a.Detail().Promised != "" && sum != a.Detail().Promised {
		return ready{item: moved(it)}
	}
	it.Image = imageOf(pic, src, sum)
	if sum == a.Record().UploadSHA256 && !a.Anew() {
		it.Reason, it.Outcome = string(plan.SamePicture), string(plan.Skipped)
		r := p.settled(a, src.sha256)
		return ready{item: it, learn: &r}
	}
	it.Image.Thumbnail = p.thumbnail(pic)
	return ready{item: it, pic: pic, src: src}
}

// moved is the item of a picture that is not the one that the applied plan holds.
func moved(it report.Item) report.Item {
	it.Reason, it.Outcome = string(plan.HeldBack), string(plan.Held)
	it.Message, it.Hint = "the photo changed after the plan was made", "retry by itself: the next sync looks at it"
	return it
}

// original is what was read at the source.
type original struct {
	sha256 string // empty if it was not read
	bytes  int
}

// prepare reads the photo and makes the picture of it. src is about the bytes
// read, as far as they were.
func (p *Pool) prepare(ctx context.Context, a plan.Action) (pic photo.Picture, src original, err error) {
	if a.Reason == plan.Placeholder {
		pic, err = placeholder(a, p.Photos.MaxEdge)
		return pic, src, err
	}
	if a.Err() != nil && errors.Is(a.Err(), sources.ErrTooLarge) {
		return pic, original{sha256: a.SourceSHA256()}, a.Err()
	}
	var got sources.Photo
	s := p.Sources[a.Candidate().Source]
	err = s.Photos(ctx, []sources.Ref{a.Candidate().Ref}, func(ph sources.Photo) error { got = ph; return nil })
	if err == nil {
		err = got.Err
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
func placeholder(a plan.Action, maxEdge int) (photo.Picture, error) {
	edge := placeholderEdge
	if maxEdge > 0 {
		edge = min(edge, maxEdge)
	}
	return photo.Initials(cmp.Or(a.User().Name, a.DisplayName), a.Key(), edge)
}

// WaitHint is the hint for a photo whose file is being written.
const WaitHint = "wait: the next run reads it when its file is complete"

// unprepared is about a photo that could not be read or is refused.
func (p *Pool) unprepared(ctx context.Context, it report.Item, a plan.Action, src string, err error) ready {
	unread := errors.Is(err, sources.ErrTooLarge)
	if unread {
		err = &photo.Error{Code: photo.TooLarge, Detail: err.Error()}
	}
	bad, refused := errors.AsType[*photo.Error](err)
	switch {
	case ctx.Err() != nil:
		return ready{item: unfinished(a)}
	case errors.Is(err, sources.ErrNoPhoto), errors.Is(err, sources.ErrGone):
		it.Reason, it.Outcome, it.Message = string(plan.NoPhoto), string(plan.Skipped), "gone since it was listed"
		return ready{item: it} // the next run sees what it means
	case errors.Is(err, sources.ErrUnstable):
		it.Reason, it.Outcome, it.Message, it.Hint = string(plan.BeingWritten), string(plan.Skipped), err.Error(), WaitHint
		return ready{item: it}
	case !refused:
		it.Outcome, it.Message, it.Hint = string(plan.Failed), err.Error(), "fix the source: photosync could not read this photo; the next run tries again"
		if h, ok := errors.AsType[interface {
			error
			Hint() string
		}](err); ok { // the source as a whole
			it.Hint = "fix the source: " + h.Hint()
		}
		return ready{item: it}
	}
	it.Reason, it.Outcome = string(plan.InvalidImage), string(plan.Failed)
	it.Code, it.Message, it.Hint = bad.Code, bad.Detail, bad.Hint()
	if unread {
		it.Hint = "save the photo smaller at the source: no setting lets a larger one in"
	}
	if src == "" || !bad.Final() { // too large to be read, so that there is no hash to know it by; or worth another try
		return ready{item: it}
	}
	r := p.settled(a, src)
	r.Failure = p.failure(a, src, state.Failure{Code: bad.Code, Message: bad.Detail, Final: true})
	return ready{item: it, learn: &r}
}
