package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/photo"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
)

// side is everything that a pool works with: it answers as a test wants it and notes
// what happens, in order.
type side struct {
	log    []string
	answer func() (smartsheet.UploadResult, error)
	now    plan.User // the user when looked up
	broken error     // of the state
	user   state.User
	person state.Person
	grown  bool                      // the photo is too large when it is to be sent
	unread error                     // of reading the photo when it is to be sent
	change func(*Pool, []*plan.Step) // changes the pool and the steps; nil: nothing
	only   bool                      // the picture is only prepared
	ctx    context.Context           // of the run; nil: the test's
}

func (s *side) note(format string, args ...any) { s.log = append(s.log, fmt.Sprintf(format, args...)) }

func (s *side) Upload(_ context.Context, u smartsheet.User, _ smartsheet.Image, before time.Time) (smartsheet.UploadResult, error) {
	if time.Now().After(before) {
		s.note("too late")
		return smartsheet.UploadResult{}, smartsheet.ErrTooLate
	}
	s.note("send %d", u.ID)
	return s.answer()
}

func (s *side) LookUpAgain(_ context.Context, steps []*plan.Step) ([]plan.User, error) {
	s.note("look up again")
	u := s.now
	u.Seen = time.Now()
	return []plan.User{u}, nil
}

func (s *side) ByID(context.Context, int64) (plan.User, error) {
	s.note("look up one")
	return s.now, nil
}

func (s *side) Write(c state.Change) error {
	if s.broken != nil {
		return s.broken
	}
	for _, u := range c.Users {
		s.user = u
		s.note("record intent=%v sent=%v failed=%v", u.Intent != nil, u.Sent != nil, u.Failure != nil)
	}
	for _, p := range c.People {
		s.person = p
	}
	for range c.ForgetUsers {
		s.note("forget")
	}
	return nil
}

// oneSource is a source that lists ann alone.
type oneSource struct {
	data []byte
	err  error // of reading her photo
}

func (o *oneSource) List(_ context.Context, each func(sources.Person) error) (sources.Listing, error) {
	err := each(sources.Person{Own: []string{"ann@x"}, Ref: sources.Ref{Name: "ann"}, Stamp: "1", HasPhoto: sources.Present})
	return sources.Listing{Entries: 1, Complete: true}, err
}

func (o *oneSource) Photos(_ context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	return each(sources.Photo{Ref: refs[0], Data: o.data, Err: o.err, Emails: []string{"ann@x"}})
}

// run sends ann's new photo to user 101, whose picture was i0.
func (s *side) run(t *testing.T, change func(*plan.Work)) (report.Item, error) {
	t.Helper()
	var pic bytes.Buffer
	if err := png.Encode(&pic, image.NewRGBA(image.Rect(0, 0, 4, 4))); err != nil {
		t.Fatal(err)
	}
	mem := &oneSource{data: pic.Bytes()}
	srcs := []sources.Named{{Name: "mem", Source: mem}}
	people, _, err := sources.Join(t.Context(), srcs)
	if err != nil {
		t.Fatal(err)
	}
	j, _ := people.Holder("ann@x")
	s.now = plan.User{ID: 101, Email: "ann@x", Via: "ann@x", Active: true, ImageID: "i0", Seen: time.Now()}
	w := &plan.Work{Joined: j, Users: []plan.User{s.now}, Photo: &plan.Photo{SHA256: plan.Sum(pic.Bytes())}}
	if change != nil {
		change(w)
	}
	photos := photo.Options{MaxBytes: 1 << 20}
	policy := &plan.Policy{Rendering: photos.Fingerprint()}
	rules := plan.NewRules(srcs, policy, &plan.Scope{})
	p := plan.Build(rules, []*plan.Work{w}, plan.NewFacts(srcs, nil), 0)
	pool := &Pool{Plan: p, Photos: photos, Smartsheet: s, Users: s, State: s, RunID: "r"}
	if s.grown {
		s.unread = fmt.Errorf("%w: 99 MB", sources.ErrTooLarge)
	}
	if s.unread != nil {
		mem.data, mem.err = nil, s.unread
	}
	up := p.Uploads()
	if s.change != nil {
		s.change(pool, up)
	}
	if s.ctx == nil {
		s.ctx = t.Context()
	}
	do := pool.Run
	if s.only {
		do = pool.Preview
	}
	items, err := do(s.ctx, up)
	if len(items) != 1 {
		t.Fatalf("%d items", len(items))
	}
	return items[0], err
}

