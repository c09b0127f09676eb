package smartsheet

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// headroom keeps the client a little below the nominal quota, so that clock skew
// and jitter on the way do not turn into 429 answers.
const headroom = 0.995

// gate is what every attempt of every call passes: the quota of the token, spread
// evenly over the minute, and the pause that one 429 answer imposes on all.
type gate struct {
	limiter *rate.Limiter

	mu     sync.Mutex
	until  time.Time // nobody passes before
	waited time.Duration
}

func newGate(requestsPerMinute, burst int) *gate {
	perSecond := rate.Limit(float64(requestsPerMinute) / 60 * headroom)
	return &gate{limiter: rate.NewLimiter(perSecond, max(burst, 1))}
}

// pass waits until units of quota are there and no pause holds. Its error is
// ctx's.
func (g *gate) pass(ctx context.Context, units int) error {
	start := time.Now()
	defer func() {
		g.mu.Lock()
		g.waited += time.Since(start)
		g.mu.Unlock()
	}()
	for {
		if err := sleepUntil(ctx, g.pausedUntil()); err != nil {
			return err
		}
		if err := g.limiter.WaitN(ctx, units); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			// The deadline would pass while waiting.
			return context.DeadlineExceeded
		}
		if !time.Now().Before(g.pausedUntil()) {
			return nil
		}
		// A pause began while waiting for quota: wait for that, too.
	}
}

// pause holds everybody back for d and some jitter, so that the clients of one
// token do not come back in the same instant.
func (g *gate) pause(d time.Duration) {
	until := time.Now().Add(d + rand.N(time.Second))
	g.mu.Lock()
	defer g.mu.Unlock()
	if until.After(g.until) {
		g.until = until
	}
}

func (g *gate) pausedUntil() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.until
}

func (g *gate) timeWaited() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waited
}

// sleepUntil returns at t or with ctx's error.
func sleepUntil(ctx context.Context, t time.Time) error {
	d := time.Until(t)
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
