package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// aRun is a run with something of everything.
func aRun(result string) *Report {
	start := time.Unix(1_700_000_000, 0)
	r := New("sync", "run", "1.2.3", start)
	r.Result, r.ExitCode, r.FinishedAt = result, 3, start.Add(90*time.Second)
	r.Sources = []Source{{Name: "ad", Complete: true, Listed: 10, WithPhoto: 7}, {Name: `h"r`, Listed: 4}}
	r.Add(
		Item{Outcome: "uploaded", Reason: "new", Image: &Image{Bytes: 400}}, Item{Outcome: "uploaded", Reason: "new", Image: &Image{Bytes: 100}},
		Item{Outcome: "failed", Reason: "invalid_image"}, Item{Outcome: "skipped", Reason: "no_photo"},
	)
	r.SkippedByReason["out_of_shard"] = 9 // counted, without items
	r.Totals.Unchanged, r.Totals.Requests, r.Totals.RateLimited, r.Totals.QuotaWaitMS = 5, 12, 2, 1500
	return r
}

// samples reads metrics as Prometheus does.
func samples(t *testing.T, path string) map[string]float64 {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(f)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for name, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			got[name+"{"+strings.Join(labels, ",")+"}"] = m.GetGauge().GetValue()
		}
	}
	return got
}

func TestMetrics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "photosync.prom")
	if err := WriteMetrics(path, aRun(Partial)); err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{
		"photosync_info{version=1.2.3}":                         1,
		"photosync_last_run_timestamp_seconds{}":                1_700_000_090,
		"photosync_last_success_timestamp_seconds{}":            1_700_000_090,
		"photosync_people{outcome=failed,reason=invalid_image}": 1,
		"photosync_people{outcome=skipped,reason=no_photo}":     1,
		"photosync_people{outcome=skipped,reason=out_of_shard}": 9,
		"photosync_people{outcome=skipped,reason=unchanged}":    5,
		"photosync_people{outcome=uploaded,reason=new}":         2,
		"photosync_run_duration_seconds{}":                      90,
		"photosync_run_exit_code{}":                             3,
		"photosync_run_needs_attention{}":                       1,
		"photosync_run_quota_wait_seconds{}":                    1.5,
		"photosync_run_rate_limited{}":                          2,
		"photosync_run_remaining_seconds{}":                     0,
		"photosync_run_requests{}":                              12,
		"photosync_run_retries{}":                               0,
		"photosync_run_uploaded_bytes{}":                        500,
		"photosync_source_complete{source=ad}":                  1,
		`photosync_source_complete{source=h"r}`:                 0,
		"photosync_source_listed{source=ad}":                    10,
		`photosync_source_listed{source=h"r}`:                   4,
		"photosync_source_photos{source=ad}":                    7,
		`photosync_source_photos{source=h"r}`:                   0,
		"photosync_sources_incomplete{}":                        1,
	}
	if diff := cmp.Diff(want, samples(t, path)); diff != "" {
		t.Error(diff)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.New(strings.NewReader(string(text))).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 1 {
		t.Errorf("files left behind: %q", left)
	}
}

// A run that failed says so, and leaves the time of the last success alone.
func TestLastSuccess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "photosync.prom")
	write := func(result string, at int64) map[string]float64 {
		t.Helper()
		r := aRun(result)
		r.FinishedAt = time.Unix(at, 0)
		if err := WriteMetrics(path, r); err != nil {
			t.Fatal(err)
		}
		return samples(t, path)
	}
	if _, ok := write(Failed, 100)[lastSuccess+"{}"]; ok {
		t.Error("a success without one")
	}
	for _, c := range []struct {
		result      string
		at, success int64
	}{{NothingToDo, 200, 200}, {Failed, 300, 200}, {Held, 400, 200}, {Interrupted, 500, 200}, {Success, 600, 600}} {
		got := write(c.result, c.at)
		if got[lastSuccess+"{}"] != float64(c.success) || got["photosync_last_run_timestamp_seconds{}"] != float64(c.at) {
			t.Errorf("%s at %d: %v", c.result, c.at, got)
		}
	}
	if err := os.WriteFile(path, []byte("no metrics {"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok := write(Failed, 700)[lastSuccess+"{}"]; ok {
		t.Error("a success out of a damaged file")
	}
}

func TestMetricsNowhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "photosync.prom")
	err := WriteMetrics(path, aRun(Success))
	if err == nil || !strings.HasSuffix(err.Error(), "photosync.prom\": no such file or directory") {
		t.Error(err)
	}
}
