package smartsheet

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// quotaWindow is what the quota counts in, and the longest pause when a 429 answer
	// does not say: the documented advice is to wait a minute, or to back off.
	quotaWindow = time.Minute
	// headroom keeps the client a little below the nominal quota, so that clock
	// skew and jitter on the way do not turn into 429 answers.
	headroom = 0.995
	// A rate that held for a while is raised a little, to see whether the other
	// clients of the token still take their share. Where they do, the next try
	// comes after twice the time.
	firstHold = 2 * quotaWindow
	lastHold  = 32 * quotaWindow
	raises    = 20 // steps from nothing to the nominal rate, before they grow
	// deepestCut is the most that one 429 answer takes off: uploads count at most
	// as ten requests (API reference, "Rate limiting").
	deepestCut = 10
	// enough is how many units let through show the share of the quota.
	enough = 10
)

// gate is what every attempt of every call passes: the quota of the token, spread
// evenly over the minute, and the pauses that hold for all callers, after a 429 answer
// or in an outage. After a pause one call goes first, as a probe; the others follow
// when it had a good answer.
type gate struct {
	limiter *rate.Limiter
	nominal float64 // units a second

	mu      sync.Mutex
	until   time.Time     // end of the pause
	first   bool          // the next call is a probe
	probe   chan struct{} // closed when the probe has its answer; nil: none is on its way
	refused int           // probes in a row that had a 429 answer
	epoch   int           // pauses so far: the answer to an older request says nothing new
	outage  outage

	rate   float64       // units a second, as the limiter has it
	proven float64       // the rate before the last raise, which held; 0: none
	step   float64       // of the next raise
	hold   time.Duration // until the next raise
	since  time.Time     // when rate was set, or the last pause ended
	passed units         // let through in the last window
}

// newGate returns a gate. limit is how long an outage may last.
func newGate(requestsPerMinute, burst int, limit time.Duration) *gate {
	perSecond := float64(requestsPerMinute) / 60 * headroom
	return &gate{
		limiter: rate.NewLimiter(rate.Limit(perSecond), burst), outage: outage{limit: limit},
		nominal: perSecond, rate: perSecond, step: perSecond / raises, hold: firstHold, since: time.Now(),
	}
}

// ticket is the right to send one request of a call; its answer goes to gate.answered.
type ticket struct {
	call
	epoch int
	probe chan struct{} // not nil: this request is the probe
}

// pass waits until there are as many units of quota as q takes and no pause holds.
func (g *gate) pass(ctx context.Context, q call) (ticket, *Error) {
	for {
		g.mu.Lock()
		until, probe, over := g.until, g.probe, g.outage.error(q.op)
		g.mu.Unlock()
		if over != nil {
			return ticket{}, over
		}
		err := sleepUntil(ctx, until)
		if err == nil && probe != nil {
			select {
			case <-probe:
				continue // which may have begun another pause
			case <-ctx.Done():
				err = context.Cause(ctx)
			}
		}
		if err == nil {
			err = g.limiter.WaitN(ctx, q.units)
		}
		if err != nil {
			return ticket{}, &Error{Op: q.op, Err: fmt.Errorf("waiting for quota: %w", cmp.Or(context.Cause(ctx), context.DeadlineExceeded))}
		}
		if !q.before.IsZero() && time.Now().After(q.before) {
			return ticket{}, &Error{Op: q.op, Err: ErrTooLate}
		}
		if t, open := g.enter(q); open {
			return t, nil
		}
		// A pause began while waiting for quota: wait for its end, too.
	}
}

func (g *gate) enter(q call) (t ticket, open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Now().Before(g.until) || g.probe != nil || g.outage.over {
		return ticket{}, false
	}
	if g.first {
		g.first, g.probe = false, make(chan struct{})
	}
	return ticket{q, g.epoch, g.probe}, true
}

