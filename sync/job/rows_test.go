package job

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"photosync/state"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

// A row that cannot be read stops the run before anything is sent.
func TestDamagedRow(t *testing.T) {
	b := newBench(t, 300, simulator.Options{})
	b.must(nil)
	for i := range 300 {
		b.mem.Put(email(i), picture(1000+i))
	}
	b.st.Close()
	path := filepath.Join(b.dir, "state.db")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+6 < len(data); i++ { // in every copy that a page has
		if string(data[i:i+6]) == "p00123" {
			data[i+40] ^= 1
		}
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	st, err := state.Open(path, state.Options{})
	if err == nil {
		defer st.Close()
		b.st = st
		before := b.sim.Counts().Accepted
		_, err = b.run(t.Context(), 1_000_000, nil)
		if n := b.sim.Counts().Accepted - before; n != 0 {
			t.Errorf("%d uploads", n)
		}
	}
	if d, ok := errors.AsType[*state.DamagedError](err); !ok || d.Hint() == "" {
		t.Errorf("error %v", err)
	}
}

// --only finds a person by any address, also one that is no key.
func TestOnlyByAnyAddress(t *testing.T) {
	b := newBench(t, 3, simulator.Options{})
	b.sim.AddUser(smartsheet.User{Email: "ann@example.com"})
	b.mem.Set(Entry{Own: []string{"ann@example.com"}, Aliases: []string{"a.smith@example.com"}, Photo: picture(9)})
	r := b.must(func(o *Job) { o.Scope.Only = func(e string) bool { return e == "a.smith@example.com" } })
	if r.Totals.People != 1 || r.Totals.Uploaded != 1 || r.Items[0].Email != "ann@example.com" {
		t.Errorf("%+v", r.Totals)
	}
}