func answer(id int64, email, image, message string, code int) smartsheet.UploadResult {
	return smartsheet.UploadResult{
		Attempts: 1, HTTPStatus: 200, Message: message, ResultCode: &code,
		Users: []smartsheet.User{{ID: id, Email: email, ImageID: image}},
	}
}

// What is recorded before and after an upload, by its answer.
func TestAnswers(t *testing.T) {
	refused := &smartsheet.Error{Op: "set", Status: 400, Code: 1074, RefID: "x1", Message: "no"}
	lost := &smartsheet.Error{Op: "set", Err: errors.New("connection reset")}
	for name, c := range map[string]struct {
		result smartsheet.UploadResult
		err    error
		shows  string // image id when looked up; empty: i0
		gone   bool   // the look-up finds no user with the address
		want   string // the item's outcome, and the log
		stops  bool
	}{
		"success": {result: answer(101, "ann@x", "i1", "SUCCESS", 0),
			want: "uploaded: record intent=true sent=false failed=false, send 101, record intent=false sent=true failed=false"},
		"the address in capitals": {result: answer(101, "Ann@X", "i1", "SUCCESS", 0),
			want: "uploaded: record intent=true sent=false failed=false, send 101, record intent=false sent=true failed=false"},
		"no user named": {result: smartsheet.UploadResult{Attempts: 1, Message: "SUCCESS", ResultCode: new(int)}, shows: "i1",
			want: "uploaded: record intent=true sent=false failed=false, send 101, look up one, record intent=false sent=true failed=false"},
		"another user": {result: answer(102, "ann@x", "i1", "SUCCESS", 0), stops: true,
			want: "failed: record intent=true sent=false failed=false, send 101, record intent=true sent=false failed=true"},
		"another address": {result: answer(101, "bob@x", "i1", "SUCCESS", 0), stops: true,
			want: "failed: record intent=true sent=false failed=false, send 101, record intent=true sent=false failed=true"},
		"partial, with an image": {result: answer(101, "ann@x", "i1", "PARTIAL_SUCCESS", 3),
			want: "partial_success: record intent=true sent=false failed=false, send 101, record intent=false sent=true failed=true"},
		"partial, without": {result: answer(101, "ann@x", "", "PARTIAL_SUCCESS", 3),
			want: "partial_success: record intent=true sent=false failed=false, send 101, look up one, record intent=false sent=false failed=true"},
		"refused": {result: smartsheet.UploadResult{Attempts: 1, HTTPStatus: 400}, err: refused,
			want: "failed: record intent=true sent=false failed=false, send 101, record intent=false sent=false failed=true"},
		"lost, and arrived": {result: smartsheet.UploadResult{Attempts: 1, Unknown: true}, err: lost, shows: "i1",
			want: "uploaded: record intent=true sent=false failed=false, send 101, look up one, record intent=false sent=true failed=false"},
		"lost, then refused": {result: smartsheet.UploadResult{Attempts: 2, HTTPStatus: 400, Unknown: true}, err: refused,
			want: "failed: record intent=true sent=false failed=false, send 101, look up one, record intent=false sent=false failed=true"},
		"lost, then refused, and arrived": {result: smartsheet.UploadResult{Attempts: 2, HTTPStatus: 400, Unknown: true}, err: refused, shows: "i1",
			want: "uploaded: record intent=true sent=false failed=false, send 101, look up one, record intent=false sent=true failed=false"},
		"lost, then a proxy": {result: smartsheet.UploadResult{Attempts: 2, HTTPStatus: 404, Unknown: true}, err: &smartsheet.Error{Op: "set", Status: 404, Message: "no"},
			want: "failed: record intent=true sent=false failed=false, send 101, look up one, record intent=true sent=false failed=true"},
		"not found, and created anew": {result: smartsheet.UploadResult{Attempts: 1, HTTPStatus: 404}, err: &smartsheet.Error{Op: "set", Status: 404, Code: 1020, RefID: "x2", Message: "no"}, gone: true,
			want: "unfinished: record intent=true sent=false failed=false, send 101, look up again, forget"},
		"not found, and listed": {result: smartsheet.UploadResult{Attempts: 1, HTTPStatus: 404}, err: &smartsheet.Error{Op: "set", Status: 404, Code: 1020, Message: "no"},
			want: "failed: record intent=true sent=false failed=false, send 101, look up again, record intent=false sent=false failed=true"},
		"lost, and not seen": {result: smartsheet.UploadResult{Attempts: 1, Unknown: true}, err: lost,
			want: "failed: record intent=true sent=false failed=false, send 101, look up one, record intent=true sent=false failed=true"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &side{}
			s.answer = func() (smartsheet.UploadResult, error) {
				if c.shows != "" {
					s.now.ImageID = c.shows
				}
				if c.gone {
					s.now = plan.User{}
				}
				return c.result, c.err
			}
			it, err := s.run(t, nil)
			if got := string(it.Outcome) + ": " + strings.Join(s.log, ", "); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
			if _, wrong := errors.AsType[*WrongUserError](err); wrong != c.stops || (err != nil) != c.stops {
				t.Errorf("error %v", err)
			}
			if it.Outcome == outcome.Failed && (it.Message == "" || it.Hint == "") {
				t.Errorf("item %+v", it)
			}
			if c.gone && (len(it.EarlierErrors) != 1 || it.EarlierErrors[0].RefID != "x2") {
				t.Errorf("earlier errors %+v", it.EarlierErrors)
			}
			if done := s.person.Fingerprint != (state.Fingerprint{}); done != (it.Outcome == outcome.Uploaded) {
				t.Errorf("the person counts as done: %v", done)
			}
		})
	}
}

