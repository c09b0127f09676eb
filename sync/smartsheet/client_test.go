package smartsheet

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(benchServer) != "" {
		serveBench()
		return
	}
	goleak.VerifyTestMain(m)
}

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Options)
		want   string // part of the error; empty: none
	}{
		"good":               {func(*Options) {}, ""},
		"http on loopback":   {func(o *Options) { o.BaseURL = "http://127.0.0.1:8080/2.0" }, ""},
		"http on IPv6":       {func(o *Options) { o.BaseURL = "http://[::1]:8080/2.0" }, ""},
		"http":               {func(o *Options) { o.BaseURL = "http://api.example.test/2.0" }, "plain http"},
		"http to lookalike":  {func(o *Options) { o.BaseURL = "http://127.0.0.1.example.test/2.0" }, "plain http"},
		"http allowed":       {func(o *Options) { o.BaseURL, o.AllowHTTP = "http://api.example.test/2.0", true }, ""},
		"no scheme":          {func(o *Options) { o.BaseURL = "api.example.test" }, "want https://"},
		"no token":           {func(o *Options) { o.Token = "" }, "no token"},
		"token of two lines": {func(o *Options) { o.Token += "\n" }, "one line"},
		"no quota":           {func(o *Options) { o.RequestsPerMinute = 0 }, "above 0"},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{BaseURL: Roots["eu"], Token: testToken, RequestsPerMinute: 300, Timeout: time.Second}
			c.change(&o)
			_, err := New(o)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want %q in it", err, c.want)
			case err != nil && strings.Contains(err.Error(), testToken):
				t.Errorf("shows the token: %v", err)
			}
		})
	}
}

// The token goes nowhere but to the address that it was configured for.
func TestRedirects(t *testing.T) {
	var requests []string
	mux := http.NewServeMux()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests = append(requests, r.Method+" "+r.URL.Path)
		mux.ServeHTTP(w, r)
	}))
	defer srv.Close()
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s reached the other host, Authorization %q", r.Method, r.URL, r.Header.Get("Authorization"))
	}))
	defer other.Close()
	mux.Handle("GET /2.0/users/me", http.RedirectHandler(other.URL, http.StatusFound))
	mux.Handle("GET /2.0/users/1", http.RedirectHandler("/2.0/moved", http.StatusTemporaryRedirect))
	mux.Handle("POST /2.0/users/1/profileimage", http.RedirectHandler("/2.0/moved", http.StatusFound))
	c := newTest(t, nil, func(o *Options) { o.BaseURL, o.Transport = srv.URL+"/2.0", NewTransport(nil) })
	defer c.Close()
	if _, err := c.Me(t.Context()); Classify(err) != Stop || strings.Contains(err.Error(), testToken) {
		t.Errorf("to another host: %v", err)
	}
	if _, err := c.User(t.Context(), 1); Classify(err) != Stop {
		t.Errorf("on the same host: %v", err)
	}
	if _, err := c.Upload(t.Context(), User{ID: 1}, picture, time.Time{}); Classify(err) != Stop {
		t.Errorf("an upload: %v", err)
	}
	if len(requests) != 3 {
		t.Errorf("requests %q", requests)
	}
}

// Connections are kept, after refusals too.
func TestConnectionsAreReused(t *testing.T) {
	peers := map[string]bool{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peers[r.RemoteAddr] = true
		w.WriteHeader(http.StatusForbidden)
		w.Write([]byte(strings.Repeat("x", 100_000)))
	}))
	defer srv.Close()
	c := newTest(t, nil, func(o *Options) { o.BaseURL, o.Transport = srv.URL+"/2.0", NewTransport(nil) })
	defer c.Close()
	for range 20 {
		if _, err := c.Upload(t.Context(), User{ID: 1}, picture, time.Time{}); Classify(err) != Permission {
			t.Fatal(err)
		}
	}
	// net/http gives up a connection whose request it has not seen written 50 ms after the
	// answer, which a busy machine may bring about.
	if len(peers) > 10 {
		t.Errorf("%d connections for 20 uploads", len(peers))
	}
}

// An unknown authority is named at once, not tried again.
func TestCertificate(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = quiet
	srv.StartTLS()
	defer srv.Close()
	c := newTest(t, nil, func(o *Options) { o.BaseURL, o.Transport = srv.URL+"/2.0", NewTransport(nil) })
	defer c.Close()
	if _, err := c.Me(t.Context()); Classify(err) != Stop || c.Stats().Requests != 1 {
		t.Errorf("%v after %d requests", err, c.Stats().Requests)
	}
}

var quiet = log.New(io.Discard, "", 0) // for servers whose clients give up

// benchServer, in the environment, makes TestMain the server of BenchmarkUpload,
// so that the CPU time measured is the client's alone.
const benchServer = "PHOTOSYNC_BENCH_SERVER"

func serveBench() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, success)
	}))
	_, _ = io.WriteString(os.Stdout, srv.URL+"\n")
	_, _ = io.Copy(io.Discard, os.Stdin) // until the benchmark is over
	srv.Close()
}
