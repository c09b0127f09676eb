package smartsheet

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Where the time went stands by the minute: what was sent, refused and waited for.
func TestStatsByTheMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now().Truncate(time.Minute).Add(time.Minute)
		time.Sleep(time.Until(start.Add(50 * time.Second)))
		limited := false
		var paused time.Duration
		var c *Client
		c = newTest(t, func(*http.Request) (*http.Response, error) {
			if !limited {
				limited = true
				r := refusal(429, 4003, "r")
				r.Header.Set("Retry-After", "130")
				return r, nil
			}
			return answer(200, success), nil
		}, func(o *Options) {
			o.RequestsPerMinute, o.UploadWeight = 300, 2
			o.Observe = func(*Error, int, time.Duration) { paused = time.Until(c.Stats().PausedUntil) }
		})
		if s := c.Stats(); s.PerMinute < 298 || s.PerMinute > 300 || s.QuotaPerMinute != 300 || !s.PausedUntil.IsZero() || len(s.Minutes) != 0 {
			t.Errorf("before the first call: %+v", s)
		}
		if _, err := c.Upload(t.Context(), User{ID: testID}, picture, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if paused < 130*time.Second || paused > 131*time.Second {
			t.Errorf("paused for %v, want 130 s and less than one more", paused)
		}
		s := c.Stats()
		if s.PerMinute > 150 || !s.PausedUntil.IsZero() || s.RateLimited != 1 || s.Retries != 1 || s.Requests != 2 {
			t.Errorf("after a 429 answer: %+v", s)
		}
		var sum time.Duration
		for i := range s.Minutes {
			sum += s.Minutes[i].Waited
			s.Minutes[i].Waited = s.Minutes[i].Waited.Truncate(2 * time.Second)
		}
		if sum != s.Waited {
			t.Errorf("the minutes wait for %v, all for %v", sum, s.Waited)
		}
		want := []Minute{
			{start, 1, 1, 10 * time.Second}, {start.Add(time.Minute), 0, 0, time.Minute}, {start.Add(2 * time.Minute), 0, 0, time.Minute},
			{start.Add(3 * time.Minute), 1, 0, 0},
		}
		if d := cmp.Diff(want, s.Minutes); d != "" {
			t.Error(d)
		}
	})
}

func TestETA(t *testing.T) {
	now := time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		s       Stats
		uploads int
		want    time.Duration
	}{
		"nothing left": {Stats{PerMinute: 300}, 0, 0},
		"a backlog":    {Stats{PerMinute: 300, UploadWeight: 1}, 3000, 10 * time.Minute},
		"weighty":      {Stats{PerMinute: 300, UploadWeight: 10}, 3000, 100 * time.Minute},
		"paused":       {Stats{PerMinute: 300, UploadWeight: 1, PausedUntil: now.Add(time.Minute)}, 300, 2 * time.Minute},
		"was paused":   {Stats{PerMinute: 300, UploadWeight: 1, PausedUntil: now.Add(-time.Minute)}, 300, time.Minute},
	} {
		if got := c.s.ETA(c.uploads, now); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// A run of weeks keeps a day.
func TestMinutesAreBounded(t *testing.T) {
	c := newTest(t, nil, nil)
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for i := range 3 * maxMinutes {
		c.tally.add(Minute{Start: start.Add(time.Duration(i) * time.Minute), Requests: 1})
	}
	s := c.Stats()
	if len(s.Minutes) != maxMinutes || s.Minutes[0].Start != start.Add(48*time.Hour) || s.Requests != 3*maxMinutes {
		t.Errorf("%d minutes from %v, %d requests", len(s.Minutes), s.Minutes[0].Start, s.Requests)
	}
}
