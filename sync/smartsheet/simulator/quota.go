package simulator

import (
	"fmt"
	"net/http"
	"time"
)

// quota is what a token has used in a window of a minute, which begins with the first
// request in it.
type quota struct {
	began time.Time
	used  int
}

// spend takes the request's units from the quota of its token, or says how long it will
// be until there are as many. The lock is held.
func (s *Server) spend(r *http.Request, op string) (wait time.Duration) {
	if s.o.RequestsPerMinute <= 0 {
		return 0
	}
	units := 1
	if op == "upload" {
		units = s.o.UploadWeight
	}
	token := r.Header.Get("Authorization")
	if s.o.OAuth != nil {
		token = "" // a rotated token is still the same app's
	}
	now, q := time.Now(), s.quotas[token]
	if q == nil || now.Sub(q.began) >= time.Minute {
		q = &quota{began: now, used: s.o.Others}
		s.quotas[token] = q
	}
	if q.used+units > s.o.RequestsPerMinute {
		s.counts.RateLimited++
		return q.began.Add(time.Minute).Sub(now)
	}
	q.used += units
	return 0
}

// outOfQuota is a handler that says so, and perhaps for how long.
func (s *Server) outOfQuota(wait time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		switch s.o.RetryAfter {
		case "seconds":
			w.Header().Set("Retry-After", fmt.Sprint(int(wait/time.Second)+1))
		case "date":
			w.Header().Set("Retry-After", time.Now().Add(wait+time.Second).UTC().Format(http.TimeFormat))
		}
		s.refuse(w, http.StatusTooManyRequests, 4003)
	}
}
