package upload

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
)

// maxLooks is how often a step's user is looked at again because the upload waited for
// too long, before it is left to the next run.
const maxLooks = 3

// WrongUserError is an answer that shows another person than the one whose picture was
// sent. The run stops at once: every other upload may go wrong in the same way.
type WrongUserError struct {
	Email  string // whose picture it was
	UserID int64  // to whom it was sent
	Shown  string // what the answer shows instead
	RefID  string
}

func (e *WrongUserError) Error() string {
	text := fmt.Sprintf("the picture of %s was sent to user %d, and the answer shows %s", e.Email, e.UserID, e.Shown)
	if e.RefID != "" {
		text += fmt.Sprintf(" (refId %s)", e.RefID)
	}
	return text
}

// Hint says what to do about it.
func (e *WrongUserError) Hint() string {
	return "look at the pictures of both people in Smartsheet; if one is wrong, call Smartsheet support with the refId and run photosync explain for both addresses"
}

// send announces the picture of a step, sends it and records the answer.
func (p *Pool) send(ctx context.Context, s *plan.Step, r ready) (report.Item, error) {
	it := r.item
	img := smartsheet.Image{Data: r.pic.Data, ContentType: r.pic.ContentType(), FileName: s.Key() + r.pic.Ext()}
	onWire := false
	var last error // that would end the run, if it were not for the look that grew too old
	for range maxLooks {
		if err := p.record(&it, p.intent(s, r)); err != nil {
			return it, err
		}
		res, err := p.Smartsheet.Upload(ctx, smartsheet.User{ID: s.To.ID, Email: s.To.Email}, img, s.To.Seen.Add(plan.MaxAge))
		note(&it, &res)
		onWire = onWire || res.Unknown
		switch {
		case err == nil:
			return p.answered(ctx, it, s, r, &res)
		case !errors.Is(err, smartsheet.ErrTooLate):
			return p.failed(ctx, it, s, r, &res, err)
		case len(res.Earlier) > 0 && smartsheet.Classify(res.Earlier[len(res.Earlier)-1]).EndsRun():
			last = res.Earlier[len(res.Earlier)-1]
		}
		users, err := p.Users.Again(ctx, []*plan.Step{s})
		if err != nil {
			return p.failed(ctx, it, s, r, &res, err)
		}
		if onWire && newPicture(s, users[0]) {
			it.Message = "no answer came"
			return p.arrived(it, s, r, users[0].ImageID)
		}
		if p.Plan.Renew(s, users[0]); s.Outcome != outcome.Planned {
			break
		}
	}
	if last != nil && s.Outcome == outcome.Planned {
		it.EarlierErrors = it.EarlierErrors[:len(it.EarlierErrors)-1] // it is the error of the item
		return p.failed(ctx, it, s, r, &smartsheet.UploadResult{Unknown: onWire}, last)
	}
	late := Item(p.Plan, s)
	if s.Outcome == outcome.Planned {
		late = p.unfinished(s)
		late.Message = "it waited for too long"
	}
	late.Attempts, late.EarlierErrors = it.Attempts, it.EarlierErrors
	if onWire {
		return late, nil // the intent stays: it may have arrived
	}
	return late, p.record(&late, withdrawn(s))
}

// intent is what the state says before the picture goes on the wire. As long as it
// stands, what the user shows counts as ours, but for the picture of somebody else
// that was there before.
func (p *Pool) intent(s *plan.Step, r ready) (c state.Change) {
	u := rowOf(s)
	i := &state.Intent{
		Origin: p.Plan.Origin(s), SourceSHA256: r.src.sha256, UploadSHA256: r.sum, Rendering: p.Photos.Fingerprint(),
		RunID: p.RunID, At: time.Now().UTC(), Placeholder: s.Reason == outcome.Placeholder,
	}
	switch {
	case u.Intent != nil:
		i.Foreign = u.Intent.Foreign // a second intent keeps what was there before the first
	case !plan.Ours(s.Sent, *s.To):
		i.Foreign = s.To.ImageID
	}
	u.Intent = i
	c.Users = []state.User{u}
	if s.Row != nil && s.Row.Fingerprint != (state.Fingerprint{}) {
		row := *s.Row
		row.Fingerprint = state.Fingerprint{}
		c.People = []state.Person{row}
	}
	return c
}

