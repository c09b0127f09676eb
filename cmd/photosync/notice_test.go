package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"photosync/state"
)

// A run that nobody can be told of comes out as one without notices, but for the
// warnings; a run that is told of says the same to everyone.
func TestNotices(t *testing.T) {
	s := newSite(t, users(3), "")
	for i := range 3 {
		s.put(email(i), picture(i))
	}
	textfile := filepath.Join(s.dir, "photosync.prom")
	configure := func(url, file, mail string) {
		t.Helper()
		f, err := os.OpenFile(s.conf, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		text := "metrics: {textfile: '" + file + "', pushgateway: '" + url + "/gw'}\nnotify: {webhook: '" + url + "/hook/s3cret', when: always, healthcheck: '" + url + "/hc/s3cret'" + mail + "}\n"
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	configure("http://127.0.0.1:1", "/nowhere/photosync.prom", ", smtp: {host: 127.0.0.1, port: 1, from: a@example.com, to: [b@example.com]}")
	r := s.run(exitDone, "sync", "--limit", "2")
	if r.Totals.Uploaded != 2 || r.Result != "success" || len(r.Warnings) != 5 || strings.Contains(strings.Join(r.Warnings, ""), "s3cret") {
		t.Errorf("totals %+v, result %s, warnings %q", r.Totals, r.Result, r.Warnings)
	}
	if written := s.latest(); len(written.Warnings) != 5 {
		t.Errorf("the report has the warnings %q", written.Warnings)
	}

	var mu sync.Mutex
	got := map[string]string{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body) // what came of it is looked at
		mu.Lock()
		defer mu.Unlock()
		got[req.URL.Path] = string(body)
	}))
	defer srv.Close()
	if err := os.WriteFile(s.conf, before, 0o600); err != nil {
		t.Fatal(err)
	}
	configure(srv.URL, textfile, "")
	if r := s.run(exitChanges, "plan"); len(got) > 0 || len(r.Warnings) > 0 {
		t.Errorf("a plan is told of: %v, %q", got, r.Warnings)
	}
	if s.run(exitDone, "sync", "--only", email(0)); len(got) != 1 || got["/hook/s3cret"] == "" {
		t.Errorf("a run about one person is no night: told of %v", got)
	}
	if _, err := os.Stat(textfile); err == nil {
		t.Error("a run about one person has metrics")
	}
	clear(got)
	blocked := filepath.Join(s.dir, "a-file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := s.run(exitFailed, "sync", "--report-dir", blocked); r.Totals.Uploaded != 0 || !strings.Contains(got["/hook/s3cret"], "not a directory") || len(got) != 3 {
		t.Errorf("where no report can be written, nobody is told: %q", got)
	}
	clear(got)
	held, err := state.Open(filepath.Join(s.dir, "state.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.run(exitLocked, "sync")
	held.Close()
	if len(got) != 0 {
		t.Errorf("a run that another one keeps out tells of a beginning without an end: %q", got)
	}
	if r := s.run(exitDone, "sync"); r.Totals.Uploaded != 1 || len(r.Warnings) > 0 {
		t.Errorf("totals %+v, warnings %q", r.Totals, r.Warnings)
	}
	metrics, err := os.ReadFile(textfile)
	if err != nil {
		t.Fatal(err)
	}
	line := `photosync_people{outcome="uploaded",reason="new"} 1`
	for where, text := range map[string]string{
		"textfile": string(metrics), "Pushgateway": got["/gw/metrics/job/photosync"], "health check": got["/hc/s3cret"], "webhook": got["/hook/s3cret"],
	} {
		want := line
		switch where {
		case "webhook":
			want = "photosync sync: 1 picture was uploaded."
		case "health check":
			want = "sync: success, exit code 0\npeople 3, uploaded 1,"
		}
		if !strings.Contains(text, want) {
			t.Errorf("%s: %q is not in %q", where, want, text)
		}
	}
	if _, ok := got["/hc/s3cret/start"]; !ok || len(got) != 4 {
		t.Errorf("told: %v", got)
	}
}
