package smartsheet

import (
	"slices"
	"sync"
	"time"
)

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

// maxMinutes bounds how many minutes are remembered; only those in which something happened count.
const maxMinutes = 24 * 60

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