// A fault that stops the run, and is not an answer to the upload, fails nobody; it stops the run.
func TestNoAccessToken(t *testing.T) {
	refused := &smartsheet.Error{Op: "refresh the access token", Status: 401, Message: "invalid_client"}
	s := &side{answer: func() (smartsheet.UploadResult, error) { return smartsheet.UploadResult{Attempts: 1}, refused }}
	if it, err := s.run(t, nil); it.Outcome != outcome.Unfinished || it.Message == "" || !errors.Is(err, refused) || s.log[len(s.log)-1] != "forget" {
		t.Errorf("%s %q, error %v, %q", it.Outcome, it.Message, err, s.log)
	}
}

// Bytes that the guards did not count, because the photo was another one then, are not sent in
// this run.
func TestNotCountedNotSent(t *testing.T) {
	s := &side{answer: func() (smartsheet.UploadResult, error) { return answer(101, "ann@x", "i1", "SUCCESS", 0), nil }}
	other := func(w *plan.Work) { w.Photo.SHA256 = "of other bytes" }
	if it, err := s.run(t, other); it.Outcome != outcome.Unfinished || err != nil || len(s.log) != 0 {
		t.Errorf("%s, error %v, %q", it.Outcome, err, s.log)
	}
}

// A photo that grew too large after it was planned says nothing of the bytes that were planned.
func TestTooLargeByNow(t *testing.T) {
	s := &side{grown: true}
	it, err := s.run(t, nil)
	if it.Reason != outcome.InvalidImage || it.Code != "too_large" || err != nil || len(s.log) != 0 {
		t.Errorf("%s %q, error %v, %q", it.Reason, it.Code, err, s.log)
	}
}

// A run that is stopped while the user is looked up records what that shows.
func TestStoppedDuringTheLookUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &side{ctx: ctx}
	s.answer = func() (smartsheet.UploadResult, error) {
		cancel()
		s.now.ImageID = "i1"
		return smartsheet.UploadResult{Attempts: 1, Message: "SUCCESS", ResultCode: new(int)}, nil
	}
	if it, err := s.run(t, nil); it.Outcome != outcome.Uploaded || it.ImageID != "i1" || !errors.Is(err, context.Canceled) {
		t.Errorf("%s %q, error %v", it.Outcome, it.ImageID, err)
	}
}

// The same bytes are partially successful once more, and then refused.
func TestPartialTwice(t *testing.T) {
	s := &side{answer: func() (smartsheet.UploadResult, error) { return answer(101, "ann@x", "i1", "PARTIAL_SUCCESS", 3), nil }}
	if _, err := s.run(t, nil); err != nil || s.user.Failure.Final {
		t.Fatal(err, s.user.Failure)
	}
	first := s.user
	if _, err := s.run(t, func(w *plan.Work) { w.Current, w.Former = &first, &first }); err != nil || !s.user.Failure.Final || s.user.Failure.Count != 2 {
		t.Errorf("%v, %+v", err, s.user.Failure)
	}
}

