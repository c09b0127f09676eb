package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/textproto"
	"os"
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

// mail sends text, whose first line is the subject.
func (n *Notifier) mail(ctx context.Context, text string) error {
	m := n.o.Mail
	err := n.retry(ctx, func(ctx context.Context) (again bool, err error) {
		client, msg, err := m.prepare(text)
		if err != nil {
			return false, err
		}
		msg.SetUserAgent(n.o.UserAgent)
		err = client.DialAndSendWithContext(ctx, msg)
		answer, ok := errors.AsType[*textproto.Error](err) // another wrong password may lock the account
		return !ok || answer.Code < 500 && !strings.Contains(err.Error(), "AUTH"), err
	})
	if err != nil {
		return fmt.Errorf("send mail through %s:%d: %s", m.Host, m.Port, clean(err, m.Password))
	}
	return nil
}

func (m Mail) prepare(text string) (*mail.Client, *mail.Msg, error) {
	config := &tls.Config{ServerName: m.Host, MinVersion: tls.VersionTLS12}
	if m.CAFile != "" {
		pem, err := os.ReadFile(m.CAFile)
		if err != nil {
			return nil, nil, err
		}
		config.RootCAs = x509.NewCertPool() // without a certificate in it, no server is trusted
		config.RootCAs.AppendCertsFromPEM(pem)
	}
	options := []mail.Option{mail.WithPort(m.Port), mail.WithTLSConfig(config), mail.WithTimeout(timeout), mail.WithTLSPolicy(mail.TLSMandatory)}
	if !m.StartTLS {
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	}
	if m.Port == 465 { // TLS from the start (RFC 8314, section 3.3)
		options = append(options, mail.WithSSL())
	}
	if m.Username != "" { // the best way that the server knows; none that shows the password without TLS
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(m.Username), mail.WithPassword(m.Password))
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
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no answers from those who are away
	msg.SetBodyString(mail.TypeTextPlain, text)
	return client, msg, errors.Join(msg.From(m.From), msg.To(m.To...))
}
