package console

import (
	"sync"
	"time"

	"photosync/sync/outcome"
	"photosync/sync/report"
)

// rateWindow is what the rate and the time left are measured over: the window of
// the quota.
const rateWindow = time.Minute

// progress counts what happens in a run. It decides nothing.
type progress struct {
	began time.Time

	mu      sync.Mutex
	now     status
	traffic func() Traffic // nil: there is none yet
	weight  int            // quota units of an upload
	samples []sample       // of the last minute, oldest first
}

// sample is how far the run was at a moment.
type sample struct {
	at       time.Time
	done     int
	requests int64
}

func newProgress() *progress {
	return &progress{began: time.Now(), weight: 1, now: status{MessageType: "status", Phase: "reading"}}
}

// Traffic is what the client of Smartsheet did so far, and may do.
type Traffic struct {
	Requests, RateLimited int64
	PerMinute             float64   // requests that the quota allows now
	PausedUntil           time.Time // when the quota lets the next request pass; zero: now
}

// status is how far a run is: a line of --output json, and what the displays show.
type status struct {
	MessageType      string  `json:"message_type"` // "status"
	Phase            string  `json:"phase"`        // reading, asking, uploading
	SecondsElapsed   int64   `json:"seconds_elapsed"`
	SecondsRemaining int64   `json:"seconds_remaining"` // 0: not known, or nothing left
	PercentDone      float64 `json:"percent_done"`      // of the uploads, 0 to 1
	PeopleListed     int64   `json:"people_listed"`
	PhotosRead       int64   `json:"photos_read"`           // from the sources, those to upload among them
	UsersAsked       int64   `json:"users_asked,omitempty"` // for alternate addresses, of UsersToAsk
	UsersToAsk       int64   `json:"users_to_ask,omitempty"`
	Total            int     `json:"total"` // uploads
	Done             int     `json:"done"`
	Failed           int     `json:"failed"`
	Requests         int64   `json:"requests"`
	RateLimited      int64   `json:"rate_limited"`
	PerMinute        float64 `json:"requests_per_minute"` // over the last minute
	QuotaPerMinute   float64 `json:"quota_per_minute"`    // what the quota allows now
	WaitingSeconds   int64   `json:"waiting_seconds"`     // until the quota lets the next request pass
}

// Follow begins to watch the traffic of a client, whose uploads count as so many
// requests.
func (p *progress) Follow(traffic func() Traffic, uploadWeight int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.traffic, p.weight = traffic, max(uploadWeight, 1)
}

func (p *progress) update(change func(*status)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.now)
}

// Listed counts a person whom a source lists.
func (p *progress) Listed() { p.update(func(s *status) { s.PeopleListed++ }) }

// Read counts a photo that a source gave.
func (p *progress) Read() { p.update(func(s *status) { s.PhotosRead++ }) }

// Asked sets how many users were asked for their alternate addresses.
func (p *progress) Asked(done, all int) {
	p.update(func(s *status) { s.Phase, s.UsersAsked, s.UsersToAsk = "asking", int64(done), int64(all) })
}

func (p *progress) plan(uploads int) {
	p.update(func(s *status) { s.Phase, s.Total = "uploading", uploads })
}

func (p *progress) item(it report.Item) {
	p.update(func(s *status) {
		switch outcome.Outcome(it.Outcome) {
		case outcome.Failed, outcome.PartialSuccess:
			s.Failed++
		case outcome.Unfinished:
			return
		}
		s.Done++
	})
}

// status is how far the run is now.
func (p *progress) status() (now status) {
	p.update(func(s *status) {
		at, pausedUntil := time.Now(), time.Time{}
		s.SecondsElapsed = int64(at.Sub(p.began).Seconds())
		s.PercentDone = float64(s.Done) / float64(max(s.Total, 1))
		if p.traffic != nil {
			t := p.traffic()
			s.Requests, s.RateLimited, s.QuotaPerMinute, pausedUntil = t.Requests, t.RateLimited, t.PerMinute, t.PausedUntil
		}
		p.measure(s, at, pausedUntil)
		now = *s
	})
	return now
}

// measure fills in the rate of the last minute and the time left.
func (p *progress) measure(s *status, now, pausedUntil time.Time) {
	for len(p.samples) > 1 && now.Sub(p.samples[0].at) > rateWindow {
		p.samples = p.samples[1:]
	}
	if n := len(p.samples); n == 0 || now.Sub(p.samples[n-1].at) >= time.Second {
		p.samples = append(p.samples, sample{now, s.Done, s.Requests})
	}
	oldest := p.samples[0]
	span := now.Sub(oldest.at)
	if span >= time.Second {
		s.PerMinute = float64(s.Requests-oldest.requests) / span.Minutes()
		if s.QuotaPerMinute > 0 { // the window of the quota is another minute than this one
			s.PerMinute = min(s.PerMinute, s.QuotaPerMinute)
		}
	}
	pause := max(pausedUntil.Sub(now), 0)
	s.WaitingSeconds = seconds(pause)
	left := float64(s.Total - s.Done)
	if s.SecondsRemaining = 0; left <= 0 {
		return
	}
	// The quota sets the pace, unless uploads are slower. A minute with a pause in it
	// shows no pace.
	perMinute := s.QuotaPerMinute / float64(p.weight)
	if done := s.Done - oldest.done; done > 0 && span >= rateWindow/6 && now.Sub(pausedUntil) > rateWindow {
		perMinute = float64(done) / span.Minutes()
	}
	if perMinute > 0 {
		s.SecondsRemaining = seconds(pause + time.Duration(left/perMinute*float64(time.Minute)))
	}
}

// seconds is d in whole seconds, rounded up.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// every calls show with the status, again and again, until stop is called.
func (p *progress) every(d time.Duration, show func(status)) (stop func()) {
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		t := time.NewTicker(d)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				show(p.status())
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-gone }
}
