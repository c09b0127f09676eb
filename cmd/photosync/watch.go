package main

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"photosync/cmd/internal/config"
	"photosync/cmd/internal/notify"
	"photosync/sync/job"
	"photosync/sync/plan"
	"photosync/sync/report"
)

const (
	// logEvery is the time between two lines about progress in the log.
	logEvery = time.Minute
	// statusEvery is the time between two status lines of --output json.
	statusEvery = 5 * time.Second
)

// watch is everything that tells about a run while it goes on: the log, and the
// progress on a terminal, in the log, or as lines of JSON.
type watch struct {
	*progress
	log   zerolog.Logger
	lines *lines // --output json; nil: text
	limit int    // of uploads; 0: none
	stops []func()

	notices *notify.Notifier // nil: nobody is told how the run came out
	abort   <-chan struct{}  // closed by a second signal: telling ends at once, too
}

// watch begins to tell about a run in the ways that the flags ask for.
func (a *app) watch(f *runFlags, c config.Log, runID string) *watch {
	w := &watch{progress: newProgress(), limit: f.limit}
	logTo := a.stderr
	if f.progress == "always" || f.progress == "auto" && c.Format != "json" && isTerminal(a.stderr) {
		l := newLive(a.stderr, w.progress, f.progress == "always")
		logTo = l
		w.stops = append(w.stops, l.close)
	}
	w.log = a.logger(logTo, c.Level, c.Format, runID)
	if f.progress != "never" && len(w.stops) == 0 {
		w.stops = append(w.stops, w.every(logEvery, func(s status) { logProgress(w.log, s) }))
	}
	if f.output == "json" {
		w.lines = &lines{w: a.stdout}
		if f.progress != "never" {
			w.stops = append(w.stops, w.every(statusEvery, func(s status) { w.lines.print(s) }))
		}
	}
	return w
}

// close ends the displays, so that the summary has the terminal for itself.
func (w *watch) close() {
	for _, stop := range w.stops {
		stop()
	}
	w.stops = nil
}

// hook makes a job tell w what happens.
func (w *watch) hook(o *job.Options) {
	o.Listed = func(s report.Source) { logListed(w.log, s) }
	o.Asked = func(done, all int) {
		w.asked.Store(int64(done))
		w.toAsk.Store(int64(all))
	}
	o.Made = func(p *plan.Plan) {
		logPlan(w.log, p)
		w.made(p, w.limit)
	}
	o.Item = func(it report.Item) {
		logItem(w.log, it)
		w.item(it)
		if w.lines != nil {
			if it.Image != nil { // its picture is in the summary
				plain := *it.Image
				plain.Thumbnail, it.Image = "", &plain
			}
			w.lines.print(struct {
				MessageType string `json:"message_type"`
				report.Item
			}{"item", it})
		}
	}
}

// lines writes JSON, one value a line. Each has a message_type: status, item, and
// as the last line summary, or error where no run began.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lines) print(v any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return json.NewEncoder(l.w).Encode(v)
}

func (l *lines) summary(r *report.Report) error {
	return l.print(struct {
		MessageType string `json:"message_type"`
		*report.Report
	}{"summary", r})
}

// error is for a command that ended before there was a report.
func (l *lines) error(err error, code int) error {
	return l.print(struct {
		MessageType string `json:"message_type"`
		Message     string `json:"message"`
		Hint        string `json:"hint,omitempty"`
		ExitCode    int    `json:"exit_code"`
	}{"error", err.Error(), job.Hint(err), code})
}
