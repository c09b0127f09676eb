package smartsheet

import (
	"time"

	"golang.org/x/time/rate"
)

const (
	quotaWindow = time.Minute // that the quota counts in
	headroom    = 0.995       // the part of the quota that is used, so that jitter on the way makes no 429 answers
	// A limit that worked for a while is raised a little, as other clients of the token may have
	// gone. If they have not, the next raise waits for twice the time.
	firstHold, lastHold = 2 * quotaWindow, 32 * quotaWindow
	enough              = 10 // units sent in a minute that show what share of the quota there is
)

// throttle spreads requests evenly over the minute. It learns from 429 answers how much of
// the quota other clients of the token leave.
type throttle struct {
	limiter *rate.Limiter
	nominal rate.Limit    // units a second that the whole quota allows
	proven  rate.Limit    // the limit before the last raise, which worked; 0: none
	hold    time.Duration // until the next raise
	since   time.Time     // when the limit was set, or the last pause ended
	window  time.Time     // begin of the minute that is counted
	sent    [2]float64    // units sent in it, and in the one before
}

func newThrottle(perMinute, burst int) throttle {
	nominal := rate.Limit(float64(perMinute) / 60 * headroom)
	return throttle{limiter: rate.NewLimiter(nominal, burst), nominal: nominal, hold: firstHold, since: time.Now()}
}

// cut lowers the limit to the last one that worked; else by half, or to what the last minute
// had if that is less.
func (t *throttle) cut(now time.Time) {
	limit := t.proven
	if limit > 0 {
		t.proven, t.hold = 0, min(t.hold*2, lastHold)
	} else {
		limit = t.limiter.Limit() / 2
		if n := t.count(now, 0); n >= enough {
			limit = min(limit, rate.Limit(n/quotaWindow.Seconds()*headroom))
		}
		limit = max(limit, t.nominal/1000)
	}
	t.limiter.SetLimitAt(now, limit)
}

// raise lifts a limit that worked for long enough.
func (t *throttle) raise(now time.Time) {
	limit := t.limiter.Limit()
	if limit >= t.nominal || now.Sub(t.since) < t.hold {
		return
	}
	if t.proven > 0 {
		t.hold = firstHold // the last raise worked, too
	}
	t.proven, t.since = limit, now
	t.limiter.SetLimitAt(now, min(limit+min(t.nominal, 2*limit)/20, t.nominal))
}

// count adds units that were sent, and returns about how many the last minute had.
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
