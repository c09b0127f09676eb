package job

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

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
	b.expectCalls("first night", b.calls(func() { b.must(nil) }), map[string]int{"me": 1, "users": 2, "upload": 200})
	b.expectCalls("second night", b.calls(func() { b.must(nil) }), map[string]int{"me": 1})
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
		b.must(func(o *Options) {
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

// An id that Smartsheet no longer knows is looked up once, and its upload tried once
// more if that leads to another id.
func TestStaleIDCalls(t *testing.T) {
	for name, c := range map[string]struct {
		moved func(*bench)
		want  map[string]int
		got   string // outcome
	}{
		"another id":      {func(b *bench) { b.sim.AddUser(smartsheet.User{Email: email(0), ID: 77}) }, map[string]int{"me": 1, "users": 1, "upload": 2}, "changed uploaded"},
		"nobody any more": {func(*bench) {}, map[string]int{"me": 1, "users": 1, "upload": 1}, "changed failed"},
		"two users now": {func(b *bench) {
			b.sim.AddUser(smartsheet.User{Email: email(0), ID: 77})
			b.sim.AddUser(smartsheet.User{Email: email(0), ID: 78})
		}, map[string]int{"me": 1, "users": 1, "upload": 1}, "changed failed"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 1, simulator.Options{})
			b.must(nil)
			b.mem.Put(email(0), picture(7))
			b.sim.RemoveUser(email(0))
			c.moved(b)
			b.expectCalls(name, b.calls(func() {
				if got := reasons(b.must(nil))[email(0)]; got != c.got {
					t.Errorf("%s, want %s", got, c.got)
				}
			}), c.want)
		})
	}
}

// Whose account is not active is asked for every night, in one call, and gets no
// picture until it is.
func TestInactiveUsers(t *testing.T) {
	for _, status := range []string{"PENDING", "DECLINED", "DEACTIVATED", "SOMETHING_NEW"} {
		b := newBench(t, 0, simulator.Options{Users: []smartsheet.User{{Email: email(0), Status: status, ID: 9}}})
		b.mem.Put(email(0), picture(0))
		for range 2 {
			b.expectCalls(status, b.calls(func() {
				if got := reasons(b.must(nil))[email(0)]; got != "inactive_user skipped" {
					t.Errorf("%s: %s", status, got)
				}
			}), map[string]int{"me": 1, "users": 1})
		}
		b.sim.RemoveUser(email(0))
		b.sim.AddUser(smartsheet.User{Email: email(0), ID: 9})
		if got := reasons(b.must(nil))[email(0)]; got != "new uploaded" {
			t.Errorf("%s, then ACTIVE: %s", status, got)
		}
	}
}
