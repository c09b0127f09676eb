package job

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

// calls counts what f makes a bench's Smartsheet do.
func (b *bench) calls(f func()) map[string]int {
	before := b.sim.Counts().ByOp
	f()
	after := b.sim.Counts().ByOp
	for op, n := range before {
		after[op] -= n
	}
	maps.DeleteFunc(after, func(_ string, n int) bool { return n == 0 })
	return after
}

func (b *bench) expectCalls(name string, got, want map[string]int) {
	b.t.Helper()
	if !maps.Equal(got, want) {
		b.t.Errorf("%s: calls %v, want %v", name, got, want)
	}
}

// A night without changes takes one call: whose token it is.
func TestQuietNight(t *testing.T) {
	b := newBench(t, 200, simulator.Options{})
	for i := range 100 {
		b.mem.Put(email(1000+i), nil) // people without a photo
		b.sim.AddUser(smartsheet.User{Email: email(1000 + i)})
	}
	b.expectCalls("first night", b.calls(func() { b.must(nil) }), map[string]int{"me": 1, "users": 1, "upload": 200})
	reads := b.mem.Reads()
	b.expectCalls("second night", b.calls(func() { b.must(nil) }), map[string]int{"me": 1})
	if b.mem.Reads() != reads {
		t.Errorf("a quiet night read %d photos", b.mem.Reads()-reads)
	}
}

// An access token is good for many nights: none of them needs a new one.
func TestQuietNightWithOAuth2(t *testing.T) {
	oauth := simulator.OAuth{ClientID: "app", ClientSecret: "secret", RefreshToken: "first"}
	b := newBench(t, 30, simulator.Options{OAuth: &oauth})
	file := filepath.Join(b.dir, "refresh-token")
	if err := os.WriteFile(file, []byte("first\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	night := func() {
		b.must(func(o *Job) {
			c, err := smartsheet.New(smartsheet.Options{
				BaseURL: o.Root, Transport: b.sim.Transport(), RequestsPerMinute: 1_000_000, Timeout: time.Minute,
				OAuth2: &smartsheet.OAuth2{ClientID: "app", ClientSecret: "secret", RefreshTokenFile: file},
			})
			if err != nil {
				t.Fatal(err)
			}
			o.Smartsheet = c
		})
	}
	b.expectCalls("first night", b.calls(night), map[string]int{"token": 1, "me": 1, "users": 1, "upload": 30})
	b.expectCalls("second night", b.calls(night), map[string]int{"me": 1})
}

// Changed people among many cost a few calls to find their users: a thousand no
// more than twelve, beside the uploads.
func TestManyChanges(t *testing.T) {
	people, changed := 5_000, 1_000
	if testing.Short() { // the calls are as many for all of them
		people, changed = 1_000, 200
	}
	b := newBench(t, people, simulator.Options{})
	for i := range people { // who had their photos already: the state adopts them
		b.sim.SetImage(email(i), picture(i))
	}
	found, err := Adoptable(t.Context(), b.options(1_000_000))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := Adopt(b.st, found); n != people || err != nil {
		t.Fatal(n, err)
	}
	b.must(nil)
	b.expectCalls("nothing changed", b.calls(func() { b.must(nil) }), map[string]int{"me": 1})
	for i := range changed {
		b.mem.Put(email(i*people/changed), picture(1<<20+i))
	}
	c := b.calls(func() { b.must(nil) })
	if c["upload"] != changed || c["me"]+c["users"]+c["user"] > 12 {
		t.Errorf("calls %v", c)
	}
	t.Logf("%d changed of %d: calls %v", changed, people, c)
}

// 40 new people among many cost one call to find them.
func TestNewPeople(t *testing.T) {
	b := newBench(t, 500, simulator.Options{})
	b.must(nil)
	for i := range 40 {
		b.sim.AddUser(smartsheet.User{Email: email(1000 + i)})
		b.mem.Put(email(1000+i), picture(1000+i))
	}
	b.expectCalls("40 new people", b.calls(func() { b.must(nil) }), map[string]int{"me": 1, "users": 1, "upload": 40})
}

// After a move a run reads no photo and finds nothing to do: also for people with the photo of the
// second source, without one, with one that was refused, and for those who were removed.
func TestNightAfterImport(t *testing.T) {
	b := newBench(t, 20, simulator.Options{})
	second := &Memory{}
	for i := range 10 {
		b.mem.Put(email(i), nil)
		second.Put(email(i), picture(100+i))
	}
	b.mem.Put(email(10), []byte("no picture"))
	b.mem.Put(email(11), nil)
	b.more = []sources.Named{{Name: "second", Type: "memory", Source: second}}
	b.must(nil)
	b.mem.Remove(email(12))
	b.mem.Put(email(13), nil)
	b.must(nil)
	last := b.must(nil)
	var export bytes.Buffer
	if err := errors.Join(b.st.Export(&export), b.st.Close()); err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(t.TempDir(), "state.db")
	_, err := state.Import(moved, &export, false)
	if err == nil {
		b.st, err = state.Open(moved, state.Options{})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.st.Close() })
	reads := b.mem.Reads() + second.Reads()
	for night := range 2 {
		b.expectCalls("after the move", b.calls(func() {
			if r := b.must(nil); r.Result != last.Result || r.ExitCode != last.ExitCode || r.Totals != last.Totals {
				t.Errorf("night %d: %s %+v, before the move %s %+v", night, r.Result, r.Totals, last.Result, last.Totals)
			}
		}), map[string]int{"me": 1, "users": 1}) // in every night for the refused photo
	}
	if n := b.mem.Reads() + second.Reads(); n != reads {
		t.Errorf("%d photos were read", n-reads)
	}
}
