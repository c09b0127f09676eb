package main

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"photosync/cmd/internal/config"
	"photosync/sources/ldap/slapdtest"
)

type answers func(*http.Request) (*http.Response, error)

func (f answers) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestClock(t *testing.T) {
	for _, c := range []struct {
		ahead time.Duration // of this machine
		want  string
	}{
		{0, "✓ within 1m0s of Smartsheet's"},
		{-30 * time.Second, "✓ within 1m0s of Smartsheet's"},
		{5 * time.Minute, "! 5m0s ahead of Smartsheet's"},
		{-3 * time.Hour, "! 3h0m0s behind Smartsheet's"},
	} {
		synctest.Test(t, func(t *testing.T) {
			k, clock := &checkup{}, &clock{RoundTripper: answers(func(*http.Request) (*http.Response, error) {
				time.Sleep(4 * time.Second) // on the way, half of it each
				date := time.Now().Add(-2*time.Second - c.ahead).UTC().Format(http.TimeFormat)
				return &http.Response{Header: http.Header{"Date": {date}}, Body: http.NoBody}, nil
			})}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.com", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := clock.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			k.clock(clock)
			if f := k.findings[0]; f.mark+" "+f.detail != c.want {
				t.Errorf("%v ahead: %q, want %q", c.ahead, f, c.want)
			}
		})
	}
}

// A directory of which one server is down: a run would go on with the other, and the
// checkup says so.
func TestCheckServers(t *testing.T) {
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: slapdtest.Entry("p00001", email(1), picture(1))})
	s := config.Source{
		Name: "ad", Type: "ldap", URLs: []string{"ldap://127.0.0.1:1", srv.URL}, BindDN: slapdtest.BindDN, BindPassword: slapdtest.Password,
		BaseDN: slapdtest.BaseDN, Filter: "(objectClass=inetOrgPerson)", EmailAttributes: []string{"mail"}, PhotoAttributes: []string{"jpegPhoto"}, PageSize: 10,
		ChangeDetection: "auto",
	}
	k := &checkup{examples: map[string]bool{}}
	k.sources(t.Context(), &config.Config{Sources: []config.Source{s}, Image: config.Image{MaxEdge: 1050, MaxBytes: 1e6, MaxPixels: 5e7, Crop: "none"}})
	if len(k.findings) != 2 || k.findings[0].mark != warning || !strings.HasPrefix(k.findings[0].detail, "connect ldap://127.0.0.1:1: ") ||
		k.findings[1].mark != good || !strings.Contains(k.findings[1].detail, "1 person in 1 page") {
		t.Errorf("findings %q", k.findings)
	}
}
