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
)

const (
	maxAnswerBytes = 8 << 20
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

// attempts is what a call went through so far.
type attempts struct {
	n       int
	status  int      // HTTP, of the last one; 0: no answer
	earlier []*Error // of those before the last
	unknown bool     // one of them may have taken effect without saying so

	failed    int           // without those that the quota refused
	throttled int           // that the quota refused
	waited    time.Duration // in backoff
	token     string        // of the last one
	renewed   bool          // the access token
}

// do makes the call until it succeeds or cannot, and hands the answer's body to
// parse. An answer that parse refuses counts as a failed attempt.
func (c *Client) do(ctx context.Context, q call, parse func([]byte) error) (attempts, error) {
	var a attempts
	for {
		began := time.Now()
		ticket, e := c.gate.pass(ctx, q)
		c.tally.waited(began, time.Now())
		if e != nil {
			return a, e
		}
		a.n++
		asked, e := c.attempt(ctx, q, parse, &a)
		pause := c.gate.answered(ticket, e, asked)
		if e == nil {
			return a, nil
		}
		a.unknown = a.unknown || e.unknown()
		if e.forCall() == Throttled {
			c.tally.add(time.Now(), Minute{RateLimited: 1})
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
		c.tally.retries.Add(1)
	}
}

// again reports whether the call that failed with e is tried again, and after what
// wait of its own: pauses that hold for all are the gate's. asked is what the server
// asks for.
func (c *Client) again(q call, e *Error, a *attempts, asked time.Duration) (wait time.Duration, again bool) {
	switch class := e.forCall(); {
	case class == Throttled:
		a.throttled++
		return 0, a.throttled <= maxThrottled
	case errors.Is(e.Err, errOutage):
		return 0, false
	case !class.refused():
		wait = max(backoff(a.failed), asked)
		a.failed++
		a.waited += wait
		if !q.upload && c.gate.down() {
			return wait, true // it is not this call's fault, and MaxWait ends the outage for all
		}
		// Maintenance lasts longer than a few attempts: only MaxWait bounds it.
		return wait, a.waited <= c.o.MaxWait && (class == Unavailable || a.failed < c.o.MaxAttempts)
	case c.auth.expired(a.token, e.Code) && !a.renewed:
		a.renewed = true
		return 0, true
	case e.Status == http.StatusUnauthorized && e.advice == "":
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
