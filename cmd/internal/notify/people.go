package notify

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"net/url"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/wneessen/go-mail"

	"photosync/cmd/internal/config"
	"photosync/sync/report"
)

const (
	maxItems = 1000 // people in a message; from a longer report, only those who need somebody
	maxLines = 40   // of the text in a card: Teams accepts 28 KB
)

// message is what the webhook gets in the format json: a text, which many chats show, and the
// whole report for programs.
type message struct {
	Text        string `json:"text"`
	MessageType string `json:"message_type"` // "summary"
	*report.Report
	ItemsOmitted int `json:"items_omitted,omitempty"`
}

// slackEscapes are the characters that have a meaning in Slack's texts
// (https://docs.slack.dev/messaging/formatting-message-text#escaping).
var slackEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func (n *Notifier) webhook(ctx context.Context, r *report.Report, text string) error {
	var what any
	switch formatOf(n.o.WebhookFormat, n.o.Webhook.Reveal()) {
	case "slack":
		what = map[string]string{"text": slackEscapes.Replace(text)}
	case "teams":
		what = card(r, text)
	default:
		what = forPrograms(r, text)
	}
	body, err := jsonv2.Marshal(what, report.JSON)
	if err != nil {
		return err
	}
	return n.post(ctx, "send to the webhook at", n.o.Webhook.Reveal(), "", "application/json", body)
}

// formatOf returns the format that the receiver at an address needs. Webhooks of Teams are workflows
// (https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using).
func formatOf(format, address string) string {
	u, err := url.Parse(address)
	if format != "auto" || err != nil {
		return format
	}
	for suffix, f := range map[string]string{
		"slack.com": "slack", "logic.azure.com": "teams", "powerplatform.com": "teams", "powerautomate.com": "teams", "webhook.office.com": "teams",
	} {
		if host := u.Hostname(); host == suffix || strings.HasSuffix(host, "."+suffix) {
			return f
		}
	}
	return "json"
}

// card is an Adaptive Card in the message that Teams' workflows expect. Its texts are text runs,
// in which Teams does not interpret Markdown.
func card(r *report.Report, text string) json.RawMessage {
	color := cmp.Or(map[string]string{"bad": "attention", "warn": "warning"}[r.Mood()], "good")
	if r.Result == report.Held {
		color = "attention"
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if more := len(lines) - maxLines; more > 0 {
		lines = append(lines[:maxLines], fmt.Sprintf("… and %d more lines", more))
	}
	for i, line := range lines {
		lines[i] = strings.ReplaceAll(fmt.Sprintf("%.400s", line), "  ", "\u00a0\u00a0") // columns stay
	}
	return fromTemplate("teams.json", map[string]any{"Color": color, "Lines": lines})
}

// forPrograms returns the message about r for programs, without pictures of people.
func forPrograms(r *report.Report, text string) message {
	short := *r
	short.Items = nil
	for _, it := range r.Items {
		if len(short.Items) < maxItems && (it.NeedsAttention() || len(r.Items) <= maxItems) {
			short.Items = append(short.Items, it.WithoutPictures())
		}
	}
	return message{slackEscapes.Replace(text), "summary", &short, len(r.Items) - len(short.Items)}
}

// mail sends text, whose first line is the subject.
func (n *Notifier) mail(ctx context.Context, text string) error {
	m := n.o.SMTP
	err := n.retry(ctx, func(ctx context.Context) (again bool, err error) {
		client, msg, err := prepare(m, text)
		if err != nil {
			return false, err
		}
		msg.SetUserAgent(n.o.UserAgent)
		err = client.DialAndSendWithContext(ctx, msg)
		answer, ok := errors.AsType[*textproto.Error](err) // another wrong password may lock the account
		return !ok || answer.Code < 500 && !strings.Contains(err.Error(), "AUTH"), err
	})
	if err != nil {
		return fmt.Errorf("send mail through %s:%d: %s", m.Host, m.Port, clean(err, m.Password.Reveal()))
	}
	return nil
}

func prepare(m config.SMTP, text string) (*mail.Client, *mail.Msg, error) {
	tlsConfig := &tls.Config{ServerName: m.Host, MinVersion: tls.VersionTLS12, RootCAs: m.CAs}
	policy := mail.NoTLS
	if m.TLS {
		policy = mail.TLSOpportunistic // under TLS, a server does not offer StartTLS again
	} else if m.StartTLS {
		policy = mail.TLSMandatory
	}
	options := []mail.Option{
		mail.WithPort(m.Port), mail.WithTLSPolicy(policy), mail.WithTLSConfig(tlsConfig),
		mail.WithTimeout(timeout), mail.WithDialContextFunc(dialer(tlsConfig, m.TLS)),
	}
	if m.Username != "" { // by the best method that the server offers, but never with a plain password without TLS
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(m.Username), mail.WithPassword(m.Password.Reveal()))
	}
	client, err := mail.NewClient(m.Host, options...)
	if err != nil {
		return nil, nil, err
	}
	msg := mail.NewMsg()
	subject, _, _ := strings.Cut(text, "\n")
	msg.Subject(subject)
	msg.SetDate()
	msg.SetMessageID()
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no automatic replies
	msg.SetBodyString(mail.TypeTextPlain, text)
	return client, msg, errors.Join(msg.From(m.From), msg.To(m.To...))
}

// dialer connects within the time of ctx: the library would wait for a greeting for ever.
func dialer(c *tls.Config, fromStart bool) mail.DialContextFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if deadline, bounded := ctx.Deadline(); err == nil && bounded {
			err = conn.SetDeadline(deadline)
		}
		if err == nil && fromStart {
			conn = tls.Client(conn, c)
		}
		return conn, err
	}
}
