package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/textproto"
	"os"
	"strconv"
	"strings"

	"github.com/wneessen/go-mail"
)

// Mail is where the summary goes by mail.
type Mail struct {
	Host     string // empty: nowhere
	Port     int    // 465: TLS from the start
	StartTLS bool   // TLS is required; false: none
	CAFile   string // certificate authorities in PEM; empty: the system's
	Username string // empty: no login
	Password string
	From     string
	To       []string
}

// implicitTLS is the port on which TLS begins at once (RFC 8314, section 3.3).
const implicitTLS = 465

// mail sends text, whose first line is the subject.
func (n *Notifier) mail(ctx context.Context, text string) error {
	m := n.o.Mail
	err := n.patiently(ctx, func(ctx context.Context) error {
		client, msg, err := m.prepare(text)
		if err != nil {
			return err
		}
		msg.SetUserAgent(n.o.UserAgent)
		err = client.DialAndSendWithContext(ctx, msg)
		if answer, ok := errors.AsType[*textproto.Error](err); ok && (answer.Code >= 500 || strings.Contains(err.Error(), "AUTH")) {
			return final{err} // another wrong password may lock the account
		}
		return err
	})
	if err == nil {
		return nil
	}
	shown := clean(err.Error())
	if m.Password != "" {
		shown = strings.ReplaceAll(shown, m.Password, "…")
	}
	return fmt.Errorf("send mail through %s:%d: %s", m.Host, m.Port, shown)
}

func (m Mail) prepare(text string) (*mail.Client, *mail.Msg, error) {
	config := &tls.Config{ServerName: m.Host, MinVersion: tls.VersionTLS12}
	if m.CAFile != "" {
		pem, err := os.ReadFile(m.CAFile)
		if err != nil {
			return nil, nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, nil, fmt.Errorf("no PEM certificate in %s", strconv.Quote(m.CAFile))
		}
	}
	options := []mail.Option{mail.WithPort(m.Port), mail.WithTLSConfig(config), mail.WithTimeout(patience), mail.WithTLSPolicy(mail.NoTLS)}
	switch {
	case m.Port == implicitTLS:
		options = append(options, mail.WithSSL())
	case m.StartTLS:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if m.Username != "" { // the best way that the server knows; none that shows the password without TLS
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(m.Username), mail.WithPassword(m.Password))
	}
	client, err := mail.NewClient(m.Host, options...)
	if err != nil {
		return nil, nil, err
	}
	msg := mail.NewMsg()
	if err := msg.From(m.From); err != nil {
		return nil, nil, err
	}
	if err := msg.To(m.To...); err != nil {
		return nil, nil, err
	}
	subject, _, _ := strings.Cut(text, "\n")
	msg.Subject(clean(subject))
	msg.SetDate()
	msg.SetMessageID()
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no answers from those who are away
	msg.SetBodyString(mail.TypeTextPlain, text)
	return client, msg, nil
}
