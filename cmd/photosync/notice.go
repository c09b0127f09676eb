package main

import (
	"context"
	"strings"

	"photosync/cmd/internal/config"
	"photosync/cmd/internal/notify"
	"photosync/sync/job"
	"photosync/sync/report"
)

// announce tells those whom the configuration names that a run begins, and makes
// finish tell them how it came out. A plan is nobody's business.
func (w *watch) announce(mode string, c *config.Config, abort <-chan struct{}) {
	if mode == job.Plan {
		return
	}
	w.abort = abort
	w.notices = notify.New(notify.Options{
		Textfile: c.Metrics.Textfile, Pushgateway: c.Metrics.Pushgateway.Reveal(),
		Webhook: c.Notify.Webhook.Reveal(), Format: c.Notify.WebhookFormat, Mail: mailOptions(c.Notify.SMTP), Always: c.Notify.When == "always", Healthcheck: c.Notify.Healthcheck.Reveal(),
		UserAgent: "photosync/" + versionText(),
	})
	w.notices.Start(context.Background())
}

func mailOptions(m config.SMTP) notify.Mail {
	return notify.Mail{
		Host: m.Host, Port: m.Port, StartTLS: m.StartTLS, CAFile: m.CAFile, Username: m.Username, Password: m.Password.Reveal(), From: m.From, To: m.To,
	}
}

// finish tells how the run came out. What could not be told is logged, and returned
// for the report; it changes nothing else. A run that another one kept from
// beginning leaves the word to that.
func (w *watch) finish(rep *report.Report, err error) []string {
	if w.notices == nil || rep.ExitCode == exitLocked {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-w.abort: // a second signal
			cancel()
		case <-ctx.Done():
		}
	}()
	warnings := w.notices.Finish(ctx, rep, noticeText(rep, err))
	for _, text := range warnings {
		w.log.Warn().Msg("notice: " + text)
	}
	return warnings
}

// noticeText is a report in words, as the terminal shows it.
func noticeText(rep *report.Report, err error) string {
	var b strings.Builder
	b.WriteString("photosync " + rep.Mode + ": ")
	printSummary(&b, rep)
	if err != nil {
		printError(&b, err)
	}
	return strings.TrimSpace(b.String()) + "\n  run     " + rep.RunID + "\n"
}
