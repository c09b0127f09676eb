package main

import (
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// proxy is an HTTP proxy that leads every CONNECT to one server, and keeps what it
// was asked.
type proxy struct {
	to string

	mu     sync.Mutex
	refuse int      // HTTP status; 0: does what it is asked
	asked  []string // method, address, credentials
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, strings.TrimSpace(r.Method+" "+r.Host+" "+r.Header.Get("Proxy-Authorization")+r.Header.Get("Authorization")))
	refuse := p.refuse
	p.mu.Unlock()
	if refuse != 0 {
		w.WriteHeader(refuse)
		return
	}
	far, err := net.Dial("tcp", p.to)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer far.Close()
	near, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer near.Close()
	io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n") // the copies tell if it is gone
	go func() { io.Copy(far, near); far.Close() }()
	io.Copy(near, far)
}

// All calls go through the proxy of the environment, inside TLS: it sees neither the
// token nor what is sent. Each says what program it is, to the letter.
func TestProxy(t *testing.T) {
	s := newSite(t, users(3), "")
	for i := range 3 {
		s.put(email(i), picture(i))
	}
	agent := regexp.MustCompile(`^photosync/dev \(linux; (amd64|arm64)\) go1\.\d+(\.\d+)?$`)
	page := s.sim
	far := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // good for example.com
		if ua, source := r.UserAgent(), r.Header.Get("smartsheet-integration-source"); !agent.MatchString(ua) || source != "SCRIPT,Example Corp,photosync" {
			t.Errorf("%s: user agent %q, source %q", r.URL, ua, source)
		}
		page.ServeHTTP(w, r)
	}))
	defer far.Close()
	ca := filepath.Join(s.dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: far.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	smartsheet := fmt.Sprintf("smartsheet: {base_url: https://example.com/2.0, ca_file: %q, integration_source: 'SCRIPT,Example Corp,photosync', requests_per_minute: 100000}\n", ca)
	conf = append([]byte(smartsheet), conf[strings.Index(string(conf), "sources:"):]...)
	if err := os.WriteFile(s.conf, conf, 0o600); err != nil {
		t.Fatal(err)
	}
	p := &proxy{to: far.Listener.Addr().String()}
	near := httptest.NewServer(p)
	defer near.Close()
	sync := func() (string, int) {
		cmd := command(t, "sync", "--config", s.conf)
		cmd.Env = append(cmd.Env, "HTTPS_PROXY=http://user:hidden@"+near.Listener.Addr().String(), "NO_PROXY=")
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, code := sync(); code != exitDone || s.sim.Counts().Accepted != 3 {
		t.Fatalf("exit %d\n%s", code, out)
	}
	p.mu.Lock()
	asked := p.asked
	p.refuse = http.StatusProxyAuthRequired
	p.mu.Unlock()
	for _, asked := range asked {
		if asked != "CONNECT example.com:443 Basic dXNlcjpoaWRkZW4=" {
			t.Errorf("the proxy was asked %q", asked)
		}
	}
	if len(asked) == 0 {
		t.Error("the proxy was not asked")
	}
	out, code := sync()
	if code != exitFailed || !strings.Contains(out, "does not connect: HTTP 407 Proxy Authentication Required") || !strings.Contains(out, "HTTPS_PROXY") ||
		strings.Contains(out, "hidden") || strings.Contains(out, token) {
		t.Errorf("exit %d\n%s", code, out)
	}
}
