package smartsheet

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// uploadAll uploads for n people by four workers, until a call says that the run is over.
func uploadAll(t *testing.T, c *Client, n int) (uploaded, failed int, stopped error) {
	t.Helper()
	var mu sync.Mutex
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				i := next.Add(1)
				mu.Lock()
				over := stopped != nil
				mu.Unlock()
				if i > int64(n) || over {
					return
				}
				_, err := c.Upload(t.Context(), User{ID: i}, picture, time.Time{})
				mu.Lock()
				switch {
				case err == nil:
					uploaded++
				case Classify(err).EndsRun():
					stopped = err
				default:
					failed++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return uploaded, failed, stopped
}

// A day without Smartsheet takes few requests, one at a time. The run ends after
// MaxWait, to be continued; with a longer MaxWait, it goes on when the outage is over.
func TestOutage(t *testing.T) {
	const day = 24 * time.Hour
	for name, broken := range map[string]func() (*http.Response, error){
		"502":         func() (*http.Response, error) { return answer(502, "<html>Bad Gateway"), nil },
		"503 empty":   func() (*http.Response, error) { return answer(503, ""), nil },
		"4000":        func() (*http.Response, error) { return refusal(500, 4000, "r9"), nil },
		"maintenance": func() (*http.Response, error) { return refusal(503, 4001, "r9"), nil },
		"reset":       func() (*http.Response, error) { return nil, errors.New("connection reset by peer") },
		"hourly": func() (*http.Response, error) {
			r := answer(503, "")
			r.Header.Set("Retry-After", "3600")
			return r, nil
		},
	} {
		for _, wait := range []time.Duration{5 * time.Minute, 25 * time.Hour} {
			t.Run(fmt.Sprint(name, ", max_wait ", wait), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					start := time.Now()
					var inFlight, most atomic.Int32
					requests := 0
					c := newTest(t, func(*http.Request) (*http.Response, error) {
						n := inFlight.Add(1)
						defer inFlight.Add(-1)
						time.Sleep(100 * time.Millisecond)
						since := time.Since(start)
						if since > 10*time.Minute {
							most.Store(max(most.Load(), n))
						}
						if since < day {
							requests++
							return broken()
						}
						return answer(200, success), nil
					}, func(o *Options) { o.MaxWait, o.RequestsPerMinute = wait, 300 })
					n := 10_000
					if wait > day {
						n = 200
					}
					uploaded, failed, err := uploadAll(t, c, n)
					took := time.Since(start)
					if requests >= 500 || most.Load() > 1 && took < day {
						t.Errorf("%d requests, %d at once", requests, most.Load())
					}
					if wait < day {
						if Classify(err) != Unavailable || !Classify(err).Resumable() || uploaded > 0 || failed > 4 || took > 6*time.Minute || requests > 30 {
							t.Errorf("after %v: %d uploaded, %d failed, %d requests, error %v", took, uploaded, failed, requests, err)
						}
						return
					}
					if err != nil || uploaded+failed != n || failed > 60 || took > day+20*time.Minute {
						t.Errorf("after %v: %d uploaded, %d failed, error %v", took, uploaded, failed, err)
					}
					t.Logf("%d requests in a day, %d people failed", requests, failed)
				})
			})
		}
	}
}

// A quota that does not come back ends the run after MaxWait, to be continued. With a
// longer MaxWait, the run goes on when it comes back.
func TestQuotaIsGone(t *testing.T) {
	for _, asked := range []string{"", "60", "600", "999999999999999999999", "Fri, 31 Dec 2060 00:00:00 GMT"} {
		for _, wait := range []time.Duration{5 * time.Minute, 2 * time.Hour} {
			t.Run(fmt.Sprintf("Retry-After %q, max_wait %v", asked, wait), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					start := time.Now()
					c := newTest(t, func(*http.Request) (*http.Response, error) {
						time.Sleep(100 * time.Millisecond)
						if since := time.Since(start); since > time.Minute && since < time.Hour {
							r := refusal(429, 4003, "r9")
							r.Header.Set("Retry-After", asked)
							return r, nil
						}
						return answer(200, success), nil
					}, func(o *Options) { o.MaxWait, o.RequestsPerMinute = wait, 300 })
					uploaded, failed, err := uploadAll(t, c, 1000)
					took := time.Since(start)
					if wait > time.Hour && (err != nil || uploaded != 1000 || took > 80*time.Minute) {
						t.Errorf("after %v: %d uploaded, %d failed, error %v", took, uploaded, failed, err)
					}
					if wait < time.Hour && (Classify(err) != Throttled || !Classify(err).Resumable() || uploaded < 290 || failed > 0 || took > 7*time.Minute) {
						t.Errorf("after %v: %d uploaded, %d failed, error %v", took, uploaded, failed, err)
					}
				})
			})
		}
	}
}

// One person whose upload fails again and again holds nobody up.
func TestOnePersonIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := newTest(t, func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/2.0/users/1/profileimage" {
				return refusal(500, 4000, "r1"), nil
			}
			if time.Since(start) > time.Second && r.URL.Path == "/2.0/users/50/profileimage" {
				t.Errorf("user 50 waited for %v", time.Since(start))
			}
			return answer(200, success), nil
		}, nil)
		uploaded, failed, err := uploadAll(t, c, 100)
		if uploaded != 99 || failed != 1 || err != nil {
			t.Errorf("%d uploaded, %d failed, %v", uploaded, failed, err)
		}
	})
}

// Once it is over, an outage leaves nothing behind: the next one begins anew.
func TestOutagesDoNotAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := newTest(t, func(*http.Request) (*http.Response, error) {
			time.Sleep(100 * time.Millisecond)
			if m := int(time.Since(start).Minutes()); m%4 < 2 {
				return answer(502, ""), nil
			}
			return answer(200, success), nil
		}, func(o *Options) { o.RequestsPerMinute = 300 })
		uploaded, failed, err := uploadAll(t, c, 4000)
		if uploaded+failed != 4000 || failed > 20 || err != nil {
			t.Errorf("%d uploaded, %d failed, %v", uploaded, failed, err)
		}
	})
}

// Retry-After holds for a 503 answer as for a 429, and the log says what is waited.
func TestRetryAfterWithoutQuota(t *testing.T) {
	for _, status := range []int{429, 503} {
		synctest.Test(t, func(t *testing.T) {
			var said time.Duration
			var at []time.Time
			c := newTest(t, func(*http.Request) (*http.Response, error) {
				if at = append(at, time.Now()); len(at) == 1 {
					r := answer(status, "")
					r.Header.Set("Retry-After", "40")
					return r, nil
				}
				return answer(200, success), nil
			}, func(o *Options) { o.Observe = func(_ *Error, _ int, wait time.Duration) { said = wait } })
			if _, err := c.Upload(t.Context(), User{ID: testID}, picture, time.Time{}); err != nil {
				t.Fatal(err)
			}
			if waited := at[1].Sub(at[0]); waited < 40*time.Second || waited > 46*time.Second || (waited-said).Abs() > time.Millisecond {
				t.Errorf("%d: waited for %v, said %v", status, waited, said)
			}
		})
	}
}
