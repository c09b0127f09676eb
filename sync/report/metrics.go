package report

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// lastSuccess is the metric that a failed run leaves as it was: an alert on its age
// tells that photosync has not done its work for too long.
const lastSuccess = "photosync_last_success_timestamp_seconds"

// Done tells whether the run came to its end: everything that could be done was.
func (r *Report) Done() bool {
	return r.Result == Success || r.Result == Partial || r.Result == NothingToDo
}

// Metrics are r's numbers for Prometheus: gauges that describe the last run.
func Metrics(r *Report) *prometheus.Registry {
	m := metrics{prometheus.NewRegistry()}
	m.set("photosync_last_run_timestamp_seconds", "When the last run ended.", float64(r.FinishedAt.UnixMilli())/1000)
	if r.Done() {
		m.set(lastSuccess, "When a run last came to its end.", float64(r.FinishedAt.UnixMilli())/1000)
	}
	m.set("photosync_run_duration_seconds", "How long the last run took.", r.FinishedAt.Sub(r.StartedAt).Seconds())
	m.set("photosync_run_exit_code", "Exit code of the last run.", float64(r.ExitCode))
	m.set("photosync_run_needs_attention", "People of the last run whom a human should look at.", float64(r.NeedsAttention()))
	m.set("photosync_run_requests", "Requests to Smartsheet in the last run.", float64(r.Totals.Requests))
	m.set("photosync_run_retries", "Requests that were tried again in the last run.", float64(r.Totals.Retries))
	m.set("photosync_run_rate_limited", "Answers with HTTP 429 in the last run.", float64(r.Totals.RateLimited))
	m.set("photosync_run_quota_wait_seconds", "Time that the workers of the last run waited for quota, summed.", float64(r.Totals.QuotaWaitMS)/1000)
	m.set("photosync_run_uploaded_bytes", "Bytes of the pictures that the last run uploaded.", float64(r.Totals.BytesUploaded))
	m.set("photosync_run_remaining_seconds", "How long what the last run left undone will take.", float64(r.Totals.ETA))
	m.people(r)
	m.sources(r)
	v := m.vec("photosync_info", "The program.", "version")
	v.WithLabelValues(r.Version).Set(1)
	return m.Registry
}

type metrics struct{ *prometheus.Registry }

func (m metrics) vec(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	m.MustRegister(v) // the names are distinct
	return v
}

func (m metrics) set(name, help string, value float64) {
	m.vec(name, help).WithLabelValues().Set(value)
}

// people counts them by outcome and reason.
func (m metrics) people(r *Report) {
	v := m.vec("photosync_people", "People of the last run, by what became of them and why.", "outcome", "reason")
	v.WithLabelValues("skipped", "unchanged").Set(float64(r.Totals.Unchanged))
	for reason, n := range r.SkippedByReason {
		v.WithLabelValues("skipped", reason).Set(float64(n))
	}
	for _, it := range r.Items {
		if it.Outcome != "skipped" { // counted above, with those that have no item
			v.WithLabelValues(it.Outcome, it.Reason).Inc()
		}
	}
}

func (m metrics) sources(r *Report) {
	incomplete := 0
	listed := m.vec("photosync_source_listed", "Entries or files that the source listed in the last run.", "source")
	photos := m.vec("photosync_source_photos", "People whose photo came from the source in the last run.", "source")
	complete := m.vec("photosync_source_complete", "1 if the source was listed to its end in the last run, else 0.", "source")
	for _, s := range r.Sources {
		listed.WithLabelValues(s.Name).Set(float64(s.Listed))
		photos.WithLabelValues(s.Name).Set(float64(s.WithPhoto))
		if s.Complete {
			complete.WithLabelValues(s.Name).Set(1)
		} else {
			complete.WithLabelValues(s.Name).Set(0)
			incomplete++
		}
	}
	m.set("photosync_sources_incomplete", "Sources that were not listed to their end in the last run.", float64(incomplete))
}

// WriteMetrics replaces the file at path, which node_exporter's textfile collector
// reads, whole or not at all.
func WriteMetrics(path string, r *Report) error {
	g := Metrics(r)
	if !r.Done() {
		if at, err := readLastSuccess(path); err != nil {
			return fmt.Errorf("read metrics %q: %w", path, err)
		} else if at > 0 {
			metrics{g}.set(lastSuccess, "When a run last came to its end.", at)
		}
	}
	if err := prometheus.WriteToTextfile(path, g); err != nil {
		return fmt.Errorf("write metrics %q: %w", path, cause(err))
	}
	return nil
}

// readLastSuccess is 0 when the file is not there or does not say.
func readLastSuccess(path string) (float64, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, cause(err)
	}
	defer f.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(f)
	if err != nil {
		return 0, nil // somebody else's file, or a damaged one: it is replaced
	}
	for _, m := range families[lastSuccess].GetMetric() {
		return m.GetGauge().GetValue(), nil
	}
	return 0, nil
}
