package upload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
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
	item   report.Item             // the result so far
	source string                  // SHA-256 of the photo that was read, hex; empty: none was
	pic    photo.Picture           // to be sent
	sum    string                  // SHA-256 of pic's bytes, hex
	later  bool                    // the step is carried out last
	intent *state.Intent           // as the state has it
	onWire bool                    // a request may have arrived, without an answer that says so
	res    smartsheet.UploadResult // of the last request
}

// end sets the result of the attempt.
func (a *attempt) end(o outcome.Outcome, message, hint string) {
	a.item.Outcome, a.item.Message, a.item.Hint = o, message, hint
}

// record makes c durable. Its error stops the run: nothing may be uploaded without a record.
func (a *attempt) record(c state.Change) error {
	if err := a.State.Write(c); err != nil {
		a.item.Message = strings.TrimPrefix(a.item.Message+"; not recorded: "+err.Error(), "; ")
		return fmt.Errorf("record %q: %w", a.item.Email, err)
	}
	return nil
}

// recordUser makes the rows of the user and of the person durable; done is as for Plan.ResultRow.
func (a *attempt) recordUser(u state.User, done outcome.Reason) error {
	c := state.Change{Users: []state.User{u}}
	a.Plan.ResultRow(&c, a.step, done)
	if a.step.Row == nil {
		c.People = a.together(c.People)
	}
	return a.record(c)
}

// together keeps the rows of new people until there are newAtOnce, and then returns them all. The
// state has a first row of these people, so a run that is killed costs the next one no more than a
// look-up and a read of the photo for each of them.
func (p *Pool) together(rows []state.Person) []state.Person {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rows = append(p.rows, rows...)
	if len(p.rows) < newAtOnce {
		return nil
	}
	rows, p.rows = p.rows, nil
	return rows
}

// row is the row of the step's user as it was before this step.
func (a *attempt) row() (u state.User) {
	u = *a.step.Record
	u.ID, u.Email = a.step.To.ID, a.step.To.Email
	if a.step.Reason != outcome.Placeholder {
		u.Missing = 0 // there is a photo
	}
	return u
}

// maxTries is how often an upload is begun. If it waits for too long, its user is looked up again in between.
const maxTries = 3

// send announces the picture, sends it and records the answer.
func (a *attempt) send(ctx context.Context) error {
	s := a.step
	img := smartsheet.Image{Data: a.pic.Data, ContentType: a.pic.ContentType(), FileName: s.Key() + a.pic.Ext()}
	img.Unanswered = s.Record.Intent != nil
	var last *smartsheet.Error // of the requests so far
	gone := false              // by last, there is no such user: the account may have been created anew
	for range maxTries {
		if err := a.announce(); err != nil {
			return err
		}
		var err error
		a.res, err = a.Smartsheet.Upload(ctx, smartsheet.User{ID: s.To.ID, Email: s.To.Email}, img, s.To.Seen.Add(plan.MaxAge))
		a.onWire = a.onWire || a.res.Unknown
		a.item.Attempts += a.res.Attempts
		a.item.HTTPStatus = a.res.HTTPStatus
		for _, e := range a.res.Earlier {
			a.item.EarlierErrors = append(a.item.EarlierErrors, earlier(e))
			last = e
		}
		if err == nil {
			return a.answered(ctx)
		} else if gone = smartsheet.NotFound(err) && !a.onWire; gone {
			last, _ = errors.AsType[*smartsheet.Error](err)
			a.item.EarlierErrors = append(a.item.EarlierErrors, earlier(last))
		} else if !errors.Is(err, smartsheet.ErrTooLate) {
			return a.failed(ctx, err)
		}
		users, err := a.Users.LookUpAgain(ctx, []*plan.Step{s})
		if err != nil {
			return a.failed(ctx, err)
		}
		if a.onWire && newPicture(s, users[0]) {
			a.item.Message = "no answer came in time"
			return a.arrived(users[0].ImageID)
		}
		if !gone || users[0].ID == 0 {
			a.Plan.Renew(s, users[0])
		}
		if gone || s.Outcome != outcome.Planned {
			break
		}
	}
	if last != nil && (gone || smartsheet.Classify(last).EndsRun()) && s.Outcome == outcome.Planned {
		a.item.EarlierErrors = a.item.EarlierErrors[:len(a.item.EarlierErrors)-1] // this one is the item's own error
		return a.failed(ctx, last)
	}
	late := Item(a.Plan.Rules, s)
	late.Attempts, late.EarlierErrors = a.item.Attempts, a.item.EarlierErrors
	a.item = late
	if s.Outcome == outcome.Planned {
		a.end(outcome.Unfinished, "it waited for too long", nextRun)
	}
	return a.record(a.withdrawn())
}

// announce records that the picture is about to be sent. Until the intent is answered, what the
// user shows counts as ours, except a picture of somebody else's that was there before.
func (a *attempt) announce() error {
	s, u := a.step, a.row()
	i := &state.Intent{
		SourceSHA256: a.source, UploadSHA256: a.sum, Rendering: a.Plan.Policy.Rendering,
		RunID: a.RunID, At: time.Now().UTC(), Placeholder: s.Reason == outcome.Placeholder,
	}
	i.Origin, _ = a.Plan.Origin(s)
	switch {
	case u.Intent != nil:
		i.Foreign = u.Intent.Foreign // of a second intent: what was there before the first
	case a.onWire:
		i.Foreign = a.intent.Foreign
	case !plan.Ours(s.Record, *s.To):
		i.Foreign = s.To.ImageID
	}
	a.intent, u.Intent = i, i
	return a.record(state.Change{Users: []state.User{u}})
}

