package upload

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/photo"
	"photosync/sync/plan"
	"photosync/sync/report"
)

// errReaddressed means that the entry lost the address by which its user was found.
var errReaddressed = errors.New("the entry's address changed while this run was under way")

// prepare prepares the picture. If the item is still planned afterwards, the picture is to be sent;
// otherwise the item is final, and the change is to be recorded.
func (a *attempt) prepare(ctx context.Context) (c state.Change) {
	s := a.step
	data, err := a.read(ctx)
	if p := s.Photo; a.source != "" && p != nil && p.Err != nil && p.SHA256 == "" { // the plan could not read it
		return a.unprepared(ctx, p.Err)
	}
	if a.source != "" && a.source != s.SHA256() { // no rule and no guard has checked these bytes
		a.end(outcome.Unfinished, "the photo changed after the plan was made", nextRun)
		if s.Applied != nil {
			a.holdChanged()
		}
		if s.Row != nil { // its stamp stands for other bytes
			row := *s.Row
			row.Stamp, row.Fingerprint = "", state.Fingerprint{}
			c.People = []state.Person{row}
		}
		return c
	}
	if err == nil && s.Reason != outcome.Placeholder {
		a.pic, err = photo.Prepare(ctx, data, a.Photos)
	}
	if err != nil {
		return a.unprepared(ctx, err)
	}
	a.sum = plan.Sum(a.pic.Data)
	if s.Applied != nil && s.Applied.UploadSHA256 != "" && a.sum != s.Applied.UploadSHA256 {
		a.holdChanged()
		return c
	}
	a.item.Image = Image(a.pic, a.source, len(data), a.sum)
	if !s.MustSend() && (s.Record.Failure == nil || !a.Plan.Scope.RetryFailed) && a.sum == s.Record.Sent.UploadSHA256 {
		return a.samePicture()
	}
	n := a.sharers()
	if a.later = n > 1 && n <= a.MaxShared && !a.last; a.later {
		a.end(outcome.Unfinished, "others get this picture, too", nextRun)
		return c
	}
	if a.Thumbnails && a.thumbs.Add(1) <= MaxThumbnails {
		a.item.Image.Thumbnail = Small(ctx, a.pic.Data)
	}
	if n > a.MaxShared {
		a.holdShared()
	}
	return c
}

// samePicture records that the photo changed, and the picture to be sent did not.
func (a *attempt) samePicture() (c state.Change) {
	a.item.Reason = outcome.SamePicture
	a.end(outcome.Skipped, a.item.Message, "")
	u := a.row()
	sent := *u.Sent
	sent.SourceSHA256, sent.Rendering = a.source, a.Plan.Policy.Rendering
	sent.Origin, _ = a.Plan.Origin(a.step)
	u.Sent, u.Failure = &sent, nil
	c.Users = []state.User{u}
	a.Plan.ResultRow(&c, a.step, outcome.Unchanged)
	return c
}

