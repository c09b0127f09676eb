package smartsheet

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// gate makes every attempt of every call wait for the throttle, and for the end of a pause. A pause,
// after a 429 answer or in an outage, is for all callers. After it one call goes first, as a probe;
// the others follow once the probe had a good answer.
type gate struct {
	mu           sync.Mutex
	throttle     throttle
	outage       outage
	until        time.Time     // end of the pause
	first        bool          // the next call is a probe
	probe        chan struct{} // closed when the probe has its answer; nil: there is no probe now
	limitedSince time.Time     // since when every answer is 429; zero: the last answer was not
	epoch        int           // pauses so far: a request from before the last pause says nothing new
}

// ticket is the right to send one request of a call; its answer goes to gate.answered.
type ticket struct {
	call
	epoch int
	probe chan struct{} // not nil: this request is the probe
}

// wait returns when the quota has as many units as q takes, and there is no pause.
func (g *gate) wait(ctx context.Context, q call) (ticket, *Error) {
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
				continue // its answer may have begun another pause
			case <-ctx.Done():
				err = context.Cause(ctx)
			}
		}
		if err == nil {
			err = g.throttle.limiter.WaitN(ctx, q.units)
		}
		if err != nil {
			return ticket{}, &Error{Op: q.op, Err: fmt.Errorf("not sent: %w", cmp.Or(context.Cause(ctx), context.DeadlineExceeded))}
		}
		if now := time.Now(); !q.before.IsZero() && (now.After(q.before) || now.Round(0).After(q.before.Round(0))) {
			return ticket{}, &Error{Op: q.op, Err: ErrTooLate}
		}
		g.mu.Lock()
		open := !time.Now().Before(g.until) && g.probe == nil && g.outage.over == nil
		if open && g.first {
			g.first, g.probe = false, make(chan struct{})
		}
		t := ticket{q, g.epoch, g.probe}
		g.mu.Unlock()
		if open { // otherwise a pause began while this call waited for quota
			return t, nil
		}
	}
}

// answered takes the result of t's request, and the wait that the server asks for (0: none). It
// returns for how long all callers pause now.
func (g *gate) answered(t ticket, e *Error, asked time.Duration) (pause time.Duration) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	news := t.epoch == g.epoch || asked > 0                            // the answer is not from before the last pause
	aboutAll := !t.unanswered || !t.upload && len(g.outage.failed) > 0 // it says something about other calls, too
	if t.probe != nil {
		g.probe = nil
		close(t.probe)
	}
	switch {
	case e == nil || e.Status != 0 && e.forCall().refused():
		g.limitedSince = time.Time{}
		g.outage.answered(t.call)
		g.throttle.count(now, t.units)
		g.throttle.raise(now)
	case e.forCall() == Throttled:
		g.limited(now, t, e, asked)
	case !e.ownCause().class.refused() && aboutAll && news:
		if pause := g.outage.failing(now, t.call, e, asked); pause > 0 {
			g.pause(now.Add(pause), true)
		}
		g.first = g.first || t.probe != nil
	case t.probe != nil: // the probe was not sent
		g.first = true
	}
	return max(g.until.Sub(now), 0)
}

// limited begins a pause after a 429 answer. If the answer does not say how long, the pauses grow
// up to a minute: the documented advice is to wait for a minute, or to back off. If they would
// exceed the limit of an outage, every call fails, and e says so.
func (g *gate) limited(now time.Time, t ticket, e *Error, asked time.Duration) {
	fresh := t.epoch == g.epoch
	if !fresh && asked == 0 {
		return // the pause that began with another request covers this one
	}
	if t.probe == nil && fresh {
		g.throttle.cut(now)
	}
	if g.limitedSince.IsZero() {
		g.limitedSince = now
	}
	if asked == 0 {
		asked = min(quotaWindow/6+now.Sub(g.limitedSince), quotaWindow)
	}
	if now.Add(asked).Sub(g.limitedSince) > g.outage.limit {
		g.outage.over, g.outage.last = errQuota, *e
		e.Err = errQuota
	}
	// The clients of one token should not come back in the same instant.
	g.pause(now.Add(asked+rand.N(time.Second)), fresh)
}

// pause makes all calls wait until then; one call goes first. fresh: the pause is a new one.
func (g *gate) pause(until time.Time, fresh bool) {
	if fresh {
		g.epoch++
	}
	if until.After(g.until) {
		g.until, g.throttle.since = until, until
	}
	g.first = true
}

