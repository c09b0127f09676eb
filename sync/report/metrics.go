package report

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"photosync/sync/foreign"
	"photosync/sync/outcome"
	"photosync/sync/safefile"
)

// MetricsType is the media type of Metrics: the text format of Prometheus
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
const MetricsType = "text/plain; version=0.0.4; charset=utf-8"

// lastSuccess is the metric that a failed run leaves as it was: an alert on its age
// says that photosync has not done its work for too long.
const lastSuccess = "photosync_last_success_timestamp_seconds"

// Done reports whether the run came to its end: everything that could be done was.
func (r *Report) Done() bool {
	return r.Result == Success || r.Result == Partial || r.Result == NothingToDo
}

// Metrics are r's numbers for Prometheus: gauges that describe the last run. Prometheus'
// own library would take a third of the program's start and three megabytes.
func Metrics(r *Report) []byte {
	var text []byte
	t, ended := r.Totals, float64(r.FinishedAt.UnixMilli())/1000
	if r.Done() {
		text = gauge(text, lastSuccess, "When a run last came to its end.", one(ended))
	}
	findings, listed, photos, complete := labelled{}, labelled{}, labelled{}, labelled{}
	incomplete := 0
	for _, f := range r.Findings {
		findings[`code="`+escape(f.Code)+`"`]++
	}
	for _, s := range r.Sources {
		label := `source="` + escape(s.Name) + `"`
		listed[label], photos[label], complete[label] = float64(s.Listed), float64(s.WithPhoto), 1
		if !s.Complete {
			incomplete++
			complete[label] = 0
		}
	}
	for _, g := range []struct {
		name, help string
		value      float64
	}{
		{"last_run_timestamp_seconds", "When the last run ended.", ended},
		{"run_duration_seconds", "How long the last run took.", r.FinishedAt.Sub(r.StartedAt).Seconds()},
		{"run_exit_code", "Exit code of the last run.", float64(r.ExitCode)},
		{"run_needs_attention", "People of the last run whom a human should look at.", float64(r.NeedsAttention())},
		{"run_requests", "Requests to Smartsheet in the last run.", float64(t.Requests)},
		{"run_retries", "Requests that were tried again in the last run.", float64(t.Retries)},
		{"run_rate_limited", "Answers with HTTP 429 in the last run.", float64(t.RateLimited)},
		{"run_quota_wait_seconds", "Time that the workers of the last run waited for quota, summed.", float64(t.QuotaWaitMS) / 1000},
		{"run_uploaded_bytes", "Bytes of the pictures that the last run uploaded.", float64(t.BytesUploaded)},
		{"run_remaining_seconds", "How long what the last run left undone will take.", float64(t.ETA)},
		{"sources_incomplete", "Sources that were not listed to their end in the last run.", float64(incomplete)},
	} {
		text = gauge(text, "photosync_"+g.name, g.help, one(g.value))
	}
	text = gauge(text, "photosync_people", "People of the last run, by what became of them and why.", people(r))
	text = gauge(text, "photosync_findings", "What was true of the whole last run, by its code.", findings)
	text = gauge(text, "photosync_source_listed", "Entries or files that the source listed in the last run.", listed)
	text = gauge(text, "photosync_source_photos", "People whose photo came from the source in the last run.", photos)
	text = gauge(text, "photosync_source_complete", "1 if the source was listed to its end in the last run, else 0.", complete)
	return gauge(text, "photosync_info", "The program.", labelled{`version="` + escape(r.Version) + `"`: 1})
}

// labelled are the values of a metric, by their labels as they are written.
type labelled map[string]float64

func one(value float64) labelled { return labelled{"": value} }

// escape makes a text fit for the value of a label.
func escape(text string) string {
	return strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(strings.ToValidUTF8(text, "�"))
}

func gauge(text []byte, name, help string, values labelled) []byte {
	text = fmt.Appendf(text, "# HELP %s %s\n# TYPE %[1]s gauge\n", name, help)
	for _, labels := range slices.Sorted(maps.Keys(values)) {
		value := strconv.FormatFloat(values[labels], 'g', -1, 64)
		if labels != "" {
			labels = "{" + labels + "}"
		}
		text = fmt.Appendf(text, "%s%s %s\n", name, labels, value)
	}
	return text
}

func people(r *Report) labelled {
	n := labelled{`outcome="skipped",reason="unchanged"`: float64(r.Totals.Unchanged)}
	for reason, skipped := range r.SkippedByReason {
		n[`outcome="skipped",reason="`+escape(string(reason))+`"`] += float64(skipped)
	}
	for _, it := range r.Items {
		if it.Outcome != outcome.Skipped { // counted above, with those that have no item
			n[`outcome="`+escape(string(it.Outcome))+`",reason="`+escape(string(it.Reason))+`"`]++
		}
	}
	return n
}

// WriteMetrics replaces the file at path, which node_exporter's textfile collector
// reads, whole or not at all.
func WriteMetrics(path string, r *Report) error {
	text := Metrics(r)
	if !r.Done() {
		old, _ := safefile.Read(path) // writing says what is wrong with it
		text = append(text, regexp.MustCompile(`(?m)^# HELP `+lastSuccess+` .*\n.*\n`+lastSuccess+` [0-9.e+]+\n`).Find(old)...)
	}
	// No collector looks in a folder that is missing. It runs as another user, who must read the file.
	_, err := os.Stat(filepath.Dir(path))
	if err == nil {
		err = safefile.Write(path, 0o644, text)
	}
	if err != nil {
		return fmt.Errorf("write metrics %q: %w", path, foreign.WithoutPath(err))
	}
	return nil
}
