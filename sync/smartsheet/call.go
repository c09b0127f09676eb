package smartsheet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	maxAnswerBytes = 8 << 20
	maxMessage     = 300 // runes of an error message that are kept
	// slowest is how many bytes a second a line must carry for an upload not to be cut.
	// When the last byte leaves this machine is not known: the system buffers them.
	slowest = 16 << 10
	// maxThrottled bounds how often one call is sent back by the quota. It is far
	// above what a shared token needs and only ends calls that can never pass.
	maxThrottled = 60
)

// call is one API call, attempts and all.
type call struct {
	op     string
	method string
	path   string // below the root, with query
	header http.Header
	body   []byte
	units  int
	upload bool
	before time.Time // no attempt begins later; zero: no such limit
}

// attempts is what a call went through.
type attempts struct {
	n       int
	status  int
	token   string // of the last one
	earlier []*Error
	unknown bool // one of them may have taken effect without saying so
}

// patience is what is left of it for one call.
type patience struct {
	failed    int           // attempts, without those that the quota refused
	throttled int           // attempts that the quota refused
	waited    time.Duration // in backoff
	renewed   bool          // the access token
}

// do makes the call until it succeeds or cannot, and hands the answer's body to
// parse. An answer that parse refuses counts as a failed attempt.
func (c *Client) do(ctx context.Context, q call, parse func([]byte) error) (attempts, error) {
	var a attempts
	var p patience
	for {
		ticket, err := c.enter(ctx, q)
		if err != nil {
			return a, err
		}
		a.n++
		asked, e := c.attempt(ctx, q, parse, &a)
		pause := c.gate.answered(ticket, e, asked)
		if e == nil {
			return a, nil
		}
		a.unknown = a.unknown || e.unknown()
		if e.retry() == Throttled {
			c.tally.limited(time.Now())
		}
		if ctx.Err() != nil {
			return a, e
		}
		wait, again := c.again(q, e, &a, &p, asked)
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
		c.tally.retried()
	}
}

// enter waits at the gate for the next attempt of q.
func (c *Client) enter(ctx context.Context, q call) (ticket, error) {
	began := time.Now()
	t, err := c.gate.pass(ctx, q)
	c.tally.waited(began, time.Now())
	if e, ok := errors.AsType[*Error](err); ok {
		return t, e
	}
	if err != nil {
		return t, &Error{Op: q.op, Err: fmt.Errorf("waiting for quota: %w", err)}
	}
	if !q.before.IsZero() && time.Now().After(q.before) {
		e := &Error{Op: q.op, Err: ErrTooLate}
		c.gate.answered(t, e, 0)
		return t, e
	}
	return t, nil
}

// again reports whether the call that failed with e is tried again, and after what
// wait of its own: pauses that hold for all are the gate's. asked is what the server
// asks for.
func (c *Client) again(q call, e *Error, a *attempts, p *patience, asked time.Duration) (wait time.Duration, again bool) {
	switch class := e.retry(); class {
	case Throttled:
		p.throttled++
		return 0, p.throttled <= maxThrottled
	case Retryable, Unavailable:
		if errors.Is(e.Err, errOutage) {
			return 0, false
		}
		wait = max(backoff(p.failed), asked)
		p.failed++
		p.waited += wait
		if !q.upload && c.gate.down() {
			return wait, true // it is not this call's fault, and MaxWait ends the outage for all
		}
		// Maintenance lasts longer than a few attempts: only MaxWait bounds it.
		return wait, p.waited <= c.o.MaxWait && (class == Unavailable || p.failed < c.o.MaxAttempts)
	}
	if c.auth.expired(a.token, e.Code) && !p.renewed {
		p.renewed = true
		return 0, true
	}
	if e.Status == http.StatusUnauthorized && e.advice == "" {
		e.advice = c.auth.renewals
	}
	return 0, false
}

// backoff doubles from one second up to half a minute, with jitter.
func backoff(failures int) time.Duration {
	d := min(time.Second<<min(max(failures, 0), 5), 30*time.Second)
	return d/2 + rand.N(d/2)
}

// attempt sends the call once. asked is after what time the server asks to come back, if
// it does.
func (c *Client) attempt(ctx context.Context, q call, parse func([]byte) error, a *attempts) (asked time.Duration, e *Error) {
	a.status = 0
	if a.token, e = c.auth.token(ctx); e != nil {
		return 0, e
	}
	if ctx.Err() != nil { // while the token was refreshed
		return 0, &Error{Op: q.op, Err: context.Cause(ctx)}
	}
	xctx, done := c.exchange(ctx, q)
	defer done()
	req, err := http.NewRequestWithContext(xctx, q.method, c.o.BaseURL+q.path, bytes.NewReader(q.body))
	if err != nil {
		return 0, &Error{Op: q.op, Err: err}
	}
	for k, v := range q.header {
		req.Header[k] = v
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, &Error{Op: q.op, Err: transportCause(xctx, err)}
	}
	defer resp.Body.Close()
	a.status = resp.StatusCode
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	if resp.StatusCode/100 != 2 {
		return retryAfter(resp.Header.Get("Retry-After"), time.Now()), errorFrom(q.op, resp.StatusCode, body, c.auth.secrets.clean)
	}
	switch {
	case err != nil:
		err = fmt.Errorf("answer cut short: %w", err)
	case len(body) > maxAnswerBytes:
		err = fmt.Errorf("answer of more than %d bytes", maxAnswerBytes)
	default:
		err = parse(body)
	}
	if err == nil {
		return 0, nil
	}
	if e = errorObject(q.op, resp.StatusCode, body, c.auth.secrets.clean); e == nil {
		e = &Error{Op: q.op, Status: resp.StatusCode}
	}
	e.Err, e.unconfirmed = err, q.upload && !errors.Is(err, ErrContradiction)
	return 0, e
}

// exchange bounds one exchange in time. An upload on the wire outlives ctx by
// Grace: its answer says whether the picture arrived.
func (c *Client) exchange(ctx context.Context, q call) (context.Context, func()) {
	limit := c.o.Timeout + time.Duration(len(q.body))*time.Second/slowest
	if !q.upload || c.o.Grace <= 0 {
		return context.WithTimeout(ctx, limit)
	}
	x, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	stop := context.AfterFunc(ctx, func() {
		grace := time.NewTimer(c.o.Grace)
		defer grace.Stop()
		select {
		case <-grace.C:
		case <-c.o.Abort:
		case <-x.Done():
		}
		cancel()
	})
	return x, func() { stop(); cancel() }
}

// transportCause drops the method and URL that *url.Error repeats, and names a
// timeout for what it is.
func transportCause(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
		return fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// oneLine makes foreign text fit for a log line.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "�"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if r := []rune(s); len(r) > maxMessage {
		return string(r[:maxMessage]) + "…"
	}
	return s
}

// retryAfter reads the Retry-After header (RFC 9110, section 10.2.3): seconds or
// a date, at most a quarter of an hour. 0: it does not say.
func retryAfter(h string, now time.Time) time.Duration {
	var d time.Duration
	if s, err := strconv.ParseUint(strings.TrimSpace(h), 10, 31); err == nil {
		d = max(time.Duration(s)*time.Second, time.Second)
	} else if t, err := http.ParseTime(h); err == nil {
		d = max(t.Sub(now), time.Second) // the clocks may differ
	}
	return min(d, 15*time.Minute)
}
