package notify

import (
	"context"
	"crypto/tls"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"photosync/cmd/internal/config"
	"photosync/sync/report"
)

// Receivers that are there hear nothing; each that is not is named by its key, without its secret.
func TestUnreachable(t *testing.T) {
	to, url := newReceiver(t, 404)
	cert, ca := certificate(t)
	p, dir := &post{}, t.TempDir()
	o := Options{
		Metrics: config.Metrics{Textfile: filepath.Join(dir, "m.prom"), Pushgateway: config.Secret(url + "/gateway")},
		Notify:  config.Notify{Webhook: config.Secret(url + "/hook/secret"), Healthcheck: config.Secret(url + "/ping/uuid"), SMTP: config.SMTP{Host: "127.0.0.1", Port: listen(t, p, cert), StartTLS: true, CAs: ca, Username: "u", Password: "hunter2", From: "a@example.com", To: []string{"b@example.com"}}},
	}
	if n, faults := New(o).Unreachable(t.Context()); n != 5 || len(faults) > 0 || strings.Join(to.requests, " ") != "HEAD / HEAD / HEAD /" || p.from != "" || p.logins != 1 {
		t.Errorf("%d receivers, %q; requests %q, mail from %q, %d logins", n, faults, to.requests, p.from, p.logins)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	const dead = "http://127.0.0.1:1/secret"
	o.Textfile, o.Pushgateway, o.Webhook, o.Healthcheck, o.SMTP.Password = filepath.Join(dir, "none", "m.prom"), dead, dead, dead, "wrong-pass"
	_, faults := New(o).Unreachable(t.Context())
	for i, want := range []string{"metrics.textfile: ", "metrics.pushgateway: ", "notify.webhook: ", "notify.healthcheck: ", "notify.smtp: "} {
		if len(faults) != 5 || !strings.HasPrefix(faults[i], want) || strings.Contains(faults[i], "/secret") || strings.Contains(faults[i], "wrong-pass") {
			t.Fatalf("%q", faults)
		}
	}
	if n, faults := New(Options{}).Unreachable(t.Context()); n != 0 || len(faults) > 0 {
		t.Errorf("nothing is configured: %d, %q", n, faults)
	}
}

// A mail server that says nothing holds up neither a checkup nor a run: neither one that
// takes the connection, nor one that has agreed on TLS.
func TestMuteMailServer(t *testing.T) {
	cert, ca := certificate(t)
	for name, c := range map[string]struct{ serverTLS, TLS bool }{"clear": {}, "no handshake": {false, true}, "TLS": {true, true}} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if c.serverTLS {
				go func() {
					for {
						conn, err := l.Accept()
						if err != nil {
							return
						}
						t.Cleanup(func() { conn.Close() })
						tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*cert}}).Handshake()
					}
				}()
			}
			_, port, _ := net.SplitHostPort(l.Addr().String())
			o := Options{Notify: config.Notify{When: "always", SMTP: config.SMTP{Host: "127.0.0.1", TLS: c.TLS, CAs: ca, From: "a@example.com", To: []string{"b@example.com"}}}}
			o.SMTP.Port, _ = strconv.Atoi(port)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			start := time.Now()
			_, faults := New(o).Unreachable(ctx)
			warnings := New(o).Finish(ctx, run(report.Success), "Done.")
			if took := time.Since(start); len(faults) != 1 || len(warnings) != 1 || took > 5*time.Second {
				t.Errorf("%q, %q after %v", faults, warnings, took)
			}
		})
	}
}