// withdrawn returns the change that takes the intent back, unless the picture may have arrived.
func (a *attempt) withdrawn() (c state.Change) {
	switch {
	case a.onWire: // the intent stays
	case a.step.Record.ID == 0:
		c.ForgetUsers = []int64{a.step.To.ID}
	default:
		c.Users = []state.User{a.row()}
	}
	return c
}

// confirmed returns the upload of an intent, confirmed with this image id.
func confirmed(i *state.Intent, image string) *state.Sent {
	return &state.Sent{
		Origin: i.Origin, SourceSHA256: i.SourceSHA256, UploadSHA256: i.UploadSHA256, Rendering: i.Rendering,
		ImageID: image, RunID: i.RunID, At: i.At, Placeholder: i.Placeholder,
	}
}

// answered handles an upload that Smartsheet accepted, wholly or in part.
func (a *attempt) answered(ctx context.Context) error {
	it, res := &a.item, &a.res
	it.Message, it.RefID = res.Message, orNull(res.RefID)
	first := a.failedItems()
	image, err := a.confirm(ctx)
	if err != nil {
		a.end(outcome.Failed, err.Error(), outcome.Hint(err))
		u := a.row()
		u.Intent, u.Failure = a.intent, a.failure(state.Failure{Message: it.Message, Status: res.HTTPStatus, RefID: res.RefID})
		_, stop := errors.AsType[*WrongUserError](err)
		if rerr := a.record(state.Change{Users: []state.User{u}}); rerr != nil || !stop {
			return rerr
		}
		return err
	}
	a.refusals.Accepted(a.pic.ContentType())
	it.ImageID = image
	if res.Partial() {
		return a.partial(image, first)
	}
	return a.sent(image)
}

// failedItems adds to the item what the answer says of single items, and returns their first error.
func (a *attempt) failedItems() (first *smartsheet.Error) {
	a.item.ResultCode = a.res.ResultCode
	for _, f := range a.res.FailedItems {
		failed := report.FailedItem{Index: f.Index}
		if f.Error != nil {
			failed.ErrorCode, failed.RefID, failed.Message = &f.Error.Code, &f.Error.RefID, f.Error.Message
			first = cmp.Or(first, f.Error)
		}
		a.item.FailedItems = append(a.item.FailedItems, failed)
	}
	return first
}

// confirm checks that the answer shows the step's user and address, and returns the image id. If
// the answer lacks one of the three, it looks the user up.
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
		if u.ID != 0 && u.Email != "" {
			image = cmp.Or(image, u.ImageID)
		}
	}
	if image != "" {
		return image, nil
	}
	u, err := a.Users.ByID(ctx, to.ID)
	switch {
	case err != nil && ctx.Err() != nil:
		return "", errors.New("the answer does not say whose picture it is, and the run was stopped before the user was looked up")
	case err != nil:
		return "", fmt.Errorf("the answer does not say whose picture it is, and the user could not be looked up: %w", err)
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
	if a.step.Reason == outcome.Drifted && u.Sent != nil && u.Sent.UploadSHA256 == a.sum {
		u.Drifts++
	} else {
		u.Drifts = 0
	}
	u.Sent = confirmed(a.intent, image)
	u.Sent.At = time.Now().UTC()
	u.Intent, u.Failure = nil, nil
	u.Missing = a.step.Missing
	a.item.Outcome, a.item.Unverified = outcome.Uploaded, image == ""
	return a.recordUser(u, outcome.Unchanged)
}

// partial handles a partial success. The next run sends the picture again, once.
func (a *attempt) partial(image string, first *smartsheet.Error) error {
	it, res := &a.item, &a.res
	f := state.Failure{Message: res.Message, Status: res.HTTPStatus, RefID: res.RefID}
	hint, final := "look at the person's picture in Smartsheet; the next run sends it again, once", false
	if first != nil {
		e := *first
		e.Status = res.HTTPStatus
		it.ErrorCode, it.RefID = &e.Code, orNull(e.RefID)
		f = state.Failure{Code: codeText(e.Code), RefID: e.RefID, Status: e.Status, Message: e.Message}
		if final = e.Final(); final { // unless finish finds that all uploads are partial
			hint = e.Hint()
		}
	}
	u := a.row()
	u.Failure = a.failure(f)
	if u.Failure.Count > 1 && !final {
		final = true
		hint = "look at the person's picture in Smartsheet: this was the second time; as a rule, the photo is not sent again until it changes"
	}
	// What Smartsheet shows now counts: a picture that appears later is the user's own.
	u.Intent = nil
	if image != "" && image != a.intent.Foreign && image != a.step.To.ImageID {
		u.Sent = confirmed(a.intent, image)
	}
	a.end(outcome.PartialSuccess, it.Message, hint)
	if final {
		a.refuse(u, true)
	}
	return a.recordUser(u, "")
}
