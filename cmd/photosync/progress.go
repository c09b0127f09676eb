package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"photosync/sources"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
)

// rateWindow is what the rate and the time left are measured over: the window of
// the quota.
const rateWindow = time.Minute

// progress follows a run, for those who watch it. It decides nothing.
type progress struct {
	began        time.Time
	listed, read atomic.Int64 // people and photos, from all sources
	asked, toAsk atomic.Int64 // users, for their alternate addresses

	mu      sync.Mutex
	stats   func() smartsheet.Stats // of the client; nil: there is none yet
	weight  int                     // quota units of an upload
	planned bool
	total   int // uploads
	done    int
	failed  int
	samples []sample // of the last minute, oldest first
}

// sample is how far the run was at a moment.
type sample struct {
	at       time.Time
	done     int
	requests int64
}

func newProgress() *progress { return &progress{began: time.Now(), weight: 1} }

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

// follow begins to watch a client, whose uploads count as so many requests.
func (p *progress) follow(stats func() smartsheet.Stats, uploadWeight int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats, p.weight = stats, max(uploadWeight, 1)
}

func (p *progress) made(pl *plan.Plan, limit int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.planned, p.total = true, pl.Planned()
	if limit > 0 {
		p.total = min(p.total, limit)
	}
}

func (p *progress) item(it report.Item) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if it.Outcome != string(plan.Unfinished) {
		p.done++
	}
	if it.Outcome == string(plan.Failed) || it.Outcome == string(plan.PartialSuccess) {
		p.failed++
	}
}

// status is how far the run is now.
func (p *progress) status() status {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	s := status{
		MessageType: "status", Phase: "reading", SecondsElapsed: int64(now.Sub(p.began).Seconds()),
		PeopleListed: p.listed.Load(), PhotosRead: p.read.Load(), UsersAsked: p.asked.Load(), UsersToAsk: p.toAsk.Load(), Total: p.total, Done: p.done, Failed: p.failed,
	}
	switch {
	case p.planned:
		s.Phase = "uploading"
	case s.UsersToAsk > 0:
		s.Phase = "asking"
	}
	if p.total > 0 {
		s.PercentDone = float64(p.done) / float64(p.total)
	}
	var pausedUntil time.Time
	if p.stats != nil {
		st := p.stats()
		s.Requests, s.RateLimited, s.QuotaPerMinute = st.Requests, st.RateLimited, st.PerMinute
		pausedUntil = st.PausedUntil
	}
	p.measure(&s, now, pausedUntil)
	return s
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
	}
	pause := max(pausedUntil.Sub(now), 0)
	s.WaitingSeconds = seconds(pause)
	left := float64(s.Total - s.Done)
	if left <= 0 || !p.planned {
		return
	}
	// The quota tells, unless uploads are slower. Those of a minute with a pause in
	// it say nothing.
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

// counted is a source that counts what it gives.
type counted struct {
	sources.Source
	p *progress
}

// count makes the sources count for p.
func (p *progress) count(srcs []sources.Named) {
	for i := range srcs {
		srcs[i].Source = counted{srcs[i].Source, p}
	}
}

func (c counted) List(ctx context.Context, each func(sources.Person) error) (sources.Listing, error) {
	return c.Source.List(ctx, func(p sources.Person) error {
		c.p.listed.Add(1)
		return each(p)
	})
}

func (c counted) Photos(ctx context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	return c.Source.Photos(ctx, refs, func(p sources.Photo) error {
		c.p.read.Add(1)
		return each(p)
	})
}