// A failed item without a refId has none in the report: nothing is printed behind the word.
func TestPartialWithoutRefID(t *testing.T) {
	s := &side{answer: func() (smartsheet.UploadResult, error) {
		res := answer(101, "ann@x", "i1", "PARTIAL_SUCCESS", 3)
		res.FailedItems = []smartsheet.FailedItem{{Error: &smartsheet.Error{Code: 1074, Message: "no"}}}
		return res, nil
	}}
	if it, err := s.run(t, nil); err != nil || it.RefID != nil || *it.ErrorCode != 1074 {
		t.Errorf("%v, refId %v", err, it.RefID)
	}
}

// A second intent keeps the picture that was there before the first; none if it was ours.
func TestForeign(t *testing.T) {
	s := &side{answer: func() (smartsheet.UploadResult, error) {
		return smartsheet.UploadResult{Attempts: 1, Unknown: true}, errors.New("lost")
	}}
	s.run(t, nil)
	if s.user.Intent.Foreign != "i0" {
		t.Errorf("%+v", s.user.Intent)
	}
	first := s.user
	s.run(t, func(w *plan.Work) {
		w.Users[0].ImageID, s.now.ImageID, w.Current, w.Former = "i7", "i7", &first, &first
	})
	if s.user.Intent.Foreign != "i0" {
		t.Errorf("the second: %+v", s.user.Intent)
	}
	ours := state.User{ID: 101, Sent: &state.Sent{ImageID: "i0", SourceSHA256: "h"}}
	s.run(t, func(w *plan.Work) { w.Current, w.Former = &ours, &ours })
	if s.user.Intent.Foreign != "" {
		t.Errorf("ours: %+v", s.user.Intent)
	}
}

// A picture goes to nobody who was looked up more than five minutes ago, and to nobody
// who lost the address since.
func TestOldLookUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &side{answer: func() (smartsheet.UploadResult, error) { return answer(101, "ann@x", "i1", "SUCCESS", 0), nil }}
		old := func(w *plan.Work) { w.Users[0].Seen = time.Now().Add(-plan.MaxAge - time.Second) }
		it, err := s.run(t, old)
		if err != nil || it.Outcome != "uploaded" || s.log[0] != "look up again" {
			t.Errorf("%v, %s, %v", err, it.Outcome, s.log)
		}
		s = &side{answer: s.answer}
		it, err = s.run(t, func(w *plan.Work) { old(w); s.now = plan.User{} })
		if err != nil || it.Outcome != "unfinished" || len(s.log) != 1 {
			t.Errorf("%v, %s, %v", err, it.Outcome, s.log)
		}
	})
}

// A user who lost the address is not looked up once more for each of the steps behind.
func TestOldLookUpsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &side{}
		pool := &Pool{Plan: &plan.Plan{Rules: &plan.Rules{}}, Users: s}
		var steps []*plan.Step
		for range 3 {
			steps = append(steps, &plan.Step{Work: &plan.Work{}, Record: &state.User{}, Outcome: outcome.Planned, To: &plan.User{ID: 101}})
		}
		for i := range steps {
			pool.Users = again(func() []plan.User { s.note("look up"); return make([]plan.User, len(steps)-i) })
			if err := pool.freshen(t.Context(), steps[i:]); err != nil {
				t.Fatal(err)
			}
		}
		if len(s.log) != 1 {
			t.Errorf("%v", s.log)
		}
	})
}

// again is Users that shows users as it wants them.
type again func() []plan.User

func (a again) LookUpAgain(context.Context, []*plan.Step) ([]plan.User, error) { return a(), nil }
func (a again) ByID(context.Context, int64) (plan.User, error)                 { return plan.User{}, nil }

// Nothing is sent that could not be announced.
func TestStateThatDoesNotWrite(t *testing.T) {
	s := &side{broken: errors.New("no space left on device")}
	it, err := s.run(t, nil)
	if err == nil || !strings.Contains(it.Message, "not recorded") || len(s.log) != 0 {
		t.Errorf("%v, %+v, %v", err, it, s.log)
	}
}

