package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"photosync/sources/ldap/slapdtest"
	"photosync/sync/smartsheet/simulator"
)

// screen is what photosync printed so far.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// browse opens the page that photosync prints, as a person does, and returns what the
// browser shows in the end.
func browse(t *testing.T, out *screen, change func(page string) string) string {
	t.Helper()
	for range 3000 {
		if m := regexp.MustCompile(`http\S+/b/authorize\?\S+`).FindString(out.String()); m != "" {
			resp, err := http.Get(change(m)) //nolint:noctx // a browser in a test
			if err != nil {
				return err.Error()
			}
			defer resp.Body.Close()
			var b bytes.Buffer
			b.ReadFrom(resp.Body)
			return b.String()
		}
		time.Sleep(10 * time.Millisecond)
	}
	return "no page was printed: " + out.String()
}

func TestOAuthLogin(t *testing.T) {
	sim := simulator.New(simulator.Options{Users: users(1), OAuth: &simulator.OAuth{ClientID: "app", ClientSecret: "app-secret", RefreshToken: "old"}})
	l, err := sim.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	conf, token := filepath.Join(dir, "config.yaml"), filepath.Join(dir, "refresh-token")
	text := fmt.Sprintf("smartsheet: {base_url: %q, oauth2: {client_id: app, refresh_token_file: %q}}\nsources: [{name: hr, type: folder, path: %q}]\nstate: {path: %q}\n",
		l.URL(), token, dir, filepath.Join(dir, "state.db"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	redirect := "http://" + slapdtest.FreeAddr() + "/callback"
	same := func(page string) string { return page }
	limit := time.Minute
	login := func(secret string, change func(string) string, args ...string) (code int, shown, out string) {
		env := func(name string) string { return map[string]string{"SMARTSHEET_CLIENT_SECRET": secret}[name] }
		var s screen
		done := make(chan int)
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		go func() {
			done <- run(ctx, append([]string{"oauth", "login", "--config", conf, "--redirect", redirect}, args...), env, &s, &s)
		}()
		if change != nil {
			shown = browse(t, &s, change)
		}
		code = <-done
		return code, shown, s.String()
	}

	// What goes wrong leaves no file behind.
	for name, c := range map[string]struct {
		secret string
		change func(string) string
		want   string
	}{
		"wrong secret":  {"nonsense", same, "HTTP 401"},
		"another state": {"app-secret", func(p string) string { return regexp.MustCompile(`state=\w+`).ReplaceAllString(p, "state=x") }, "wait for the browser"},
		"refused":       {"app-secret", func(p string) string { return strings.ReplaceAll(p, "scope=", "other=") }, "did not allow it: invalid_scope"},
		"another app":   {"app-secret", func(p string) string { return strings.ReplaceAll(p, "client_id=app", "client_id=x") }, "wait for the browser"},
		"no challenge": {"app-secret", func(p string) string {
			return regexp.MustCompile(`code_challenge=[^&]+`).ReplaceAllString(p, "code_challenge=x")
		}, "invalid_grant"},
	} {
		limit = time.Minute
		if c.want == "wait for the browser" { // it runs out
			limit = 3 * time.Second
		}
		code, _, out := login(c.secret, c.change)
		if _, err := os.Stat(token); code != exitFailed || !strings.Contains(out, c.want) || !os.IsNotExist(err) || strings.Contains(out, "app-secret") {
			t.Errorf("%s: exit %d, %v\n%s", name, code, err, out)
		}
	}

	limit = time.Minute
	code, shown, out := login("app-secret", same)
	fi, err := os.Stat(token)
	if code != exitDone || err != nil || fi.Mode().Perm() != 0o600 || !strings.Contains(shown, "You may close this window") || !strings.Contains(out, "photosync check --config") {
		t.Fatalf("exit %d, %v, the browser shows %q\n%s", code, err, shown, out)
	}
	data, err := os.ReadFile(token)
	if err != nil || strings.TrimSpace(string(data)) != sim.RefreshToken() || strings.Contains(out, sim.RefreshToken()) {
		t.Errorf("the file holds %q, want %q (%v)\n%s", data, sim.RefreshToken(), err, out)
	}
	// It works, with the access token that came with it.
	var s screen
	env := func(name string) string { return map[string]string{"SMARTSHEET_CLIENT_SECRET": "app-secret"}[name] }
	if code := run(t.Context(), []string{"plan", "--config", conf, "--report-dir", dir}, env, &s, &s); code != exitDone && code != exitAttention {
		t.Errorf("plan: exit %d\n%s", code, s.String())
	}

	// A token that is there is replaced only if that is wanted.
	if code, _, out = login("app-secret", nil); code != exitFailed || !strings.Contains(out, "is already there") || !strings.Contains(out, "hint: with --replace") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if code, _, out = login("app-secret", same, "--replace"); code != exitDone {
		t.Errorf("exit %d\n%s", code, out)
	}
	if again, err := os.ReadFile(token); err != nil || strings.TrimSpace(string(again)) != sim.RefreshToken() || bytes.Equal(again, data) {
		t.Errorf("the file holds %q, want %q (%v)", again, sim.RefreshToken(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.login")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}
