package job

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/plan"
	"photosync/sync/smartsheet/simulator"
)

// People with nothing to do are counted, wherever they are in the order, and count
// among those who share a picture.
func TestQuietPeopleCount(t *testing.T) {
	b := newBench(t, 100, simulator.Options{})
	silhouette := picture(7777)
	for i := 20; i < 28; i++ { // fewer than max_shared
		b.mem.Put(email(i), silhouette)
	}
	b.must(guarded)
	r := b.must(guarded)
	if r.Totals.People != 100 || r.Totals.Unchanged != 100 || len(r.Items) != 0 || r.Sources[0].WithPhoto != 100 {
		t.Errorf("a quiet run: %+v, sources %+v, items %v", r.Totals, r.Sources, r.Items)
	}
	b.mem.Remove(email(0))
	b.mem.Remove(email(24)) // has the silhouette no more
	b.mem.Put("first@example.com", picture(5))
	for i := 90; i < 93; i++ { // 7 of those before, and 3: not more than 10
		b.mem.Put(email(i), silhouette)
	}
	r = b.must(guarded)
	if r.Totals.Unchanged != 95 || r.Totals.Uploaded != 3 || r.Totals.Held != 0 || r.Sources[0].WithPhoto != 99 {
		t.Errorf("after edits: %+v, sources %+v, items %v", r.Totals, r.Sources, r.Items)
	}
	b.mem.Put(email(99), silhouette)
	if r = b.must(guarded); r.Totals.Held != 1 || r.Items[len(r.Items)-1].Reason != string(plan.SharedImage) {
		t.Errorf("one too many: %+v, items %v", r.Totals, r.Items)
	}
	r = b.must(func(o *Options) { o.Only = func(e string) bool { return e == email(30) } })
	if r.Totals.People != 1 || r.Totals.Unchanged != 1 {
		t.Errorf("only one: %+v", r.Totals)
	}
}

// A record that cannot be read ends the run, whoever comes before or after it.
func TestDamagedRecord(t *testing.T) {
	b := newBench(t, 60, simulator.Options{})
	b.must(nil)
	for i := 30; i < 60; i++ {
		b.mem.Remove(email(i)) // the damage is in both halves in turn
	}
	if err := b.st.Backup(); err != nil {
		t.Fatal(err)
	}
	backups, err := filepath.Glob(filepath.Join(b.dir, "*.backup"))
	if err != nil || len(backups) != 1 {
		t.Fatal(backups, err)
	}
	good, err := os.ReadFile(backups[0])
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(b.dir, "copy.db")
	for _, victim := range []string{email(3), email(45), email(59)} {
		data := append([]byte(nil), good...)
		for at := range data { // each page that has it
			if at+len(victim)+20 < len(data) && string(data[at:at+len(victim)]) == victim {
				data[at+len(victim)+10] ^= 1
			}
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if b.st, err = state.Open(path, state.Options{}); err != nil {
			t.Fatal(err)
		}
		_, err = b.run(t.Context(), 1_000_000, nil)
		if _, ok := errors.AsType[*state.DamagedError](err); !ok {
			t.Errorf("%s: error %v", victim, err)
		}
		b.st.Close()
	}
}

// aliased gives everyone a second address.
type aliased struct{ sources.Source }

func (a aliased) List(ctx context.Context, each func(sources.Person) error) (sources.Listing, error) {
	return a.Source.List(ctx, func(p sources.Person) error {
		p.Emails = append(slices.Clone(p.Emails), "alias."+p.Emails[0])
		return each(p)
	})
}

// --only finds a person by each of their addresses, and in a shard only one of it.
func TestOnlyByAnyAddress(t *testing.T) {
	b := newBench(t, 5, simulator.Options{})
	only := func(want string) func(*Options) {
		return func(o *Options) {
			o.Sources[0].Source = aliased{&b.mem}
			o.Only = func(e string) bool { return e == want }
		}
	}
	if r := b.must(only("alias." + email(3))); r.Totals.Uploaded != 1 || r.Totals.People != 1 || r.Items[0].Email != email(3) {
		t.Errorf("%+v, %v", r.Totals, r.Items)
	}
	if r := b.must(only(email(4))); r.Totals.Uploaded != 1 || r.Totals.People != 1 {
		t.Errorf("%+v", r.Totals)
	}
	other := func(o *Options) {
		only("alias." + email(0))(o)
		for o.Shard = (plan.Shard{Count: 2}); o.Shard.Has(email(0)); o.Shard.Index++ {
		}
	}
	if r := b.must(other); r.Totals.Uploaded != 0 || r.SkippedByReason["out_of_shard"] != 1 {
		t.Errorf("%+v, %v", r.Totals, r.SkippedByReason)
	}
}
