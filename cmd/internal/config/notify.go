package config

import (
	"fmt"
	"net/mail"
	"net/url"
	"os"
)

// notices reads and checks the addresses that are told how a run came out.
func (c *Config) notices(d *decoder, file string, env func(string) string) {
	n := &c.Notify
	d.oneOf("notify.when", n.When)
	d.oneOf("notify.webhook_format", n.WebhookFormat)
	n.SMTP.validate(d)
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
		if *a.address != "" && a.file != "" {
			d.fault(a.key, "goes not together with "+a.key+"_file", "keep one of the two")
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

func (m SMTP) validate(d *decoder) {
	const key = "notify.smtp"
	if m.Host == "" {
		for _, name := range []string{"port", "starttls", "ca_file", "username", "password_file", "from", "to"} {
			if _, set := d.places[key+"."+name]; set {
				d.fault(key+".host", "there is no mail server", "like smtp.example.com")
				break
			}
		}
		return
	}
	d.between(key+".port", m.Port, 1, 65535)
	if len(m.To) == 0 {
		d.fault(key+".to", "there is nobody to send mail to", "like [it@example.com]")
	}
	for i, to := range m.To {
		d.mailbox(fmt.Sprintf("%s.to[%d]", key, i), to)
	}
	d.mailbox(key+".from", m.From)
	if m.Username == "" && m.PasswordFile != "" {
		d.fault(key+".username", "there is a password and no user name", "the name to log in with")
	}
}

func (d *decoder) mailbox(key, v string) {
	if _, err := mail.ParseAddress(v); err != nil {
		d.fault(key, fmt.Sprintf("%q is no mail address", v), "like photosync@example.com")
	}
}
