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
	"photosync/sync/photo"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
)

// attempt is a step that is being carried out.
type attempt struct {
	*Pool
	step   *plan.Step
	item   report.Item             // what it has come to
	source string                  // SHA-256 of the photo that was read, hex; empty: none was
	pic    photo.Picture           // to be sent
	sum    string                  // SHA-256 of pic's bytes, hex
	intent *state.Intent           // as it was announced last
	onWire bool                    // a request may have arrived, and no answer says so
	res    smartsheet.UploadResult // of the last request
}

// carryOut carries out the step. Its error stops the whole run.
func (a *attempt) carryOut(ctx context.Context) error {
	if a.step.Outcome != outcome.Planned { // the second look decided otherwise
		return nil
	}
	learn := a.prepare(ctx)
	switch {
	case len(learn.Users) > 0:
		return a.record(learn)
	case a.item.Outcome != string(outcome.Planned):
		return nil
	}
	return a.send(ctx)
}

// record makes c durable. When that fails everything stops: going on would upload what
// nobody remembers.
func (a *attempt) record(c state.Change) error {
	if err := a.State.Write(c); err != nil {
		if a.item.Message != "" {
			a.item.Message += "; "
		}
		a.item.Message += "not recorded: " + err.Error()
		return fmt.Errorf("record %q: %w", a.item.Email, err)
	}
	return nil
}

// recordUser makes the user's row durable, and with it the person's (see Plan.Tried).
func (a *attempt) recordUser(u state.User, nothing outcome.Reason) error {
	c := state.Change{Users: []state.User{u}}
	a.Plan.Tried(&c, a.step, a.source, nothing)
	return a.record(c)
}

// row is the row of the step's user as it was before this step.
func (a *attempt) row() (u state.User) {
	if a.step.Sent != nil {
		u = *a.step.Sent
	}
	u.ID, u.Email = a.step.To.ID, a.step.To.Email
	if a.step.Reason != outcome.Placeholder {
		u.Missing = 0 // there is a photo
	}
	return u
}

// maxLooks is how often a step's user is looked at again because the upload waited for
// too long, before it is left to the next run.
const maxLooks = 3

// send announces the picture, sends it and records the answer.
func (a *attempt) send(ctx context.Context) error {
	s := a.step
	img := smartsheet.Image{Data: a.pic.Data, ContentType: a.pic.ContentType(), FileName: s.Key() + a.pic.Ext()}
	var last error // that would end the run, if it were not for the look that grew too old
	for range maxLooks {
		if err := a.announce(); err != nil {
			return err
		}
		var err error
		a.res, err = a.Smartsheet.Upload(ctx, smartsheet.User{ID: s.To.ID, Email: s.To.Email}, img, s.To.Seen.Add(plan.MaxAge))
		a.note()
		a.onWire = a.onWire || a.res.Unknown
		switch {
		case err == nil:
			return a.answered(ctx)
		case !errors.Is(err, smartsheet.ErrTooLate):
			return a.failed(ctx, err)
		case len(a.res.Earlier) > 0 && smartsheet.Classify(a.res.Earlier[len(a.res.Earlier)-1]).EndsRun():
			last = a.res.Earlier[len(a.res.Earlier)-1]
		}
		users, err := a.Users.Again(ctx, []*plan.Step{s})
		if err != nil {
			return a.failed(ctx, err)
		}
		if a.onWire && newPicture(s, users[0]) {
			a.item.Message = "no answer came"
			return a.arrived(users[0].ImageID)
		}
		if a.Plan.Renew(s, users[0]); s.Outcome != outcome.Planned {
			break
		}
	}
	if last != nil && s.Outcome == outcome.Planned {
		a.item.EarlierErrors = a.item.EarlierErrors[:len(a.item.EarlierErrors)-1] // it is the error of the item
		a.res = smartsheet.UploadResult{Unknown: a.onWire}
		return a.failed(ctx, last)
	}
	attempts, earlier := a.item.Attempts, a.item.EarlierErrors
	if a.item = Item(a.Rules, s); s.Outcome == outcome.Planned {
		a.stopped()
		a.item.Message = "it waited for too long"
	}
	a.item.Attempts, a.item.EarlierErrors = attempts, earlier
	if a.onWire {
		return nil // the intent stays: it may have arrived
	}
	return a.record(a.withdrawn())
}

// announce records, before the picture goes on the wire, that it will. As long as the
// intent stands, what the user shows counts as ours, but for the picture of somebody
// else that was there before.
func (a *attempt) announce() error {
	s, u := a.step, a.row()
	i := &state.Intent{
		SourceSHA256: a.source, UploadSHA256: a.sum, Rendering: a.Photos.Fingerprint(),
		RunID: a.RunID, At: time.Now().UTC(), Placeholder: s.Reason == outcome.Placeholder,
	}
	i.Origin, _ = a.Rules.Origin(s)
	switch {
	case u.Intent != nil:
		i.Foreign = u.Intent.Foreign // a second intent keeps what was there before the first
	case a.onWire:
		i.Foreign = a.intent.Foreign
	case !plan.Ours(s.Sent, *s.To):
		i.Foreign = s.To.ImageID
	}
	a.intent, u.Intent = i, i
	c := state.Change{Users: []state.User{u}}
	if s.Row != nil && s.Row.Fingerprint != (state.Fingerprint{}) {
		row := *s.Row
		row.Fingerprint = state.Fingerprint{}
		c.People = []state.Person{row}
	}
	return a.record(c)
}

