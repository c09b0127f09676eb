package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"photosync/cmd/internal/console"
	"photosync/sync/job"
	"photosync/sync/report"
	"photosync/sync/smartsheet/simulator"
)

// SIGTERM, wherever it comes, ends the run with exit code 6 and a report; what is
// done is recorded, and the next run does the rest. A second one ends it at once.
func TestSIGTERM(t *testing.T) {
	const people = 20
	seen := func(op string, n int) func(simulator.Counts) bool {
		return func(c simulator.Counts) bool { return c.ByOp[op] >= n }
	}
	for name, c := range map[string]struct {
		fault    string
		source   func(t *testing.T, reached chan<- struct{}) string // a second one, in the configuration
		until    func(simulator.Counts) bool                        // something is seen; nil: reached
		signals  []os.Signal
		uploaded int  // at least
		refID    bool // of the error that it was waiting for
	}{
		"first contact":         {"hang,op=me", nil, seen("me", 1), []os.Signal{syscall.SIGTERM}, 0, false},
		"listing":               {"", hungDirectory, nil, []os.Signal{syscall.SIGTERM}, 0, false},
		"finding users":         {"hang,op=users", nil, seen("users", 1), []os.Signal{syscall.SIGTERM}, 0, false},
		"waiting for quota":     {"status:429/4003,skip=5,retry-after=200", nil, seen("upload", 6), []os.Signal{os.Interrupt}, 5, true},
		"backing off":           {"status:503/4001,skip=5", nil, seen("upload", 9), []os.Signal{syscall.SIGTERM}, 5, true},
		"on the wire, answered": {"slow,skip=5,delay=1s", nil, seen("upload", 9), []os.Signal{syscall.SIGTERM}, 9, false},
		"the terminal is gone":  {"slow,skip=5,delay=1s", nil, seen("upload", 9), []os.Signal{syscall.SIGHUP}, 9, false},
		"on the wire, hung":     {"hang,skip=5", nil, seen("upload", 9), []os.Signal{syscall.SIGTERM, os.Interrupt}, 5, false},
	} {
		t.Run(name, func(t *testing.T) {
			reached, more := make(chan struct{}, 1), ""
			if c.source != nil {
				more = c.source(t, reached)
			}
			s := newSite(t, users(people), more)
			for i := range people {
				s.put(email(i), picture(i))
			}
			if c.fault != "" {
				f, err := simulator.ParseFault(c.fault)
				if err != nil {
					t.Fatal(err)
				}
				s.sim.AddFault(f)
			}
			cmd := command(t, "sync", "--config", s.conf)
			var errs bytes.Buffer
			cmd.Stderr = &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() {
				cmd.Wait() // the exit code is looked at below
				close(ended)
			}()
			for c.until != nil && !c.until(s.sim.Counts()) {
				select {
				case <-ended:
					t.Fatalf("ended before: %s", errs.String())
				case <-time.After(time.Millisecond): // another process makes the progress
				}
			}
			if c.until == nil {
				<-reached
			}
			for _, sig := range c.signals { // of two kinds: equal ones may arrive as one
				cmd.Process.Signal(sig)
			}
			select {
			case <-ended:
			case <-time.After(grace - 5*time.Second): // far more than it takes
				cmd.Process.Kill()
				<-ended
				t.Fatalf("the run does not end:\n%s", errs.String())
			}
			if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
				t.Fatalf("exit %d, want %d\n%s", code, exitInterrupted, errs.String())
			}
			r, err := report.Read(newest(t, filepath.Join(s.dir, "reports")))
			if err != nil {
				t.Fatal(err)
			}
			done := s.sim.Counts().Accepted
			if r.Result != report.Interrupted || r.ExitCode != exitInterrupted || r.Totals.Uploaded != done || done < c.uploaded {
				t.Errorf("result %q, %+v; %d uploads were accepted, want at least %d", r.Result, r.Totals, done, c.uploaded)
			}
			if len(r.Items) > 0 && (r.Totals.Unfinished != people-done || hasRefID(r) != c.refID) {
				t.Errorf("a refId: %v; items %+v", hasRefID(r), r.Items)
			}
			s.sim.ClearFaults()
			if c.source != nil {
				return // it never answers
			}
			if r := s.run(exitDone, "sync"); r.Totals.Uploaded != people-done {
				t.Errorf("the next run uploaded %d, want the other %d", r.Totals.Uploaded, people-done)
			}
		})
	}
}

// hasRefID reports whether an unfinished item names an error that it met.
func hasRefID(r *report.Report) bool {
	return slices.ContainsFunc(r.Items, func(it report.Item) bool {
		return it.Outcome == "unfinished" && (it.RefID != nil || len(it.EarlierErrors) > 0 && it.EarlierErrors[0].RefID != "")
	})
}

// hungDirectory is an LDAP server that takes connections and never answers.
func hungDirectory(t *testing.T, reached chan<- struct{}) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // the listener is closed
			}
			defer c.Close()
			select {
			case reached <- struct{}{}:
			default:
			}
		}
	}()
	return fmt.Sprintf("  - {name: ad, type: ldap, urls: [\"ldap://%s\"], bind_dn: cn=x, base_dn: dc=x, allow_plaintext: true}\n", l.Addr())
}

// An upload on the wire has 25 seconds to be answered after the signal, which is
// less than Kubernetes' 30, and not one more.
func TestGrace(t *testing.T) {
	for delay, want := range map[time.Duration]struct {
		took     time.Duration
		uploaded int
	}{
		24 * time.Second: {24 * time.Second, 1},
		time.Minute:      {25 * time.Second, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newFaultBench(t)
			b.timeout = 2 * time.Minute
			b.sim.AddFault(simulator.Fault{Kind: "slow", Delay: delay})
			ctx, cancel := context.WithCancelCause(t.Context())
			started := time.Time{}
			go func() {
				for b.sim.Counts().ByOp["upload"] == 0 {
					time.Sleep(time.Millisecond)
				}
				started = time.Now()
				cancel(job.ErrSignal)
			}()
			r, err := b.run(ctx, "r")
			took := time.Since(started).Round(time.Second)
			if exitCode(r, err) != exitInterrupted || took != want.took || r.Totals.Uploaded != want.uploaded || r.Totals.Unfinished != faulty-want.uploaded {
				t.Errorf("answered after %v: exit %d after %v, %+v; want %d after %v, %d uploaded",
					delay, exitCode(r, err), took, r.Totals, exitInterrupted, want.took, want.uploaded)
			}
			if u := onRecord(t, b.state, email(0)); u.ID != 0 && (u.Sent != nil) != (r.Totals.Uploaded == 1) {
				t.Errorf("state: %+v", u)
			}
		})
	}
}

// Kubernetes kills a process 30 s after SIGTERM. Whatever the run waits for, such as receivers of
// notices that do not answer, it ends before.
func TestARunEndsBeforeItIsKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := console.Start(new(bytes.Buffer), new(bytes.Buffer), func(string) string { return "" }, console.RunOptions{Quiet: true})
		defer w.Close()
		signals, began := make(chan os.Signal, 2), time.Now()
		var finished, aborted time.Duration
		go handleSignals(signals, w, func() { finished = time.Since(began) }, func() { aborted = time.Since(began) })
		time.Sleep(time.Minute)
		signals <- syscall.SIGTERM
		time.Sleep(time.Minute)
		close(signals)
		synctest.Wait()
		if finished != time.Minute || aborted <= finished+grace || aborted >= finished+30*time.Second {
			t.Errorf("finished after %v, aborted after %v", finished, aborted)
		}
	})
}
