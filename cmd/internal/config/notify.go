package config

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
)

// notices reads and checks the addresses of those who hear how a run came out.
func (c *Config) notices(d *decoder, file string, env func(string) string) {
	n := &c.Notify
	inline := c.Metrics.Pushgateway+n.Webhook+n.Healthcheck != ""
	for _, a := range []struct {
		key, env, file string
		address        *Secret
		clear          string // what everyone on the way sees without TLS; empty: nothing that matters
	}{
		{"metrics.pushgateway", "PHOTOSYNC_PUSHGATEWAY", "", &c.Metrics.Pushgateway, ""},
		{"notify.webhook", "PHOTOSYNC_WEBHOOK", n.WebhookFile, &n.Webhook, "the address, which works like a password, and people's addresses"},
		{"notify.healthcheck", "PHOTOSYNC_HEALTHCHECK", n.HealthcheckFile, &n.Healthcheck, "the address, which works like a password"},
	} {
		if d.spoiled(a.key) {
			continue
		}
		if *a.address = cmp.Or(c.secret(d, env, a.key+"_file", a.file, "", a.env), *a.address); *a.address == "" {
			continue
		}
		// The address itself is in no message: it may be a secret.
		u, err := url.Parse(a.address.Reveal())
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			d.fault(a.key, "is not an address", "like https://example.com/…")
			continue
		}
		if u.User != nil {
			a.clear = "the user and password in it"
		}
		if u.Scheme == "http" && !loopback(u.Hostname()) && a.clear != "" {
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s: plain http shows %s to everyone on the way: use https", a.key, a.clear))
		}
	}
	m := &n.SMTP
	m.Password = c.secret(d, env, "notify.smtp.password_file", m.PasswordFile, "", "PHOTOSYNC_SMTP_PASSWORD")
	if m.Host != "" && !m.StartTLS && m.Port != 465 && !loopback(m.Host) {
		c.Warnings = append(c.Warnings, "notify.smtp: without TLS everyone on the way can read the mail, with people's addresses: set starttls: true")
	}
	if m.CAFile != "" {
		if pem, err := os.ReadFile(m.CAFile); err != nil || !x509.NewCertPool().AppendCertsFromPEM(pem) {
			d.fault("notify.smtp.ca_file", "there is no certificate in the file named here", "name a PEM file that photosync can read")
		}
	}
	if fi, err := os.Stat(file); inline && err == nil && readableByOthers(fi) {
		c.Warnings = append(c.Warnings, fmt.Sprintf("notify: every user of this machine can read %q (mode %#o), which holds addresses that work like passwords: chmod 600 it, or use webhook_file and healthcheck_file",
			file, fi.Mode().Perm()))
	}
}

// proxies checks the proxies that the environment names. Go connects directly, without a
// word, where it cannot read one.
func proxies(d *decoder, env func(string) string) {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		value := env(name)
		if !strings.Contains(value, "://") {
			value = "http://" + value
		}
		u, err := url.Parse(value)
		if env(name) == "" {
			continue
		}
		if err != nil || u.Hostname() == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
			d.faults = append(d.faults, Fault{Message: "the environment variable " + name + " names no proxy", Instead: "like http://proxy.example.com:3128, or unset it"})
		}
	}
}
