package job

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/photo"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

// world runs a history.
type world struct {
	h          history
	c          *company
	dir        string
	st         *state.Store
	users      map[int64]*memory
	known      map[string]int      // by entry: the photo that a run which ended well read last
	lost       map[int64]time.Time // when the last upload went that nobody answered
	excluded   string
	o          *watch
	planned    *plan.File
	reports    []*report.Report
	dead       atomic.Bool
	saved      saved             // with the backup
	reported   map[int64]*memory // of those to whom runs since then uploaded a picture, as it was after the last one
	exported   saved             // by the administrator
	unsaved    bool              // what an administrator did since the backup is in no report
	turnedBack bool              // the clock was, so that reports do not sort by time
	unbacked   int               // good runs in a row that could not be backed up
	mayRepeat  int               // uploads that runs which were killed or stopped, or could not write, may have left to be sent again
	approving  bool
	stop       context.CancelCauseFunc

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
		m = &memory{images: map[string]int{}, hashes: map[string]bool{}, refused: map[int]bool{}, codes: map[int][2]int{}}
		w.users[id] = m
	}
	return m
}

// step lets happen what is to happen now.
func (w *world) step(what string) {
	if w.happens(what) == w.o.night.Second && !w.dead.Load() {
		st, err := state.Open(w.path(), state.Options{})
		w.mu.Lock()
		if _, ok := errors.AsType[*state.LockedError](err); !ok && !w.dead.Load() {
			w.fail(pLocked, fmt.Sprint(err))
		}
		w.mu.Unlock()
		if err == nil {
			st.Close()
		}
	}
}

// happens is step, and returns the number of the step.
func (w *world) happens(what string) int {
	step, dies := w.begins(what)
	if dies { // not under the lock: a write that is under way notes what the disk does
		w.st.Close()
		w.stop(ErrSignal)
	}
	return step
}

