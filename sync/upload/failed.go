package upload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

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
	e := a.describe(err)
	stopped := ctx.Err() != nil && class != smartsheet.Stop
	switch {
	case stopped:
		a.end(outcome.Unfinished, it.Message, nextRun)
	case class.Resumable(): // it is nobody's fault, and would not end for the others
		it.Outcome = outcome.Unfinished
	case !class.EndsRun():
		return a.failedAlone(ctx, e, err)
	}
	c := a.withdrawn()
	if a.onWire { // it may have arrived all the same
		u := a.row()
		u.Intent = a.intent
		c = state.Change{Users: []state.User{u}}
	}
	if rerr := a.record(c); rerr != nil || stopped {
		return rerr
	}
	return err
}

// describe puts an error into the item, and returns what Smartsheet said of it.
func (a *attempt) describe(err error) *smartsheet.Error {
	a.end(outcome.Failed, err.Error(), outcome.Hint(err))
	e, ok := errors.AsType[*smartsheet.Error](err)
	if !ok {
		return &smartsheet.Error{}
	}
	a.item.Message = cmp.Or(strings.TrimSpace(e.Message+" "+e.Detail), earlier(e).Message)
	a.item.ErrorCode, a.item.RefID = orNull(e.Code), orNull(e.RefID)
	return e
}

// earlier is an attempt that failed, as the report has it.
func earlier(e *smartsheet.Error) report.AttemptError {
	out := report.AttemptError{HTTPStatus: e.Status, ErrorCode: e.Code, RefID: e.RefID, Message: e.Message}
	if e.Message == "" && e.Err != nil {
		out.Message = e.Err.Error()
	}
	return out
}

// failedAlone is for an upload that failed for this user alone.
func (a *attempt) failedAlone(ctx context.Context, e *smartsheet.Error, err error) error {
	it, s := &a.item, a.step
	if a.onWire && !errors.Is(err, smartsheet.ErrContradiction) { // which is a failure, whatever is shown
		if u, lerr := a.Users.ByID(ctx, s.To.ID); lerr == nil && newPicture(s, u) {
			it.EarlierErrors = append(it.EarlierErrors, report.AttemptError{HTTPStatus: it.HTTPStatus, ErrorCode: e.Code, RefID: e.RefID, Message: it.Message})
			return a.arrived(u.ImageID)
		}
	}
	stop := a.refusals.Refused(s.To.ID, a.pic.ContentType(), err)
	u := a.row()
	u.Failure = a.failure(state.Failure{Message: it.Message, Status: it.HTTPStatus, RefID: e.RefID, Code: codeText(e.Code)})
	if a.onWire {
		u.Intent = a.intent
	}
	a.refuse(u, false)
	if smartsheet.Classify(err) == smartsheet.Permission && s.To.External {
		it.Hint = "fix the rights: this user belongs to another organisation (isInternal is false), whose members alone can change it"
	}
	return cmp.Or(a.recordUser(u, ""), stop)
}

// newPicture reports whether u, looked up after an upload that nobody answered, shows its picture.
func newPicture(s *plan.Step, u plan.User) bool {
	return u.ID == s.To.ID && u.Email == s.To.Email && u.ImageID != "" && u.ImageID != s.To.ImageID
}

// arrived is for an upload that nobody answered, and whose picture is there.
func (a *attempt) arrived(image string) error {
	a.item.Hint, a.item.ImageID = "", image
	a.item.Message = "no usable answer, but Smartsheet shows a new picture: " + a.item.Message
	return a.sent(image)
}

// refusal is a photo that was refused in this run, perhaps for good.
type refusal struct {
	step    *plan.Step
	source  string // hash of the photo
	user    state.User
	partial bool // Smartsheet took a part of it
}

func (a *attempt) refuse(u state.User, partial bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused = append(a.refused, refusal{a.step, a.source, u, partial})
}

// failure completes f with what all failures have.
func (a *attempt) failure(f state.Failure) *state.Failure {
	f.Hash, f.Rendering, f.At, f.RunID, f.Count = a.source, a.Photos.Fingerprint(), time.Now().UTC(), a.RunID, 1
	if sent := a.step.Record; sent != nil && sent.Failure != nil && sent.Failure.Hash == a.source {
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

// manyPartial people, while nobody is wholly successful: it is not about their photos.
const manyPartial = 5

// finish records which refusals are for good: those of photos while others got through.
// What is the same for everybody, as headers and gateways are, is no photo's fault.
func (p *Pool) finish() error {
	n := map[outcome.Outcome]int{}
	for _, it := range p.items {
		n[it.Outcome]++
	}
	partialForAll := n[outcome.Uploaded] == 0 && n[outcome.PartialSuccess] >= manyPartial
	var c state.Change
	for _, r := range p.refused {
		if r.partial && partialForAll || !r.partial && !p.refusals.Final(r.user.ID) {
			continue
		}
		f := *r.user.Failure
		f.Final, r.user.Failure = true, &f
		c.Users = append(c.Users, r.user)
		p.Plan.ResultRow(&c, r.step, r.source, outcome.KnownBad)
	}
	if len(c.Users) == 0 {
		return nil
	}
	return p.State.Write(c)
}
