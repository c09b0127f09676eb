package smartsheet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

const (
	quotaWindow = time.Minute // that the quota counts in
	headroom    = 0.995       // of the quota, so that jitter on the way makes no 429 answers
	// A rate that held for a while is raised a little: do other clients of the token still
	// take their share? Where they do, the next try comes after twice the time.
	firstHold, lastHold = 2 * quotaWindow, 32 * quotaWindow
	enough              = 10 // units let through that show the share of the quota
)

// gate is what every attempt of every call passes: the quota of the token, spread evenly
// over the minute, and the pauses for all callers, after a 429 answer or in an outage. After
// a pause one call goes first, as a probe; the others follow when it had a good answer.
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
	rate    float64       // units a second, as the limiter has it
	proven  float64       // the rate before the last raise, which held; 0: none
	hold    time.Duration // until the next raise
	since   time.Time     // when rate was set, or the last pause ended
	window  time.Time     // begin of the minute that is counted
	passed  [2]float64    // units let through in it, and in the one before
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
		g.mu.Lock()
		open := !time.Now().Before(g.until) && g.probe == nil && !g.outage.over
		if open && g.first {
			g.first, g.probe = false, make(chan struct{})
		}
		t := ticket{q, g.epoch, g.probe}
		g.mu.Unlock()
		if open { // else a pause began while waiting for quota
			return t, nil
		}
	}
}

// answered notes how t's request ended, and the wait that the server asks for (0: none). It returns
// for how long all callers pause now.
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
		g.recent(now, t.units)
		g.raise(now)
	case e.forCall() == Throttled:
		g.limited(now, t, asked)
	case !e.own().class.refused() && (t.epoch == g.epoch || asked > 0):
		if pause := g.outage.failing(now, t.call, e, asked); pause > 0 {
			g.pause(now.Add(pause), true)
		}
		g.first = g.first || t.probe != nil
	case t.probe != nil: // it was not sent
		g.first = true
	}
	return max(g.until.Sub(now), 0)
}

// limited begins a pause after a 429 answer. If that does not say how long, the pauses grow
// up to a minute: the documented advice is to wait for one, or to back off.
func (g *gate) limited(now time.Time, t ticket, asked time.Duration) {
	fresh := t.epoch == g.epoch
	if !fresh && asked == 0 {
		return // the pause that began with another request covers this one
	}
	if t.probe != nil {
		g.refused++
	} else if g.refused = 0; fresh {
		g.cut(now)
	}
	if asked == 0 {
		asked = quotaWindow / 6 * time.Duration(min(g.refused+1, 6))
	}
	// The clients of one token should not come back in the same instant.
	g.pause(now.Add(asked+rand.N(time.Second)), fresh)
}

// pause lets nobody pass before until, and then one call alone.
func (g *gate) pause(until time.Time, fresh bool) {
	if fresh {
		g.epoch++
	}
	if until.After(g.until) {
		g.until, g.since = until, until
	}
	g.first = true
}

// cut lowers the rate to the last one that worked; else by half, or to that of the last minute if lower.
func (g *gate) cut(now time.Time) {
	if g.proven > 0 {
		g.rate, g.proven = g.proven, 0
		g.hold = min(g.hold*2, lastHold)
	} else {
		lower := g.rate / 2
		if n := g.recent(now, 0); n >= enough {
			lower = min(lower, n/quotaWindow.Seconds()*headroom)
		}
		g.rate = max(lower, g.nominal/1000)
	}
	g.limiter.SetLimitAt(now, rate.Limit(g.rate))
}

// raise lifts a rate that worked for long enough.
func (g *gate) raise(now time.Time) {
	if g.rate >= g.nominal || now.Sub(g.since) < g.hold {
		return
	}
	if g.proven > 0 {
		g.hold = firstHold // the last raise held, too
	}
	g.proven, g.since = g.rate, now
	g.rate = min(g.rate+min(g.nominal, 2*g.rate)/20, g.nominal)
	g.limiter.SetLimitAt(now, rate.Limit(g.rate))
}

// state is the rate in units a minute, until when a pause holds, and whether in an outage.
func (g *gate) state(now time.Time) (perMinute float64, until time.Time, down bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.until.After(now) {
		until = g.until
	}
	return g.rate * 60, until, g.outage.pauses > 0
}

