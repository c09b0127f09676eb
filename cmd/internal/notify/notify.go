// Package notify reports how a run ended: to Prometheus through a file or a Pushgateway, to
// people through a webhook and by mail, and to a health check, which gets codes and counts but
// no addresses of people. A notice that cannot be sent is a warning, and never fails a run.
// The addresses of receivers are secrets: no warning shows them.
package notify

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/template"
	"time"

	"photosync/cmd/internal/config"
	"photosync/sync/foreign"
	"photosync/sync/report"
	"photosync/sync/safefile"
)

const (
	timeout  = 15 * time.Second // how long one notice may take, with all attempts
	attempts = 3
	pause    = time.Second // before the second attempt; it doubles
)

// Options name the receivers. An empty field means that there is none.
type Options struct {
	config.Metrics
	config.Notify
	UserAgent string
}

// Notifier sends the notices about one run.
type Notifier struct {
	o       Options
	http    *http.Client
	started chan error // of the ping at the start; nil: none was sent
	pause   time.Duration
}

// New returns a Notifier. It contacts nobody.
func New(o Options) *Notifier {
	return &Notifier{o: o, pause: pause, http: &http.Client{
		Transport: http.DefaultTransport.(*http.Transport).Clone(),
		// A human must correct an address that moved: it may have moved to anyone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Start reports to the health check that a run begins. It does not wait for the answer.
func (n *Notifier) Start(ctx context.Context) {
	if n.o.Healthcheck != "" {
		n.started = make(chan error, 1)
		go func() { n.started <- n.ping(ctx, "start", "") }()
	}
}

// Finish sends the notices about a run; text is r in words. It takes a bounded time, and returns
// a warning for each notice that could not be sent.
func (n *Notifier) Finish(ctx context.Context, r *report.Report, text string) (warnings []string) {
	foreign.Clean(r)
	text = foreign.Text(text)
	people := n.o.When == "always" || r.NeedsSomebody() || slices.Contains([]string{report.Failed, report.Held, report.Partial}, r.Result) ||
		slices.ContainsFunc(r.Sources, func(s report.Source) bool { return !s.Complete })
	errs := make([]error, 5)
	var all sync.WaitGroup
	send := func(i int, wanted bool, notice func() error) {
		if wanted {
			all.Go(func() { errs[i] = notice() })
		}
	}
	send(0, n.o.Textfile != "", func() error { return report.WriteMetrics(n.o.Textfile, r) })
	// POST leaves metrics with other names alone, such as the time of the last success after a
	// failed run (https://github.com/prometheus/pushgateway#post-method).
	send(1, n.o.Pushgateway != "", func() error {
		return n.post(ctx, "push metrics to", n.o.Pushgateway.Reveal(), "metrics/job/photosync", report.MetricsType, report.Metrics(r))
	})
	send(2, n.o.Webhook != "" && people, func() error { return n.webhook(ctx, r, text) })
	send(3, n.o.SMTP.Host != "" && people, func() error { return n.mail(ctx, text) })
	send(4, n.o.Healthcheck != "", func() error { return n.ended(ctx, r) })
	all.Wait()
	for _, err := range errs {
		if err != nil {
			warnings = append(warnings, err.Error())
		}
	}
	n.http.CloseIdleConnections()
	return warnings
}

// ended reports to the health check how the run ended. It reports a failure if the run failed, or
// if a finding about the whole run needs a human, such as a source that lists nobody. A run that
// stopped early did not fail, and neither did a run in which single people failed.
func (n *Notifier) ended(ctx context.Context, r *report.Report) error {
	if n.started != nil {
		select { // so that this ping does not overtake the one at the start
		case <-n.started:
		case <-ctx.Done():
		}
	}
	below := ""
	if !r.Done() && r.Result != report.Interrupted || r.Urgent() {
		below = "fail"
	}
	return n.ping(ctx, below, string(fromTemplate("counts.txt", r))) // the text names no person and no company
}

func (n *Notifier) ping(ctx context.Context, below, text string) error {
	return n.post(ctx, "ping the health check at", n.o.Healthcheck.Reveal(), below, "text/plain; charset=utf-8", []byte(text))
}

//go:embed texts
var textFiles embed.FS

// fromTemplate returns a notice made from one of the templates.
func fromTemplate(name string, values any) []byte {
	texts := template.Must(template.New("").Funcs(template.FuncMap{"json": json.Marshal}).ParseFS(textFiles, "texts/*"))
	var b bytes.Buffer
	if err := texts.ExecuteTemplate(&b, name, values); err != nil {
		panic(err) // a mistake in the template
	}
	return b.Bytes()
}

// post sends a body to an address, or to one below it. Its error shows only scheme and host of the address.
func (n *Notifier) post(ctx context.Context, what, address, below, contentType string, body []byte) error {
	u, _ := url.Parse(address) // the configuration has checked it
	to := address
	if below != "" {
		to = u.JoinPath(below).String()
	}
	err := n.retry(ctx, func(ctx context.Context) (again bool, err error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
		if err != nil {
			return false, err
		}
		req.Header.Set("Content-Type", contentType)
		req.Header.Set("User-Agent", n.o.UserAgent)
		resp, err := n.http.Do(req)
		if err != nil {
			return true, err
		}
		defer resp.Body.Close()
		s := resp.StatusCode
		if s <= 299 {
			return false, nil
		}
		answer, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10)) // for the message only
		return s >= 500 || s == http.StatusRequestTimeout || s == http.StatusTooManyRequests, fmt.Errorf("HTTP %d %s", s, answer)
	})
	if err == nil {
		return nil
	}
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err // without the address, which ue repeats
	}
	return fmt.Errorf("%s %s://%s/…: %s", what, u.Scheme, u.Host,
		clean(err, append(strings.Split(u.Path, "/"), address, u.RequestURI(), u.RawQuery, u.User.String())...))
}

