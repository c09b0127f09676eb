package upload

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"photosync/sources"
	"photosync/sync/photo"
	"photosync/sync/plan"
)

// A refused picture is remembered, and not tried again while it stays the same;
// but one that only took too long is.
func TestRefusedPictureIsRemembered(t *testing.T) {
	for code, want := range map[string]bool{photo.Truncated: true, photo.TooLarge: true, photo.TooSlow: false} {
		var p Pool
		a := plan.Action{Subject: &plan.Subject{Emails: []string{"a@example.com"}}}
		r := p.unprepared(t.Context(), Item(a), a, "hash", &photo.Error{Code: code, Detail: "d"})
		if it := r.item; it.Outcome != string(plan.Failed) || it.Reason != string(plan.InvalidImage) || it.Code != code || it.Hint == "" {
			t.Errorf("%s: item %+v", code, it)
		}
		if (r.learn != nil) != want || want && (r.learn.Failure == nil || !r.learn.Failure.Final || r.learn.Failure.Hash != "hash") {
			t.Errorf("%s: to be recorded: %+v, want something: %v", code, r.learn, want)
		}
	}
}

// adviser is a source's error that says what to do.
type adviser struct{ error }

func (adviser) Hint() string { return "start the server" }

// A photo that could not be read has the hint that fits: the source's own, where it
// has one, and none that would not help.
func TestUnreadPhotoHasTheHintThatFits(t *testing.T) {
	for want, err := range map[string]error{
		"fix the source: start the server":             fmt.Errorf("read: %w", adviser{errors.New("away")}),
		"fix the source: photosync could not read":     sources.ErrDenied,
		"smaller at the source: no setting":            fmt.Errorf("entry: %w", sources.ErrTooLarge),
		"save the photo smaller at the source, or rai": &photo.Error{Code: photo.TooLarge},
	} {
		var p Pool
		a := plan.Action{Subject: &plan.Subject{Emails: []string{"a@example.com"}}}
		if it := p.unprepared(t.Context(), Item(a), a, "", err).item; it.Outcome != string(plan.Failed) || !strings.Contains(it.Hint, want) {
			t.Errorf("%v: outcome %s, hint %q; want %q", err, it.Outcome, it.Hint, want)
		}
	}
}