// withdrawn is what the state says when nothing was put on the wire after all.
func withdrawn(s *plan.Step) state.Change {
	if s.Sent == nil {
		return state.Change{ForgetUsers: []int64{s.To.ID}}
	}
	return state.Change{Users: []state.User{rowOf(s)}}
}

// rowOf is the row of the step's user as it was before this step.
func rowOf(s *plan.Step) state.User {
	var u state.User
	if s.Sent != nil {
		u = *s.Sent
	}
	u.ID, u.Email = s.To.ID, s.To.Email
	if s.Reason != outcome.Placeholder {
		u.Missing = 0 // there is a photo
	}
	return u
}

// note keeps what an upload's attempts were.
func note(it *report.Item, res *smartsheet.UploadResult) {
	it.Attempts += res.Attempts
	it.HTTPStatus = res.HTTPStatus
	for _, e := range res.Earlier {
		it.EarlierErrors = append(it.EarlierErrors, attemptError(e))
	}
}

// answered is the item of an upload that the server took, wholly or in part.
func (p *Pool) answered(ctx context.Context, it report.Item, s *plan.Step, r ready, res *smartsheet.UploadResult) (report.Item, error) {
	it.Message, it.ResultCode = res.Message, res.ResultCode
	for _, f := range res.FailedItems {
		it.FailedItems = append(it.FailedItems, failedItem(f))
	}
	if it.RefID == nil && res.RefID != "" {
		it.RefID = &res.RefID
	}
	image, err := p.confirm(ctx, s, res)
	if err != nil {
		it.Outcome = string(outcome.Failed)
		it.Message, it.Hint = err.Error(), hintOf(err)
		u := rowOf(s)
		u.Intent = p.intent(s, r).Users[0].Intent
		u.Failure = p.failure(s, r.src.sha256, state.Failure{Message: it.Message, Status: res.HTTPStatus, RefID: res.RefID})
		if rerr := p.record(&it, state.Change{Users: []state.User{u}}); rerr != nil {
			return it, rerr
		}
		if _, wrong := errors.AsType[*WrongUserError](err); wrong {
			return it, err
		}
		return it, nil
	}
	p.refusals.Passed(r.pic.ContentType())
	it.ImageID = image
	if res.Partial() {
		return p.partial(it, s, r, res, image)
	}
	it.Outcome = string(outcome.Uploaded)
	return it, p.record(&it, p.sent(s, r, image))
}

// confirm checks that the answer shows the user and the address that the look showed,
// and returns the image id. An answer that names no user, no address or no image is
// checked with one look.
func (p *Pool) confirm(ctx context.Context, s *plan.Step, res *smartsheet.UploadResult) (image string, err error) {
	wrong := func(id int64, email string) error {
		return &WrongUserError{Email: s.Key(), UserID: s.To.ID, Shown: fmt.Sprintf("user %d %s", id, email), RefID: res.RefID}
	}
	for _, u := range res.Users {
		if u.ID != 0 && u.ID != s.To.ID || u.Email != "" && !sameEmail(u.Email, s.To.Email) {
			return "", wrong(u.ID, u.Email)
		}
	}
	if u, ok := res.User(s.To.ID); ok && u.Email != "" && u.ImageID != "" {
		return u.ImageID, nil
	}
	u, err := p.Users.One(ctx, s.To.ID)
	switch {
	case err != nil:
		return "", fmt.Errorf("the answer does not say whose picture it is, and the user could not be looked at: %w", err)
	case u.ID == 0:
		return "", errors.New("the answer does not say whose picture it is, and the user is not there any more")
	case u.Email != s.To.Email:
		return "", wrong(u.ID, u.Email)
	}
	return u.ImageID, nil
}

