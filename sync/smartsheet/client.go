// Package smartsheet is the client for the few calls of the Smartsheet API 2.0 that photosync
// needs: who the token belongs to, finding users, and setting a profile image. It does not decide
// which picture is sent to whom. All calls go the same way:
//
//	call ─▶ gate ─▶ token ─▶ attempt ─▶ good answer
//	          ▲                 └─▶ Error: its cause says whether to try again, and the hint
//	          └────── backoff ◀──────┘
//
// At the gate (gate.go) a call waits for the quota, and for the end of a pause. One table says what
// an error means (class.go). systemic.go finds out whether a fault affects every call.
// UploadResult.Unknown means that an upload may have arrived although no answer says so.
//
// Reference: https://developers.smartsheet.com/api/smartsheet/openapi
package smartsheet

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tidwall/gjson"
	"golang.org/x/time/rate"

	"photosync/sync/foreign"
)

// Roots are the API's addresses by region.
var Roots = map[string]string{
	"us":  "https://api.smartsheet.com/2.0",
	"eu":  "https://api.smartsheet.eu/2.0",
	"au":  "https://api.smartsheet.au/2.0",
	"gov": "https://api.smartsheetgov.com/2.0",
}

// Options configure a Client.
type Options struct {
	BaseURL   string            // one of Roots, or another address that ends in /2.0
	AllowHTTP bool              // plain http to another host than this one
	Transport http.RoundTripper // such as NewTransport returns

	Token             string  // of a user; empty with OAuth2
	OAuth2            *OAuth2 // nil: Token is used
	IntegrationSource string  // TYPE,Organisation,Name; empty: not sent
	UserAgent         string
	AssumeUser        bool // send Assume-User with each upload

	RequestsPerMinute int
	UploadWeight      int             // quota units that an upload takes; at least 1
	Timeout           time.Duration   // of one attempt, beyond the time that its body may take
	MaxAttempts       int             // of one call; at least 1
	MaxWait           time.Duration   // in backoff, of one call; of all calls, in an outage or without quota
	Grace             time.Duration   // for an upload on the wire to finish after its context is done
	Abort             <-chan struct{} // closing it ends Grace at once

	// Observe, if set, is called for every failed attempt that is tried again.
	Observe func(err *Error, attempt int, wait time.Duration)
}

// Client is safe for concurrent use.
type Client struct {
	o     Options
	http  *http.Client
	gate  gate
	auth  *auth
	tally tally
}

// NewTransport returns a transport that trusts these certificate authorities (nil: the
// system's), and honours HTTPS_PROXY.
func NewTransport(authorities *x509.CertPool) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities}
	t.DialContext = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	t.MaxIdleConnsPerHost = 64
	t.WriteBufferSize = 64 << 10 // most pictures are sent, with their header, in one write
	t.OnProxyConnectResponse = func(_ context.Context, proxy *url.URL, _ *http.Request, answer *http.Response) error {
		err := fmt.Errorf("proxy %s does not connect: HTTP %d %s", proxy.Host, answer.StatusCode, http.StatusText(answer.StatusCode))
		switch {
		case answer.StatusCode == http.StatusOK:
			return nil
		case answer.StatusCode < 500:
			err = fmt.Errorf("%w: %w", errProxy, err)
		}
		return &net.OpError{Op: "proxyconnect", Net: "tcp", Err: err}
	}
	return t
}

// New checks o and returns a Client. It contacts nobody.
func New(o Options) (*Client, error) {
	u, err := url.Parse(o.BaseURL)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return nil, fmt.Errorf("smartsheet address %q: want https://host/2.0", o.BaseURL)
	case u.Scheme == "http" && !o.AllowHTTP && !foreign.Loopback(u.Hostname()):
		return nil, fmt.Errorf("smartsheet address %q: plain http would show the token to everyone on the network path", o.BaseURL)
	case (o.Token == "") == (o.OAuth2 == nil):
		return nil, errors.New("smartsheet: no token, or two kinds of them")
	case strings.ContainsFunc(o.Token+o.UserAgent+o.IntegrationSource, unicode.IsControl):
		return nil, errors.New("smartsheet: token, user agent and integration source must be one line each")
	case o.RequestsPerMinute <= 0 || o.Timeout <= 0:
		return nil, errors.New("smartsheet: requests per minute and timeout must be above 0")
	}
	o.BaseURL = strings.TrimRight(o.BaseURL, "/")
	o.UploadWeight, o.MaxAttempts = max(o.UploadWeight, 1), max(o.MaxAttempts, 1)
	c, nominal := &Client{o: o}, rate.Limit(float64(o.RequestsPerMinute)/60*usedPart)
	c.gate.throttle = throttle{limiter: rate.NewLimiter(nominal, o.UploadWeight), nominal: nominal, hold: firstHold, since: time.Now()}
	c.gate.outage.limit = o.MaxWait
	c.http = &http.Client{Transport: labelled{c}, CheckRedirect: refuseRedirect}
	c.auth = newAuth(o, c.http)
	return c, nil
}

