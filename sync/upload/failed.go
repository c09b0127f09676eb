package upload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
)

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

// failed is for an upload without a good answer.
func (a *attempt) failed(ctx context.Context, err error) error {
	class, it := smartsheet.Classify(err), &a.item
	a.describe(err)
	stopped := ctx.Err() != nil && class != smartsheet.Stop
	switch {
	case stopped:
		it.Outcome, it.Hint = string(outcome.Unfinished), nextRun
	case class.Resumable(): // it is nobody's fault, and would not end for the others
		it.Outcome = string(outcome.Unfinished)
	case !class.EndsRun():
		return a.failedAlone(ctx, err)
	}
	c := a.withdrawn()
	if a.res.Unknown { // it may have arrived all the same
		u := a.row()
		u.Intent = a.intent
		c = state.Change{Users: []state.User{u}}
	}
	if rerr := a.record(c); rerr != nil || stopped {
		return rerr
	}
	return err
}

// describe puts an error into the item.
func (a *attempt) describe(err error) {
	it := &a.item
	it.Outcome, it.Message, it.Hint = string(outcome.Failed), err.Error(), outcome.Hint(err)
	e, ok := errors.AsType[*smartsheet.Error](err)
	if !ok {
		return
	}
	it.Message = strings.TrimSpace(e.Message + " " + e.Detail)
	if it.Message == "" && e.Err != nil {
		it.Message = e.Err.Error()
	}
	if e.Code != 0 {
		it.ErrorCode = &e.Code
	}
	if e.RefID != "" {
		it.RefID = &e.RefID
	}
}

// failedAlone is for an upload that failed for this user alone.
func (a *attempt) failedAlone(ctx context.Context, err error) error {
	it, s := &a.item, a.step
	e, _ := errors.AsType[*smartsheet.Error](err)
	e = cmp.Or(e, &smartsheet.Error{})
	if a.res.Unknown && !errors.Is(err, smartsheet.ErrContradiction) { // which is a failure, whatever is shown
		if u, lerr := a.Users.One(ctx, s.To.ID); lerr == nil && newPicture(s, u) {
			return a.arrived(u.ImageID)
		}
	}
	stop := a.refusals.Refused(s.To.ID, a.pic.ContentType(), err)
	u := a.row()
	u.Failure = a.failure(state.Failure{Message: it.Message, Status: it.HTTPStatus, RefID: e.RefID, Code: codeText(e.Code)})
	if a.res.Unknown {
		u.Intent = a.intent
	}
	a.refuse(u, false)
	if err := a.recordUser(u, ""); err != nil {
		return err
	}
	if smartsheet.Classify(err) == smartsheet.Permission && s.To.External {
		it.Hint = "fix the rights: this user belongs to another organisation (isInternal is false), whose members alone can change it"
	}
	return stop
}

// newPicture reports whether a look after an upload that nobody answered shows another
// picture than the look before: it is the one that was sent.
func newPicture(s *plan.Step, u plan.User) bool {
	return u.ID == s.To.ID && u.Email == s.To.Email && u.ImageID != "" && u.ImageID != s.To.ImageID
}

// arrived is for an upload that nobody answered, and whose picture is there.
func (a *attempt) arrived(image string) error {
	it := &a.item
	e := report.AttemptError{HTTPStatus: it.HTTPStatus}
	if it.ErrorCode != nil {
		e.ErrorCode = *it.ErrorCode
	}
	if it.RefID != nil {
		e.RefID = *it.RefID
	}
	it.Outcome, it.Hint, it.ImageID = string(outcome.Uploaded), "", image
	it.Message = "no usable answer, but Smartsheet shows a new picture: " + it.Message
	e.Message = it.Message
	it.EarlierErrors = append(it.EarlierErrors, e)
	return a.sent(image)
}