// answered takes note of what became of t's request, and of the time after which the
// server asks to come back (0: it does not say). It returns for how long all callers
// pause now.
func (g *gate) answered(t ticket, e *Error, asked time.Duration) (pause time.Duration) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.probe != nil {
		g.probe = nil
		close(t.probe)
	}
	switch {
	case e == nil || e.Status != 0 && e.forCall().refused():
		g.refused = 0
		g.outage.answered(t.call)
		g.passed.add(now, t.units)
		g.raise(now)
	case e.forCall() == Throttled:
		g.limited(now, t, asked)
	case !e.own().class.refused():
		g.failing(now, t, e, asked)
	case t.probe != nil: // it was not sent
		g.first = true
	}
	return max(g.until.Sub(now), 0)
}

// limited begins a pause after a 429 answer.
func (g *gate) limited(now time.Time, t ticket, asked time.Duration) {
	if t.epoch == g.epoch {
		g.epoch++
		if asked == 0 {
			asked = g.guess(t)
		}
		if t.probe == nil {
			g.cut(now)
		}
	} else if asked == 0 {
		return // the pause that began with another request covers this one
	}
	// The clients of one token should not come back in the same instant.
	g.pause(now.Add(asked + rand.N(time.Second)))
}

// failing begins a pause when the server fails, if it asks for one or fails everybody.
func (g *gate) failing(now time.Time, t ticket, e *Error, asked time.Duration) {
	if t.epoch != g.epoch && asked == 0 {
		return
	}
	pause := g.outage.failing(now, t.call, e, asked)
	if pause > 0 {
		g.epoch++
		g.pause(now.Add(pause))
	}
	g.first = g.first || t.probe != nil
}

// pause lets nobody pass before until, and then one call alone.
func (g *gate) pause(until time.Time) {
	if until.After(g.until) {
		g.until, g.since = until, until
	}
	g.first = true
}

// guess is the pause after a 429 answer that does not say how long: until the
// server's window is over, whose end nobody knows. Where probes are refused again and
// again, the pauses grow. Just above a rate that held, what is left of the window is
// short.
func (g *gate) guess(t ticket) time.Duration {
	switch {
	case t.probe != nil:
		g.refused++
	case g.proven > 0:
		return quotaWindow / 6
	default:
		g.refused = 0
	}
	return min(quotaWindow/4<<min(max(g.refused-1, 0), 2), quotaWindow)
}

// cut lowers the rate: back to the one that held, or by half, or to what was let
// through in the last minute if that is still less.
func (g *gate) cut(now time.Time) {
	if g.proven > 0 {
		g.rate, g.proven = g.proven, 0
		g.hold = min(g.hold*2, lastHold)
	} else {
		half := g.rate / 2
		if n := g.passed.within(now); n >= enough {
			share := float64(n) / quotaWindow.Seconds() * headroom
			half = min(half, max(share, g.rate/deepestCut))
		}
		g.rate = max(half, g.nominal/1000)
	}
	g.step = min(g.nominal, 2*g.rate) / raises // a tenth of a slow rate
	g.limiter.SetLimitAt(now, rate.Limit(g.rate))
}

// raise lifts the rate when it held long enough.
func (g *gate) raise(now time.Time) {
	if g.rate >= g.nominal || now.Sub(g.since) < g.hold {
		return
	}
	g.proven, g.since = g.rate, now
	g.rate = min(g.rate+g.step, g.nominal)
	g.step *= 2
	g.limiter.SetLimitAt(now, rate.Limit(g.rate))
}

// down reports whether there is an outage.
func (g *gate) down() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.outage.pauses > 0
}

// pace is the rate now, in units a minute, and until when a pause holds; zero: none
// does.
func (g *gate) pace(now time.Time) (perMinute float64, until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.until.After(now) {
		until = g.until
	}
	return g.rate * 60, until
}

// units counts what was let through in the last window, by the second.
type units [60]struct {
	second int64
	n      int
}

func (u *units) add(now time.Time, n int) {
	x := &u[now.Unix()%int64(len(u))]
	if x.second != now.Unix() {
		x.second, x.n = now.Unix(), 0
	}
	x.n += n
}

func (u *units) within(now time.Time) (sum int) {
	for _, x := range u {
		if now.Unix()-x.second < int64(len(u)) {
			sum += x.n
		}
	}
	return sum
}

// sleepUntil returns at t or with ctx's error.
func sleepUntil(ctx context.Context, t time.Time) error {
	if d := time.Until(t); d > 0 {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
	return context.Cause(ctx)
}
