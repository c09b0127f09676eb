package upload

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"slices"
	"strings"
	"testing"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/photo"
	"photosync/sync/plan"
	"photosync/sync/smartsheet"
)

// annsPicture is the SHA-256 of the picture that side.run sends.
func annsPicture(t *testing.T) string {
	t.Helper()
	var pic bytes.Buffer
	if err := png.Encode(&pic, image.NewRGBA(image.Rect(0, 0, 4, 4))); err != nil {
		t.Fatal(err)
	}
	return plan.Sum(pic.Bytes())
}

// What becomes of a picture when it is prepared, before anything is sent: its item, and what is recorded.
func TestPrepared(t *testing.T) {
	sum := annsPicture(t)
	before := func(change func(*state.User)) func(*plan.Work) {
		return func(w *plan.Work) {
			u := &state.User{ID: 101, Email: "ann@x", Sent: &state.Sent{
				SourceSHA256: "h0", UploadSHA256: sum, ImageID: "i0", Rendering: photo.Options{MaxBytes: 1 << 20}.Fingerprint(),
			}}
			change(u)
			w.Current, w.Former = u, u
		}
	}
	limit := func(most, others int) func(*Pool, []*plan.Step) {
		return func(p *Pool, _ []*plan.Step) { p.MaxShared, p.Same = most, map[string]int{sum: others} }
	}
	applied := func(sum string) func(*Pool, []*plan.Step) {
		return func(_ *Pool, steps []*plan.Step) { steps[0].Applied = &plan.FileStep{UploadSHA256: sum} }
	}
	const sent = "record intent=true sent=%t failed=false, send 101, record intent=false sent=true failed=false"
	for name, c := range map[string]struct {
		work   func(*plan.Work)
		pool   func(*Pool, []*plan.Step)
		unread error
		want   string // reason and outcome
		log    string
	}{
		"the first picture":            {want: "new uploaded", log: fmt.Sprintf(sent, false)},
		"the same as before":           {work: before(func(*state.User) {}), want: "same_picture skipped", log: "record intent=false sent=true failed=false"},
		"the same, but it failed":      {work: before(func(u *state.User) { u.Failure = &state.Failure{Hash: "h0"} }), want: "changed uploaded", log: "record intent=true sent=true failed=true, send 101, record intent=false sent=true failed=false"},
		"the same, and another failed": {work: before(func(u *state.User) { u.Failure = &state.Failure{Hash: "h9"} }), want: "same_picture skipped", log: "record intent=false sent=true failed=false"},
		"not the one before":           {work: before(func(u *state.User) { u.Sent.UploadSHA256 = "u0" }), want: "changed uploaded", log: fmt.Sprintf(sent, true)},

		"as many have it as may": {pool: limit(2, 1), want: "new uploaded", log: fmt.Sprintf(sent, false)},
		"too many have it":       {pool: limit(2, 2), want: "shared_image held"},
		"too many, but this user had": {work: before(func(u *state.User) {
			u.Sent.ImageID, u.Sent.Rendering = "i9", "v0"
			u.Failure = &state.Failure{Hash: "h0"}
		}), pool: limit(2, 9), want: "changed uploaded", log: "record intent=true sent=true failed=true, send 101, record intent=false sent=true failed=false"},
		"any number may": {pool: limit(0, 99), want: "new uploaded", log: fmt.Sprintf(sent, false)},

		"the one that was planned": {pool: applied(sum), want: "new uploaded", log: fmt.Sprintf(sent, false)},
		"planned unprepared":       {pool: applied(""), want: "new uploaded", log: fmt.Sprintf(sent, false)},
		"another was planned":      {pool: applied("u9"), want: "held held"},

		"gone":                 {unread: sources.ErrGone, want: "no_photo skipped"},
		"no photo any more":    {unread: sources.ErrNoPhoto, want: "no_photo skipped"},
		"being written":        {unread: sources.ErrUnstable, want: "being_written skipped"},
		"too large by now":     {unread: sources.ErrTooLarge, want: "invalid_image failed"},
		"the source is broken": {unread: errors.New("no route to host"), want: "new failed"},
	} {
		s := &side{unread: c.unread, change: c.pool}
		s.answer = func() (smartsheet.UploadResult, error) { return answer(101, "ann@x", "i1", "SUCCESS", 0), nil }
		it, err := s.run(t, c.work)
		if got, log := fmt.Sprint(it.Reason, " ", it.Outcome), strings.Join(s.log, ", "); err != nil || got != c.want || log != c.log {
			t.Errorf("%s: %s, error %v, log %s\nwant %s, log %s", name, got, err, log, c.want, c.log)
		}
		if it.Outcome == outcome.Held && (it.Message == "" || it.Hint == "") {
			t.Errorf("%s: %+v", name, it)
		}
	}
}