// withdrawn is what the state says when nothing was put on the wire after all.
func (a *attempt) withdrawn() state.Change {
	if a.step.Sent == nil {
		return state.Change{ForgetUsers: []int64{a.step.To.ID}}
	}
	return state.Change{Users: []state.User{a.row()}}
}

// Confirmed is the upload of an intent whose answer named this image.
func Confirmed(i *state.Intent, image string) *state.Sent {
	return &state.Sent{
		Origin: i.Origin, SourceSHA256: i.SourceSHA256, UploadSHA256: i.UploadSHA256, Rendering: i.Rendering,
		ImageID: image, RunID: i.RunID, At: i.At, Placeholder: i.Placeholder,
	}
}

// note keeps what the last request was.
func (a *attempt) note() {
	a.item.Attempts += a.res.Attempts
	a.item.HTTPStatus = a.res.HTTPStatus
	for _, e := range a.res.Earlier {
		text := e.Message
		if text == "" && e.Err != nil {
			text = e.Err.Error()
		}
		a.item.EarlierErrors = append(a.item.EarlierErrors, report.AttemptError{HTTPStatus: e.Status, ErrorCode: e.Code, RefID: e.RefID, Message: text})
	}
}

// answered is for an upload that the server took, wholly or in part.
func (a *attempt) answered(ctx context.Context) error {
	it := &a.item
	it.Message, it.ResultCode = a.res.Message, a.res.ResultCode
	for _, f := range a.res.FailedItems {
		failed := report.FailedItem{Index: f.Index}
		if f.Error != nil {
			failed.ErrorCode, failed.RefID, failed.Message = &f.Error.Code, &f.Error.RefID, f.Error.Message
		}
		it.FailedItems = append(it.FailedItems, failed)
	}
	if it.RefID == nil && a.res.RefID != "" {
		it.RefID = &a.res.RefID
	}
	image, err := a.confirm(ctx)
	if err != nil {
		it.Outcome, it.Message, it.Hint = string(outcome.Failed), err.Error(), outcome.Hint(err)
		u := a.row()
		u.Intent = a.intent
		u.Failure = a.failure(state.Failure{Message: it.Message, Status: a.res.HTTPStatus, RefID: a.res.RefID})
		stop, _ := errors.AsType[*WrongUserError](err)
		if err := a.record(state.Change{Users: []state.User{u}}); err != nil || stop == nil {
			return err
		}
		return stop
	}
	a.refusals.Passed(a.pic.ContentType())
	if it.ImageID = image; a.res.Partial() {
		return a.partial(image)
	}
	it.Outcome = string(outcome.Uploaded)
	return a.sent(image)
}

// confirm checks that the answer shows the user and the address that the look showed,
// and returns the image id. An answer that names no user, no address or no image is
// checked with one look.
func (a *attempt) confirm(ctx context.Context) (image string, err error) {
	to := a.step.To
	wrong := func(id int64, email string) error {
		return &WrongUserError{Email: a.step.Key(), UserID: to.ID, Shown: fmt.Sprintf("user %d %s", id, email), RefID: a.res.RefID}
	}
	for _, u := range a.res.Users {
		email, err := sources.Email(u.Email)
		if u.ID != 0 && u.ID != to.ID || u.Email != "" && (err != nil || email != to.Email) {
			return "", wrong(u.ID, u.Email)
		}
	}
	if u, ok := a.res.User(to.ID); ok && u.Email != "" && u.ImageID != "" {
		return u.ImageID, nil
	}
	u, err := a.Users.One(ctx, to.ID)
	switch {
	case err != nil:
		return "", fmt.Errorf("the answer does not say whose picture it is, and the user could not be looked at: %w", err)
	case u.ID == 0:
		return "", errors.New("the answer does not say whose picture it is, and the user is not there any more")
	case u.Email != to.Email:
		return "", wrong(u.ID, u.Email)
	}
	return u.ImageID, nil
}

// sent records a confirmed upload.
func (a *attempt) sent(image string) error {
	u := a.row()
	drifts := 0
	if a.step.Reason == outcome.Drifted && u.Sent != nil && u.Sent.UploadSHA256 == a.sum {
		drifts = u.Drifts + 1
	}
	u.Sent = Confirmed(a.intent, image)
	u.Sent.At = time.Now().UTC()
	u.Intent, u.Failure, u.Missing, u.Drifts = nil, nil, a.step.Missing, drifts
	return a.recordUser(u, outcome.Unchanged)
}

// partial is for an upload that went well only in part. The same bytes are sent once
// more; then they count as refused.
func (a *attempt) partial(image string) error {
	it, res := &a.item, &a.res
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
	u := a.row()
	u.Failure = a.failure(f)
	if u.Failure.Count > 1 && !final {
		final = true
		it.Hint = "look at the person's picture in Smartsheet: this was the second time; if it takes others, the same photo is not sent again until it changes"
	}
	// Whatever is shown now decides: a picture that comes later is the user's own.
	if u.Intent = nil; image != "" && image != a.intent.Foreign {
		u.Sent = Confirmed(a.intent, image)
	}
	if final {
		a.refuse(u, true)
	}
	return a.recordUser(u, "")
}

func (a *attempt) refuse(u state.User, partial bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused = append(a.refused, refusal{a.step, a.source, u, partial})
}

// failure completes f with what all failures have.
func (a *attempt) failure(f state.Failure) *state.Failure {
	f.Hash, f.Rendering, f.At, f.RunID, f.Count = a.source, a.Photos.Fingerprint(), time.Now().UTC(), a.RunID, 1
	if sent := a.step.Sent; sent != nil && sent.Failure != nil && sent.Failure.Hash == a.source {
		f.Count = sent.Failure.Count + 1
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