// Unreachable connects to every receiver without sending a notice. It returns how many receivers
// there are, and the errors.
func (n *Notifier) Unreachable(ctx context.Context) (receivers int, faults []string) {
	try := func(key, to string, connect func(ctx context.Context, to string) error) {
		if to == "" {
			return
		}
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		receivers++
		if err := connect(ctx, to); err != nil {
			faults = append(faults, key+": "+clean(err, n.o.SMTP.Password.Reveal()))
		}
	}
	try("metrics.textfile", n.o.Textfile, func(_ context.Context, file string) error {
		return foreign.WithoutPath(safefile.Check(filepath.Dir(file)))
	})
	try("metrics.pushgateway", n.o.Pushgateway.Reveal(), n.connect)
	try("notify.webhook", n.o.Webhook.Reveal(), n.connect)
	try("notify.healthcheck", n.o.Healthcheck.Reveal(), n.connect)
	try("notify.smtp", n.o.SMTP.Host, func(ctx context.Context, _ string) error {
		client, _, err := prepare(n.o.SMTP, "")
		if err == nil {
			err = client.DialWithContext(ctx) // this logs in, too
		}
		if err == nil {
			err = client.Close()
		}
		return err
	})
	n.http.CloseIdleConnections()
	return receivers, faults
}

// connect asks for the first page of an address's host: a request with the path would be a notice.
func (n *Notifier) connect(ctx context.Context, address string) error {
	u, _ := url.Parse(address) // the configuration has checked it
	req := &http.Request{Method: http.MethodHead, URL: &url.URL{Scheme: u.Scheme, Host: u.Host}}
	resp, err := n.http.Do(req.WithContext(ctx))
	if err == nil {
		err = resp.Body.Close()
	}
	return err
}

// retry calls try a few times, within a bounded time, as long as try says that another attempt may help.
func (n *Notifier) retry(ctx context.Context, try func(context.Context) (again bool, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	wait := n.pause
	for i := 1; ; i++ {
		again, err := try(ctx)
		if err == nil || !again || i == attempts {
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

// clean makes an error with foreign text safe to log: on one line, without secrets.
func clean(err error, secrets ...string) string {
	text := err.Error()
	for _, s := range secrets {
		if len(s) > 3 {
			text = strings.ReplaceAll(text, s, "…")
		}
	}
	return foreign.Line(text, 300)
}
