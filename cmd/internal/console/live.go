package console

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"photosync/sync/report"
)

// live is a line at the bottom of a terminal that shows how far a run is. What is
// written to it, such as the log, scrolls by above the line.
type live struct {
	w     io.Writer
	p     *progress
	width int
	stop  func()

	mu   sync.Mutex
	over bool
}

const clearLine = "\r\x1b[K"

func newLive(w io.Writer, p *progress, width int) *live {
	l := &live{w: w, p: p, width: cmp.Or(width, 80)}
	l.stop = p.every(200*time.Millisecond, func(s status) { l.Write(nil) })
	return l
}

// Write puts whole lines above the live line.
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

// close takes the line away.
func (l *live) close() {
	l.stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	io.WriteString(l.w, clearLine)
}

// line is what a terminal with so many columns shows.
func (s status) line(width int) string {
	switch {
	case s.Phase == "asking":
		return fmt.Sprintf("asking for alternate addresses: %s of %s", report.Number(s.UsersAsked), count(int(s.UsersToAsk), "user"))
	case s.Phase == "reading" && s.PhotosRead > 0:
		return "reading the sources: " + people(int(s.PeopleListed)) + ", " + count(int(s.PhotosRead), "photo") + " read"
	case s.Phase == "reading":
		return "reading the sources: " + people(int(s.PeopleListed))
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
		tail += fmt.Sprintf("  waiting for quota %s", span(s.WaitingSeconds))
	}
	room := min(width-len(head)-len(tail)-5, 40)
	if room < 5 || s.Total == 0 {
		return fmt.Sprintf("%.*s", width, head+"  "+tail)
	}
	full := int(s.PercentDone * float64(room))
	return fmt.Sprintf("%s [%-*s] %s", head, room, strings.Repeat("=", max(full-1, 0))+strings.Repeat(">", min(full, 1)), tail)
}

// span is a time in two parts at most, like 45s, 12m05s or 3h20m.
func span(s int64) string {
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
}
