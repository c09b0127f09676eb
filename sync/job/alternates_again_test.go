package job

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"photosync/sources"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

// A conflict of alternate addresses that was put right in Smartsheet is gone in the next
// run: who may be an ambiguous person is asked again each time, at one call for each.
func TestAlternateEmailsPutRight(t *testing.T) {
	for name, c := range map[string]struct{ before, after []smartsheet.User }{
		"two users, one loses it": {
			[]smartsheet.User{{ID: 7, Email: "jo@example.com", AlternateEmails: alternate(email(0))}, {ID: 8, Email: "al@example.com", AlternateEmails: alternate(email(0))}},
			[]smartsheet.User{{ID: 8, Email: "al@example.com"}},
		},
		"somebody else, too": {
			[]smartsheet.User{{ID: 7, Email: "jo@example.com", AlternateEmails: alternate(email(0), email(1))}},
			[]smartsheet.User{{ID: 7, Email: "jo@example.com", AlternateEmails: alternate(email(0))}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, 0, simulator.Options{Users: c.before})
				b.mem.Put(email(0), picture(0))
				b.mem.Put(email(1), picture(1))
				night := func() (string, int) {
					time.Sleep(24 * time.Hour)
					calls := b.sim.Counts().ByOp["user"]
					return reasons(b.must(byAlternate))[email(0)], b.sim.Counts().ByOp["user"] - calls
				}
				for range 3 {
					if got, calls := night(); got != "ambiguous skipped" || calls != len(c.before) {
						t.Errorf("in conflict: %s, %d calls, want %d", got, calls, len(c.before))
					}
				}
				for _, u := range c.after {
					b.sim.RemoveUser(u.Email)
					b.sim.AddUser(u)
				}
				if got, _ := night(); got != "new uploaded" {
					t.Errorf("put right: %s", got)
				}
				if img, _ := b.sim.Image("jo@example.com"); img.Uploads != 1 {
					t.Errorf("jo has %d uploads", img.Uploads)
				}
			})
		})
	}
}

// A user who is known by an alternate address, and about whom Smartsheet refuses to answer, is not
// one who is gone.
func TestAlternateThatIsRefused(t *testing.T) {
	for _, f := range []simulator.Fault{{Kind: "status", Status: 403, Code: 1004, Op: "user"}, {Kind: "status", Status: 500, Code: 4000, Op: "user"}} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 3, simulator.Options{Users: []smartsheet.User{{ID: 7, Email: "jo@example.com", AlternateEmails: alternate("ann@example.com")}}})
			b.mem.Put("ann@example.com", picture(500))
			if got := reasons(b.must(byAlternate))["ann@example.com"]; got != "new uploaded" {
				t.Fatal(got)
			}
			time.Sleep(24 * time.Hour)
			b.mem.Put("ann@example.com", picture(501))
			b.sim.AddFault(f)
			for range 3 {
				time.Sleep(24 * time.Hour)
				r, err := b.run(t.Context(), 300, byAlternate)
				if got := reasons(r)["ann@example.com"]; err == nil && (got != "changed failed" || !r.NeedsSomebody()) || err != nil && !Stopped(err) {
					t.Errorf("%+v: %s, result %s, error %v", f, got, r.Result, err)
				}
			}
		})
	}
}

// Users about whom Smartsheet never answers neither end a run nor keep others from being asked.
func TestUsersWhoNeverAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 3, simulator.Options{})
		for id := range int64(12) {
			b.sim.AddUser(smartsheet.User{ID: 100 + id, Email: fmt.Sprintf("u%d@example.com", id)})
			if id < 8 {
				b.sim.AddFault(simulator.Fault{Kind: "status", Status: 500, Code: 4000, Op: "user", User: fmt.Sprintf("u%d@example.com", id)})
			}
		}
		b.sim.AddUser(smartsheet.User{ID: 200, Email: "jo@example.com", AlternateEmails: alternate("ann@example.com")})
		b.mem.Put("ann@example.com", picture(500))
		b.mem.Put("bob@example.com", picture(501)) // whom nobody is, so that each run searches
		for night := range 4 {
			b.mem.Put(email(0), picture(100+night))
			r := b.must(func(o *Job) { byAlternate(o); o.How.Concurrency = 1 })
			if got := reasons(r); !strings.HasSuffix(got[email(0)], "uploaded") || night > 0 && got["ann@example.com"] == "not_in_smartsheet skipped" {
				t.Errorf("night %d: %v", night, got)
			}
			time.Sleep(24 * time.Hour)
		}
	})
}