// Some people find one user only, who is somebody else by another address.
func TestOneCandidate(t *testing.T) {
	s := &plan.Step{Work: &plan.Work{Joined: sources.Joined{Own: []string{"ann@x"}}}, Reason: outcome.Ambiguous, Conflict: []string{"smartsheet: user 5"}}
	if got, want := Item(&plan.Rules{}, s).Message, "1 candidate for several people, and only a human can tell which is right"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A step that fails before anything is sent says what to do about it.
func TestAFailedStepHasAHint(t *testing.T) {
	p := &plan.Plan{Rules: &plan.Rules{Policy: &plan.Policy{}}}
	s := &plan.Step{Work: &plan.Work{Joined: sources.Joined{Own: []string{"ann@x"}}}, Reason: outcome.New, Outcome: outcome.Planned}
	s.To = &plan.User{ID: 7, Alternate: true}
	p.Renew(s, plan.User{NoAnswer: "HTTP 403"})
	if it := Item(p.Rules, s); it.Outcome != outcome.Failed || !strings.Contains(it.Message, "HTTP 403") || !strings.Contains(it.Hint, "match.exclude") {
		t.Errorf("%+v", it)
	}
}

// jumped is a time that was read just before the wall clock jumped back by d: its reading
// of the wall clock is d ahead, and that of the monotonic clock, which does not jump, is as
// it was. A time keeps the seconds of the wall clock above 30 bits of nanoseconds.
func jumped(t *testing.T, at time.Time, d time.Duration) time.Time {
	was := at
	*(*uint64)(unsafe.Pointer(&at)) += uint64(int64(d/time.Second)) << 30
	if wall := at.Round(0).Sub(was.Round(0)); wall != d || at.Sub(was) != 0 {
		t.Fatalf("%v and %v: the wall clock jumped by %v, and the other one by %v", was, at, wall, at.Sub(was))
	}
	return at
}

// A wall clock that jumps while a run is under way makes no look-up younger. One that jumps
// ahead may mean that the machine was suspended: the user is looked up again.
func TestClockThatJumps(t *testing.T) {
	for _, back := range []time.Duration{-400 * 24 * time.Hour, -time.Hour, -6 * time.Minute, 6 * time.Minute, time.Hour, 400 * 24 * time.Hour} {
		for age, old := range map[time.Duration]bool{time.Minute: false, plan.MaxAge - freshenBefore + time.Second: true, 2 * plan.MaxAge: true} {
			s := &side{answer: func() (smartsheet.UploadResult, error) { return answer(101, "ann@x", "i1", "SUCCESS", 0), nil }}
			it, err := s.run(t, func(w *plan.Work) { w.Users[0].Seen = jumped(t, time.Now().Add(-age), back) })
			if err != nil || it.Outcome != "uploaded" || (s.log[0] == "look up again") != (old || back < 0) {
				t.Errorf("seen %v ago, set back by %v: %v, %s, %v", age, back, err, it.Outcome, s.log)
			}
		}
	}
}

// batches counts the rows of people in each transaction.
type batches struct {
	side
	sizes []int
}

func (b *batches) Write(c state.Change) error {
	b.sizes = append(b.sizes, len(c.People))
	return b.broken
}

// The rows of new people are written together, the last ones at the end. Another person's row does
// not wait: the one that is there may name another user.
func TestRowsOfNewPeople(t *testing.T) {
	srcs := []sources.Named{{Name: "mem", Source: &oneSource{}}}
	rules := plan.NewRules(srcs, &plan.Policy{}, &plan.Scope{})
	b := &batches{}
	p := &Pool{Plan: plan.Build(rules, nil, plan.NewFacts(srcs, nil), 0), State: b}
	record := func(row *state.Person) {
		j := sources.Joined{Own: []string{"ann@x"}, Candidates: []sources.Candidate{{Person: sources.Person{HasPhoto: sources.Present}}}}
		a := attempt{Pool: p, step: &plan.Step{Work: &plan.Work{Joined: j, Row: row}, Record: &state.User{}, To: &plan.User{ID: 101}}}
		if err := a.recordUser(a.row(), outcome.Unchanged); err != nil {
			t.Fatal(err)
		}
	}
	for range newAtOnce + 1 {
		record(nil)
	}
	record(&state.Person{Email: "ann@x"})
	if err := p.finish(); err != nil {
		t.Fatal(err)
	}
	want := append(make([]int, newAtOnce-1), newAtOnce, 0, 1, 1)
	if !slices.Equal(b.sizes, want) {
		t.Errorf("%v", b.sizes)
	}
}
