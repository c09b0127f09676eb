package simulator

import (
	"fmt"
	"net/http"
	"time"
)

// quota is what a token has left. Its units come back a minute after they were
// taken; in fixed windows, a minute after the first of the window.
type quota struct {
	perMinute int
	sliding   bool
	taken     []taking
	used      int       // sum of taken
	others    time.Time // their next request
}

type taking struct {
	at    time.Time
	units int
}

// take takes units, or says how long it will be until there are as many.
func (q *quota) take(now time.Time, units int) (wait time.Duration, ok bool) {
	for len(q.taken) > 0 && now.Sub(q.taken[0].at) >= time.Minute {
		q.used -= q.taken[0].units
		q.taken = q.taken[1:]
	}
	if free := q.perMinute - q.used; units > free {
		for _, t := range q.taken {
			if free += t.units; free >= units {
				return t.at.Add(time.Minute).Sub(now), false
			}
		}
		return time.Minute, false // more than there ever are
	}
	q.used += units
	if n := len(q.taken); n > 0 && (!q.sliding || q.taken[n-1].at.Equal(now)) {
		q.taken[n-1].units += units
	} else {
		q.taken = append(q.taken, taking{now, units})
	}
	return 0, true
}

// catchUp lets the others send what they would have sent by now, at a steady pace; they
// do not care for refusals. It returns how many units they got. Nothing runs in between:
// time may be virtual.
func (q *quota) catchUp(now time.Time, perMinute int) (got int) {
	if perMinute <= 0 {
		q.others = now
		return 0
	}
	for !q.others.After(now) {
		if _, ok := q.take(q.others, 1); ok {
			got++
		}
		q.others = q.others.Add(time.Minute / time.Duration(perMinute))
	}
	return got
}

// spend takes the request's units from the quota of its token.
func (s *Server) spend(r *http.Request, op string) (wait time.Duration, ok bool) {
	if s.o.RequestsPerMinute <= 0 {
		return 0, true
	}
	units := 1
	if op == "upload" {
		units = s.o.UploadWeight
	}
	token := r.Header.Get("Authorization")
	if s.o.OAuth != nil {
		token = "" // a rotated token is still the same app's
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.quotas[token]
	if q == nil {
		q = &quota{perMinute: s.o.RequestsPerMinute, sliding: s.o.Sliding, others: s.start}
		s.quotas[token] = q
	}
	now := time.Now()
	s.counts.Others += q.catchUp(now, s.o.Others)
	if wait, ok = q.take(now, units); !ok {
		s.counts.RateLimited++
	}
	return wait, ok
}

func (s *Server) rateLimited(w http.ResponseWriter, wait time.Duration) {
	switch s.o.RetryAfter {
	case "seconds":
		w.Header().Set("Retry-After", fmt.Sprint(int(wait/time.Second)+1))
	case "date":
		w.Header().Set("Retry-After", time.Now().Add(wait+time.Second).UTC().Format(http.TimeFormat))
	}
	s.refuse(w, http.StatusTooManyRequests, 4003, "")
}
