package job

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/photo"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

// history is everything that happens in one simulated world. The same history gives
// the same course of events.
type history struct {
	Seed         uint64
	People       int
	Sources      int
	Keyed        bool
	Existing     plan.Existing
	RemovedAfter int
	Concurrency  int
	RPM          int
	Excluded     string
	Nights       []night
}

// night is a run and what happens before and meanwhile. Moments are counted in steps
// of the world: the end of a listing, the reading of photos, and before, between and
// after the two halves of each call to Smartsheet.
type night struct {
	Existing     plan.Existing
	RemovedAfter int
	Mode         string
	Pause        time.Duration // before it
	Edits        []edit        // before it
	During       []moment
	Faults       []string // of Smartsheet
	Lost         []int    // which uploads get no answer
	Kill         int      // the step at which the process dies; 0: it lives
	KillOn       string   // or what happens then
	Second       int      // the step at which a second process comes; 0: none
	Broken       int      // the listing of this source fails; 0: none
	Force        bool
	Checksum     bool
	RetryFailed  bool
	Guards       bool
	Approve      bool // if it is held
	Only         string
	Source       string
	Limit        int
}

// moment is a step by its number or, the first time, by what happens.
type moment struct {
	At   int
	On   string
	Edit edit
}

// faults of Smartsheet that can be put into a night.
var faults = []string{
	"status:500/4000,count=1", "status:500/4004,every=3", "status:503/4001,count=2", "status:429/4003,count=2",
	"status:403/1004,count=1", "status:400/1128,count=1", "status:404/1020,count=1", "partial,count=1", "partial,every=2",
	"partial,as=null", "partial,as=null,count=1", "says:PARTIAL_SUCCESS/3,count=1",
	"html,count=1", "empty,count=1", "reset,count=2", "truncate,count=1", "lost,count=1", "lost,every=2", "unreadable,count=1",
	"status:500/4000,op=users,count=1", "status:401/1002,skip=2", "status:503/4001,op=users", "hang,count=1",
	"says:FAILURE/0,count=1", "says:ERROR/0,every=2", "maintenance,for=20m",
}

func newHistory(seed uint64) history {
	r := rand.New(rand.NewPCG(seed, 15))
	chance := func(percent int) bool { return r.IntN(100) < percent }
	h := history{
		Seed: seed, People: 1 + r.IntN(6), Sources: 1, Keyed: chance(60), Concurrency: 1 + r.IntN(4), RPM: 100_000,
		Existing:     pick([]plan.Existing{plan.OnSourceChange, plan.Enforce, plan.RespectUser, plan.FillEmpty}, r.IntN(4)),
		RemovedAfter: pick([]int{0, 0, 1, 2, 3}, r.IntN(5)),
	}
	switch {
	case chance(4):
		h.People = 20 + r.IntN(60)
	case chance(10):
		h.People = 7 + r.IntN(14)
	}
	if chance(30) {
		h.Sources = 2
	}
	if chance(15) {
		h.RPM, h.Concurrency = 1+r.IntN(4), 1 // whose turn it is at the quota is up to the scheduler
	}
	if chance(10) {
		h.Excluded = email(r.IntN(h.People + 1))
	}
	var all []string
	for _, name := range editNames {
		for range edits[name] {
			all = append(all, name)
		}
	}
	someEdit := func() edit {
		return edit{all[r.IntN(len(all))], r.IntN(h.People + 2), r.IntN(h.People + 4), r.IntN(1000)}
	}
	for range 1 + r.IntN(6) {
		n := night{Existing: h.Existing, RemovedAfter: h.RemovedAfter, Mode: Sync, Pause: time.Duration(1+r.IntN(60)) * time.Hour}
		if chance(5) {
			n.Pause = 170 * time.Hour
		}
		if chance(4) {
			n.Existing = pick([]plan.Existing{plan.OnSourceChange, plan.Enforce, plan.RespectUser, plan.FillEmpty}, r.IntN(4))
		}
		for range r.IntN(5) {
			n.Edits = append(n.Edits, someEdit())
		}
		steps := 8 + 4*h.People
		if chance(35) {
			for range 1 + r.IntN(3) {
				n.During = append(n.During, moment{At: 1 + r.IntN(steps), Edit: someEdit()})
			}
		}
		if chance(25) {
			n.Faults = append(n.Faults, faults[r.IntN(len(faults))])
		}
		if chance(12) {
			n.Lost = append(n.Lost, 1+r.IntN(2*h.People))
		}
		if chance(20) {
			n.Kill = 1 + r.IntN(steps)
		}
		if chance(3) {
			n.Second = 1 + r.IntN(steps)
		}
		if chance(6) {
			n.Broken = 1 + r.IntN(h.Sources)
		}
		switch {
		case chance(4):
			n.Mode = Plan
		case chance(4):
			n.Mode = Apply
		}
		n.Force, n.Checksum, n.RetryFailed, n.Guards = chance(4), chance(6), chance(6), chance(8)
		n.Approve = n.Guards && chance(50)
		if chance(5) {
			n.Only = email(r.IntN(h.People))
		}
		if chance(5) {
			n.Limit = 1 + r.IntN(3)
		}
		h.Nights = append(h.Nights, n)
	}
	return h
}

