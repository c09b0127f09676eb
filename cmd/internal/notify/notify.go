// Package notify tells others how a run came out: Prometheus through a file or a
// Pushgateway, a webhook such as Slack's, and a health check such as that of
// healthchecks.io. It never fails a run: what cannot be told is a warning. It holds
// addresses that are secrets themselves, and shows none.
package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"photosync/sync/report"
)

const (
	// patience is how long telling somebody may take, attempts included.
	patience = 15 * time.Second
	// attempts is how often it is tried.
	attempts = 3
	// pause is the time before another attempt; it doubles.
	pause = time.Second
	// maxAnswer is how much of an answer is read.
	maxAnswer = 4 << 10
)

// Options of New. What is empty is not told.
type Options struct {
	Textfile    string // for node_exporter's textfile collector
	Pushgateway string // its address
	Webhook     string // where a report goes, with a text for people
	Always      bool   // tell the webhook also when nobody needs to look
	Healthcheck string // an address that takes /start and /fail below it
	UserAgent   string
}

// Notifier tells about one run.
type Notifier struct {
	o       Options
	http    *http.Client
	started chan error // of the ping at the start; nil: none was sent
}

// New returns a Notifier. It contacts nobody.
func New(o Options) *Notifier {
	t := http.DefaultTransport.(*http.Transport).Clone()
	return &Notifier{o: o, http: &http.Client{
		Transport: bounded{t},
		// An address that moved is corrected by a human: it may have moved to anyone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// bounded reads answers up to maxAnswer.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(req)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}

// Start tells the health check that a run begins. It does not wait for the answer.
func (n *Notifier) Start(ctx context.Context) {
	if n.o.Healthcheck == "" {
		return
	}
	n.started = make(chan error, 1)
	go func() { n.started <- n.ping(ctx, "/start", "") }()
}

// Finish tells everybody about the run, text being r in words, and returns what
// could not be told. It takes a bounded time.
func (n *Notifier) Finish(ctx context.Context, r *report.Report, text string) (warnings []string) {
	tasks := []struct {
		wanted bool
		tell   func() error
	}{
		{n.o.Textfile != "", func() error { return report.WriteMetrics(n.o.Textfile, r) }},
		{n.o.Pushgateway != "", func() error { return n.push(ctx, r) }},
		{n.o.Webhook != "" && (n.o.Always || attention(r)), func() error { return n.webhook(ctx, r, text) }},
		{n.o.Healthcheck != "", func() error { return n.ended(ctx, r, text) }},
	}
	results := make([]chan error, len(tasks))
	for i, t := range tasks {
		if results[i] = make(chan error, 1); t.wanted {
			go func() { results[i] <- t.tell() }()
		} else {
			results[i] <- nil
		}
	}
	for _, result := range results {
		if err := <-result; err != nil {
			warnings = append(warnings, err.Error())
		}
	}
	n.http.CloseIdleConnections()
	return warnings
}

// attention tells whether a human should look at the run.
func attention(r *report.Report) bool {
	for _, s := range r.Sources {
		if !s.Complete {
			return true
		}
	}
	return r.Result == report.Failed || r.Result == report.Held || r.Result == report.Partial
}

// push adds the metrics to their group on the Pushgateway. POST leaves metrics with
// other names alone: the last success, when this was none
// (https://github.com/prometheus/pushgateway#post-method).
func (n *Notifier) push(ctx context.Context, r *report.Report) error {
	u, err := url.Parse(n.o.Pushgateway)
	if err == nil {
		err = n.post(ctx, u.JoinPath("metrics/job/photosync").String(), report.MetricsType, report.Metrics(r))
	}
	return told("push metrics to", n.o.Pushgateway, err)
}

// ended tells the health check how the run came out. A run that stopped early did
// what it could, and people who need attention are not the job's failure.
func (n *Notifier) ended(ctx context.Context, r *report.Report, text string) error {
	if n.started != nil {
		select { // so that the two do not overtake each other
		case <-n.started:
		case <-ctx.Done():
		}
	}
	suffix := ""
	if !r.Done() && r.Result != report.Interrupted {
		suffix = "/fail"
	}
	return n.ping(ctx, suffix, text)
}

func (n *Notifier) ping(ctx context.Context, suffix, text string) error {
	u, err := url.Parse(n.o.Healthcheck)
	if err == nil {
		err = n.post(ctx, u.JoinPath(suffix).String(), "text/plain; charset=utf-8", []byte(text))
	}
	return told("ping the health check at", n.o.Healthcheck, err)
}

// post sends a body; an answer above 299 is an error.
func (n *Notifier) post(ctx context.Context, address, contentType string, body []byte) error {
	return n.patiently(ctx, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", contentType)
		req.Header.Set("User-Agent", n.o.UserAgent)
		resp, err := n.http.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode > 299 {
			answer, _ := io.ReadAll(resp.Body) // for the message only
			return fmt.Errorf("HTTP %d %s", resp.StatusCode, bytes.TrimSpace(answer))
		}
		return nil
	})
}

// patiently tries a few times, within a bounded time.
func (n *Notifier) patiently(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	wait := pause
	for i := 1; ; i++ {
		err := try(ctx)
		if err == nil || i == attempts {
			return err
		}
		select {
		case <-time.After(wait):
			wait *= 2
		case <-ctx.Done():
			return err
		}
	}
}

// told names in err whom could not be told, without what may be secret in the
// address: everything but scheme and host.
func told(what, address string, err error) error {
	if err == nil {
		return nil
	}
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err // it repeats the address
	}
	shown, text := "…", err.Error()
	if u, perr := url.Parse(address); perr == nil && u.Host != "" {
		shown = u.Scheme + "://" + u.Host
		if len(strings.Trim(u.Path, "/"))+len(u.RawQuery) > 0 {
			shown += "/…"
		}
		for _, secret := range []string{address, u.RequestURI(), strings.Trim(u.Path, "/"), u.RawQuery} {
			if len(secret) > 1 {
				text = strings.ReplaceAll(text, secret, "…")
			}
		}
		if u.User != nil {
			text = strings.ReplaceAll(text, u.User.String(), "…")
		}
	}
	return fmt.Errorf("%s %s: %s", what, shown, text)
}
