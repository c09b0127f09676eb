package simulator

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// quota is what a token has left. Its units come back a minute after they were
// taken; in fixed windows, a minute after the first of the window.
type quota struct {
	perMinute int
	sliding   bool
	taken     []taking
	used      int // sum of taken

	others Others
	begin  time.Time // of others
	next   int       // their next request
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

// Others is another client of the same token, or all others together. They send
// at a steady pace and do not care for refusals.
type Others struct {
	PerMinute int           // requests
	Burst     bool          // all of a minute at once
	Phase     time.Duration // until their first
	From, To  time.Duration // when they send, from New on; To 0: for ever
}

// ParseOthers reads the text form: N[,burst][,phase=D][,from=D][,to=D], where N is
// requests a minute and each D a time. Example: "150,from=5m,to=15m".
func ParseOthers(s string) (Others, error) {
	first, rest, _ := strings.Cut(s, ",")
	var o Others
	var err error
	if o.PerMinute, err = strconv.Atoi(first); err != nil || o.PerMinute < 0 {
		return o, fmt.Errorf("others %q: want requests a minute, like 150", s)
	}
	for kv := range strings.SplitSeq(rest, ",") {
		k, v, _ := strings.Cut(kv, "=")
		switch kv {
		case "":
			continue
		case "burst":
			o.Burst = true
			continue
		}
		to, known := map[string]*time.Duration{"phase": &o.Phase, "from": &o.From, "to": &o.To}[k]
		if !known {
			return o, fmt.Errorf("others %q: no key %q; there are burst, phase, from, to", s, k)
		}
		if *to, err = time.ParseDuration(v); err != nil || *to < 0 {
			return o, fmt.Errorf("others %q: %s: want a time, like %s=20s", s, kv, k)
		}
	}
	return o, nil
}

// at is when the others send their nth request, after New.
func (o Others) at(n int) time.Duration {
	if o.Burst {
		return o.From + o.Phase + time.Duration(n/o.PerMinute)*time.Minute
	}
	return o.From + o.Phase + time.Duration(n)*time.Minute/time.Duration(o.PerMinute)
}

// catchUp lets the others send what they would have sent by now, and returns how
// many units they got. Nothing runs in between: time may be virtual.
func (q *quota) catchUp(now time.Time) (got int) {
	if q.others.PerMinute <= 0 {
		return 0
	}
	for {
		d := q.others.at(q.next)
		at := q.begin.Add(d)
		if at.After(now) || q.others.To > 0 && d >= q.others.To {
			return got
		}
		q.next++
		if _, ok := q.take(at, 1); ok {
			got++
		}
	}
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
		q = &quota{perMinute: s.o.RequestsPerMinute, sliding: s.o.Sliding, others: s.o.Others, begin: s.start}
		s.quotas[token] = q
	}
	now := time.Now()
	s.counts.Others += q.catchUp(now)
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
		w.Header().Set("Retry-After", s.now().Add(wait+time.Second).UTC().Format(http.TimeFormat))
	}
	s.refuse(w, http.StatusTooManyRequests, 4003, "")
}