// recent counts units that were let through, and returns about how many the last minute had.
func (g *gate) recent(now time.Time, units int) float64 {
	switch age := now.Sub(g.window); {
	case age >= 2*quotaWindow:
		g.window, g.passed = now, [2]float64{}
	case age >= quotaWindow:
		g.window, g.passed = g.window.Add(quotaWindow), [2]float64{0, g.passed[0]}
	}
	g.passed[0] += float64(units)
	gone := float64(now.Sub(g.window)) / float64(quotaWindow)
	return g.passed[0] + (1-gone)*g.passed[1]
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

// outageAfter is how many different calls have to fail in a row before that counts as an
// outage. A call that fails again and again alone may be at fault itself.
const outageAfter = 3

const longestPause = 5 * time.Minute // in an outage: a day of it is 300 requests

// errOutage is why a call is given up, or not begun, in an outage that lasted too long.
var errOutage = errors.New("Smartsheet serves nobody now")

// outage is a time in which every call fails: one at a time finds out whether it is over.
type outage struct {
	limit  time.Duration   // after which every call is given up
	failed map[string]bool // paths of calls that failed, since one had an answer
	since  time.Time       // the first of them
	pauses int             // before an attempt of one call
	last   Error
	over   bool // the limit was reached
	others bool // a call failed that is no upload
}

// failing notes that a call failed, and returns for how long all callers pause: as long as the
// server asks, and longer each time in an outage. Beyond the limit, over is set, and e says so.
func (o *outage) failing(now time.Time, q call, e *Error, asked time.Duration) (pause time.Duration) {
	if o.failed == nil {
		o.failed, o.since = map[string]bool{}, now
	}
	o.failed[q.path], o.last = true, *e
	o.others = o.others || !q.upload
	pause = asked
	if len(o.failed) >= outageAfter {
		pause = max(pause, min(time.Second<<min(o.pauses, 10), longestPause))
		o.pauses++
	}
	if o.over = o.over || pause > 0 && now.Add(pause).Sub(o.since) > o.limit; o.over {
		*e = *o.error(e.Op)
	}
	return pause + rand.N(pause/8+1)
}

// answered ends the outage. If only uploads failed, only one that works shows its end.
func (o *outage) answered(q call) {
	if q.upload || o.others || len(o.failed) == 0 {
		*o = outage{limit: o.limit}
	}
}

// error is why a call fails, or is not begun: the outage lasted too long. nil: it did not.
func (o *outage) error(op string) *Error {
	if !o.over {
		return nil
	}
	e := o.last
	err := fmt.Errorf("%w: %d different calls failed in a row", errOutage, len(o.failed))
	if len(o.failed) < outageAfter {
		err = fmt.Errorf("%w: it asks to wait for longer than retry.max_wait", errOutage)
	}
	if e.Err != nil {
		err = fmt.Errorf("%w, the last one: %w", err, e.Err)
	}
	e.Op, e.Err = op, err
	return &e
}

// Stats counts what a Client did since it was made, and says how fast it may go.
type Stats struct {
	Requests    int64 // sent, retries included
	Retries     int64
	RateLimited int64         // 429 answers
	BytesSent   int64         // image bytes in requests that were answered with success
	Waited      time.Duration // time that callers spent waiting for quota, summed over workers

	QuotaPerMinute int       // units, as configured
	PerMinute      float64   // units that the throttle allows now: less when others use the token, too
	UploadWeight   int       // units that an upload takes
	PausedUntil    time.Time // after a 429 answer; zero: no pause holds

	Minutes []Minute // of the last 24 hours, in order
}

// Minute is what happened in one minute of the clock, if anything did.
type Minute struct {
	Start       time.Time
	Requests    int64
	RateLimited int64
	Waited      time.Duration // summed over workers
}

// ETA is how long uploads will take from now on, retries aside.
func (s Stats) ETA(uploads int, now time.Time) time.Duration {
	if uploads <= 0 || s.PerMinute <= 0 {
		return 0
	}
	d := time.Duration(float64(uploads*max(s.UploadWeight, 1)) / s.PerMinute * float64(time.Minute))
	return d + max(s.PausedUntil.Sub(now), 0)
}

// maxMinutes bounds how much of the past is kept: those in which something happened.
const maxMinutes = 24 * 60

// tally counts what the client does, in all and by the minute.
type tally struct {
	retries, bytes atomic.Int64

	mu  sync.Mutex
	all Stats
}

// add counts what happened at a time.
func (t *tally) add(at time.Time, n Minute) {
	t.mu.Lock()
	defer t.mu.Unlock()
	start := at.UTC().Truncate(time.Minute)
	i, known := slices.BinarySearchFunc(t.all.Minutes, start, func(m Minute, start time.Time) int { return m.Start.Compare(start) })
	if !known {
		t.all.Minutes = slices.Insert(t.all.Minutes, i, Minute{Start: start})
	}
	m := &t.all.Minutes[i]
	m.Requests, m.RateLimited, m.Waited = m.Requests+n.Requests, m.RateLimited+n.RateLimited, m.Waited+n.Waited
	t.all.Requests, t.all.RateLimited, t.all.Waited = t.all.Requests+n.Requests, t.all.RateLimited+n.RateLimited, t.all.Waited+n.Waited
	t.all.Minutes = t.all.Minutes[max(len(t.all.Minutes)-maxMinutes, 0):]
}

// waited shares the time from a to b out to the minutes that it touches.
func (t *tally) waited(a, b time.Time) {
	for a.Before(b) {
		end := a.Truncate(time.Minute).Add(time.Minute)
		if end.After(b) {
			end = b
		}
		t.add(a, Minute{Waited: end.Sub(a)})
		a = end
	}
}

// Stats returns what the client has done so far. It may be called at any time.
func (c *Client) Stats() Stats {
	c.tally.mu.Lock()
	defer c.tally.mu.Unlock()
	s := c.tally.all
	s.Minutes = slices.Clone(s.Minutes)
	s.Retries, s.BytesSent = c.tally.retries.Load(), c.tally.bytes.Load()
	s.QuotaPerMinute, s.UploadWeight = c.o.RequestsPerMinute, c.o.UploadWeight
	s.PerMinute, s.PausedUntil, _ = c.gate.state(time.Now())
	return s
}
