package job

import (
	"fmt"
	"strconv"

	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/upload"
)

// skipped is the item of an action that uploads nothing in this run.
func (r *run) skipped(a plan.Action) report.Item {
	it := upload.Item(a)
	switch a.Reason {
	case plan.KnownBad:
		f := a.Record().Failure
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
		if a.SourceSHA256() == "" {
			it.Hint = "--retry-failed sends the placeholder once more"
		}
	case plan.BeingWritten:
		it.Message, it.Hint = a.Err().Error(), upload.WaitHint
	case plan.HeldBack:
		it.Message = "the whole run is held"
		if a.Detail().Why != "" {
			it.Message, it.Hint = a.Detail().Why, "retry by itself: the next sync looks at it"
		}
	case plan.SharedImage:
		it.Message = fmt.Sprintf("%d people have this identical picture", a.Detail().Shared)
		it.Hint = "if it is right, raise guard.max_shared, or let photosync plan name the plan and approve that with --approve"
	case plan.UserChanged:
		it.Message = "policy.existing leaves the picture in Smartsheet alone"
		if a.Lost {
			it.Message = "the photo was removed at its source; the picture in Smartsheet is not the one we uploaded, and stays"
		}
	case plan.NoPhoto:
		it.Message = r.removal(a)
	case plan.Ambiguous:
		it.Message = fmt.Sprintf("%d candidates, and only a human can tell which is right", len(a.Detail().Rivals))
		it.Hint = "leave only one of the candidates"
	}
	return it
}

// removal says what becomes of the picture of a person without a photo; empty for
// one whose photo was never uploaded.
func (r *run) removal(a plan.Action) string {
	if a.Record().UploadSHA256 == "" {
		return ""
	}
	text := "no source has a photo any more"
	if a.Gone() {
		text = "in no source any more"
	}
	switch {
	case a.Record().Placeholder:
		return text + "; a placeholder is in Smartsheet"
	case r.o.RemovedAfter > 0 && r.o.Source == "":
		return fmt.Sprintf("%s, for %d of %d complete runs; then a placeholder replaces the picture in Smartsheet", text, a.Missing, r.o.RemovedAfter)
	}
	return text + "; the picture in Smartsheet stays"
}
