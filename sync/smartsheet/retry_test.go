package smartsheet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// What is tried again, what is not, and that no refId is lost on the way.
func TestRetry(t *testing.T) {
	type reply func() (*http.Response, error)
	ok := func(status int, body string) reply {
		return func() (*http.Response, error) { return answer(status, body), nil }
	}
	code := func(status, code int) reply {
		return func() (*http.Response, error) { return refusal(status, code, "r1"), nil }
	}
	fails := func(err error) reply {
		return func() (*http.Response, error) { return nil, err }
	}
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for name, c := range map[string]struct {
		fault reply
		again bool
		each  int // attempts when it never ends; 0: bounded by MaxWait
	}{
		"4000":            {code(500, 4000), true, 6},
		"4001":            {code(503, 4001), true, 0},
		"4002":            {code(500, 4002), true, 6},
		"4003":            {code(429, 4003), true, 0},
		"4004":            {code(500, 4004), true, 6},
		"502 HTML":        {ok(502, "<html>\x1b[31mBad\nGateway"), true, 6},
		"503 empty":       {ok(503, ""), true, 6},
		"429 empty":       {ok(429, ""), true, 0},
		"reset":           {fails(syscall.ECONNRESET), true, 6},
		"refused":         {fails(refused), true, 6},
		"cut short":       {ok(200, success[:60]), false, 1},
		"HTML with 200":   {ok(200, "<html>"), false, 1},
		"empty 200":       {ok(200, ""), false, 1},
		"500 other code":  {code(500, 9999), true, 6},
		"400 other code":  {code(400, 9999), false, 1},
		"5xxx":            {code(400, 5001), false, 1},
		"1002":            {code(401, 1002), false, 1},
		"1003":            {code(401, 1003), false, 1},
		"1004":            {code(403, 1004), false, 1},
		"1188":            {code(403, 1188), false, 1},
		"1006":            {code(404, 1006), false, 1},
		"1074":            {code(400, 1074), false, 1},
		"4005":            {code(410, 4005), false, 1},
		"unknown host":    {fails(&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}), false, 1},
		"bad certificate": {fails(certificateError), false, 1},
		"redirect":        {func() (*http.Response, error) { return redirect("https://elsewhere.test/"), nil }, false, 1},
	} {
		for _, ends := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " ends ", ends), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := 0
					cl := newTest(t, func(*http.Request) (*http.Response, error) {
						if n++; n > 1 && ends {
							return answer(200, success), nil
						}
						return c.fault()
					}, nil)
					start := time.Now()
					up, err := cl.Upload(t.Context(), User{ID: testID}, picture, time.Time{})
					wantErr := !ends || !c.again
					if (err != nil) != wantErr {
						t.Fatalf("error %v, want one: %v", err, wantErr)
					}
					want := c.each
					if !wantErr {
						want = 2
					}
					if want == 0 {
						if d := time.Since(start); d < 4*time.Minute || d > 5*time.Minute {
							t.Errorf("gave up after %v, want nearly 5m", d)
						}
						want = n
					}
					if up.Attempts != want || n != want || len(up.Earlier) != want-1 {
						t.Errorf("%d attempts, %d requests, %d earlier errors, want %d", up.Attempts, n, len(up.Earlier), want)
					}
					if e, ok := errors.AsType[*Error](err); wantErr && !ok {
						t.Errorf("%T is no *Error", err)
					} else if ok && e.Code != 0 && e.RefID != "r1" {
						t.Errorf("refId lost: %+v", e)
					}
				})
			})
		}
	}
}

// A 429 answer to one worker holds all of them for as long as it says.
func TestPauseHoldsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		early := 0
		c := newTest(t, func(*http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			if since := time.Since(start); since < 40*time.Second {
				early++
				r := refusal(429, 4003, "r")
				r.Header.Set("Retry-After", "40")
				return r, nil
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
		if took := time.Since(start); early > 8 || took > 42*time.Second {
			t.Errorf("%d requests into the pause, all done after %v", early, took)
		}
	})
}

// 300 a minute, in any window of a minute, for ten minutes, on time.
func TestQuotaIsSmooth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var at []time.Time
		c := newTest(t, func(*http.Request) (*http.Response, error) {
			time.Sleep(180 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Now())
			return answer(200, success), nil
		}, func(o *Options) { o.RequestsPerMinute = 300 })
		start := time.Now()
		var next atomic.Int32
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for next.Add(1) <= 3000 {
					if _, err := c.Upload(t.Context(), User{ID: testID}, picture, time.Time{}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took < 594*time.Second || took > 606*time.Second {
			t.Errorf("took %v, want 10m within 1 %%", took)
		}
		for i := 300; i < len(at); i++ {
			if w := at[i].Sub(at[i-300]); w < time.Minute {
				t.Fatalf("301 requests in %v, from request %d on", w, i-300)
			}
		}
		if s := c.Stats(); s.Requests != 3000 {
			t.Errorf("%+v", s)
		}
	})
}

// hangs is a server that answers an upload after d, unless the request ends.
func hangs(d time.Duration) serve {
	return func(r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(d):
			return answer(200, success), nil
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}

func TestStopping(t *testing.T) {
	for name, c := range map[string]struct {
		answerAfter, abortAfter, want time.Duration
		ok                            bool
	}{
		"answer within grace": {10 * time.Second, 0, 10 * time.Second, true},
		"no answer in grace":  {29 * time.Second, 0, 21 * time.Second, false},
		"second signal":       {10 * time.Second, 3 * time.Second, 3 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				abort := make(chan struct{})
				if c.abortAfter > 0 {
					time.AfterFunc(c.abortAfter, func() { close(abort) })
				}
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				cl := newTest(t, hangs(c.answerAfter), func(o *Options) { o.Abort = abort })
				start := time.Now()
				up, err := cl.Upload(ctx, User{ID: testID}, picture, time.Time{})
				if (err == nil) != c.ok || time.Since(start) != c.want || up.Attempts != 1 {
					t.Errorf("error %v after %v and %d attempts", err, time.Since(start), up.Attempts)
				}
			})
		})
	}
}