// world runs a history.
type world struct {
	h         history
	c         *company
	dir       string
	st        *state.Store
	users     map[int64]*memory
	known     map[string]int      // by entry: the photo that a run which ended well read last
	lost      map[int64]time.Time // when the last upload went that nobody answered
	excluded  string
	o         *watch
	planned   *plan.File
	reports   []*report.Report
	dead      bool
	approving bool
	stop      context.CancelCauseFunc

	mu      sync.Mutex
	steps   int
	uploads int
	nth     map[string]uint64
	log     []string
	faults  []string
}

func (w *world) fail(promise, detail string) {
	w.faults = append(w.faults, fmt.Sprintf("NOT KEPT: %s\n    %s", promise, detail))
}

func (w *world) note(format string, args ...any) { w.log = append(w.log, fmt.Sprintf(format, args...)) }

func (w *world) memory(id int64) *memory {
	m := w.users[id]
	if m == nil {
		m = &memory{images: map[string]int{}, hashes: map[string]bool{}, refused: map[int]bool{}}
		w.users[id] = m
	}
	return m
}

// step lets happen what is to happen now.
func (w *world) step(what string) {
	if w.happens(what) == w.o.night.Second && !w.dead {
		st, err := state.Open(w.path(), state.Options{})
		if _, ok := errors.AsType[*state.LockedError](err); !ok {
			w.fail(pLocked, fmt.Sprint(err))
		}
		if err == nil {
			st.Close()
		}
	}
}

// happens is step, and returns the number of the step.
func (w *world) happens(what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steps++
	n := w.o.night
	w.note("  step %d: %s", w.steps, what)
	for _, m := range n.During {
		if m.At == w.steps || w.first(m.On, what) {
			w.note("    meanwhile %v", m.Edit)
			w.c.apply(m.Edit)
		}
	}
	if !w.dead && (n.Kill == w.steps || w.first(n.KillOn, what)) {
		w.note("    the process dies")
		w.dead = true
		w.st.Close()
		w.stop(ErrSignal)
	}
	return w.steps
}

// first reports whether what happens for the first time in a run; on: what to look for.
func (w *world) first(on, what string) bool {
	if on == "" || !strings.Contains(what, on) {
		return false
	}
	w.nth["on "+on]++
	return w.nth["on "+on] == 1
}

func (w *world) path() string { return filepath.Join(w.dir, "state.db") }

var errDead = errors.New("the process is dead")

// watched is a source that the oracle watches.
type watched struct {
	sources.Source
	w      *world
	source int
}

