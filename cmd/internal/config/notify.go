package config

import (
	"fmt"
	"net/url"
	"os"
)

// notices reads and checks the addresses that are told how a run came out.
func (c *Config) notices(d *decoder, file string, env func(string) string) {
	n := &c.Notify
	n.SMTP.Password = c.secret(d, "notify.smtp.password_file", n.SMTP.PasswordFile, env("PHOTOSYNC_SMTP_PASSWORD"))
	inline := c.Metrics.Pushgateway+n.Webhook+n.Healthcheck != ""
	for _, a := range []struct {
		key, env, file string
		address        *Secret
	}{
		{"metrics.pushgateway", "PHOTOSYNC_PUSHGATEWAY", "", &c.Metrics.Pushgateway},
		{"notify.webhook", "PHOTOSYNC_WEBHOOK", n.WebhookFile, &n.Webhook},
		{"notify.healthcheck", "PHOTOSYNC_HEALTHCHECK", n.HealthcheckFile, &n.Healthcheck},
	} {
		if d.spoiled(a.key) {
			continue
		}
		if value := c.secret(d, a.key+"_file", a.file, env(a.env)); value != "" {
			*a.address = value
		}
		// The address itself is in no message: it may be a secret.
		u, err := url.Parse(a.address.Reveal())
		if *a.address != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			d.fault(a.key, "is no address", "like https://example.com/…")
		}
	}
	if fi, err := os.Stat(file); inline && err == nil && readableByOthers(fi) {
		c.Warnings = append(c.Warnings, fmt.Sprintf("notify: every user of this machine can read %q (mode %#o), which holds addresses that work like passwords: chmod 600 it, or use webhook_file and healthcheck_file",
			file, fi.Mode().Perm()))
	}
}
