package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"photosync/state"
	"photosync/sync/report"
)

// The clock was years ahead, and is right again: whatever an earlier run wrote is of the
// future. The run neither waits for it nor goes by it, and what is new is sent.
func TestClockSetBack(t *testing.T) {
	m := newMortal(t)
	m.do("sync")
	uploads := m.look().Uploads
	ahead := time.Now().AddDate(10, 0, 0)
	age := func() {
		m.dateState(ahead)
		old, err := os.ReadFile(filepath.Join(m.reports(), "latest.json"))
		err = errors.Join(err,
			os.WriteFile(filepath.Join(m.reports(), ahead.UTC().Format("20060102T150405Z")+"-aaaaaa.json"), old, 0o600),
			os.WriteFile(m.state()+".holder", []byte(`{"pid":1,"host":"elsewhere","since":"`+ahead.Format(time.RFC3339)+`"}`), 0o600),
			os.Chtimes(m.state(), ahead, ahead), os.Chtimes(m.state()+".backup", ahead, ahead))
		for _, photo := range m.photos() {
			err = errors.Join(err, os.Chtimes(photo, ahead, ahead))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	run := func(want int) {
		t.Helper()
		began := time.Now().Add(-time.Second) // reports have whole seconds
		m.do("sync")
		m.whole()
		if got := m.look().Uploads - uploads; got != want {
			t.Errorf("%d uploads, want %d", got, want)
		}
		uploads = m.look().Uploads
		r, err := report.Read(filepath.Join(m.reports(), "latest.json"))
		if err != nil || r.StartedAt.Before(began) || !strings.HasPrefix(r.RunID, time.Now().UTC().Format("2006")) {
			t.Errorf("the last report is that of %v, %v", r.RunID, err)
		}
		if _, err := os.Stat(filepath.Join(m.reports(), r.RunID+".json")); err != nil {
			t.Errorf("the run's own report: %v", err)
		}
	}
	age()
	run(0) // it looks at everybody anew
	run(0)
	m.newPhotos()
	age()
	run(mortals)
	run(0)
	m.lose("")
	m.do("state", "restore", "--yes")
	run(0)
	if took := time.Since(start); took > 10*time.Minute {
		t.Errorf("it took %v", took)
	}
}

func (m *mortal) photos() []string {
	m.t.Helper()
	all, err := filepath.Glob(filepath.Join(m.dir, "photos", "*"))
	if err != nil || len(all) == 0 {
		m.t.Fatalf("no photos: %v", err)
	}
	return all
}

// dateState lets the state say that everything in it happened at a time.
func (m *mortal) dateState(at time.Time) {
	m.t.Helper()
	st, err := state.Open(m.state(), state.Options{Existing: true})
	if err != nil {
		m.t.Fatal(err)
	}
	var c state.Change
	for _, u := range usersOnRecord(m.t, st) {
		u.Sent.At = at
		c.Users = append(c.Users, u)
	}
	if err := errors.Join(st.Write(c), st.SetMeta(state.RefreshedKey, at), st.Close()); err != nil {
		m.t.Fatal(err)
	}
}
