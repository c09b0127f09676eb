package console

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/rs/zerolog"

	"photosync/sync/foreign"
	"photosync/sync/outcome"
	"photosync/sync/report"
)

// Run shows a run while it is under way, and how it ended. Its methods may be called from several goroutines.
type Run struct {
	Log   zerolog.Logger
	Apply string // the command that carries out the plan of this run
	*progress

	out, err    *Console
	lines       *Lines // nil: text
	quiet       bool
	human       bool // the log is for people
	interactive bool // stderr is a terminal
	stops       []func()
}

type RunOptions struct {
	ID       string
	Level    string // of the log
	Format   string // of the log: auto, console or json
	Progress string // auto, always or never
	JSON     bool   // lines of JSON on stdout instead of a summary
	Quiet    bool   // nothing at all unless somebody has to act
}

// Start begins to show a run on stdout and stderr. Every line of the log has the run's id. None
// has a secret, as reports have none.
func Start(stdout, stderr io.Writer, env func(string) string, o RunOptions) *Run {
	if o.Quiet {
		o.Level, o.Progress = "disabled", "never"
	}
	r := &Run{
		progress: &progress{began: time.Now(), since: time.Now(), now: status{Phase: "reading"}},
		out:      New(stdout, env), err: New(stderr, env), quiet: o.Quiet,
	}
	_, r.interactive = terminal(stderr)
	r.human = o.Format == "console" || o.Format == "auto" && r.interactive
	logTo := stderr
	if o.Progress == "always" || o.Progress == "auto" && o.Format != "json" && r.interactive {
		l := &live{w: r.err.w, p: r.progress, width: cmp.Or(r.err.width, 80)}
		r.err.w, logTo = l, l
		r.stops = append(r.stops, r.every(200*time.Millisecond, func(status) { l.Write(nil) }), l.close)
	}
	if r.human {
		logTo = zerolog.ConsoleWriter{
			Out: logTo, NoColor: !r.err.colour, TimeFormat: time.TimeOnly, FieldsExclude: []string{"run_id"},
			FormatPrepare: func(line map[string]any) error { // the message; zerolog quotes the fields
				text, _ := line[zerolog.MessageFieldName].(string)
				line[zerolog.MessageFieldName] = foreign.Text(text)
				return nil
			},
		}
	}
	level, _ := zerolog.ParseLevel(o.Level) // configuration and flags allow no other level
	r.Log = zerolog.New(zerolog.SyncWriter(foreign.Writer{Writer: logTo})).Level(level).With().Timestamp().Str("run_id", o.ID).Logger()
	if o.Progress != "never" && len(r.stops) == 0 {
		r.stops = append(r.stops, r.every(time.Minute, r.logProgress))
	}
	if o.JSON {
		r.lines = NewLines(stdout)
		if o.Progress != "never" {
			r.stops = append(r.stops, r.every(5*time.Second, func(s status) { r.lines.print("status", s) }))
		}
	}
	return r
}

// Close ends the displays, so that the terminal is free for the summary.
func (r *Run) Close() {
	for _, stop := range r.stops {
		stop()
	}
	r.stops = nil
}

func (r *Run) Source(s report.Source) {
	e, msg := r.Log.Info(), "source listed"
	if !s.Complete {
		e, msg = r.Log.Warn(), "source not listed to its end"
	}
	e.Str("source", s.Name).Int("listed", s.Listed).Int("pages", s.Pages).Bool("complete", s.Complete).Msg(msg)
	for _, w := range s.Warnings {
		r.Log.Warn().Str("source", s.Name).Msg(w)
	}
}

func (r *Run) Planned(id string, uploads, unchanged int) {
	r.Log.Info().Str("plan_id", id).Int("uploads", uploads).Int("unchanged", unchanged).Msg("plan made")
	requests := r.status().Requests
	r.update(func(s *status) { s.Phase, s.Total, r.since, r.before = "uploading", uploads, time.Now(), requests })
}

func (r *Run) Item(it report.Item) {
	r.logItem(it)
	r.update(func(s *status) {
		switch it.Outcome {
		case outcome.Failed, outcome.PartialSuccess:
			s.Failed++
		case outcome.Unfinished:
			return
		}
		s.Done++
	})
	if r.lines != nil && !r.quiet {
		r.lines.print("item", it.WithoutPictures()) // the summary has them
	}
}

func (r *Run) logItem(it report.Item) {
	e := r.Log.Debug()
	switch {
	case it.Outcome == outcome.Unfinished && it.Attempts == 0:
		return // not reached: counted at the end
	case it.Outcome == outcome.Unfinished:
		e = r.Log.Info()
	case it.NeedsAttention():
		e = r.Log.Warn()
	}
	e.Str("email", it.Email).Str("reason", string(it.Reason)).Str("outcome", string(it.Outcome)).Int64("duration_ms", it.DurationMS)
	if it.Code != "" {
		e.Str("code", it.Code)
	}
	if it.ErrorCode != nil {
		e.Int("error_code", *it.ErrorCode)
	}
	if it.RefID != nil {
		e.Str("ref_id", *it.RefID)
	}
	e.Msg(it.Message)
}

