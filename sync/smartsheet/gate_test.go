package smartsheet

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// quota is a server that lets perMinute units through, of which other clients
// take others, evenly. It says nothing about when to come back.
type quota struct {
	perMinute, others, weight int
	sliding                   bool

	mu      sync.Mutex
	start   time.Time
	taken   []time.Time // by this client, one for each unit
	limited int
}

func (q *quota) RoundTrip(*http.Request) (*http.Response, error) {
	time.Sleep(150 * time.Millisecond)
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	from, elapsed := now.Add(-time.Minute), time.Minute
	if !q.sliding {
		elapsed = now.Sub(q.start) % time.Minute
		from = now.Add(-elapsed)
	}
	used := int(float64(q.others) * elapsed.Minutes())
	for i := len(q.taken) - 1; i >= 0 && q.taken[i].After(from); i-- {
		used++
	}
	if used+q.weight > q.perMinute {
		q.limited++
		return refusal(429, 4003, "r"), nil
	}
	for range q.weight {
		q.taken = append(q.taken, now)
	}
	return answer(200, success), nil
}

// between counts the uploads let through from a to b after the start.
func (q *quota) between(a, b time.Duration) (n int) {
	for _, t := range q.taken {
		if d := t.Sub(q.start); d >= a && d < b {
			n++
		}
	}
	return n / q.weight
}

// backlog uploads until d is over, by four workers that believe in 300 a minute.
func (q *quota) backlog(t *testing.T, d time.Duration) (requests int) {
	q.start = time.Now()
	c := newTest(t, nil, func(o *Options) { o.Transport, o.RequestsPerMinute = q, 300 })
	var n atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for time.Since(q.start) < d {
				n.Add(1)
				if _, err := c.SetProfileImage(t.Context(), User{ID: testID}, picture); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return int(c.Stats().Requests)
}

// Whoever else uses the token: what is left of the quota is used, and the server
// seldom has to say no.
func TestThrottleAdapts(t *testing.T) {
	for name, c := range map[string]struct {
		q       *quota
		settled time.Duration // from then on
		share   int           // uploads a minute there are
		least   float64       // of them
		limited float64       // of all requests, at most
	}{
		"alone":                {&quota{perMinute: 300, weight: 1}, 0, 300, 0.99, 0},
		"alone, sliding":       {&quota{perMinute: 300, weight: 1, sliding: true}, 0, 300, 0.99, 0},
		"half taken":           {&quota{perMinute: 300, weight: 1, others: 150}, 2 * time.Minute, 150, 0.95, 0.01},
		"half taken, sliding":  {&quota{perMinute: 300, weight: 1, others: 150, sliding: true}, 2 * time.Minute, 150, 0.95, 0.01},
		"a third taken":        {&quota{perMinute: 300, weight: 1, others: 100}, 30 * time.Minute, 200, 0.9, 0.01},
		"unknown weight of 10": {&quota{perMinute: 300, weight: 10}, 5 * time.Minute, 30, 0.9, 0.02},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const d = time.Hour
				requests := c.q.backlog(t, d)
				got := float64(c.q.between(c.settled, d)) / (d - c.settled).Minutes() / float64(c.share)
				limited := float64(c.q.limited) / float64(requests)
				t.Logf("%.1f %% of the share, %.2f %% of %d requests refused", 100*got, 100*limited, requests)
				if got < c.least || limited > c.limited {
					t.Errorf("want at least %.1f %% and at most %.2f %%", 100*c.least, 100*c.limited)
				}
			})
		})
	}
}

// When the others leave, the whole quota is used again.
func TestThrottleRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &quota{perMinute: 300, weight: 1, others: 150}
		time.AfterFunc(10*time.Minute, func() {
			q.mu.Lock()
			defer q.mu.Unlock()
			q.others = 0
		})
		q.backlog(t, 60*time.Minute)
		if n := q.between(50*time.Minute, 60*time.Minute); n < 10*297 {
			t.Errorf("%d uploads in ten minutes, want 3000 within 1 %%", n)
		}
	})
}

// After a pause one request goes first; the others wait for its answer.
func TestOneProbeAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var inFlight, most atomic.Int32
		c := newTest(t, func(*http.Request) (*http.Response, error) {
			n := inFlight.Add(1)
			defer inFlight.Add(-1)
			time.Sleep(2 * time.Second)
			if since := time.Since(start); since < 100*time.Second {
				if since > 10*time.Second {
					most.Store(max(most.Load(), n))
				}
				return refusal(429, 4003, "r"), nil
			}
			return answer(200, success), nil
		}, nil)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := c.SetProfileImage(t.Context(), User{ID: testID}, picture); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if most.Load() != 1 {
			t.Errorf("%d requests at once after the pause", most.Load())
		}
	})
}
