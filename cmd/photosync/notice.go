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

// notices sends word of a run to the places that the configuration names; nil: nowhere.
type notices struct{ *notify.Notifier }

// announce reports that a run begins. A plan is not reported.
func announce(mode string, c *config.Config) *notices {
	if mode == job.Plan {
		return nil
	}
	m := c.Notify.SMTP
	n := &notices{notify.New(notify.Options{
		Textfile: c.Metrics.Textfile, Pushgateway: c.Metrics.Pushgateway.Reveal(),
		Webhook: c.Notify.Webhook.Reveal(), Format: c.Notify.WebhookFormat,
		Mail: notify.Mail{
			Host: m.Host, Port: m.Port, StartTLS: m.StartTLS, CAFile: m.CAFile,
			Username: m.Username, Password: m.Password.Reveal(), From: m.From, To: m.To,
		},
		Always: c.Notify.When == "always", Healthcheck: c.Notify.Healthcheck.Reveal(),
		UserAgent: "photosync/" + versionText(),
	})}
	n.Start(context.Background())
	return n
}

// finish reports how the run came out, and returns what could not be sent, for log and
// report; it changes nothing else. abort ends it. A run that could not begin because
// another one holds the state is not reported: that one is.
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