// begins counts and notes a step, and reports whether the process dies in it.
func (w *world) begins(what string) (step int, dies bool) {
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
	if !w.dead.Load() && n.Stop == w.steps {
		w.note("    a signal comes")
		w.stop(ErrSignal)
	}
	if !w.dead.Load() && (n.Kill == w.steps || w.first(n.KillOn, what)) {
		w.note("    the process dies")
		w.dead.Store(true)
		played.deaths.Add(1)
		dies = true
	}
	return w.steps, dies
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

// night runs once, and once more if the run is held and somebody approves it.
func (w *world) night(n *night) (*report.Report, error) {
	r, err := w.run(n, "")
	if !Held(err) || !n.Approve || n.Mode == Apply || w.o.night.Kill > 0 {
		return r, err
	}
	again := *n
	again.During, again.Faults, again.Lost, again.Second, again.Stop = nil, nil, nil, 0, 0
	moved := len(n.During) > 0
	w.note("  plan %s is approved", r.PlanID)
	r, err = w.run(&again, r.PlanID)
	if Held(err) && !moved {
		w.fail(pGuard, "the approved plan is held")
	}
	return r, err
}

// run runs once and lets the oracle check it.
func (w *world) run(n *night, approve string) (*report.Report, error) {
	j, ctx, end := w.job(n, approve)
	defer end()
	heal := w.breakDisk(n)
	r, err := Run(ctx, j)
	heal()
	if w.mayRepeat -= len(w.o.repeats); w.mayRepeat < 0 {
		w.fail(pRepeats, fmt.Sprintf("%v with concurrency %d", w.o.repeats, w.h.Concurrency))
	}
	if w.dead.Load() || w.o.broken > 0 || n.Stop > 0 {
		w.mayRepeat += w.h.Concurrency
	}
	played.runs.Add(1)
	played.uploads.Add(int64(w.uploads))
	w.note("  the run ended: %v; %v", err, summary(r))
	if w.dead.Load() {
		w.dead.Store(false)
		w.reopen()
		if w.o.died(); err == nil || strings.Contains(err.Error(), "verify what was uploaded") {
			w.o.count(nil) // everything was done but the look-up of what it had uploaded
		}
		return r, err
	}
	w.reports = append(w.reports, r)
	w.o.ended(r, err)
	if w.o.broken > 0 { // the process has ended, and the disk is well again
		played.broken.Add(1)
		w.st.Close()
		w.reopen()
	}
	for _, it := range r.Items {
		if it.Outcome == outcome.Uploaded {
			w.reported[it.UserID] = w.memory(it.UserID).clone()
		}
	}
	if w.h.Backups && err == nil && n.Mode != Plan {
		w.backup(n, r)
	}
	return r, err
}

// reopen opens the state as the next process does.
func (w *world) reopen() {
	st, err := state.Open(w.path(), state.Options{})
	if err != nil {
		panic(fmt.Sprintf("the state does not open: %v", err))
	}
	w.st = st
}

// job is a run that the oracle watches; end is called after it.
func (w *world) job(n *night, approve string) (j Job, ctx context.Context, end func()) {
	w.approving = approve != ""
	w.o = &watch{
		w: w, night: n, began: time.Now(), sightings: map[int64]sighting{}, renamed: map[int64]sighting{}, reads: map[string][]reading{}, answered: map[int64]string{}, images: map[int64]string{},
		sentTo: map[int64]bool{}, to: map[int64]string{}, replaced: map[int64]bool{}, shared: map[int]map[int64]bool{}, requests: map[string]int{}, repeats: map[int64]bool{}, refused: map[int64]int{},
	}
	w.steps, w.uploads, w.nth = 0, 0, map[string]uint64{}
	w.excluded = cmp.Or(n.Excluded, w.h.Excluded)
	w.c.answerAs(n, w.h.Unknown)
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
	ctx, cancel := context.WithCancelCause(context.Background())
	w.stop = cancel
	j = Job{
		Parts: Parts{State: w.st, Smartsheet: c, Root: "https://api.example.test/2.0", Photos: photo.Options{MaxBytes: 1_000_000 + int64(n.Settings)}},
		How:   How{Mode: n.Mode, RunID: fmt.Sprint("run", time.Now().Unix()), Concurrency: w.h.Concurrency, Approve: approve, Verify: n.Verify},
		Scope: plan.Scope{Force: n.Force, Checksum: n.Checksum, RetryFailed: n.RetryFailed, Limit: n.Limit, Shard: w.h.Shard, Source: n.Source},
		Policy: plan.Policy{
			Existing: n.Existing, RemovedAfter: n.RemovedAfter, AlternateEmails: w.alternates(),
			Patterns: []string{w.excluded}, Excluded: func(e string) bool { return e == w.excluded },
		},
	}
	for _, i := range n.sources(w.h.Sources) {
		j.Sources = append(j.Sources, sources.Named{Name: fmt.Sprint("source", i), Type: "memory", Rewrite: n.domains(), Source: watched{w.c.source(i), w, i}})
	}
	if n.Only != "" {
		j.Scope.Only = func(e string) bool { return e == n.Only }
	}
	if n.Shared {
		j.Policy.Guards = &plan.Guards{MaxReplaced: plan.Limit{N: 1000}, MaxRemoved: plan.Limit{N: 1000}, MaxShared: guardShared}
	}
	if n.Guards && !n.Shared {
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
	return j, ctx, func() {
		cancel(nil)
		c.Close()
	}
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
		known: map[string]int{}, lost: map[int64]time.Time{}, reported: map[int64]*memory{}, excluded: h.Excluded,
	}
}

// play runs a history and returns what was not kept; the log says what happened.
func play(t *testing.T, h history) (faults, log []string) {
	synctest.Test(t, func(t *testing.T) {
		dir := memoryDir(t)
		w := newWorld(h, dir)
		for i := range h.People {
			w.c.hire(i%h.Sources, email(i), 10*(i+1), i%7 != 6)
		}
		var err error
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
		for i := range h.Nights {
			n := &h.Nights[i]
			time.Sleep(n.Pause)
			w.note("night %d, %v, removed after %d, %v: %v", i+1, n.Existing, n.RemovedAfter, n.Mode, n.Edits)
			for _, e := range n.Edits {
				w.c.apply(e)
			}
			for _, a := range n.Admin {
				w.note("  the administrator: %v", a)
				played.deeds.Add(1)
				w.administer(a)
			}
			if len(w.faults) > 0 {
				return
			}
			if w.night(n); len(w.faults) > 0 {
				return
			}
		}
		w.afterwards()
	})
	return faults, log
}

// played is what all worlds of a test came to.
var played struct{ runs, uploads, alternates, deaths, deeds, broken atomic.Int64 }

// TestWorld plays random histories. SEEDS is how many, FIRST the first of them: with
// SEEDS=1 the one that failed is played again. It stops after BROKEN broken worlds.
func TestWorld(t *testing.T) {
	seeds, first, most := number(t, "SEEDS", 200), number(t, "FIRST", 1), number(t, "BROKEN", 1)
	t.Cleanup(func() {
		t.Logf("%d worlds: %d runs, %d uploads, %d of them by alternate addresses, %d deaths of the process, %d runs on a broken disk, %d deeds of administrators and clocks",
			seeds, played.runs.Load(), played.uploads.Load(), played.alternates.Load(), played.deaths.Load(), played.broken.Load(), played.deeds.Load())
	})
	const shards = 2
	for shard := range min(shards, seeds) {
		t.Run(fmt.Sprint("shard", shard), func(t *testing.T) {
			t.Parallel()
			broken := 0
			for seed := first + shard; seed < first+seeds && broken < most; seed += shards {
				h := newHistory(uint64(seed))
				faults, log := play(t, h)
				if len(faults) == 0 {
					continue
				}
				if os.Getenv("SHRINK") != "no" {
					h, faults, log = shrink(t, h, faults, log)
				}
				story, err := json.Marshal(h)
				if err != nil {
					t.Fatal(err)
				}
				broken++
				t.Errorf("seed %d\n%s\n\n%s\n\n%s", seed, strings.Join(faults, "\n"), strings.Join(log, "\n"), story)
			}
		})
	}
}

// TestHistories plays the shortest histories of those that once broke a promise.
func TestHistories(t *testing.T) {
	files, err := filepath.Glob("testdata/histories/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no histories: ", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var h history
			if err := json.Unmarshal(text, &h); err != nil {
				t.Fatal(err)
			}
			if faults, log := play(t, h); len(faults) > 0 {
				t.Errorf("%s\n\n%s", strings.Join(faults, "\n"), strings.Join(log, "\n"))
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
