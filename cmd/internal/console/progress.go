package console

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"photosync/sync/report"
	"photosync/sync/smartsheet"
)

// progress counts what happens in a run. It decides nothing.
type progress struct {
	mu    sync.Mutex
	now   status
	stats func() smartsheet.Stats // nil: there is no client yet

	began, since time.Time // of the run, and of its uploads
	before       int64     // requests before the uploads
}

// status is the progress of a run: a line of --output json, and what the displays show.
type status struct {
	Phase            string  `json:"phase"` // reading, asking, uploading
	SecondsElapsed   int64   `json:"seconds_elapsed"`
	SecondsRemaining int64   `json:"seconds_remaining"` // 0: not known, or nothing left
	PercentDone      float64 `json:"percent_done"`      // of the uploads, 0 to 1
	PeopleListed     int     `json:"people_listed"`
	PhotosRead       int     `json:"photos_read"`           // from the sources, including those to upload
	UsersAsked       int     `json:"users_asked,omitempty"` // for alternate addresses, of UsersToAsk
	UsersToAsk       int     `json:"users_to_ask,omitempty"`
	Total            int     `json:"total"` // uploads
	Done             int     `json:"done"`
	Failed           int     `json:"failed"`
	Requests         int64   `json:"requests"`
	RateLimited      int64   `json:"rate_limited"`
	PerMinute        float64 `json:"requests_per_minute"` // since the uploads began
	QuotaPerMinute   float64 `json:"quota_per_minute"`    // what the quota allows now
	WaitingSeconds   int64   `json:"waiting_seconds"`     // until the quota lets the next request pass
}

func (p *progress) update(change func(*status)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.now)
}

// Follow begins to watch what a client does.
func (p *progress) Follow(stats func() smartsheet.Stats) { p.update(func(*status) { p.stats = stats }) }

func (p *progress) Listed() { p.update(func(s *status) { s.PeopleListed++ }) }

func (p *progress) Read() { p.update(func(s *status) { s.PhotosRead++ }) }

// Asked sets how many users were asked for their alternate addresses.
func (p *progress) Asked(done, all int) {
	p.update(func(s *status) { s.Phase, s.UsersAsked, s.UsersToAsk = "asking", done, all })
}

// status returns the progress of the run now.
func (p *progress) status() (now status) {
	p.update(func(s *status) {
		at, took := time.Now(), time.Since(p.since)
		s.SecondsElapsed = int64(at.Sub(p.began).Seconds())
		s.PercentDone = float64(s.Done) / float64(max(s.Total, 1))
		if p.stats != nil {
			t := p.stats()
			s.Requests, s.RateLimited, s.QuotaPerMinute = t.Requests, t.RateLimited, t.PerMinute
			s.WaitingSeconds = seconds(t.PausedUntil.Sub(at))
			if took >= time.Second { // earlier, the rate means nothing
				s.PerMinute = min(float64(t.Requests-p.before)/took.Minutes(), t.PerMinute)
			}
			// The quota sets the pace, unless uploads are slower.
			left := s.Total - s.Done
			s.SecondsRemaining = seconds(t.ETA(left, at))
			if s.Done > 0 && left > 0 && took > 10*time.Second {
				s.SecondsRemaining = max(s.SecondsRemaining, seconds(took/time.Duration(s.Done)*time.Duration(left)))
			}
		}
		now = *s
	})
	return now
}

// seconds returns d in whole seconds, rounded up; 0 if d is negative.
func seconds(d time.Duration) int64 { return int64((max(d, 0) + time.Second - 1) / time.Second) }

// every calls show with the status at intervals of d, until stop is called.
func (p *progress) every(d time.Duration, show func(status)) (stop func()) {
	var shown sync.WaitGroup
	t, done := time.NewTicker(d), make(chan struct{})
	shown.Go(func() {
		for {
			select {
			case <-t.C:
				show(p.status())
			case <-done:
				return
			}
		}
	})
	return func() { t.Stop(); close(done); shown.Wait() }
}

// live is a line at the bottom of a terminal that shows the progress of a run. Text written to
// it, such as the log, scrolls above the line.
type live struct {
	w     io.Writer
	p     *progress
	width int

	mu   sync.Mutex
	over bool
}

const clearLine = "\r\x1b[K"

// Write prints whole lines above the live line.
func (l *live) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := string(b)
	if !l.over {
		text = clearLine + text + l.p.status().line(l.width-1)
	}
	_, err := io.WriteString(l.w, text)
	return len(b), err
}

func (l *live) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	io.WriteString(l.w, clearLine)
}

// line returns the status for a terminal with so many columns.
func (s status) line(width int) string {
	switch s.Phase {
	case "asking":
		return fmt.Sprintf("asking for alternate addresses: %s of %s", report.Number(s.UsersAsked), count(s.UsersToAsk, "user"))
	case "reading":
		return "reading the sources: " + report.People(s.PeopleListed) + ", " + count(s.PhotosRead, "photo") + " read"
	}
	head := report.Number(s.Done) + "/" + report.Number(s.Total)
	tail := fmt.Sprintf("%3.0f%%  %.0f of %.0f requests/min", s.PercentDone*100, s.PerMinute, s.QuotaPerMinute)
	if s.SecondsRemaining > 0 {
		tail += "  " + span(s.SecondsRemaining) + " left"
	}
	if s.Failed > 0 {
		tail += fmt.Sprintf("  %d failed", s.Failed)
	}
	if s.WaitingSeconds > 0 {
		tail += "  waiting for quota " + span(s.WaitingSeconds)
	}
	room := min(width-len(head)-len(tail)-5, 40)
	if room < 5 || s.Total == 0 {
		return fmt.Sprintf("%.*s", width, head+"  "+tail)
	}
	full := int(s.PercentDone * float64(room))
	return fmt.Sprintf("%s [%-*s] %s", head, room, strings.Repeat("=", max(full-1, 0))+strings.Repeat(">", min(full, 1)), tail)
}

// span writes a number of seconds like 45s, 12m5s or 3h20m0s: the live line has no room for spaces.
func span(s int64) string { return (time.Duration(s) * time.Second).String() }
