package report

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// MetricsType is the media type of Metrics: the text format of Prometheus
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
const MetricsType = "text/plain; version=0.0.4; charset=utf-8"

// lastSuccess is the metric that a failed run leaves as it was: an alert on its age
// tells that photosync has not done its work for too long.
const (
	lastSuccess     = "photosync_last_success_timestamp_seconds"
	lastSuccessHelp = "When a run last came to its end."
)

// Done tells whether the run came to its end: everything that could be done was.
func (r *Report) Done() bool {
	return r.Result == Success || r.Result == Partial || r.Result == NothingToDo
}

// Metrics are r's numbers for Prometheus: gauges that describe the last run. They
// are written here, and read with Prometheus' own parser in tests: its client
// library would take a third of the program's start and three megabytes.
func Metrics(r *Report) []byte {
	var m metrics
	m.set("photosync_last_run_timestamp_seconds", "When the last run ended.", float64(r.FinishedAt.UnixMilli())/1000)
	if r.Done() {
		m.set(lastSuccess, lastSuccessHelp, float64(r.FinishedAt.UnixMilli())/1000)
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
	m.Count(r)
	m.sources(r)
	m.family("photosync_info", "The program.")
	m.sample("photosync_info", 1, "version", r.Version)
	return m.text.Bytes()
}

// metrics is text in Prometheus' format as it grows.
type metrics struct{ text bytes.Buffer }

var (
	helpEscapes  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	labelEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

// family begins a metric; its samples follow.
func (m *metrics) family(name, help string) {
	fmt.Fprintf(&m.text, "# HELP %s %s\n# TYPE %s gauge\n", name, helpEscapes.Replace(help), name)
}

// sample adds a value; labels are names and values in turn.
func (m *metrics) sample(name string, value float64, labels ...string) {
	m.text.WriteString(name)
	for i := 0; i < len(labels); i += 2 {
		fmt.Fprintf(&m.text, `%c%s="%s"`, "{,"[min(i, 1)], labels[i], labelEscapes.Replace(strings.ToValidUTF8(labels[i+1], "�")))
	}
	if len(labels) > 0 {
		m.text.WriteByte('}')
	}
	m.text.WriteString(" " + strconv.FormatFloat(value, 'g', -1, 64) + "\n")
}

func (m *metrics) set(name, help string, value float64) {
	m.family(name, help)
	m.sample(name, value)
}

// people counts them by outcome and reason.
func (m *metrics) Count(r *Report) {
	const name = "photosync_people"
	type kind struct{ outcome, reason string }
	n := map[kind]int{{"skipped", "unchanged"}: r.Totals.Unchanged}
	for reason, skipped := range r.SkippedByReason {
		n[kind{"skipped", reason}] += skipped
	}
	for _, it := range r.Items {
		if it.Outcome != "skipped" { // counted above, with those that have no item
			n[kind{it.Outcome, it.Reason}]++
		}
	}
	m.family(name, "People of the last run, by what became of them and why.")
	for _, k := range slices.SortedFunc(maps.Keys(n), func(a, b kind) int {
		return strings.Compare(a.outcome+" "+a.reason, b.outcome+" "+b.reason)
	}) {
		m.sample(name, float64(n[k]), "outcome", k.outcome, "reason", k.reason)
	}
}

func (m *metrics) sources(r *Report) {
	incomplete := 0
	complete := func(s Source) float64 {
		if s.Complete {
			return 1
		}
		return 0
	}
	for _, s := range r.Sources {
		if !s.Complete {
			incomplete++
		}
	}
	m.set("photosync_sources_incomplete", "Sources that were not listed to their end in the last run.", float64(incomplete))
	for _, f := range []struct {
		name, help string
		value      func(Source) float64
	}{
		{"photosync_source_listed", "Entries or files that the source listed in the last run.", func(s Source) float64 { return float64(s.Listed) }},
		{"photosync_source_photos", "People whose photo came from the source in the last run.", func(s Source) float64 { return float64(s.WithPhoto) }},
		{"photosync_source_complete", "1 if the source was listed to its end in the last run, else 0.", complete},
	} {
		m.family(f.name, f.help)
		for _, s := range r.Sources {
			m.sample(f.name, f.value(s), "source", s.Name)
		}
	}
}

// WriteMetrics replaces the file at path, which node_exporter's textfile collector
// reads, whole or not at all.
func WriteMetrics(path string, r *Report) error {
	text := Metrics(r)
	if !r.Done() {
		at, err := readLastSuccess(path)
		if err != nil {
			return fmt.Errorf("read metrics %q: %w", path, err)
		}
		if at > 0 {
			m := metrics{}
			m.set(lastSuccess, lastSuccessHelp, at)
			text = append(text, m.text.Bytes()...)
		}
	}
	// A folder that is missing is a mistake: no collector would look there. The
	// collector is another user: everybody may read the file.
	_, err := os.Stat(filepath.Dir(path))
	if err == nil {
		err = Replace(path, 0o644, func(w io.Writer) error { _, err := w.Write(text); return err })
	}
	if err != nil {
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
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if value, found := strings.CutPrefix(lines.Text(), lastSuccess+" "); found {
			at, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0, nil // somebody else's file, or a damaged one: it is replaced
			}
			return at, nil
		}
	}
	return 0, nil
}
