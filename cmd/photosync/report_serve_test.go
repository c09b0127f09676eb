package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"photosync/sync/report"
)

// reportsFolder has a report, a file that is none, and a link to a report elsewhere.
func reportsFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	r := report.New("sync", "20260102T030405Z-abcdef", "1.2.3", time.Now())
	r.Full = true
	if _, err := report.Write(dir, r, []string{"json", "html"}); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "secret.html")
	for file, text := range map[string]string{other: `{"schema_version":1}`, filepath.Join(dir, "notes.json"): "{}", filepath.Join(dir, "state.db"): "x"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(other, filepath.Join(dir, "link.html")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestReportPages(t *testing.T) {
	dir := reportsFolder(t)
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	folder := reportPages(root)
	const own = "127.0.0.1:8080"
	for _, tt := range []struct {
		name               string
		from               http.Handler
		method, host, path string
		code               int
		has                string
	}{
		{"the list", folder, "GET", own, "/", 200, `<a href="20260102T030405Z-abcdef.html">`},
		{"a report", folder, "GET", own, "/latest.html", 200, "20260102T030405Z-abcdef"},
		{"as localhost", folder, "GET", "localhost:9999", "/latest.html", 200, "<!DOCTYPE html>"},
		{"over IPv6", folder, "GET", "[::1]:8080", "/", 200, "latest"},
		{"a name that points here", folder, "GET", "evil.example:8080", "/latest.html", 403, "localhost"},
		{"another address", folder, "GET", "192.0.2.1", "/", 403, "localhost"},
		{"no page", folder, "GET", own, "/notes.json", 404, "404"},
		{"no file", folder, "GET", own, "/other.html", 404, "404"},
		{"a link out", folder, "GET", own, "/link.html", 500, ""},
		{"the state", folder, "GET", own, "/state.db", 404, "404"},
		{"a way up", folder, "GET", own, "/..%2fsecret.html", 404, "404"},
		{"a write", folder, "POST", own, "/latest.html", 405, "only be read"},
		{"a deletion", folder, "DELETE", own, "/latest.html", 405, "only be read"},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(tt.method, "http://"+tt.host+tt.path, nil)
		tt.from.ServeHTTP(w, r)
		if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.has) {
			t.Errorf("%s: %d, want %d with %q\n%.300s", tt.name, w.Code, tt.code, tt.has, w.Body)
		}
		if w.Code == 200 && w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: a browser may keep it", tt.name)
		}
		if strings.Contains(w.Body.String(), "notes.json\"") { // a link that is not answered
			t.Errorf("%s: links more than pages:\n%s", tt.name, w.Body)
		}
	}
}

// The command says where it listens, answers there, and ends when it is told to.
func TestReportServe(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	read, write := io.Pipe()
	code := make(chan int)
	go func() {
		code <- run(ctx, []string{"report", "--serve=127.0.0.1:0", reportsFolder(t)}, os.Getenv, write, io.Discard)
	}()
	line := make([]byte, 200)
	n, err := read.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	url := regexp.MustCompile(`http://127\.0\.0\.1:\d+/`).FindString(string(line[:n]))
	res, err := http.Get(url)
	if err != nil {
		t.Fatalf("%s: %v", line[:n], err)
	}
	res.Body.Close()
	stop()
	if got := <-code; got != 0 || res.StatusCode != 200 {
		t.Errorf("exit code %d, status %d", got, res.StatusCode)
	}
}

func TestReportServeMisuse(t *testing.T) {
	dir := reportsFolder(t)
	for _, tt := range []struct {
		code int
		args []string
	}{
		{2, []string{"--serve=0.0.0.0:8080", dir}},
		{2, []string{"--serve=:8080", dir}},
		{2, []string{"--serve=example.com:80", dir}},
		{2, []string{"--serve=8080", dir}},
		{2, []string{"--serve=127.0.0.1:0", "--html", dir}},
		{1, []string{"--serve=127.0.0.1:0", dir + "/nowhere"}},
		{1, []string{"--serve=127.0.0.1:0", dir + "/notes.json"}},
	} {
		if got := run(t.Context(), append([]string{"report"}, tt.args...), os.Getenv, io.Discard, io.Discard); got != tt.code {
			t.Errorf("%q: exit code %d, want %d", tt.args, got, tt.code)
		}
	}
}