// labelled counts every request, and adds the headers that say who sends it.
type labelled struct{ c *Client }

func (l labelled) RoundTrip(r *http.Request) (*http.Response, error) {
	o := &l.c.o
	r = r.Clone(r.Context()) // a transport may not change a request
	r.Header.Set("Accept", "application/json")
	if o.UserAgent != "" {
		r.Header.Set("User-Agent", o.UserAgent)
	}
	if o.IntegrationSource != "" {
		r.Header.Set("smartsheet-integration-source", o.IntegrationSource)
	}
	l.c.tally.add(Minute{Start: time.Now(), Requests: 1})
	return o.Transport.RoundTrip(r)
}

// errRedirect is a redirect: it could carry the token elsewhere, and make an upload a GET.
var errRedirect = errors.New("refused a redirect")

func refuseRedirect(req *http.Request, _ []*http.Request) error {
	return fmt.Errorf("%w to %q", errRedirect, req.URL.Host)
}

// errProxy marks a proxy's refusal that another attempt would not change.
var errProxy = errors.New("refused")

func (c *Client) Close() { (&http.Client{Transport: c.o.Transport}).CloseIdleConnections() }

const (
	maxAnswerBytes = 8 << 20
	// slowest is the number of bytes a second below which an upload is cut off.
	slowest = 16 << 10
)

// call is one API call, with all its attempts.
type call struct {
	op     string
	method string
	path   string // below the root, with query
	header http.Header
	body   []byte
	units  int
	upload bool
	before time.Time // no attempt begins later; zero: no limit

	unanswered bool // see Image
}

// attempts is what happened to a call so far.
type attempts struct {
	n       int
	status  int           // HTTP, of the last one; 0: no answer
	earlier []*Error      // of the attempts before the last
	unknown bool          // an attempt may have taken effect although no answer says so
	failed  int           // attempts, for other reasons than the quota
	waited  time.Duration // in backoff
	token   string        // of the last attempt
	renewed bool          // the access token was refused and renewed
}

// do sends the call, several times if need be, until read accepts the answer or the call cannot succeed.
func (c *Client) do(ctx context.Context, q call, read func(gjson.Result) error) (attempts, error) {
	var a attempts
	for {
		began := time.Now()
		ticket, e := c.gate.wait(ctx, q)
		c.tally.waited(began, time.Now())
		if e != nil {
			return a, e
		}
		a.n++
		asked, e := c.attempt(ctx, q, read, &a)
		pause := c.gate.answered(ticket, e, asked)
		if e == nil {
			return a, nil
		}
		if !q.upload { // an upload returns its own; of more than 10,000 the last one is kept
			c.tally.change(func(s *Stats) { s.Failed = append(s.Failed[:min(len(s.Failed), 9_999)], e) })
		}
		a.unknown = a.unknown || e.unknown()
		if e.forCall() == Throttled {
			c.tally.add(Minute{Start: time.Now(), RateLimited: 1})
		}
		if ctx.Err() != nil {
			return a, e
		}
		wait, again := c.again(q, e, &a, asked)
		if !again {
			return a, e
		}
		if c.o.Observe != nil {
			c.o.Observe(e, a.n, max(wait, pause))
		}
		if err := sleepUntil(ctx, time.Now().Add(wait)); err != nil {
			return a, fmt.Errorf("%w (stopped before another attempt: %w)", e, err)
		}
		a.earlier = append(a.earlier, e)
		c.tally.change(func(s *Stats) { s.Retries++ })
	}
}

