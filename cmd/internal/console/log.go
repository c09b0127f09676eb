package console

import (
	"io"
	"math"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"photosync/sync/outcome"
	"photosync/sync/report"
)

// newLog returns the log on w: for people if human, lines of JSON otherwise. Every
// line has the run's id, and none has a secret: reports have none.
func newLog(w io.Writer, level string, human, colour bool, runID string) zerolog.Logger {
	if human {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !colour, TimeFormat: time.TimeOnly, FieldsExclude: []string{"run_id"}}
	}
	l, err := zerolog.ParseLevel(level)
	if err != nil {
		l = zerolog.InfoLevel
	}
	// Workers log at the same moment.
	return zerolog.New(zerolog.SyncWriter(w)).Level(l).With().Timestamp().Str("run_id", runID).Logger()
}

func logSource(log zerolog.Logger, s report.Source) {
	e, msg := log.Info(), "source listed"
	if !s.Complete {
		e, msg = log.Warn(), "source not listed to its end"
	}
	e.Str("source", s.Name).Int("listed", s.Listed).Int("pages", s.Pages).Bool("complete", s.Complete).Msg(msg)
	for _, w := range s.Warnings {
		log.Warn().Str("source", s.Name).Msg(w)
	}
}

// logItem logs what became of an upload that was tried.
func logItem(log zerolog.Logger, it report.Item) {
	e := log.Debug()
	switch {
	case it.Outcome == string(outcome.Unfinished) && it.Attempts == 0:
		return // not reached: counted at the end
	case it.Outcome == string(outcome.Unfinished):
		e = log.Info()
	case it.NeedsAttention():
		e = log.Warn()
	}
	e.Str("email", it.Email).Str("reason", it.Reason).Str("outcome", it.Outcome).Int64("duration_ms", it.DurationMS)
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

// logEnd logs that a run ended, and how many people it left. The summary has the rest.
func logEnd(log zerolog.Logger, r *report.Report, files []string) {
	for _, left := range []struct {
		outcome outcome.Outcome
		message string
	}{
		{outcome.Held, "people held back: the report names them"},
		{outcome.Unfinished, "people left for the next run: the report names them"},
	} {
		n, first := 0, []string(nil)
		for _, it := range r.Items {
			if it.Outcome != string(left.outcome) {
				continue
			}
			if n++; n <= maxNamed {
				first = append(first, it.Email)
			}
		}
		if n > 0 {
			log.Warn().Int("people", n).Strs("first", slices.Clip(first)).Msg(left.message)
		}
	}
	for _, f := range r.Findings {
		e := log.Info()
		if f.Severity == outcome.Attention {
			e = log.Warn()
		}
		e.Str("finding", f.Code).Str("source", f.Source).Int("count", f.Count).Int("of", f.Of).Msg(f.Message)
	}
	e := log.Info()
	if r.Error != nil {
		e = log.Error().Str("error", r.Error.Message)
	}
	e.Str("result", r.Result).Int("exit_code", r.ExitCode).Strs("report", files).Msg("run ended")
}

func logProgress(log zerolog.Logger, s status) {
	e := log.Info().Str("phase", s.Phase).Int64("people_listed", s.PeopleListed).Int64("photos_read", s.PhotosRead)
	if s.Phase == "asking" {
		e.Int64("users_asked", s.UsersAsked).Int64("users_to_ask", s.UsersToAsk)
	}
	if s.Phase == "uploading" {
		e.Int("done", s.Done).Int("total", s.Total).Int("failed", s.Failed).Float64("requests_per_minute", math.Round(s.PerMinute)).
			Float64("quota_per_minute", math.Round(s.QuotaPerMinute)).Int64("seconds_remaining", s.SecondsRemaining).
			Int64("waiting_seconds", s.WaitingSeconds)
	}
	e.Msg("progress")
}