func (r *Run) logProgress(s status) {
	r.Log.Info().Str("phase", s.Phase).Int("people_listed", s.PeopleListed).Int("photos_read", s.PhotosRead).
		Int("users_asked", s.UsersAsked).Int("users_to_ask", s.UsersToAsk).Int("done", s.Done).Int("total", s.Total).Int("failed", s.Failed).
		Float64("requests_per_minute", math.Round(s.PerMinute)).Float64("quota_per_minute", math.Round(s.QuotaPerMinute)).
		Int64("seconds_remaining", s.SecondsRemaining).Int64("waiting_seconds", s.WaitingSeconds).Msg("progress")
}

// Stopping says what the run waits for after a signal, and what a second signal does. At a
// terminal it says so even if warnings are not logged.
func (r *Run) Stopping(s os.Signal, grace time.Duration) {
	const then = "ends at once; the next run then sends those pictures again"
	if s != os.Interrupt || !r.interactive {
		r.Log.Warn().Stringer("signal", s).Stringer("at_most", grace).Msg("stopping: waiting for answers to what is on the wire; a second signal " + then)
		return
	}
	r.err.line("%s Waiting up to %s for answers to what is on the wire. Ctrl-C again %s.", styled{yellow, "Stopping."}, report.Duration(grace), then)
}

// End shows how the run ended, unless it is quiet and nobody has to act: err is the run's, unwritten
// that of its report.
func (r *Run) End(rep *report.Report, files []string, err, unwritten error) error {
	if !r.human || r.lines != nil { // for people, the summary follows
		r.logEnd(rep, files)
	}
	if r.quiet && !somebodyHasToAct(rep, err, unwritten) {
		return nil
	}
	if r.lines != nil {
		if err := rep.Encode(r.lines.w.Writer, "summary"); err != nil {
			return err
		}
	} else {
		r.out.Summary(rep)
		for _, file := range files {
			r.out.line("  report  %s", file)
		}
		if rep.PlanFile != "" {
			r.out.line("  plan    %s carries it out", r.Apply)
		}
	}
	for _, err := range []error{err, unwritten} {
		if err != nil {
			r.err.Error(err)
		}
	}
	if rep.Approve != "" {
		r.err.approval(rep.Approve)
	}
	return nil
}

// logEnd logs that a run ended, and how many people it left. The summary has the rest.
func (r *Run) logEnd(rep *report.Report, files []string) {
	left := map[outcome.Outcome][]string{}
	for _, it := range rep.Items {
		left[it.Outcome] = append(left[it.Outcome], it.Email)
	}
	named := func(emails []string, message string) {
		if n := len(emails); n > 0 {
			r.Log.Warn().Int("people", n).Strs("first", emails[:min(n, 5)]).Msg(message)
		}
	}
	named(left[outcome.Held], "people held back: the report names them")
	named(left[outcome.Unfinished], "people left for the next run: the report names them")
	for _, f := range rep.Findings {
		e := r.Log.Info()
		if f.Severity == outcome.Attention {
			e = r.Log.Warn()
		}
		e.Str("finding", f.Code).Str("source", f.Source).Int("count", f.Count).Int("of", f.Of).Msg(f.Message)
	}
	e := r.Log.Info()
	if rep.Error != nil {
		e = r.Log.Error().Str("error", rep.Error.Message).Str("hint", rep.Error.Hint)
	}
	e.Str("result", rep.Result).Int("exit_code", rep.ExitCode).Strs("report", files).Msg("run ended")
}

// somebodyHasToAct reports whether a run needs a human. One that stopped early does not: the next continues.
func somebodyHasToAct(r *report.Report, err, unwritten error) bool {
	return err != nil && r.Result != report.Interrupted || unwritten != nil || r.NeedsSomebody() || len(r.Guards) > 0
}

// Lines writes JSON, one value per line, each with a message_type.
type Lines struct{ w foreign.Writer }

func NewLines(w io.Writer) *Lines { return &Lines{foreign.Writer{Writer: zerolog.SyncWriter(w)}} }

func (l *Lines) print(messageType string, v any) error {
	object, err := jsonv2.Marshal(v, report.JSON)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(l.w, "{\"message_type\":%q,%s\n", messageType, object[1:])
	return err
}

// Error is for a command that ended before there was a report.
func (l *Lines) Error(err error, code int) error {
	return l.print("error", struct {
		Message  string `json:"message"`
		Hint     string `json:"hint,omitempty"`
		ExitCode int    `json:"exit_code"`
	}{err.Error(), outcome.Hint(err), code})
}
