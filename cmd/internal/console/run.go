package console

import (
	"encoding/json"
	"io"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"photosync/sync/report"
)

const (
	// logEvery is the time between two lines about progress in the log.
	logEvery = time.Minute
	// statusEvery is the time between two status lines of JSON.
	statusEvery = 5 * time.Second
)

// Run shows a run while it goes on, and how it came out. Its methods may be called
// from several goroutines.
type Run struct {
	Log zerolog.Logger
	*progress

	out, err    *Console
	lines       *Lines // nil: text
	quiet       bool
	human       bool // the log is for people
	interactive io.Writer
	stops       []func()
}

// RunOptions of Start.
type RunOptions struct {
	ID       string
	Level    string // of the log
	Format   string // of the log: auto, console or json
	Progress string // auto, always or never
	JSON     bool   // lines of JSON on stdout instead of a summary
	Quiet    bool   // nothing on stdout unless somebody has to act
}

// Start begins to show a run on stdout and stderr.
func Start(stdout, stderr io.Writer, env func(string) string, o RunOptions) *Run {
	r := &Run{progress: newProgress(), out: New(stdout, env), err: New(stderr, env), quiet: o.Quiet}
	_, tty := terminal(stderr)
	r.human = o.Format == "console" || o.Format == "auto" && tty
	logTo := stderr
	if o.Progress == "always" || o.Progress == "auto" && o.Format != "json" && tty {
		l := newLive(r.err.w, r.progress, r.err.width)
		logTo = l
		r.stops = append(r.stops, l.close)
	}
	if tty {
		r.interactive = logTo
	}
	r.Log = newLog(logTo, o.Level, r.human, r.err.colour, o.ID)
	if o.Progress != "never" && len(r.stops) == 0 {
		r.stops = append(r.stops, r.every(logEvery, func(s status) { logProgress(r.Log, s) }))
	}
	if o.JSON {
		r.lines = NewLines(stdout)
		if o.Progress != "never" {
			r.stops = append(r.stops, r.every(statusEvery, func(s status) { r.lines.print(s) }))
		}
	}
	return r
}

// Close ends the displays, so that the summary has the terminal for itself.
func (r *Run) Close() {
	for _, stop := range r.stops {
		stop()
	}
	r.stops = nil
}

// Source shows that a source was listed.
func (r *Run) Source(s report.Source) { logSource(r.Log, s) }

// Planned shows that the plan is made; limit, if above 0, is how many of the uploads
// there will be at most.
func (r *Run) Planned(id string, uploads, unchanged, limit int) {
	r.Log.Info().Str("plan_id", id).Int("uploads", uploads).Int("unchanged", unchanged).Msg("plan made")
	if limit > 0 {
		uploads = min(uploads, limit)
	}
	r.plan(uploads)
}

// Item shows what became of an upload.
func (r *Run) Item(it report.Item) {
	logItem(r.Log, it)
	r.item(it)
	if r.lines != nil && !r.quiet {
		r.lines.print(struct {
			MessageType string `json:"message_type"`
			report.Item
		}{"item", it.WithoutPictures()}) // they are in the summary
	}
}

// Stopping says what the run waits for after a signal, and what a second one does.
func (r *Run) Stopping(s os.Signal, grace time.Duration) {
	if s == os.Interrupt && r.interactive != nil { // also if warnings are not logged
		c := &Console{w: r.interactive, colour: r.err.colour, width: r.err.width}
		c.line(2, "%s Waiting up to %v for answers to what is on the wire. Ctrl-C again ends at once; the next run then sends those pictures again.",
			styled{yellow, "Stopping."}, grace)
		return
	}
	r.Log.Warn().Stringer("signal", s).Stringer("at_most", grace).
		Msg("stopping: waiting for answers to what is on the wire; a second signal ends at once, and the next run then sends those pictures again")
}

// End shows how the run came out, unless it is quiet and nobody has to act. The first
// of errs is that of the run.
func (r *Run) End(rep *report.Report, files []string, hint func(error) string, errs ...error) error {
	if !r.human || r.lines != nil { // else the summary follows
		logEnd(r.Log, rep, files)
	}
	if r.quiet && !somebodyHasToAct(rep, errs...) {
		return nil
	}
	if r.lines != nil {
		if err := r.lines.summary(rep); err != nil {
			return err
		}
	} else {
		r.out.Summary(rep)
		r.out.Files(files, rep.PlanFile)
	}
	for _, err := range errs {
		if err != nil {
			r.err.Error(err, hint(err))
		}
	}
	if rep.Approve != "" {
		r.err.Approval(rep.Approve)
	}
	return nil
}

// somebodyHasToAct reports whether a run has to be looked at. One that stopped early
// goes on by itself.
func somebodyHasToAct(r *report.Report, errs ...error) bool {
	for i, err := range errs {
		if err != nil && (i > 0 || r.Result != report.Interrupted) {
			return true
		}
	}
	return r.NeedsSomebody() || len(r.Guards) > 0
}

// Lines writes JSON, one value a line. Each has a message_type.
type Lines struct {
	mu sync.Mutex
	w  io.Writer
}

// NewLines returns Lines on w.
func NewLines(w io.Writer) *Lines { return &Lines{w: w} }

func (l *Lines) print(v any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return json.NewEncoder(l.w).Encode(v)
}

func (l *Lines) summary(r *report.Report) error {
	return l.print(struct {
		MessageType string `json:"message_type"`
		*report.Report
	}{"summary", r})
}

// Error is for a command that ended before there was a report.
func (l *Lines) Error(err error, hint string, code int) error {
	return l.print(struct {
		MessageType string `json:"message_type"`
		Message     string `json:"message"`
		Hint        string `json:"hint,omitempty"`
		ExitCode    int    `json:"exit_code"`
	}{"error", err.Error(), hint, code})
}
