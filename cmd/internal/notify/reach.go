package notify

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"photosync/sync/foreign"
	"photosync/sync/safefile"
)

// Unreachable connects to every receiver, and sends none of them a notice. It returns how many
// there are, and what fails.
func (n *Notifier) Unreachable(ctx context.Context) (receivers int, faults []string) {
	try := func(key, to string, connect func(ctx context.Context, to string) error) {
		if to == "" {
			return
		}
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		receivers++
		if err := connect(ctx, to); err != nil {
			faults = append(faults, key+": "+clean(err, n.o.Mail.Password))
		}
	}
	try("metrics.textfile", n.o.Textfile, func(_ context.Context, file string) error {
		return foreign.WithoutPath(safefile.Check(filepath.Dir(file)))
	})
	try("metrics.pushgateway", n.o.Pushgateway, n.visit)
	try("notify.webhook", n.o.Webhook, n.visit)
	try("notify.healthcheck", n.o.Healthcheck, n.visit)
	try("notify.smtp", n.o.Mail.Host, func(ctx context.Context, _ string) error {
		client, _, err := n.o.Mail.prepare("")
		if err == nil {
			err = client.DialWithContext(ctx) // and log in
		}
		if err == nil {
			err = client.Close()
		}
		return err
	})
	n.http.CloseIdleConnections()
	return receivers, faults
}

// visit asks for the first page of an address's host: the path is a secret, and acts.
func (n *Notifier) visit(ctx context.Context, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, address, nil)
	if err != nil {
		return errors.New("not an address") // err shows it
	}
	req.URL = &url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host}
	resp, err := n.http.Do(req)
	if err == nil {
		err = resp.Body.Close()
	}
	return err
}
