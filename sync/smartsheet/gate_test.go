package smartsheet

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// quota is a server that lets perMinute units through, of which another client takes
// some: evenly, or all of a minute's at once.
type quota struct {
	perMinute, weight int
	sliding           bool
	anchor            time.Duration // how much of the first fixed window is over at the start
	others            int           // units a minute
	from, to          time.Duration // when they are taken; to 0: for good
	burst             bool
	phase             time.Duration // of the other client's requests
	tells             bool          // when to come back

	mu      sync.Mutex
	start   time.Time
	taken   []time.Time // by this client, one for each upload
	limited []time.Time
}

// othersUntil is what the other client has taken by d after the start.
func (q *quota) othersUntil(d time.Duration) int {
	if d = max(d, q.from); q.to > 0 {
		d = min(d, q.to)
	}
	every, each := time.Minute/time.Duration(max(q.others, 1)), min(q.others, 1)
	if q.burst {
		every, each = time.Minute, q.others
	}
	return int((d+q.phase)/every)*each - int((q.from+q.phase)/every)*each
}

// used is what was taken of the window that now ends, by all.
func (q *quota) used(begin, end time.Duration) int {
	n := q.othersUntil(end) - q.othersUntil(begin)
	for i := len(q.taken) - 1; i >= 0 && q.taken[i].Sub(q.start) >= begin; i-- {
		n += q.weight
	}
	return n
}

func (q *quota) RoundTrip(*http.Request) (*http.Response, error) {
	time.Sleep(150 * time.Millisecond)
	q.mu.Lock()
	defer q.mu.Unlock()
	at := time.Since(q.start)
	begin := at - time.Minute
	if !q.sliding {
		begin = at - (at+q.anchor)%time.Minute
	}
	if q.used(begin, at)+q.weight <= q.perMinute {
		q.taken = append(q.taken, time.Now())
		return answer(200, success), nil
	}
	q.limited = append(q.limited, time.Now())
	r := refusal(429, 4003, "r")
	if q.tells {
		wait := time.Minute - (at - begin)
		for q.sliding && wait < time.Minute && q.used(begin+wait, at+wait)+q.weight > q.perMinute {
			wait += time.Second
		}
		r.Header.Set("Retry-After", fmt.Sprint(int(wait/time.Second)+1))
	}
	return r, nil
}

// between counts the times from a to b after the start.
func (q *quota) between(times []time.Time, a, b time.Duration) (n int) {
	for _, t := range times {
		if d := t.Sub(q.start); d >= a && d < b {
			n++
		}
	}
	return n
}

// backlog uploads as long as more says, by four workers that believe in 300 a minute.
func (q *quota) backlog(t *testing.T, more func() bool) {
	q.start = time.Now()
	c := newTest(t, nil, func(o *Options) { o.Transport, o.RequestsPerMinute, o.MaxWait = q, 300, time.Hour })
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for more() {
				if _, err := c.Upload(t.Context(), User{ID: testID}, picture, time.Time{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// during uploads for a while.
func (q *quota) during(t *testing.T, d time.Duration) {
	q.backlog(t, func() bool { return time.Since(q.start) < d })
}

// servers are the ways to count a quota, and to say when there is some again. For the
// client they differ in its waits, not in what it does at the same time: the race detector
// needs one.
func servers(f func(name string, fresh func() *quota)) {
	for _, sliding := range []bool{false, true} {
		for _, tells := range []bool{false, true} {
			if testing.Short() && !(sliding && tells) {
				continue
			}
			f(fmt.Sprintf("sliding %v, Retry-After %v", sliding, tells), func() *quota {
				return &quota{perMinute: 300, weight: 1, sliding: sliding, tells: tells}
			})
		}
	}
}

// Alone, a backlog takes as long as the quota says, and is never refused.
func TestThrottleAlone(t *testing.T) {
	servers(func(name string, fresh func() *quota) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n atomic.Int64
				q := fresh()
				q.anchor = 17 * time.Second
				q.backlog(t, func() bool { return n.Add(1) <= 10_000 })
				took, ideal := time.Since(q.start), 10_000*time.Minute/300
				if took > ideal*101/100 || took < ideal*99/100 || len(q.limited) > 0 || len(q.taken) != 10_000 {
					t.Errorf("%d uploads took %v, ideal %v; %d refused", len(q.taken), took, ideal, len(q.limited))
				}
			})
		})
	})
}