func (s watched) List(ctx context.Context, each func(sources.Person) error) (sources.Listing, error) {
	var got listed
	l, err := s.Source.List(ctx, func(p sources.Person) error {
		q := 0
		for _, e := range s.w.c.entries {
			if e.source == s.source && e.own == p.Own[0] && e.key == p.Ref.Key {
				q = e.photo
			}
		}
		got.people, got.photos = append(got.people, p), append(got.photos, q)
		return each(p)
	})
	if s.w.o.night.Broken == s.source+1 {
		l.Complete, err = false, errors.New("the connection was cut")
	}
	got.complete = l.Complete && err == nil
	s.w.o.listings = append(s.w.o.listings, got)
	s.w.step(fmt.Sprintf("source %d is listed", s.source))
	if s.w.dead {
		return l, errDead
	}
	return l, err
}

func (s watched) Photos(ctx context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	s.w.step(fmt.Sprintf("%d photos of source %d are read", len(refs), s.source))
	if s.w.dead {
		return errDead
	}
	return s.Source.Photos(ctx, refs, func(p sources.Photo) error {
		r := reading{emails: p.Emails}
		if p.Err == nil {
			r.photo = photoOf(p.Data)
		}
		s.w.mu.Lock()
		id := entryID(s.source, p.Ref)
		s.w.o.reads[id] = append(s.w.o.reads[id], r)
		s.w.o.readings++
		s.w.mu.Unlock()
		return each(p)
	})
}

// wire is the way to Smartsheet and back. Each half of a call takes some time of its
// own, so that calls that were begun together go on one after the other.
type wire struct {
	w     *world
	inner http.RoundTripper
}

func (t wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w := t.w
	op, id := operation(r)
	call := fmt.Sprint(op, " ", id, " ", r.URL.Query().Get("email"))
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body.Close()
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	upload := op == "upload"
	w.mu.Lock()
	dead := w.dead
	w.o.requests[op]++
	if upload && !dead {
		w.note("  picture %d goes to user %d", photoOf(body), id)
		w.o.sending(id, body)
		w.memory(id).doubt = true
		w.lost[id] = time.Now()
		w.uploads++
	}
	nth, sent := w.uploads, body
	w.mu.Unlock()
	if dead || !w.pass(r.Context(), call+" begins") {
		return nil, errDead
	}
	u := w.c.user(id)
	resp, err := t.inner.RoundTrip(r)
	asked := time.Now()
	if upload && u != nil {
		if img, ok := w.c.sim.Image(u.email); ok && img.ID != u.image {
			w.o.arrived(u, img.ID, sent)
		}
	}
	if !w.pass(r.Context(), call+" is there") {
		return nil, errDead
	}
	if upload && slices.Contains(w.o.night.Lost, nth) && err == nil {
		resp.Body.Close()
		resp, err = nil, errors.New("connection reset by peer")
	}
	status := 0
	if err == nil {
		status = resp.StatusCode
		data, readErr := io.ReadAll(resp.Body)
		resp.Body = io.NopCloser(bytes.NewReader(data))
		if readErr != nil {
			return nil, readErr
		}
		body = data
	}
	w.step(call + fmt.Sprintf(" is answered: %d %v", status, err))
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case upload:
		w.o.answer(id, photoOf(sent), status, body)
	case status == http.StatusOK && op != "me":
		w.o.saw(r, body, asked)
	}
	return resp, err
}

// pass takes a time that depends on the call and on nothing else, and reports whether
// the process still lives.
func (w *world) pass(ctx context.Context, what string) bool {
	w.mu.Lock()
	w.nth[what]++
	f := fnv.New64a()
	fmt.Fprint(f, w.h.Seed, what, w.nth[what])
	w.mu.Unlock()
	select {
	case <-time.After(50*time.Millisecond + time.Duration(f.Sum64()%uint64(2*time.Second))):
	case <-ctx.Done():
		return false
	}
	w.step(what)
	return !w.dead
}

func operation(r *http.Request) (op string, id int64) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/2.0/"), "/")
	switch {
	case len(parts) == 1:
		return parts[0], 0
	case parts[1] == "me":
		return "me", 0
	}
	id, _ = strconv.ParseInt(parts[1], 10, 64) // 0: nobody's
	if len(parts) == 3 {
		return "upload", id
	}
	return "user", id
}