// A person whose first picture a stopped run did not reach is still new to the search, once.
func TestAlternateEmailsAfterAStoppedRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 0, simulator.Options{Users: []smartsheet.User{{ID: 7, Email: email(0)}, {ID: 8, Email: email(1)}, {ID: 9, Email: email(2)}}})
		for i := range 4 { // the last one is in no list, so that the first run searches
			b.mem.Put(email(i), picture(i))
		}
		ctx, stop := context.WithCancel(t.Context())
		_, err := b.run(ctx, 1_000_000, func(o *Job) {
			byAlternate(o)
			o.Smartsheet, o.How.Concurrency = stopped{o.Smartsheet, stop}, 1
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		for i, u := range []smartsheet.User{{ID: 8, Email: "married@example.com", AlternateEmails: alternate(email(1))}, {ID: 9, Email: "gone@example.com"}} {
			b.sim.RemoveUser(email(i + 1))
			b.sim.AddUser(u)
		}
		for _, want := range []struct {
			one, two string
			asked    int
		}{{"new uploaded", "not_in_smartsheet skipped", 2}, {"", "not_in_smartsheet skipped", 0}} {
			asked := b.sim.Counts().ByOp["user"]
			got := reasons(b.must(byAlternate))
			if asked = b.sim.Counts().ByOp["user"] - asked; got[email(1)] != want.one || got[email(2)] != want.two || asked != want.asked {
				t.Errorf("%s, %s, %d users asked; want %+v", got[email(1)], got[email(2)], asked, want)
			}
			if row := b.row(2); row.UserID != 0 {
				t.Errorf("searched for in vain, and still new to the search: %+v", row)
			}
			time.Sleep(24 * time.Hour)
		}
	})
}

// People whom a folder lists by an address that is an alias in the directory that replaces it may be
// others, even with the same photo: all may have a silhouette. match.domains joins them.
func TestAliasOfTheSamePicture(t *testing.T) {
	b := newBench(t, 3, simulator.Options{})
	b.must(nil)
	directory := &Memory{}
	put := func(i int, photo []byte) {
		own := strings.Replace(email(i), "@example.com", "@new.com", 1)
		directory.Set(Entry{Ref: "cn=" + email(i), Key: "uuid" + email(i), Own: []string{own}, Aliases: []string{email(i)}, Photo: photo})
	}
	moved := func(joined map[string]string) func(*Job) {
		return func(o *Job) {
			o.Sources = []sources.Named{{Name: "ad", Type: "memory", Source: directory, Rewrite: joined}}
		}
	}
	for i := range 3 {
		put(i, picture(i))
	}
	for _, photo := range []int{0, 7} {
		put(0, picture(photo))
		r := b.must(moved(nil))
		if r.SkippedByReason["ambiguous"] != 3 || r.Totals.Uploaded != 0 || !strings.Contains(r.Items[0].Hint, "photosync state forget EMAIL") {
			t.Errorf("%+v, %v, %q", r.Totals, reasons(r), r.Items[0].Hint)
		}
	}
	if r := b.must(moved(map[string]string{"new.com": "example.com"})); r.Totals.Uploaded != 1 || r.NeedsSomebody() {
		t.Errorf("joined: %+v, %v", r.Totals, reasons(r))
	}
}

// A silhouette that others have, too, does not make a colleague the same person as somebody who left.
func TestAliasAndASilhouette(t *testing.T) {
	b := newBench(t, 4, simulator.Options{})
	b.sim.RemoveUser(email(1))
	entry := func(i int, aliases []string, photo []byte) {
		b.mem.Remove(email(i))
		b.mem.Set(Entry{Ref: "cn=" + email(i), Key: email(i), Own: []string{email(i)}, Aliases: aliases, Photo: photo})
	}
	for i := range 3 {
		entry(i, nil, picture(99))
	}
	b.must(nil)
	b.mem.Remove(email(0))
	for _, photo := range [][]byte{picture(99), picture(5)} {
		entry(1, []string{email(0)}, photo)
		if r := b.must(nil); reasons(r)[email(1)] != "ambiguous skipped" {
			t.Errorf("%v", reasons(r))
		}
	}
}