// sharers counts the users who may have the picture, or are to get it, this one among them; 0: they
// need not be counted. The plan counts identical files. Files that differ in their metadata alone
// become one picture only here, so the first of them is sent, and the others wait until all are counted.
func (a *attempt) sharers() int {
	s := a.step
	counted := slices.Concat(plan.Pictures(s.Record), plan.Pictures(s.Former)) // Former: the account was created anew
	if a.MaxShared == 0 || s.Outcome != outcome.Planned || s.Reason == outcome.Placeholder || slices.Contains(counted, a.sum) {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.last {
		a.Same[a.sum]++
	}
	return a.Same[a.sum]
}

// holdShared holds a step whose picture too many people have.
func (a *attempt) holdShared() {
	s, image := a.step, a.item.Image
	s.Reason, s.Outcome, s.WriteRow = outcome.SharedImage, outcome.Held, false
	s.Shared = a.MaxShared
	s.Why = "more than " + outcome.Number(a.MaxShared) + " people have, or would get, this identical picture"
	a.item = Item(a.Plan.Rules, s)
	a.item.Image = image
	a.item.Hint = "if it is a silhouette or a logo, take these files away at their source: they differ in their metadata alone; if it is right, raise guard.max_shared"
}

// holdChanged holds a step whose picture is not the one in the applied plan.
func (a *attempt) holdChanged() {
	a.item.Reason = outcome.HeldBack
	a.end(outcome.Held, "the photo changed after the plan was made", hints[outcome.HeldBack])
}

// placeholderEdge is the size of a placeholder in pixels, sharp wherever Smartsheet shows it.
const placeholderEdge = 400

// read reads the photo and computes its hash, or draws a placeholder.
func (a *attempt) read(ctx context.Context) (data []byte, err error) {
	s := a.step
	if s.Reason == outcome.Placeholder {
		edge := min(placeholderEdge, cmp.Or(a.Photos.MaxEdge, placeholderEdge))
		a.pic, err = photo.Initials(cmp.Or(s.To.Name, s.DisplayName), s.Key(), edge)
		return nil, err
	}
	if s.Photo != nil && errors.Is(s.Photo.Err, sources.ErrTooLarge) {
		a.source = s.SHA256()
		return nil, s.Photo.Err
	}
	c := s.Candidate()
	var got sources.Photo
	err = a.Plan.Sources[c.Source].Photos(ctx, []sources.Ref{c.Ref}, func(ph sources.Photo) error {
		got = ph
		return nil
	})
	if err = cmp.Or(err, got.Err); err != nil {
		return nil, err
	}
	if s.To.Readdressed(c, got) {
		return nil, errReaddressed
	}
	if a.source = plan.Sum(got.Data); a.source == s.SHA256() {
		a.source = s.SHA256() // the same string, to free the other one
	}
	return got.Data, nil
}

// unprepared handles a photo that cannot be read, or that photosync refuses.
func (a *attempt) unprepared(ctx context.Context, err error) (c state.Change) {
	it := &a.item
	unread := errors.Is(err, sources.ErrTooLarge)
	if unread {
		err = &photo.Error{Code: photo.TooLarge, Detail: err.Error()}
	}
	bad, refused := errors.AsType[*photo.Error](err)
	switch {
	case ctx.Err() != nil:
		a.end(outcome.Unfinished, "stopped before this upload", nextRun)
	case errors.Is(err, errReaddressed):
		a.end(outcome.Unfinished, err.Error(), nextRun)
	case errors.Is(err, sources.ErrNoPhoto), errors.Is(err, sources.ErrGone): // the next run decides what this means
		it.Reason = outcome.NoPhoto
		a.end(outcome.Skipped, "gone since it was listed", it.Hint)
	case errors.Is(err, sources.ErrUnstable):
		it.Reason = outcome.BeingWritten
		a.end(outcome.Skipped, err.Error(), hints[outcome.BeingWritten])
	case !refused:
		a.end(outcome.Failed, err.Error(), "fix the source: "+cmp.Or(outcome.Hint(err), "photosync could not read this photo; the next run tries again"))
	default:
		it.Reason, it.Code = outcome.InvalidImage, bad.Code
		a.end(outcome.Failed, bad.Detail, bad.Hint())
		if unread {
			it.Hint = "save the photo smaller at the source: no setting lets a larger one in"
		}
		if a.source == "" { // too large to be read: without a hash, the next run cannot recognise it
			return c
		}
		u := a.row()
		u.Failure = a.failure(state.Failure{Code: bad.Code, Message: bad.Detail, Final: true})
		c.Users = []state.User{u}
		a.Plan.ResultRow(&c, a.step, outcome.KnownBad)
	}
	return c
}

const (
	thumbnailEdge = 96 // pixels
	// MaxThumbnails is how many thumbnails a report has of what is sent, at about 4 kB each, and
	// how many of what Smartsheet shows now.
	MaxThumbnails = 1000
)

// Image describes pic for the report. source and bytes are of its photo, sum is the hash of pic.
func Image(pic photo.Picture, source string, bytes int, sum string) *report.Image {
	return &report.Image{
		Format: pic.Format, Width: pic.Width, Height: pic.Height, Bytes: len(pic.Data),
		SourceFormat: pic.SourceFormat, SourceWidth: pic.SourceWidth, SourceHeight: pic.SourceHeight, SourceBytes: bytes,
		SourceSHA256: source, UploadSHA256: sum, Changes: pic.Changes,
	}
}

// Small returns a thumbnail of data as a data: URI; empty if data is not a picture.
func Small(ctx context.Context, data []byte) string {
	small, err := photo.Thumbnail(ctx, data, thumbnailEdge)
	if err != nil {
		return ""
	}
	return "data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(small)
}

const nextRun = "retry by itself: the next run continues"

// hints say what to do about a step that is not uploaded.
var hints = map[outcome.Reason]string{
	outcome.BeingWritten: "wait: the next run reads it when its file is complete",
	outcome.Hidden:       "let photosync read this photo: give its account the right to, or put a JPEG file in its place; the picture in Smartsheet stays until then",
	outcome.HeldBack:     "retry by itself: the next sync decides about it",
	outcome.Ambiguous:    "leave only one of the candidates",
	outcome.KnownBad:     "fix the photo at its source; --retry-failed sends it once more",
}

// orNull returns a pointer to v; for the zero value nil, which is null in JSON.
func orNull[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

// Item returns the report's item for a step as the plan leaves it.
func Item(r *plan.Rules, s *plan.Step) report.Item {
	it := report.Item{
		Email: s.Key(), UserID: cmp.Or(s.To, &plan.User{}).ID, Reason: s.Reason, Outcome: s.Outcome,
		Message: s.Why, Hint: hints[s.Reason], Candidates: s.Conflict, AlreadyReported: s.Reported(),
	}
	o, ref := r.Origin(s)
	it.Source, it.Ref = o.Source, ref
	switch s.Reason {
	case outcome.KnownBad:
		f := s.Record.Failure
		it.AlreadyReported = !slices.Contains(r.Unended, f.RunID)
		it.Message = f.Message
		it.HTTPStatus, it.RefID = f.Status, orNull(f.RefID)
		if code, err := strconv.Atoi(f.Code); err == nil {
			it.ErrorCode = &code
		} else {
			it.Code = f.Code
		}
		if s.SHA256() == "" {
			it.Hint = "--retry-failed sends the placeholder once more"
		}
	case outcome.SharedImage:
		it.Message = cmp.Or(s.Why, outcome.Number(s.Shared)+" people have this identical picture")
		it.Hint = "if it is a silhouette or a logo, put this line below match: ignore_pictures: [" + s.SHA256() + "]; if it is right, raise guard.max_shared"
	case outcome.UserChanged:
		it.Message = cmp.Or(it.Message, "policy.existing leaves the picture in Smartsheet alone")
	case outcome.Ambiguous:
		it.Message = report.Count(len(s.Conflict), "candidate for several people", "candidates") + ", and only a human can tell which is right"
		it.Hint = cmp.Or(s.Why, it.Hint)
	}
	switch s.Outcome {
	case outcome.Unfinished:
		it.Hint = nextRun
	case outcome.Failed:
		it.Hint = "the next run tries again; if it fails every time, look at this user in Smartsheet, or leave the user out with match.exclude"
	}
	return it
}