// Waits end with the context, whose cause the error wraps, and keep the refId.
func TestStoppedWaiting(t *testing.T) {
	for name, first := range map[string]*http.Response{
		"for quota":           refusal(429, 4003, "r7"),
		"for another attempt": refusal(500, 4004, "r7"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cause := errors.New("stop")
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(100*time.Millisecond, func() { cancel(cause) })
				n := 0
				c := newTest(t, func(*http.Request) (*http.Response, error) { n++; return first, nil }, nil)
				start := time.Now()
				up, err := c.Upload(ctx, User{ID: testID}, picture, time.Time{})
				if !errors.Is(err, cause) || time.Since(start) != 100*time.Millisecond || n != 1 {
					t.Errorf("error %v after %v, %d requests", err, time.Since(start), n)
				}
				refs := 0
				if e, ok := errors.AsType[*Error](err); ok && e.RefID == "r7" {
					refs++
				}
				for _, e := range up.Earlier {
					if e.RefID == "r7" {
						refs++
					}
				}
				if refs != 1 {
					t.Errorf("refId r7 is there %d times: %v, %v", refs, err, up.Earlier)
				}
			})
		})
	}
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTest(t, hangs(time.Hour), func(o *Options) { o.MaxAttempts = 2 })
		start := time.Now()
		_, err := c.Me(t.Context())
		if took := time.Since(start); !errors.Is(err, errTimeout) || took < time.Minute || took > 62*time.Second {
			t.Errorf("error %v after %v", err, took)
		}
	})
}

// An answer that drips is a timeout, too, and nobody else's fault.
func TestSlowAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTest(t, func(r *http.Request) (*http.Response, error) {
			a := answer(200, "")
			a.Body = io.NopCloser(drip{r.Context()})
			return a, nil
		}, func(o *Options) { o.MaxAttempts = 1 })
		for op, call := range map[string]func() error{
			"question": func() error { _, err := c.Me(t.Context()); return err },
			"upload": func() error {
				_, err := c.Upload(t.Context(), User{ID: testID}, picture, time.Time{})
				return err
			},
		} {
			err := call()
			e, ok := errors.AsType[*Error](err)
			if !ok || !strings.Contains(err.Error(), "no complete answer came within smartsheet.timeout") || strings.Contains(err.Error(), "deadline") {
				t.Errorf("%s: %v", op, err)
			} else if op == "question" && (Classify(err) != Retryable || !strings.Contains(e.Hint(), "smartsheet.timeout")) || op == "upload" && Classify(err) != Unconfirmed {
				t.Errorf("%s: %v, hint %q", op, Classify(err), e.Hint())
			}
		}
	})
}

// drip gives a byte every ten seconds.
type drip struct{ ctx context.Context }

func (d drip) Read(b []byte) (int, error) {
	select {
	case <-time.After(10 * time.Second):
		b[0] = ' '
		return 1, nil
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

// A large picture has more time: a slow line may take that long to carry it.
func TestTimeoutOfLargePicture(t *testing.T) {
	for size, want := range map[int]time.Duration{0: 30 * time.Second, 20 << 10: 31250 * time.Millisecond, 1 << 20: 94 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			c := newTest(t, hangs(time.Hour), func(o *Options) { o.MaxAttempts = 1 })
			start := time.Now()
			_, err := c.Upload(t.Context(), User{ID: testID}, Image{Data: make([]byte, size), ContentType: "image/png"}, time.Time{})
			if took := time.Since(start); !errors.Is(err, errTimeout) || took != want {
				t.Errorf("%d bytes: error %v after %v, want %v", size, err, took, want)
			}
		})
	}
}

// An answer without end is not read to its end.
func TestAnswerIsBounded(t *testing.T) {
	var read atomic.Int64
	c := newTest(t, func(*http.Request) (*http.Response, error) {
		r := answer(200, "")
		r.Body = io.NopCloser(endless{&read})
		return r, nil
	}, func(o *Options) { o.MaxAttempts = 1 })
	if _, err := c.Me(t.Context()); err == nil || read.Load() > 2*maxAnswerBytes {
		t.Errorf("error %v after %d bytes", err, read.Load())
	}
}

type endless struct{ read *atomic.Int64 }

func (e endless) Read(b []byte) (int, error) {
	clear(b)
	e.read.Add(int64(len(b)))
	return len(b), nil
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)
	for h, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 0 ": time.Second, "-3": 0, "soon": 0, "99999": 15 * time.Minute,
		"Tue, 24 Nov 2026 02:00:30 GMT": 30 * time.Second,
		"Tue, 24 Nov 2026 01:00:00 GMT": time.Second, // the clocks differ
	} {
		if got := retryAfter(h, now); got != want {
			t.Errorf("Retry-After %q: %v, want %v", h, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("7")
	f.Add("Tue, 24 Nov 2026 02:00:30 GMT")
	f.Add("18446744073709551616")
	f.Fuzz(func(t *testing.T, h string) {
		if d := retryAfter(h, time.Unix(0, 0)); d < 0 || d > 15*time.Minute {
			t.Errorf("Retry-After %q: %v", h, d)
		}
	})
}