// saw notes what an answer shows of users, and of addresses that nobody has.
func (o *watch) saw(r *http.Request, body []byte, at time.Time) {
	type user struct {
		ID           int64
		Email        string
		Status       string
		ProfileImage struct{ ImageID string }
	}
	var list struct{ Data []user }
	var one user
	if json.Unmarshal(body, &list) != nil || json.Unmarshal(body, &one) != nil {
		return
	}
	if one.ID != 0 {
		list.Data = append(list.Data, one)
	}
	for _, a := range strings.Split(r.URL.Query().Get("email"), ",") {
		for id, l := range o.looks {
			if a != "" && strings.EqualFold(l.email, a) {
				o.looks[id] = look{}
			}
		}
	}
	for _, u := range list.Data {
		o.looks[u.ID] = look{u.Email, u.ProfileImage.ImageID, u.Status == "ACTIVE", at}
	}
}

// night runs once, and once more if the run is held and somebody approves it.
func (w *world) night(n *night) (*report.Report, error) {
	r, err := w.run(n, "")
	held, ok := errors.AsType[*HeldError](err)
	if !ok || !n.Approve || w.o.night.Kill > 0 {
		return r, err
	}
	again := *n
	again.During, again.Faults, again.Lost, again.Second = nil, nil, nil, 0
	moved := len(n.During) > 0
	w.note("  plan %s is approved", held.PlanID)
	r, err = w.run(&again, held.PlanID)
	if Held(err) && !moved {
		w.fail(pGuard, "the approved plan is held")
	}
	return r, err
}

