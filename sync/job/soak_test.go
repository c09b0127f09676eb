package job

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"photosync/state"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet/simulator"
)

// TestSoak runs a small company every hour: SOAK=8760 is a year of virtual time. People
// join, leave, change names and photos, 30 % of them in a year. Every run keeps the
// promises, and nothing grows: memory, state, reports, calls and time of a run.
func TestSoak(t *testing.T) {
	runs := number(t, "SOAK", 400)
	const people, year = 40, 8760
	synctest.Test(t, func(t *testing.T) {
		dir := memoryDir(t)
		h := history{Seed: 24, People: people, Sources: 2, Keyed: true, Existing: plan.OnSourceChange, RemovedAfter: 3, Concurrency: 2, RPM: 100_000}
		w := newWorld(h, dir)
		w.c.sim = simulator.New(simulator.Options{})
		for i := range people {
			w.c.hire(i%h.Sources, email(i), 10*(i+1), true)
		}
		var err error
		if w.st, err = state.Open(w.path(), state.Options{}); err != nil {
			t.Fatal(err)
		}
		defer func() { w.st.Close() }()
		r := rand.New(rand.NewPCG(24, 0))
		rates := map[string]float64{"photo": 1, "join both": 0.3, "leave": 0.3, "user leaves": 0.3, "rename both": 0.1, "own picture": 0.2, "no photo": 0.1}
		var quarters []soaked
		calls := 0
		for run := range runs {
			time.Sleep(time.Hour)
			n := &night{Existing: h.Existing, RemovedAfter: h.RemovedAfter, Mode: Sync}
			for what, perYear := range rates {
				for range people {
					if r.Float64() < perYear/year*float64(max(1, year/runs)) {
						n.Edits = append(n.Edits, edit{what, r.IntN(people), r.IntN(2 * people), r.IntN(1000)})
					}
				}
			}
			if r.IntN(50) == 0 {
				n.Faults = []string{faults[r.IntN(len(faults))]}
			}
			for _, e := range n.Edits {
				w.c.apply(e)
			}
			w.log, w.reports = w.log[:0], nil
			rep, err := w.night(n)
			if rep == nil {
				t.Fatal(err)
			}
			keep(t, dir, rep)
			for _, n := range w.o.requests {
				calls += n
			}
			if len(w.faults) > 0 {
				t.Fatalf("run %d\n%s\n\n%s", run, strings.Join(w.faults, "\n"), strings.Join(w.log, "\n"))
			}
			if (run+1)%(runs/4) == 0 {
				q := measure(t, w, dir)
				q.calls, calls = float64(calls)/float64(runs/4), 0
				quarters = append(quarters, q)
			}
		}
		first, last := quarters[0], quarters[len(quarters)-1]
		t.Logf("%d runs; after a quarter %+v, at the end %+v", runs, first, last)
		// Some of what is measured depends on which of two workers comes first: which runs
		// were full syncs, and so how many reports stay, and how many calls a fault costs.
		grows := last.heap > first.heap+4<<20 || last.state > 2*first.state || last.rows > 2*first.rows || last.calls > 1.5*first.calls+1
		if mostReports := 2 * (2*keepReports + 2); grows || last.reports > mostReports {
			t.Errorf("it grows: %+v, then %+v", first, last)
		}
	})
}

// soaked is what must not grow.
type soaked struct {
	heap, state, reports, rows int
	calls                      float64 // of a run
}

// keepReports is how many full syncs, and how many other runs, keep their two files of a
// report. latest and latest-plan have two files each, too.
const keepReports = 30

// keep writes the report of a run, and removes old ones.
func keep(t *testing.T, dir string, r *report.Report) {
	t.Helper()
	dir = filepath.Join(dir, "reports")
	r.RunID = r.StartedAt.UTC().Format("20060102T150405Z") + "-aaaaaa"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := report.Write(dir, r, []string{"json", "html"}); err != nil {
		t.Fatal(err)
	}
	if err := report.Prune(dir, keepReports, r.RunID); err != nil {
		t.Fatal(err)
	}
}

func measure(t *testing.T, w *world, dir string) (s soaked) {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	s.heap = int(m.HeapAlloc)
	info, err := os.Stat(w.path())
	if err != nil {
		t.Fatal(err)
	}
	s.state = int(info.Size())
	files, err := filepath.Glob(filepath.Join(dir, "reports", "*"))
	if err != nil {
		t.Fatal(err)
	}
	s.reports = len(files)
	err = w.st.View(func(v *state.Snapshot) error {
		for _, err := range v.Users() {
			if err != nil {
				return err
			}
			s.rows++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
