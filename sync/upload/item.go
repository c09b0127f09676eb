package upload

import (
	"cmp"
	"fmt"
	"strconv"

	"photosync/sync/outcome"
	"photosync/sync/plan"
	"photosync/sync/report"
)

const (
	nextRun  = "retry by itself: the next run continues"
	waitHint = "wait: the next run reads it when its file is complete"
)

// Item is the item of a step as the plan leaves it.
func Item(r *plan.Rules, s *plan.Step) report.Item {
	it := report.Item{
		Email: s.Key(), UserID: s.UserID(), Reason: string(s.Reason), Outcome: string(s.Outcome),
		Message: s.Why, Candidates: s.Conflict, AlreadyReported: s.Reported,
	}
	o, ref := r.Origin(s)
	it.Source, it.Ref = o.Source, ref
	switch s.Reason {
	case outcome.KnownBad:
		f := s.Sent.Failure
		it.Message = "refused before and not changed since: " + f.Message
		it.HTTPStatus = f.Status
		if code, err := strconv.Atoi(f.Code); err == nil {
			it.ErrorCode = &code
		} else {
			it.Code = f.Code
		}
		if f.RefID != "" {
			it.RefID = &f.RefID
		}
		it.Hint = "fix the photo at its source; --retry-failed sends it once more"
		if s.SHA256() == "" {
			it.Hint = "--retry-failed sends the placeholder once more"
		}
	case outcome.BeingWritten:
		it.Hint = waitHint
	case outcome.Hidden:
		it.Hint = "give the account that photosync binds with the right to read this photo; the picture in Smartsheet stays until then"
	case outcome.HeldBack:
		it.Hint = "retry by itself: the next sync looks at it"
	case outcome.SharedImage:
		it.Message = fmt.Sprintf("%s people have this identical picture", outcome.Number(s.Shared))
		it.Hint = "if it is a silhouette or a logo, put this line below match: ignore_pictures: [" + s.SHA256() + "]; if it is right, raise guard.max_shared"
	case outcome.UserChanged:
		it.Message = cmp.Or(it.Message, "policy.existing leaves the picture in Smartsheet alone")
	case outcome.Ambiguous:
		it.Message = fmt.Sprintf("%d candidates, and only a human can tell which is right", len(s.Conflict))
		it.Hint = "leave only one of the candidates"
	}
	if s.Outcome == outcome.Unfinished {
		it.Hint = nextRun
	}
	return it
}