// state returns the limit in units a minute, the end of the pause if there is one, and whether there is an outage.
func (g *gate) state(now time.Time) (perMinute float64, until time.Time, down bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.until.After(now) {
		until = g.until
	}
	return float64(g.throttle.limiter.Limit()) * 60, until, g.outage.pauses > 0
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

const (
	quotaWindow = time.Minute // that the quota counts in
	usedPart    = 0.995       // the part of the quota that is used, so that network jitter causes no 429 answers
	// A limit that worked for a while is raised a little, as other clients of the token may have
	// stopped. If they have not, the next raise waits for twice the time.
	firstHold, lastHold = 2 * quotaWindow, 32 * quotaWindow
	enough              = 10 // units sent in a minute, to measure our share of the quota
)

// throttle spreads requests evenly over the minute. From 429 answers it learns how much of the
// quota other clients of the token use.
type throttle struct {
	limiter *rate.Limiter
	nominal rate.Limit    // units a second that the whole quota allows
	proven  rate.Limit    // the limit that worked before the last raise; 0: none
	hold    time.Duration // until the next raise
	since   time.Time     // when the limit was set, or the last pause ended
	window  time.Time     // the start of the minute that is counted
	sent    [2]float64    // units sent in this minute, and in the one before
}

// cut lowers the limit to the last one that worked. If there is none, it halves the limit, or takes
// what was sent in the last minute, if that is less.
func (t *throttle) cut(now time.Time) {
	limit := t.proven
	if limit > 0 {
		t.proven, t.hold = 0, min(t.hold*2, lastHold)
	} else {
		limit = t.limiter.Limit() / 2
		if n := t.count(now, 0); n >= enough {
			limit = min(limit, rate.Limit(n/quotaWindow.Seconds()*usedPart))
		}
		limit = max(limit, t.nominal/1000)
	}
	t.limiter.SetLimitAt(now, limit)
}

// raise raises a limit that worked for long enough.
func (t *throttle) raise(now time.Time) {
	limit := t.limiter.Limit()
	if limit >= t.nominal || now.Sub(t.since) < t.hold {
		return
	}
	if t.proven > 0 {
		t.hold = firstHold // the last raise worked
	}
	t.proven, t.since = limit, now
	t.limiter.SetLimitAt(now, min(limit+min(t.nominal, 2*limit)/20, t.nominal))
}

// count adds units that were sent, and returns about how many were sent in the last minute.
func (t *throttle) count(now time.Time, units int) float64 {
	switch age := now.Sub(t.window); {
	case age >= 2*quotaWindow:
		t.window, t.sent = now, [2]float64{}
	case age >= quotaWindow:
		t.window, t.sent = t.window.Add(quotaWindow), [2]float64{0, t.sent[0]}
	}
	t.sent[0] += float64(units)
	gone := float64(now.Sub(t.window)) / float64(quotaWindow)
	return t.sent[0] + (1-gone)*t.sent[1]
}

// Stats counts what a Client did since it was made, and says how fast it may go.
type Stats struct {
	Requests    int64 // sent, retries included
	Retries     int64
	RateLimited int64         // 429 answers
	Waited      time.Duration // time that callers spent waiting for quota, summed over workers

	QuotaPerMinute int       // units, as configured
	PerMinute      float64   // units that the throttle allows now: less when others use the token, too
	UploadWeight   int       // units that an upload takes
	PausedUntil    time.Time // after a 429 answer; zero: no pause holds

	Minutes []Minute // of the last 24 hours, in order
	Failed  []*Error // attempts of calls that are no uploads
}

// Minute is what happened in one minute of the clock, if anything did.
type Minute struct {
	Start       time.Time
	Requests    int64
	RateLimited int64
	Waited      time.Duration // summed over workers
}

// ETA estimates how long uploads will take from now on, without retries.
func (s Stats) ETA(uploads int, now time.Time) time.Duration {
	if uploads <= 0 || s.PerMinute <= 0 {
		return 0
	}
	d := time.Duration(float64(uploads*max(s.UploadWeight, 1)) / s.PerMinute * float64(time.Minute))
	return d + max(s.PausedUntil.Sub(now), 0)
}

const maxMinutes = 24 * 60 // to remember; only those in which something happened count

// tally counts what the client does, in total and by the minute.
type tally struct {
	mu  sync.Mutex
	all Stats
}

// change lets do change the totals.
func (t *tally) change(do func(*Stats)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	do(&t.all)
}

// add counts what happened at n.Start.
func (t *tally) add(n Minute) {
	t.mu.Lock()
	defer t.mu.Unlock()
	start := n.Start.UTC().Truncate(time.Minute)
	i, known := slices.BinarySearchFunc(t.all.Minutes, start, func(m Minute, start time.Time) int { return m.Start.Compare(start) })
	if !known {
		t.all.Minutes = slices.Insert(t.all.Minutes, i, Minute{Start: start})
	}
	m := &t.all.Minutes[i]
	m.Requests, m.RateLimited, m.Waited = m.Requests+n.Requests, m.RateLimited+n.RateLimited, m.Waited+n.Waited
	t.all.Requests, t.all.RateLimited, t.all.Waited = t.all.Requests+n.Requests, t.all.RateLimited+n.RateLimited, t.all.Waited+n.Waited
	t.all.Minutes = t.all.Minutes[max(len(t.all.Minutes)-maxMinutes, 0):]
}

// waited adds the time from a to b to the minutes that it covers.
func (t *tally) waited(a, b time.Time) {
	for a.Before(b) {
		end := a.Truncate(time.Minute).Add(time.Minute)
		if end.After(b) {
			end = b
		}
		t.add(Minute{Start: a, Waited: end.Sub(a)})
		a = end
	}
}

// Stats returns what the client has done so far. It may be called at any time.
func (c *Client) Stats() (s Stats) {
	c.tally.change(func(all *Stats) {
		s = *all
		s.Minutes = slices.Clone(all.Minutes)
	})
	s.QuotaPerMinute, s.UploadWeight = c.o.RequestsPerMinute, c.o.UploadWeight
	s.PerMinute, s.PausedUntil, _ = c.gate.state(time.Now())
	return s
}