// run runs once and lets the oracle look at it.
func (w *world) run(n *night, approve string) (*report.Report, error) {
	w.approving = approve != ""
	w.o = &watch{
		w: w, night: n, looks: map[int64]look{}, reads: map[string][]reading{}, answered: map[int64]string{}, images: map[int64]string{},
		sentTo: map[int64]bool{}, replaced: map[int64]bool{}, shared: map[int]map[int64]bool{}, requests: map[string]int{}, repeats: map[int64]bool{},
	}
	w.steps, w.uploads, w.nth = 0, 0, map[string]uint64{}
	w.c.sim.ClearFaults()
	for _, text := range n.Faults {
		f, err := simulator.ParseFault(text)
		if err != nil {
			panic(err)
		}
		w.c.sim.AddFault(f)
	}
	c, err := smartsheet.New(smartsheet.Options{
		BaseURL: "https://api.example.test/2.0", Transport: wire{w, w.c.sim.Transport()}, Token: "t", RequestsPerMinute: w.h.RPM,
		Timeout: 30 * time.Second, MaxAttempts: 4, MaxWait: 5 * time.Minute, Grace: 25 * time.Second,
	})
	if err != nil {
		panic(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	w.stop = cancel
	j := Job{
		Parts: Parts{State: w.st, Smartsheet: c, Root: "https://api.example.test/2.0", Photos: photo.Options{MaxBytes: 1_000_000}},
		How:   How{Mode: n.Mode, RunID: fmt.Sprint("run", time.Now().Unix()), Concurrency: w.h.Concurrency, Approve: approve},
		Scope: plan.Scope{Force: n.Force, Checksum: n.Checksum, RetryFailed: n.RetryFailed, Limit: n.Limit},
		Policy: plan.Policy{
			Existing: n.Existing, RemovedAfter: n.RemovedAfter,
			Patterns: []string{w.excluded}, Excluded: func(e string) bool { return e == w.excluded },
		},
	}
	for i := range w.c.mems {
		j.Sources = append(j.Sources, sources.Named{Name: fmt.Sprint("source", i), Type: "memory", Source: watched{w.c.source(i), w, i}})
	}
	if n.Source != "" {
		j.Scope.Source = n.Source
	}
	if n.Only != "" {
		j.Scope.Only = func(e string) bool { return e == n.Only }
	}
	if n.Guards {
		j.Policy.Guards = &plan.Guards{
			MaxReplaced: plan.Limit{N: guardReplaced}, MaxRemoved: plan.Limit{N: guardRemoved}, MaxShared: guardShared,
		}
	}
	switch n.Mode {
	case Plan:
		j.Events.File = func(f *plan.File) { w.planned = f }
	case Apply:
		if j.How.Apply = w.planned; w.planned == nil {
			j.How.Mode = Sync
		}
	}
	r, err := Run(ctx, j)
	w.note("  the run ended: %v; %v", err, summary(r))
	switch {
	case w.dead:
		w.dead = false
		st, err := state.Open(w.path(), state.Options{})
		if err != nil {
			w.fail(pLost, fmt.Sprintf("the state does not open: %v", err))
			return nil, err
		}
		w.st = st
	default:
		w.reports = append(w.reports, r)
		w.o.ended(r, err)
	}
	return r, err
}

func summary(r *report.Report) (lines []string) {
	if r == nil {
		return nil
	}
	for _, it := range r.Items {
		lines = append(lines, fmt.Sprintf("%s=%d %s %s", it.Email, it.UserID, it.Reason, it.Outcome))
	}
	return lines
}

func newWorld(h history, dir string) *world {
	return &world{
		h: h, dir: dir, c: newCompany(h.Sources, h.Keyed, simulator.Options{}), users: map[int64]*memory{},
		known: map[string]int{}, lost: map[int64]time.Time{}, excluded: h.Excluded,
	}
}

// play runs a history and returns what was not kept; the log says what happened.
func play(t *testing.T, h history) (faults, log []string) {
	synctest.Test(t, func(t *testing.T) {
		dir, err := os.MkdirTemp(memory0, "photosync-world-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		w := newWorld(h, dir)
		for i := range h.People {
			w.c.hire(i%h.Sources, email(i), 10*(i+1), i%7 != 6)
		}
		if w.st, err = state.Open(w.path(), state.Options{}); err != nil {
			t.Fatal(err)
		}
		defer func() { w.st.Close() }()
		defer func() {
			if p := recover(); p != nil {
				w.faults = append(w.faults, fmt.Sprint("PANIC: ", p))
			}
			faults, log = w.faults, w.log
		}()
		killed := false
		for i := range h.Nights {
			n := &h.Nights[i]
			time.Sleep(n.Pause)
			w.note("night %d, %v, removed after %d, %v: %v", i+1, n.Existing, n.RemovedAfter, n.Mode, n.Edits)
			for _, e := range n.Edits {
				w.c.apply(e)
			}
			w.night(n)
			if killed && len(w.o.repeats) > h.Concurrency {
				w.fail(pRepeats, fmt.Sprintf("%v with concurrency %d", w.o.repeats, h.Concurrency))
			}
			if killed = n.Kill > 0 && w.steps >= n.Kill; len(w.faults) > 0 {
				return
			}
		}
		w.afterwards()
	})
	return faults, log
}

// afterwards is what must be true once nothing changes and nothing fails any more.
func (w *world) afterwards() {
	quiet := func(pause time.Duration) (*report.Report, bool) {
		time.Sleep(pause)
		w.note("a quiet night")
		r, err := w.night(&night{Existing: w.h.Existing, RemovedAfter: w.h.RemovedAfter, Mode: Sync})
		if err != nil {
			w.fail(pSecond, fmt.Sprintf("a quiet run failed: %v", err))
		}
		return r, len(w.faults) == 0
	}
	for range w.h.RemovedAfter + 2 { // until initials have come due
		if _, ok := quiet(time.Hour); !ok {
			return
		}
	}
	if _, ok := quiet(time.Minute); !ok {
		return
	}
	if len(w.o.sentTo) > 0 {
		w.fail(pSecond, fmt.Sprintf("it sent to %v", slices.Collect(maps.Keys(w.o.sentTo))))
		return
	}
	if _, ok := quiet(8 * 24 * time.Hour); !ok {
		return
	}
	for range w.h.RemovedAfter + 1 {
		if _, ok := quiet(time.Hour); !ok {
			return
		}
	}
	w.covered()
	for range 2 {
		if _, ok := quiet(time.Hour); !ok {
			return
		}
		if len(w.o.sentTo) > 0 {
			w.fail(pSecond, fmt.Sprintf("it sent to %v", slices.Collect(maps.Keys(w.o.sentTo))))
		}
		if calls := maps.Clone(w.o.requests); w.everybodyIsThere() && (w.o.readings > 0 || w.h.Existing == plan.OnSourceChange && (len(calls) != 1 || calls["me"] != 1)) {
			w.fail(pQuiet, fmt.Sprintf("calls %v, %d photos were read", calls, w.o.readings))
		}
	}
}

// everybodyIsThere reports whether everybody with a photo has an active user.
func (w *world) everybodyIsThere() bool {
	if w.excluded != "" {
		return false
	}
	for _, e := range w.c.entries {
		if u := w.c.userAt(e.own); e.photo != 0 && (u == nil || !u.active || w.memory(u.id).refused[e.photo]) || e.alias != "" {
			return false
		}
	}
	for _, m := range w.users { // a picture that was not taken stays owed
		missing := m.confirmed != 0 && m.confirmed != initials && m.absent > 0
		if m.partial || m.doubt || missing && w.h.RemovedAfter > 0 { // it may have to stay for somebody else's sake
			return false
		}
	}
	return true
}

// covered checks that everybody has the picture that they are to have.
func (w *world) covered() {
	for _, u := range w.c.users {
		found, from, alias := w.o.person(u.email)
		if !u.active || len(found) == 0 || alias && w.c.userAt(found[0].Own[0]) != nil {
			continue
		}
		want := 0
		for i, p := range found {
			for _, e := range w.c.entries {
				if want == 0 && e.source == from[i] && e.own == p.Own[0] && e.key == p.Ref.Key {
					want = e.photo
				}
			}
		}
		m := w.memory(u.id)
		excluded := slices.ContainsFunc(found, func(p sources.Person) bool {
			return slices.Contains(p.Own, w.excluded) || slices.Contains(p.Aliases, w.excluded)
		})
		if want == 0 || u.photo == want || excluded || m.refused[want] || m.partial || m.doubt {
			continue
		}
		if alias && w.aliases(found[0].Own[0]) > 1 { // several users, found by aliases: ambiguous
			continue
		}
		mayStay := false
		switch w.h.Existing {
		case plan.FillEmpty:
			mayStay = u.image != "" && u.photo != initials
		case plan.RespectUser:
			mayStay = u.image != "" && !u.ours
		case plan.OnSourceChange:
			mayStay = u.image != "" && !u.ours && m.confirmed == want
		case plan.Enforce:
			mayStay = u.chosen > 2
		}
		if !mayStay {
			w.fail(pCovered, fmt.Sprintf("user %d, %s, has picture %d of image %q (ours: %v), and the photo is %d", u.id, u.email, u.photo, u.image, u.ours, want))
		}
	}
}

// aliases counts the users that a person has by aliases.
func (w *world) aliases(own string) (n int) {
	for _, e := range w.c.entries {
		if e.own == own && e.alias != "" && w.c.userAt(e.alias) != nil {
			n++
		}
	}
	return n
}

// memory0 is a folder in memory, where there is one.
var memory0 = func() string {
	if _, err := os.Stat("/dev/shm"); err == nil {
		return "/dev/shm"
	}
	return ""
}()

// shrink leaves out of a history whatever is not needed for the same promise to break.
func shrink(t *testing.T, h history, faults, log []string) (history, []string, []string) {
	promise := promiseOf(faults[0])
	for again := true; again; {
		again = false
		for _, smaller := range h.smaller() {
			f, l := play(t, smaller)
			if len(f) > 0 && promiseOf(f[0]) == promise {
				h, faults, log, again = smaller, f, l, true
				break
			}
		}
	}
	return h, faults, log
}

func promiseOf(fault string) string {
	promise, _, _ := strings.Cut(fault, "\n")
	return promise
}

// smaller are the histories that leave one thing out.
func (h history) smaller() (all []history) {
	with := func(change func(*history)) {
		x := h
		x.Nights = slices.Clone(h.Nights)
		change(&x)
		all = append(all, x)
	}
	for i := range h.Nights {
		with(func(x *history) { x.Nights = slices.Delete(x.Nights, i, i+1) })
	}
	for _, people := range []int{1, 2, 3, 5, 10} {
		if people < h.People {
			with(func(x *history) { x.People = people })
		}
	}
	if h.Sources > 1 {
		with(func(x *history) { x.Sources = 1 })
	}
	if h.Concurrency > 1 {
		with(func(x *history) { x.Concurrency = 1 })
	}
	if h.RPM < 1000 {
		with(func(x *history) { x.RPM = 100_000 })
	}
	if h.Excluded != "" {
		with(func(x *history) { x.Excluded = "" })
	}
	if h.RemovedAfter > 0 {
		with(func(x *history) {
			x.RemovedAfter = 0
			for i := range x.Nights {
				x.Nights[i].RemovedAfter = 0
			}
		})
	}
	for i, n := range h.Nights {
		that := func(change func(*night)) {
			with(func(x *history) { change(&x.Nights[i]) })
		}
		for k := range n.Edits {
			that(func(n *night) { n.Edits = slices.Delete(slices.Clone(n.Edits), k, k+1) })
		}
		for k := range n.During {
			that(func(n *night) { n.During = slices.Delete(slices.Clone(n.During), k, k+1) })
		}
		for _, one := range []struct {
			set   bool
			clear func(*night)
		}{
			{len(n.Faults) > 0, func(n *night) { n.Faults = nil }}, {len(n.Lost) > 0, func(n *night) { n.Lost = nil }},
			{n.Kill > 0, func(n *night) { n.Kill = 0 }}, {n.Second > 0, func(n *night) { n.Second = 0 }},
			{n.Broken > 0, func(n *night) { n.Broken = 0 }}, {n.Force, func(n *night) { n.Force = false }},
			{n.Checksum, func(n *night) { n.Checksum = false }}, {n.RetryFailed, func(n *night) { n.RetryFailed = false }},
			{n.Guards, func(n *night) { n.Guards = false }}, {n.Approve, func(n *night) { n.Approve = false }},
			{n.Only != "", func(n *night) { n.Only = "" }}, {n.Limit > 0, func(n *night) { n.Limit = 0 }},
			{n.Mode != Sync, func(n *night) { n.Mode = Sync }}, {n.Existing != h.Existing, func(n *night) { n.Existing = h.Existing }},
			{n.Pause != time.Hour, func(n *night) { n.Pause = time.Hour }},
		} {
			if one.set {
				that(one.clear)
			}
		}
	}
	return all
}

// TestWorld plays random histories. SEEDS is how many, FIRST the first of them: with
// SEEDS=1 the one that failed is played again.
func TestWorld(t *testing.T) {
	seeds, first := number(t, "SEEDS", 400), number(t, "FIRST", 1)
	const shards = 2
	for shard := range min(shards, seeds) {
		t.Run(fmt.Sprint("shard", shard), func(t *testing.T) {
			t.Parallel()
			for seed := first + shard; seed < first+seeds && !t.Failed(); seed += shards {
				h := newHistory(uint64(seed))
				faults, log := play(t, h)
				if len(faults) == 0 {
					continue
				}
				h, faults, log = shrink(t, h, faults, log)
				story, err := json.Marshal(h)
				if err != nil {
					t.Fatal(err)
				}
				t.Fatalf("seed %d\n%s\n\n%s\n\n%s", seed, strings.Join(faults, "\n"), strings.Join(log, "\n"), story)
			}
		})
	}
}

func number(t testing.TB, env string, otherwise int) int {
	if os.Getenv(env) == "" {
		return otherwise
	}
	n, err := strconv.Atoi(os.Getenv(env))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
