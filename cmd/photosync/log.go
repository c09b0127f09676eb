package main

import (
	"math"

	"github.com/rs/zerolog"

	"photosync/sync/plan"
	"photosync/sync/report"
)

// The log lines of a run. They never hold a secret: reports do not.

func logListed(log zerolog.Logger, s report.Source) {
	e, msg := log.Info(), "source listed"
	if !s.Complete {
		e, msg = log.Warn(), "source not listed to its end"
	}
	e.Str("source", s.Name).Int("listed", s.Listed).Int("pages", s.Pages).Bool("complete", s.Complete).Msg(msg)
	for _, w := range s.Warnings {
		log.Warn().Str("source", s.Name).Msg(w)
	}
}

func logPlan(log zerolog.Logger, p *plan.Plan) {
	log.Info().Str("plan_id", p.ID).Int("uploads", p.Planned()).Int("unchanged", p.Unchanged).Msg("plan made")
}

func logItem(log zerolog.Logger, it report.Item) {
	e := log.Info()
	if worthALine(it) {
		e = log.Warn()
	} else if it.Outcome == "uploaded" {
		e = log.Debug()
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

func logEnd(log zerolog.Logger, r *report.Report, files []string) {
	e := log.Info()
	if r.Error != nil {
		e = log.Error().Str("error", r.Error.Message)
	}
	e.Str("result", r.Result).Int("exit_code", r.ExitCode).Int("uploaded", r.Totals.Uploaded).Int("failed", r.Totals.Failed).
		Int("partial_success", r.Totals.PartialSuccess).Int("skipped", r.Totals.Skipped).Int("unchanged", r.Totals.Unchanged).
		Int("unfinished", r.Totals.Unfinished).Strs("report", files).Msg("run ended")
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