// Whoever else uses the token, in whatever rhythm: what is left of the quota is used,
// and the server seldom has to say no.
func TestThrottleAdapts(t *testing.T) {
	for name, c := range map[string]struct {
		phases int // of the other client and of the server's window, that are tried
		others int
		from   time.Duration // when the other client comes
		steady time.Duration // from then on
		until  time.Duration
		weight int
		share  int     // uploads a minute there are
		least  float64 // of them
	}{
		"half taken":               {2, 150, 0, 2 * time.Minute, 12 * time.Minute, 1, 150, 0.95},
		"half taken, for longer":   {1, 150, 0, 2 * time.Minute, 40 * time.Minute, 1, 150, 0.96},
		"half taken in the middle": {2, 150, 10 * time.Minute, 12 * time.Minute, 22 * time.Minute, 1, 150, 0.95},
		"a third taken":            {1, 100, 0, 25 * time.Minute, 40 * time.Minute, 1, 200, 0.95},
		"most taken":               {2, 240, 0, 2 * time.Minute, 22 * time.Minute, 1, 60, 0.7},
		"unknown weight of 10":     {2, 0, 0, 5 * time.Minute, 25 * time.Minute, 10, 30, 0.97},
	} {
		servers(func(server string, fresh func() *quota) {
			for _, burst := range []bool{false, true} {
				if burst && (c.others == 0 || c.phases == 1) {
					continue
				}
				for phase := range c.phases {
					if phase > 0 && testing.Short() {
						break // the race detector needs one
					}
					q := fresh()
					q.weight, q.others, q.from, q.burst = c.weight, c.others, c.from, burst
					// Just after the server's minute begins, and at other times of it.
					q.anchor, q.phase = time.Duration(phase)*23*time.Second, time.Duration(phase)*19*time.Second-time.Millisecond
					t.Run(fmt.Sprint(name, ", ", server, ", in bursts ", burst, ", phase ", phase), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							q.during(t, c.until)
							got := q.between(q.taken, c.steady, c.until)
							limited := q.between(q.limited, c.steady, c.until)
							share := float64(got) / (c.until - c.steady).Minutes() / float64(c.share)
							refused := float64(limited) / float64(got+limited)
							if share < c.least || share > 1.02 || refused >= 0.01 {
								t.Errorf("%.1f %% of the share, %.2f %% refused; want %.0f to 102 %% and less than 1 %%", 100*share, 100*refused, 100*c.least)
							}
						})
					})
				}
			}
		})
	}
}

// When the others leave, the whole quota is used again.
func TestThrottleRecovers(t *testing.T) {
	servers(func(name string, fresh func() *quota) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := fresh()
				q.others, q.to = 150, 10*time.Minute
				q.during(t, 55*time.Minute)
				if n := q.between(q.taken, 50*time.Minute, 55*time.Minute); n < 5*297 {
					t.Errorf("%d uploads in five minutes, want 1500 within 1 %%", n)
				}
			})
		})
	})
}

// A quota that is gone for long is asked for ever more seldom.
func TestProbesBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &quota{perMinute: 300, weight: 1, others: 300, burst: true, phase: time.Minute - time.Millisecond, to: 10 * time.Minute}
		q.sliding = true
		q.during(t, 12*time.Minute)
		if n := q.between(q.limited, 0, 10*time.Minute); n > 16 || n < 10 {
			t.Errorf("%d requests into ten minutes without quota, want about one a minute", n)
		}
		if n := q.between(q.taken, 11*time.Minute+10*time.Second, 12*time.Minute); n == 0 {
			t.Error("the quota came back and was not used")
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
				if _, err := c.Upload(t.Context(), User{ID: testID}, picture, time.Time{}); err != nil {
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