func sameEmail(shown, want string) bool {
	e, err := sources.Email(shown)
	return err == nil && e == want
}

// sent is what the state learns from a confirmed upload.
func (p *Pool) sent(s *plan.Step, r ready, image string) (c state.Change) {
	u := rowOf(s)
	drifts := 0
	if s.Reason == outcome.Drifted && u.Sent != nil && u.Sent.UploadSHA256 == r.sum {
		drifts = u.Drifts + 1
	}
	u.Sent = p.asSent(s, r, image)
	u.Intent, u.Failure, u.Missing, u.Drifts = nil, nil, s.Missing, drifts
	c.Users = []state.User{u}
	p.addRow(&c, s, r.src.sha256, plan.Done)
	return c
}

func (p *Pool) asSent(s *plan.Step, r ready, image string) *state.Sent {
	return &state.Sent{
		Origin: p.Plan.Origin(s), SourceSHA256: r.src.sha256, UploadSHA256: r.sum, Rendering: p.Photos.Fingerprint(),
		ImageID: image, RunID: p.RunID, At: time.Now().UTC(), Placeholder: s.Reason == outcome.Placeholder,
	}
}

// addRow adds the person's row to c. Somebody who is not listed any more has none.
func (p *Pool) addRow(c *state.Change, s *plan.Step, sha256 string, end plan.End) {
	switch {
	case !s.Gone():
		c.People = append(c.People, p.Plan.Row(s, sha256, end))
	case end == plan.Done && s.Row != nil:
		c.ForgetPeople = append(c.ForgetPeople, s.Row.Email)
	}
}

// partial is the item of an upload that went well only in part. The same bytes are
// sent once more; then they count as refused.
func (p *Pool) partial(it report.Item, s *plan.Step, r ready, res *smartsheet.UploadResult, image string) (report.Item, error) {
	it.Outcome, it.Hint = string(outcome.PartialSuccess), "look at the person's picture in Smartsheet; the next run sends it again, once"
	f := state.Failure{Message: res.Message, Status: res.HTTPStatus, RefID: res.RefID}
	final := false // if others are wholly successful
	for _, item := range res.FailedItems {
		if e := item.Error; e != nil {
			it.ErrorCode, it.RefID = &e.Code, &e.RefID
			as := smartsheet.Error{Status: res.HTTPStatus, Code: e.Code, RefID: e.RefID, Message: e.Message}
			f = state.Failure{Code: codeText(e.Code), RefID: e.RefID, Status: res.HTTPStatus, Message: e.Message}
			if final = as.Final(); final {
				it.Hint = as.Hint()
			}
			break
		}
	}
	u := rowOf(s)
	u.Failure = p.failure(s, r.src.sha256, f)
	if u.Failure.Count > 1 && !final {
		final = true
		it.Hint = "look at the person's picture in Smartsheet: this was the second time; if it takes others, the same photo is not sent again until it changes"
	}
	// Whatever is shown now decides: a picture that comes later is the user's own.
	u.Intent = nil
	if image != "" && image != p.intent(s, r).Users[0].Intent.Foreign {
		u.Sent = p.asSent(s, r, image)
	}
	c := state.Change{Users: []state.User{u}}
	p.addRow(&c, s, r.src.sha256, plan.Open)
	if final {
		p.refuse(s, r.src.sha256, u, true)
	}
	return it, p.record(&it, c)
}

// failure completes f with what all failures have.
func (p *Pool) failure(s *plan.Step, src string, f state.Failure) *state.Failure {
	f.Hash, f.Rendering, f.At, f.RunID, f.Count = src, p.Photos.Fingerprint(), time.Now().UTC(), p.RunID, 1
	if s.Sent != nil && s.Sent.Failure != nil && s.Sent.Failure.Hash == src {
		f.Count = s.Sent.Failure.Count + 1
	}
	return &f
}

// codeText is an errorCode as the state keeps it; a gateway gives none.
func codeText(code int) string {
	if code == 0 {
		return ""
	}
	return strconv.Itoa(code)
}
