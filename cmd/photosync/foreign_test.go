package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What a server answers and how files are called writes on no terminal, turns no text around
// and runs in no spreadsheet: neither in the log, nor in the summary, nor in any format of the
// report, nor in what a webhook gets.
func TestForeignText(t *testing.T) {
	const evil = "\x1b]0;owned\a\u202egnp\u2066\u009b2J"
	s := newSite(t, users(3), "")
	s.put(email(1), picture(1))
	for _, name := range []string{evil + ".png", "=cmd" + evil + "@example.com.png", "x;=1+1@example.com.png"} {
		if err := os.WriteFile(filepath.Join(s.photos, name), picture(2), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	told := make(chan string, 100)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		told <- string(body)
		http.Error(w, "no "+evil, http.StatusTeapot)
	}))
	defer hook.Close()
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	base := regexp.MustCompile(`http://127[^/"]*`).FindString(string(conf))
	at, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(at)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/profileimage") {
			proxy.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"errorCode": 1128, "refId": "a\u001b[2J\u202e", "message": "no \u001b]0;owned\u0007\u202egnp\n=1+1"}`)
	}))
	defer server.Close()
	text := strings.Replace(string(conf), base, server.URL, 1) + "notify: {webhook: '" + hook.URL + "', healthcheck: '" + hook.URL + "'}\n"
	if err := os.WriteFile(s.conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(name string) string { return map[string]string{"SMARTSHEET_ACCESS_TOKEN": token}[name] }
	escaped := regexp.MustCompile(`[^\\]\\u(00[0189]|20[26])`) // in JSON; what stands there with two backslashes is shown as such
	harmless := func(what, text string) {
		t.Helper()
		for line := range strings.Lines(text) {
			if strings.ContainsAny(line, "\x1b\a\r\u202e\u2066\u009b") || strings.HasPrefix(strings.TrimSpace(line), `{"`) && escaped.MatchString(line) {
				t.Errorf("%s: %.300q", what, line)
			}
		}
	}
	for _, args := range [][]string{
		{"sync", "--log-format", "console", "--log-level", "debug"}, {"sync", "--log-format", "json", "--log-level", "debug", "--retry-failed"},
		{"sync", "--output", "json", "--retry-failed"}, {"plan", "--retry-failed"}, {"explain", email(1)}, {"check"}, {"state", "list", "--state", filepath.Join(s.dir, "state.db")},
	} {
		var out, errs bytes.Buffer
		if args[0] != "state" {
			args = append(args, "--config", s.conf)
		}
		run(context.Background(), args, env, &out, &errs)
		harmless(strings.Join(args, " "), out.String()+errs.String())
		if out.Len() == 0 {
			t.Errorf("%q says nothing: %s", args, errs.String())
		}
	}
	hook.Close() // no call is on its way
	close(told)
	var webhook string
	for body := range told {
		webhook += body
	}
	if !strings.Contains(webhook, "message_type") {
		t.Error("the webhook was not called")
	}
	harmless("webhook", webhook)
	for format, flags := range map[string][]string{"text": nil, "json": {"--output", "json"}, "html": {"--html"}, "csv": {"--csv"}} {
		var out, errs bytes.Buffer
		if code := run(context.Background(), append([]string{"report", s.latestPath()}, flags...), env, &out, &errs); code != 0 {
			t.Fatalf("%d: %s", code, errs.String())
		}
		harmless(format, strings.ReplaceAll(out.String(), "\r\n", "\n"))
		if format == "csv" && regexp.MustCompile(`(?m)(^|[,;]) *"?[=+@-]`).MatchString(out.String()) {
			t.Errorf("a formula in %s", out.String())
		}
	}
}
