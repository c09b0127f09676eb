package config

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The addresses come from the environment, a file, or the configuration itself, and
// show themselves nowhere.
func TestNotices(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(file, []byte("https://hooks.example.com/s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"notify: {webhook: 'https://hooks.example.com/s3cret'}": "https://hooks.example.com/s3cret",
		fmt.Sprintf("notify: {webhook_file: %q}", file):         "https://hooks.example.com/s3cret",
		"notify: {when: always}":                                "",
	} {
		c, err := load(t, minimal+text, both)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Notify.Webhook.Reveal(); got != want {
			t.Errorf("%s: webhook %q, want %q", text, got, want)
		}
		if strings.Contains(fmt.Sprintf("%+v", c), "s3cret") {
			t.Error("the address shows itself")
		}
	}
	env := func(name string) string {
		return map[string]string{"PHOTOSYNC_HEALTHCHECK": "https://hc.example.com/env", "PHOTOSYNC_PUSHGATEWAY": "http://gw:9091"}[name] + both(name)
	}
	c, err := load(t, minimal+"notify: {healthcheck: 'https://hc.example.com/file'}", env)
	if err != nil {
		t.Fatal(err)
	}
	if c.Notify.Healthcheck.Reveal() != "https://hc.example.com/env" || c.Metrics.Pushgateway.Reveal() != "http://gw:9091" {
		t.Error("the environment does not win")
	}
}

func TestNoticeFaults(t *testing.T) {
	for text, want := range map[string]string{
		"notify: {webhook: 'hooks.example.com/s3cret'}":                          "notify.webhook: is not an address",
		"notify: {healthcheck: 'ftp://hc.example.com/s3cret'}":                   "notify.healthcheck: is not an address",
		"metrics: {pushgateway: 's3cret'}":                                       "metrics.pushgateway: is not an address",
		"notify: {webhook: 'https://hooks.example.com/s3cret', webhook_file: x}": "notify.webhook: does not go together with webhook_file",
		"notify: {webhook_file: /nowhere/hook}":                                  "notify.webhook_file: read \"/nowhere/hook\": no such file",
		"notify: {when: sometimes}":                                              "notify.when: \"sometimes\" is not possible (attention, always)",
	} {
		_, err := load(t, minimal+text, both)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
			continue
		}
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the address shows itself: %s", text, err)
		}
	}
}

// A file that others can read is no place for an address that works like a password.
func TestNoticeWarning(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	for _, c := range []struct {
		mode    os.FileMode
		text    string
		warning bool
	}{
		{0o600, "notify: {webhook: 'https://hooks.example.com/s3cret'}", false},
		{0o644, "notify: {webhook: 'https://hooks.example.com/s3cret'}", true},
		{0o644, "notify: {when: always}", false},
	} {
		if err := os.WriteFile(file, []byte(minimal+c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, c.mode); err != nil {
			t.Fatal(err)
		}
		got, err := Load(file, both)
		if err != nil {
			t.Fatal(err)
		}
		if warned := strings.Contains(strings.Join(got.Warnings, "\n"), "chmod 600"); warned != c.warning {
			t.Errorf("%#o %s: warnings %q", c.mode, c.text, got.Warnings)
		}
	}
}

// Plain http shows what it carries to everyone on the network path.
func TestClearWarnings(t *testing.T) {
	for text, want := range map[string]string{
		"notify: {webhook: 'http://hooks.example.com/x'}":                                     "notify.webhook: plain http shows the address",
		"notify: {healthcheck: 'http://hc.example.com/x'}":                                    "notify.healthcheck: plain http shows the address",
		"metrics: {pushgateway: 'http://u:s3cret@gw.example.com'}":                            "metrics.pushgateway: plain http shows the user and password",
		"metrics: {pushgateway: 'http://gw.example.com:9091'}":                                "",
		"notify: {webhook: 'http://127.0.0.1:1/x', healthcheck: 'https://x/y'}":               "",
		"notify: {smtp: {host: mail.example.com, from: a@b.c, to: [a@b.c], starttls: false}}": "notify.smtp: without TLS",
		"notify: {smtp: {host: mail.example.com, from: a@b.c, to: [a@b.c]}}":                  "",
		"notify: {smtp: {host: localhost, from: a@b.c, to: [a@b.c], starttls: false}}":        "",
	} {
		c, err := load(t, minimal+text, both)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(c.Warnings, "\n")
		if want == "" && got != "" || !strings.Contains(got, want) || strings.Contains(got, "s3cret") {
			t.Errorf("%s: warnings %q, want %q", text, got, want)
		}
	}
}

// A proxy that cannot be read is a fault: Go would connect directly.
func TestProxies(t *testing.T) {
	for value, good := range map[string]bool{
		"http://proxy.example.com:3128": true, "proxy.example.com:3128": true, "https://u:p@proxy:1": true, "socks5://127.0.0.1:1080": true, "": true, "http://[::1]:3128": true,
		"http://proxy:port": false, "://s3cret": false, "http://u:s3cret%zz@proxy": false, "ftp://s3cret": false, "http://": false, "http:// proxy": false,
	} {
		for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY"} {
			_, err := load(t, minimal, func(n string) string {
				if n == name {
					return value
				}
				return both(n)
			})
			if (err == nil) != good || !good && (!strings.Contains(err.Error(), name+" names no proxy") || strings.Contains(err.Error(), "s3cret")) {
				t.Errorf("%s=%s: %v", name, value, err)
			}
		}
	}
}

// No server is ever verified with other authorities than those that were meant.
func TestAuthorities(t *testing.T) {
	srv := httptest.NewTLSServer(nil)
	srv.Close()
	want := x509.NewCertPool()
	want.AddCert(srv.Certificate())
	good := write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})))
	empty := write(t, "empty.pem", "nothing\n")
	const directory = "sources: [{name: ad, type: ldap, urls: ['ldaps://x'], base_dn: dc=x, tls: {ca_file: %q}}]\n"
	for fault, c := range map[string]struct {
		text string
		cas  func(*Config) *x509.CertPool
	}{
		":2:14: smartsheet.ca_file":     {minimal + "smartsheet: {ca_file: %q}", func(c *Config) *x509.CertPool { return c.Smartsheet.CAs }},
		":1:76: sources[0].tls.ca_file": {directory, func(c *Config) *x509.CertPool { return c.Sources[0].TLS.CAs }},
		":2:52: notify.smtp.ca_file":    {minimal + "notify: {smtp: {host: x, from: a@b.c, to: [a@b.c], ca_file: %q}}", func(c *Config) *x509.CertPool { return c.Notify.SMTP.CAs }},
	} {
		got, err := load(t, fmt.Sprintf(c.text, good), both)
		if err != nil || !want.Equal(c.cas(got)) {
			t.Errorf("%s: got %v, %v", fault, got, err)
		}
		for _, file := range []string{empty, "/nowhere"} {
			if _, err := load(t, fmt.Sprintf(c.text, file), both); err == nil || !strings.Contains(err.Error(), fault+": there is no certificate in the file named here: no ") {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}
