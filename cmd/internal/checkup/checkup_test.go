package checkup

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"photosync/sync/job"
)

type answers func(*http.Request) (*http.Response, error)

func (f answers) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestClock(t *testing.T) {
	for _, c := range []struct {
		ahead time.Duration // of this machine
		want  string
	}{
		{0, "ok within 1m0s of Smartsheet's"},
		{-30 * time.Second, "ok within 1m0s of Smartsheet's"},
		{5 * time.Minute, "warning 5m0s ahead of Smartsheet's"},
		{-3 * time.Hour, "warning 3h0m0s behind Smartsheet's"},
	} {
		synctest.Test(t, func(t *testing.T) {
			k := &checkup{job: job.Job{Parts: job.Parts{Root: "http://example.com"}}}
			k.clock(t.Context(), answers(func(req *http.Request) (*http.Response, error) {
				time.Sleep(4 * time.Second) // on the way, half of it each
				date := time.Now().Add(-2*time.Second - c.ahead).UTC().Format(http.TimeFormat)
				return &http.Response{Request: req, Header: http.Header{"Date": {date}}, Body: http.NoBody}, nil
			}))
			if f := k.checks[0]; f.Status+" "+f.Detail != c.want {
				t.Errorf("%v ahead: %q, want %q", c.ahead, f, c.want)
			}
		})
	}
}
