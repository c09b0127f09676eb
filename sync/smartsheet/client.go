package smartsheet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode"
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
	Transport http.RoundTripper // nil: NewTransport("")

	Token             string  // of a user, or OAuth2
	OAuth2            *OAuth2 // nil: Token
	IntegrationSource string  // TYPE,Organisation,Name; empty: not sent
	UserAgent         string
	AssumeUser        bool // send Assume-User with each upload

	RequestsPerMinute int
	UploadWeight      int // quota units that an upload takes; at least 1

	Timeout     time.Duration // of one exchange, beyond the time that its body may take
	MaxAttempts int           // of one call; at least 1
	MaxWait     time.Duration // in backoff, of one call; pauses for quota do not count

	// Grace is how long an upload that is already on the wire may take to finish
	// after its context is done, so that its answer is not lost.
	Grace time.Duration
	// Abort, when closed, ends Grace at once.
	Abort <-chan struct{}
	// Observe, if set, is called for every failed attempt that is tried again.
	Observe func(err *Error, attempt int, wait time.Duration)
}

// Client is safe for concurrent use.
type Client struct {
	o     Options
	http  *http.Client
	gate  *gate
	auth  *auth
	tally tally
}

// NewTransport returns a transport that trusts the system's certificate
// authorities, or those in caFile; it honours HTTPS_PROXY. To connect and to shake hands
// have limits of their own; how long an answer may take is Options.Timeout.
func NewTransport(caFile string) (*http.Transport, error) {
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("read smartsheet.ca_file: %w", err)
		}
		tlsConfig.RootCAs = x509.NewCertPool()
		if !tlsConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read smartsheet.ca_file %q: no PEM certificate in it", caFile)
		}
	}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		OnProxyConnectResponse: func(_ context.Context, proxy *url.URL, _ *http.Request, answer *http.Response) error {
			if answer.StatusCode == http.StatusOK {
				return nil
			}
			return &proxyError{proxy.Host, answer.StatusCode}
		},
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       tlsConfig,
		TLSHandshakeTimeout:   10 * time.Second,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       90 * time.Second,
		WriteBufferSize:       64 << 10, // a usual picture and its header leave in one write
		ExpectContinueTimeout: time.Second,
	}, nil
}

// New checks o and returns a Client. It contacts nobody.
func New(o Options) (*Client, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	o.BaseURL = strings.TrimRight(o.BaseURL, "/")
	o.UploadWeight, o.MaxAttempts = max(o.UploadWeight, 1), max(o.MaxAttempts, 1)
	if o.Transport == nil {
		t, err := NewTransport("")
		if err != nil {
			return nil, err
		}
		o.Transport = t
	}
	c := &Client{o: o, gate: newGate(o.RequestsPerMinute, o.UploadWeight, o.MaxWait)}
	c.http = &http.Client{Transport: labelled{c}, CheckRedirect: sameHost}
	c.auth = newAuth(o, c.http)
	return c, nil
}

// check reports what is wrong with o.
func (o *Options) check() error {
	u, err := url.Parse(o.BaseURL)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return fmt.Errorf("smartsheet address %q: want https://host/2.0", o.BaseURL)
	case u.Scheme == "http" && !o.AllowHTTP && !loopback(u.Hostname()):
		return fmt.Errorf("smartsheet address %q: plain http would show the token to everyone on the way", o.BaseURL)
	case o.Token == "" && o.OAuth2 == nil:
		return errors.New("smartsheet: no token")
	case o.Token != "" && o.OAuth2 != nil:
		return errors.New("smartsheet: a token and OAuth2 do not go together")
	case strings.ContainsFunc(o.Token+o.UserAgent+o.IntegrationSource, unicode.IsControl):
		return errors.New("smartsheet: token, user agent and integration source must be one line each")
	case o.RequestsPerMinute <= 0 || o.Timeout <= 0:
		return errors.New("smartsheet: requests per minute and timeout must be above 0")
	}
	return nil
}

// labelled counts every request that is sent, and says on each who sends it.
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
	l.c.tally.add(time.Now(), Minute{Requests: 1})
	return o.Transport.RoundTrip(r)
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (l labelled) CloseIdleConnections() {
	if t, ok := l.c.o.Transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// sameHost refuses redirects that would carry the token elsewhere.
func sameHost(req *http.Request, via []*http.Request) error {
	switch {
	case req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme:
		return fmt.Errorf("%w to %q: the token stays with %q", errRedirect, req.URL.Host, via[0].URL.Host)
	case req.Method != via[0].Method: // 301 to 303 turn an upload into a GET
		return fmt.Errorf("%w that turns %s into %s", errRedirect, via[0].Method, req.Method)
	case len(via) >= 3:
		return fmt.Errorf("%w after %d others", errRedirect, len(via))
	}
	return nil
}

// errRedirect is a redirect that is not followed: the address is wrong.
var errRedirect = errors.New("refused a redirect")

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// Stats says what the client has done so far. It may be asked at any time.
func (c *Client) Stats() Stats {
	s := c.tally.stats()
	s.QuotaPerMinute, s.UploadWeight = c.o.RequestsPerMinute, c.o.UploadWeight
	s.PerMinute, s.PausedUntil = c.gate.pace(time.Now())
	return s
}

// Close lets idle connections go.
func (c *Client) Close() { c.http.CloseIdleConnections() }
