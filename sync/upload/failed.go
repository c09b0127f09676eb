package upload

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
)

// failed is the item of an upload without a good answer.
func (p *Pool) failed(ctx context.Context, it report.Item, s *plan.Step, r ready, res *smartsheet.UploadResult, err error) (report.Item, error) {
	class := smartsheet.Classify(err)
	describe(&it, err)
	if ctx.Err() != nil && class != smartsheet.Stop {
		it.Outcome, it.Hint = string(outcome.Unfinished), nextRun
		return it, p.record(&it, p.undecided(s, r, res, nil))
	}
	switch {
	case class.Resumable(): // it is nobody's fault, and would not end for the others
		it.Outcome = string(outcome.Unfinished)
	case class.EndsRun():
		it.Outcome = string(outcome.Failed)
	default:
		return p.refusedOne(ctx, it, s, r, res, err)
	}
	if rerr := p.record(&it, p.undecided(s, r, res, nil)); rerr != nil {
		return it, rerr
	}
	return it, err
}

// describe puts an error into an item.
func describe(it *report.Item, err error) {
	it.Outcome, it.Message, it.Hint = string(outcome.Failed), err.Error(), hintOf(err)
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

// undecided is what the state says after an attempt that was not taken. If it may have
// arrived all the same, the intent stays.
func (p *Pool) undecided(s *plan.Step, r ready, res *smartsheet.UploadResult, f *state.Failure) state.Change {
	if f == nil && !res.Unknown {
		return withdrawn(s)
	}
	u := rowOf(s)
	if res.Unknown {
		u.Intent = p.intent(s, r).Users[0].Intent
	}
	if f != nil {
		u.Failure = f
	}
	return state.Change{Users: []state.User{u}}
}

// refusedOne is about an upload that failed for this user alone.
func (p *Pool) refusedOne(ctx context.Context, it report.Item, s *plan.Step, r ready, res *smartsheet.UploadResult, err error) (report.Item, error) {
	if res.Unknown && !errors.Is(err, smartsheet.ErrContradiction) { // which is a failure, whatever is shown
		if u, lerr := p.Users.One(ctx, s.To.ID); lerr == nil && newPicture(s, u) {
			return p.arrived(it, s, r, u.ImageID)
		}
	}
	stop := p.refusals.Refused(s.To.ID, r.pic.ContentType(), err)
	f := p.failure(s, r.src.sha256, state.Failure{Message: it.Message, Status: it.HTTPStatus, RefID: value(it.RefID), Code: codeText(value(it.ErrorCode))})
	c := p.undecided(s, r, res, f)
	p.addRow(&c, s, r.src.sha256, plan.Open)
	p.refuse(s, r.src.sha256, c.Users[0], false)
	if rerr := p.record(&it, c); rerr != nil {
		return it, rerr
	}
	if smartsheet.Classify(err) == smartsheet.Permission && s.To.External {
		it.Hint = "fix the rights: this user belongs to another organisation (isInternal is false), whose members alone can change it"
	}
	return it, stop
}

// refusal is a photo that was refused in this run, perhaps for good.
type refusal struct {
	step    *plan.Step
	sha256  string
	user    state.User
	partial bool // Smartsheet took a part of it
}

func (p *Pool) refuse(s *plan.Step, sha256 string, u state.User, partial bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = append(p.refused, refusal{s, sha256, u, partial})
}

// manyPartial is how many people may be partially successful while nobody is wholly.
// Then it is not about their photos.
const manyPartial = 5

// partialForAll reports whether the answers of the run were partial for everybody.
func (p *Pool) partialForAll() bool {
	n := 0
	for _, it := range p.items {
		switch outcome.Outcome(it.Outcome) {
		case outcome.Uploaded:
			return false
		case outcome.PartialSuccess:
			n++
		}
	}
	return n >= manyPartial
}

// finish records which refusals are for good: those of photos while others got through.
// What is the same for everybody, as headers and gateways are, is no photo's fault.
func (p *Pool) finish() error {
	var c state.Change
	partialForAll := p.partialForAll()
	for _, r := range p.refused {
		if r.partial && partialForAll || !r.partial && !p.refusals.Final(r.user.ID) {
			continue
		}
		f := *r.user.Failure
		f.Final, r.user.Failure = true, &f
		c.Users = append(c.Users, r.user)
		p.addRow(&c, r.step, r.sha256, plan.Refused)
	}
	if len(c.Users) == 0 {
		return nil
	}
	return p.State.Write(c)
}

// newPicture reports whether a look after an upload that nobody answered shows another
// picture than the look before: it is the one that was sent.
func newPicture(s *plan.Step, u plan.User) bool {
	return u.ID == s.To.ID && u.Email == s.To.Email && u.ImageID != "" && u.ImageID != s.To.ImageID
}

// arrived is the item of an upload that nobody answered, and whose picture is there.
func (p *Pool) arrived(it report.Item, s *plan.Step, r ready, image string) (report.Item, error) {
	it.Outcome, it.Hint, it.ImageID = string(outcome.Uploaded), "", image
	it.Message = "no usable answer, but Smartsheet shows a new picture: " + it.Message
	it.EarlierErrors = append(it.EarlierErrors, report.AttemptError{
		HTTPStatus: it.HTTPStatus, ErrorCode: value(it.ErrorCode), RefID: value(it.RefID), Message: it.Message,
	})
	return it, p.record(&it, p.sent(s, r, image))
}

func hintOf(err error) string {
	if h, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		return h.Hint()
	}
	return ""
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func attemptError(e *smartsheet.Error) report.AttemptError {
	msg := e.Message
	if e.Err != nil {
		msg = cmp.Or(msg, e.Err.Error())
	}
	return report.AttemptError{HTTPStatus: e.Status, ErrorCode: e.Code, RefID: e.RefID, Message: msg}
}

func failedItem(f smartsheet.FailedItem) report.FailedItem {
	out := report.FailedItem{Index: f.Index}
	if f.Error != nil {
		out.ErrorCode, out.RefID, out.Message = &f.Error.Code, &f.Error.RefID, f.Error.Message
	}
	return out
}