// again reports whether the call that failed with e is tried again, and after what wait of
// its own, beside the gate's pauses for all calls. asked is the wait that the server asks for.
func (c *Client) again(q call, e *Error, a *attempts, asked time.Duration) (wait time.Duration, again bool) {
	switch class := e.forCall(); {
	case errors.Is(e.Err, errOutage), errors.Is(e.Err, errQuota):
		return 0, false
	case class == Throttled:
		return 0, true
	case !class.refused():
		wait = max(backoff(a.failed), asked)
		a.failed++
		a.waited += wait
		if _, _, down := c.gate.state(time.Now()); down && !q.upload {
			return wait, true // not this call's fault: MaxWait ends the outage for all calls
		}
		// Maintenance lasts longer than a few attempts: only MaxWait bounds it.
		return wait, a.waited <= c.o.MaxWait && (class == Unavailable || a.failed < c.o.MaxAttempts)
	case c.auth.expired(a.token, e.Code) && !a.renewed:
		a.renewed = true
		return 0, true
	case e.Status == http.StatusUnauthorized && class == Stop && e.advice == "": // else it is about one user
		e.advice = c.auth.renewals
	}
	return 0, false
}

// backoff doubles from one second up to half a minute, with jitter.
func backoff(failures int) time.Duration {
	d := min(time.Second<<min(failures, 5), 30*time.Second)
	return d/2 + rand.N(d/2)
}

// attempt sends the call once. asked is the wait that the server asks for.
func (c *Client) attempt(ctx context.Context, q call, read func(gjson.Result) error, a *attempts) (asked time.Duration, e *Error) {
	a.status = 0
	if a.token, e = c.auth.token(ctx); e != nil {
		return 0, e
	}
	if ctx.Err() != nil { // ctx ended while the token was refreshed
		return 0, &Error{Op: q.op, Err: context.Cause(ctx)}
	}
	xctx, done := c.exchange(ctx, q)
	defer done()
	req, err := http.NewRequestWithContext(xctx, q.method, c.o.BaseURL+q.path, bytes.NewReader(q.body))
	if err != nil {
		return 0, &Error{Op: q.op, Err: err}
	}
	maps.Copy(req.Header, q.header)
	req.Header.Set("Authorization", "Bearer "+a.token)
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, &Error{Op: q.op, Err: transportCause(xctx, err)}
	}
	defer resp.Body.Close()
	a.status = resp.StatusCode
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	good := resp.StatusCode/100 == 2
	switch {
	case !good:
		err = nil // the body of an error may be incomplete
	case err != nil:
		err = fmt.Errorf("answer cut short: %w", transportCause(xctx, err))
	case len(body) > maxAnswerBytes:
		err = fmt.Errorf("answer of more than %d bytes", maxAnswerBytes)
	default:
		if err = read(parse(body)); err == nil {
			return 0, nil
		}
	}
	e = errorFrom(q.op, resp.StatusCode, body, c.auth.secrets.clean)
	e.Err, e.unconfirmed = err, good && q.upload && !errors.Is(err, ErrContradiction)
	return retryAfter(resp.Header.Get("Retry-After"), time.Now()), e
}

// exchange bounds the time of an attempt. An upload may go on for Grace after ctx is done, to get its answer.
func (c *Client) exchange(ctx context.Context, q call) (context.Context, func()) {
	limit := c.o.Timeout + time.Duration(len(q.body))*time.Second/slowest
	if !q.upload || c.o.Grace <= 0 {
		return context.WithTimeoutCause(ctx, limit, errTimeout)
	}
	x, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), limit, errTimeout)
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(c.o.Grace):
		case <-c.o.Abort:
		case <-x.Done():
		}
		cancel()
	})
	return x, func() { stop(); cancel() }
}

var errTimeout = errors.New("no complete answer came within smartsheet.timeout")

// transportCause drops the method and URL that *url.Error repeats, and names a timeout.
func transportCause(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// retryAfter reads the header Retry-After (RFC 9110, 10.2.3), up to 15 minutes. 0: no time is given.
func retryAfter(h string, now time.Time) time.Duration {
	var d time.Duration
	if s, err := strconv.ParseUint(strings.TrimSpace(h), 10, 31); err == nil {
		d = max(time.Duration(s)*time.Second, time.Second)
	} else if t, err := http.ParseTime(h); err == nil {
		d = max(t.Sub(now), time.Second) // the clocks may differ
	}
	return min(d, 15*time.Minute)
}
