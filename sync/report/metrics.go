package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
	"time"

	"photosync/sync/foreign"
	"photosync/sync/outcome"
	"photosync/sync/safefile"
)

// MetricsType is the media type of Metrics: the text format of Prometheus
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
const MetricsType = "text/plain; version=0.0.4; charset=utf-8"

// lastSuccess is the metric that a failed run leaves as it was: an alert on its age says that
// no run came to its end for too long.
const lastSuccess = "photosync_last_success_timestamp_seconds"

// Done reports whether the run came to its end, and did everything that it could.
func (r *Report) Done() bool {
	return r.Result == Success || r.Result == Partial || r.Result == NothingToDo
}

//go:embed metrics.txt
var metricsText string

// fate is what happened to a person, and why.
type fate struct {
	Outcome outcome.Outcome
	Reason  outcome.Reason
}

// Metrics returns r's numbers for Prometheus: gauges that describe the last run. Prometheus'
// own library would take a third of the program's start time and three megabytes.
func Metrics(r *Report) []byte {
	data := struct {
		*Report
		Ended        float64 // Unix time
		Took, Waited time.Duration
		People       map[fate]int
		Codes        map[string]int // of findings
		Incomplete   int            // sources
	}{
		r, float64(r.FinishedAt.UnixMilli()) / 1000, r.FinishedAt.Sub(r.StartedAt), time.Duration(r.Totals.QuotaWaitMS) * time.Millisecond,
		map[fate]int{{outcome.Skipped, outcome.Unchanged}: r.Totals.Unchanged}, map[string]int{}, 0,
	}
	for reason, skipped := range r.SkippedByReason {
		data.People[fate{outcome.Skipped, reason}] += skipped
	}
	for _, it := range r.Items {
		if it.Outcome != outcome.Skipped { // skipped people are counted above
			data.People[fate{it.Outcome, it.Reason}]++
		}
	}
	for _, f := range r.Findings {
		data.Codes[f.Code]++
	}
	for _, s := range r.Sources {
		if !s.Complete {
			data.Incomplete++
		}
	}
	metrics := template.Must(template.New("").Delims("<<", ">>").Funcs(template.FuncMap{"label": label}).Parse(metricsText))
	var text bytes.Buffer
	if err := metrics.Execute(&text, data); err != nil {
		panic(err) // a mistake in metrics.txt
	}
	return text.Bytes()
}

// label returns the value of a label, quoted.
func label(value any) string {
	return `"` + strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(strings.ToValidUTF8(fmt.Sprint(value), "�")) + `"`
}

// WriteMetrics atomically replaces the file at path, which node_exporter's textfile
// collector reads.
func WriteMetrics(path string, r *Report) error {
	text := Metrics(r)
	if !r.Done() {
		old, _ := safefile.Read(path) // if it cannot be read, writing reports why
		text = append(text, regexp.MustCompile(`(?m)^# HELP `+lastSuccess+` .*\n.*\n`+lastSuccess+` [0-9.e+]+\n`).Find(old)...)
	}
	// No collector reads a folder that is missing. It runs as another user, who must be able to read the file.
	_, err := os.Stat(filepath.Dir(path))
	if err == nil {
		err = safefile.Write(path, 0o644, text)
	}
	if err != nil {
		return fmt.Errorf("write metrics %q: %w", path, foreign.WithoutPath(err))
	}
	return nil
}
