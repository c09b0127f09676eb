package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"photosync/cmd/internal/config"
	"photosync/sync/report"
)

// post is a mail server that keeps what it gets.
type post struct {
	fromStart bool // TLS, without STARTTLS
	mu        sync.Mutex
	from      string
	to        []string
	text      string
	user      string
	tls       bool

	logins int
}

type session struct {
	p *post
	c *smtp.Conn
}

func (p *post) NewSession(c *smtp.Conn) (smtp.Session, error) { return &session{p, c}, nil }

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		s.p.logins++
		if password != "hunter2" {
			return errors.New("no: " + password + " \x1b[31m")
		}
		s.p.user = user
		return nil
	}), nil
}
func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.p.from = from
	return nil
}
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.p.to = append(s.p.to, to)
	return nil
}
func (s *session) Data(r io.Reader) error {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	b, err := io.ReadAll(r)
	s.p.text = string(b)
	_, s.p.tls = s.c.TLSConnectionState()
	return err
}

// listen starts a mail server, with TLS if it has a certificate, and returns its port.
func listen(t *testing.T, p *post, cert *tls.Certificate) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := smtp.NewServer(p)
	if cert != nil {
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12}
	}
	srv.AllowInsecureAuth = true
	if p.fromStart {
		l = tls.NewListener(l, srv.TLSConfig)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()  // it ends with Close
	t.Cleanup(func() { srv.Close(); l.Close(); <-done }) // Serve may not have begun
	_, port, _ := net.SplitHostPort(l.Addr().String())
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// certificate is one for 127.0.0.1, and the authority that it is from.
func certificate(t *testing.T) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.StartTLS()
	srv.Close()
	ca := x509.NewCertPool()
	ca.AddCert(srv.Certificate())
	return &srv.TLS.Certificates[0], ca
}

func TestMail(t *testing.T) {
	cert, ca := certificate(t)
	p := &post{}
	m := config.SMTP{Host: "127.0.0.1", Port: listen(t, p, cert), StartTLS: true, CAs: ca, Username: "photosync", Password: "hunter2",
		From: "Photosync <photosync@example.com>", To: []string{"it@example.com", "Ann <ann@example.com>"}}
	n := New(Options{Notify: config.Notify{SMTP: m}, UserAgent: "photosync/1.2.3"})
	if warnings := n.Finish(context.Background(), run(report.Partial), "photosync sync: 2 people need attention – now.\n  failed 2\n"); len(warnings) > 0 {
		t.Fatal(warnings)
	}
	if p.from != "photosync@example.com" || strings.Join(p.to, " ") != "it@example.com ann@example.com" || p.user != "photosync" || !p.tls {
		t.Errorf("got %+v", p)
	}
	for _, want := range []string{"From: \"Photosync\" <photosync@example.com>", "=?UTF-8?q?photosync_sync:_2_people_need", "Auto-Submitted: auto-generated", "Date: ", "Message-ID: ", "User-Agent: photosync/1.2.3", "  failed 2"} {
		if !strings.Contains(p.text, want) {
			t.Errorf("the mail has no %q:\n%s", want, p.text)
		}
	}
	p.text = ""
	if warnings := n.Finish(context.Background(), run(report.Success), "Done."); len(warnings) > 0 || p.text != "" {
		t.Errorf("mail about a run that needs nobody: %q %q", warnings, p.text)
	}
}

// On port 465 there is TLS from the start, and the login may be one that needs it.
func TestMailWithTLSFromTheStart(t *testing.T) {
	cert, ca := certificate(t)
	p := &post{fromStart: true}
	m := config.SMTP{Host: "127.0.0.1", Port: listen(t, p, cert), TLS: true, CAs: ca, Username: "u", Password: "hunter2", From: "a@example.com", To: []string{"b@example.com"}}
	if warnings := New(Options{Notify: config.Notify{SMTP: m, When: "always"}}).Finish(t.Context(), run(report.Success), "Done."); len(warnings) > 0 || !p.tls || p.user != "u" || p.text == "" {
		t.Errorf("%q, %+v", warnings, p)
	}
	m.CAs, p.text = nil, ""
	n := New(Options{Notify: config.Notify{SMTP: m, When: "always"}})
	n.pause = time.Millisecond
	if warnings := n.Finish(t.Context(), run(report.Success), "Done."); len(warnings) != 1 || !strings.Contains(warnings[0], "certificate") || p.text != "" {
		t.Errorf("an unknown authority: %q, %+v", warnings, p)
	}
}

// Mail that cannot be sent as it must be is a warning, which shows no password; nothing
// goes over a connection without TLS unless that is wanted.
func TestMailRefused(t *testing.T) {
	cert, ca := certificate(t)
	good := config.SMTP{Host: "127.0.0.1", StartTLS: true, CAs: ca, Username: "u", Password: "hunter2", From: "a@example.com", To: []string{"b@example.com"}}
	for name, c := range map[string]struct {
		cert   *tls.Certificate
		change func(*config.SMTP)
		want   string
	}{
		"no STARTTLS":       {nil, func(*config.SMTP) {}, "STARTTLS"},
		"unknown authority": {cert, func(m *config.SMTP) { m.CAs = nil }, "certificate"},
		"wrong password":    {cert, func(m *config.SMTP) { m.Password = "wrong-pass" }, "AUTH failed"},
		"clear and login":   {nil, func(m *config.SMTP) { m.StartTLS = false }, "auth"},
		"nobody listens":    {nil, func(m *config.SMTP) { m.Port = 1 }, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			p, m := &post{}, good
			m.Port = listen(t, p, c.cert)
			c.change(&m)
			n := New(Options{Notify: config.Notify{SMTP: m, When: "always"}})
			n.pause = time.Millisecond
			warnings := n.Finish(context.Background(), run(report.Success), "Done.")
			if len(warnings) != 1 || !strings.Contains(warnings[0], c.want) || !strings.HasPrefix(warnings[0], "send mail through 127.0.0.1:") ||
				strings.Contains(warnings[0], m.Password.Reveal()) || strings.Contains(warnings[0], "\x1b") || p.text != "" || p.logins > 1 {
				t.Errorf("warnings %q, got %q, %d logins", warnings, p.text, p.logins)
			}
		})
	}
	p, m := &post{}, good
	m.Port, m.StartTLS, m.Username = listen(t, p, nil), false, ""
	if warnings := New(Options{Notify: config.Notify{SMTP: m, When: "always"}}).Finish(context.Background(), run(report.Success), "Done."); len(warnings) > 0 || p.tls || p.text == "" {
		t.Errorf("in clear, as wanted: %q %q", warnings, p.text)
	}
}