// A preview prepares the picture, and sends and records nothing.
func TestPreview(t *testing.T) {
	for _, thumbnails := range []bool{false, true} {
		s := &side{only: true, change: func(p *Pool, _ []*plan.Step) { p.Thumbnails, p.MaxShared, p.Same = thumbnails, 1, map[string]int{} }}
		it, err := s.run(t, nil)
		if err != nil || it.Outcome != outcome.Planned || len(s.log) > 0 || it.Image == nil || it.Image.UploadSHA256 != annsPicture(t) ||
			strings.HasPrefix(it.Image.Thumbnail, "data:image/jpeg;base64,") != thumbnails {
			t.Errorf("%+v, error %v, log %q", it, err, s.log)
		}
	}
	var steps []*plan.Step
	s := &side{only: true, unread: sources.ErrTooLarge, change: func(_ *Pool, up []*plan.Step) { steps = up }}
	if it, err := s.run(t, nil); err != nil || it.Outcome != outcome.Failed || !steps[0].Dropped || len(s.log) > 0 {
		t.Errorf("%+v, error %v, log %q", it, err, s.log)
	}
}

// Thumbnails are first for pictures that are replaced, then for a sample by hash.
func TestByNeed(t *testing.T) {
	var steps []*plan.Step
	for _, s := range [][3]string{{"a@x", "", "h2"}, {"b@x", "i1", "h3"}, {"c@x", "", "h1"}, {"d@x", "i1", "h1"}} {
		steps = append(steps, &plan.Step{
			Work: &plan.Work{Joined: sources.Joined{Own: []string{s[0]}}, Photo: &plan.Photo{SHA256: s[2]}}, To: &plan.User{ImageID: s[1]},
		})
	}
	var got []string
	for _, s := range ByNeed(steps) {
		got = append(got, s.Key())
	}
	if want := []string{"d@x", "b@x", "c@x", "a@x"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// What the report says of people to whom nothing is sent.
func TestItem(t *testing.T) {
	rules := plan.NewRules([]sources.Named{{Name: "hr"}}, &plan.Policy{}, &plan.Scope{})
	rules.Unended = []string{"killed"}
	failed := func(f state.Failure) *state.User { return &state.User{ID: 101, Failure: &f} }
	for name, c := range map[string]struct {
		step     plan.Step
		message  string
		hint     string
		code     string
		reported bool
	}{
		"refused by Smartsheet": {plan.Step{Reason: outcome.KnownBad, Record: failed(state.Failure{Code: "1074", Message: "no", RefID: "x1", RunID: "r1"})}, "no", "--retry-failed", "1074 x1", true},
		"refused by us":         {plan.Step{Reason: outcome.KnownBad, Record: failed(state.Failure{Code: "truncated", Message: "cut", RunID: "r1"})}, "cut", "--retry-failed", "truncated", true},
		"no report named it":    {plan.Step{Reason: outcome.KnownBad, Record: failed(state.Failure{Code: "truncated", Message: "cut", RunID: "killed"})}, "cut", "--retry-failed", "truncated", false},
		"shared":                {plan.Step{Reason: outcome.SharedImage, Outcome: outcome.Held, Shared: 1234}, "1,234 people have", "ignore_pictures: [h1]", "", false},
		"the user's own":        {plan.Step{Reason: outcome.UserChanged}, "policy.existing", "", "", false},
		"ambiguous":             {plan.Step{Reason: outcome.Ambiguous, Conflict: []string{"hr: a", "hr: b"}}, "2 candidates", "leave only one", "", false},
		"being written":         {plan.Step{Reason: outcome.BeingWritten}, "", "wait", "", false},
		"not reached":           {plan.Step{Reason: outcome.Changed, Outcome: outcome.Unfinished, Why: "by --limit"}, "by --limit", "retry by itself", "", false},
	} {
		c.step.Work = &plan.Work{
			Joined: sources.Joined{Own: []string{"ann@x"}, Candidates: []sources.Candidate{{Person: sources.Person{Ref: sources.Ref{Name: "ann.jpg"}}}}},
			Photo:  &plan.Photo{SHA256: "h1"},
		}
		it := Item(rules, &c.step)
		code := it.Code
		if it.ErrorCode != nil {
			code = fmt.Sprint(*it.ErrorCode, " ", *it.RefID)
		}
		if it.Email != "ann@x" || it.Source != "hr" || it.Ref != "ann.jpg" || !strings.HasPrefix(it.Message, c.message) ||
			!strings.Contains(it.Hint, c.hint) || (it.Hint == "") != (c.hint == "") || code != c.code || it.AlreadyReported != c.reported {
			t.Errorf("%s: %+v, code %q", name, it, code)
		}
	}
}
