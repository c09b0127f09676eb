package upload

import (
	"testing"

	"photosync/sync/photo"
	"photosync/sync/plan"
)

// A refused picture is remembered, and not tried again while it stays the same;
// but one that only took too long is.
func TestRefusedPictureIsRemembered(t *testing.T) {
	for code, want := range map[string]bool{photo.Truncated: true, photo.TooLarge: true, photo.TooSlow: false} {
		var p Pool
		a := plan.Action{Email: "a@example.com"}
		r := p.unprepared(t.Context(), Item(a), a, "hash", &photo.Error{Code: code, Detail: "d"})
		if it := r.item; it.Outcome != string(plan.Failed) || it.Reason != string(plan.InvalidImage) || it.Code != code || it.Hint == "" {
			t.Errorf("%s: item %+v", code, it)
		}
		if (r.learn != nil) != want || want && (r.learn.Failure == nil || !r.learn.Failure.Final || r.learn.Failure.Hash != "hash") {
			t.Errorf("%s: to be recorded: %+v, want something: %v", code, r.learn, want)
		}
	}
}
