package main

import (
	"context"
	"strings"

	"photosync/cmd/internal/config"
	"photosync/cmd/internal/console"
	"photosync/cmd/internal/notify"
	"photosync/sync/job"
	"photosync/sync/report"
)

// notices tells those whom the configuration names about a run; nil: nobody.
type notices struct{ *notify.Notifier }

// announce tells that a run begins. A plan is nobody's business.
func announce(mode string, c *config.Config) *notices {
	if mode == job.Plan {
		return nil
	}
	n := &notices{notify.New(notify.Options{
		Textfile: c.Metrics.Textfile, Pushgateway: c.Metrics.Pushgateway.Reveal(),
		Webhook: c.Notify.Webhook.Reveal(), Format: c.Notify.WebhookFormat, Mail: mailOptions(c.Notify.SMTP),
		Always: c.Notify.When == "always", Healthcheck: c.Notify.Healthcheck.Reveal(),
		UserAgent: "photosync/" + versionText(),
	})}
	n.Start(context.Background())
	return n
}

func mailOptions(m config.SMTP) notify.Mail {
	return notify.Mail{
		Host: m.Host, Port: m.Port, StartTLS: m.StartTLS, CAFile: m.CAFile, Username: m.Username, Password: m.Password.Reveal(), From: m.From, To: m.To,
	}
}

// finish tells how the run came out, and returns what could not be told, for log and
// report; it changes nothing else. abort ends it. A run that another one kept from
// beginning leaves the word to that.
func (n *notices) finish(rep *report.Report, err error, abort <-chan struct{}) (warnings []string) {
	if n == nil || rep.ExitCode == exitLocked {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-abort:
			cancel()
		case <-ctx.Done():
		}
	}()
	var text strings.Builder
	console.Notice(&text, rep, err, job.Hint(err))
	return n.Finish(ctx, rep, text.String())
}
