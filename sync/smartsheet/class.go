package smartsheet

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
)

// Class is what a failed call means for the run.
type Class int

const (
	ThisUser    Class = iota // this user's call failed; the others may go on
	UserGone                 // Smartsheet knows no user with this id
	ThisPhoto                // this picture is refused
	Permission               // the token may not do this for this user; for nobody, if it is so for everybody
	Foreign                  // no answer of Smartsheet's: a proxy, a gateway or another address answered
	Unconfirmed              // an upload was answered, unreadably: look what the user shows before sending again
	Retryable                // the server or the connection could not: worth another attempt, or another run
	Throttled                // out of quota, also after much waiting: end the run, to be continued
	Unavailable              // Smartsheet serves nobody now: end the run, to be continued
	Headers                  // the headers that all requests have are refused: stop the run
	Stop                     // no other call can succeed: stop the run
)

// EndsRun reports whether no other call would fare better now.
func (c Class) EndsRun() bool { return c >= Throttled }

// Resumable reports whether a run that ends so goes on with the next run by itself.
func (c Class) Resumable() bool { return c == Throttled || c == Unavailable }

// Classify says what err means for the run. An error that is no *Error is ThisUser.
func Classify(err error) Class {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return ThisUser
	}
	c := e.class()
	if e.advice != "" && c != Unavailable {
		return Stop
	}
	return c
}

func (e *Error) class() Class { return e.cause().class }

// retry is e's class for its own call: a connection that could not be made is tried
// again before it stops the run.
func (e *Error) retry() Class {
	if e.hopeless {
		return Stop
	}
	c := e.class()
	if c == Stop && e.Status == 0 && dialFailed(e.Err) && !unresolvable(e.Err) && !refusedByProxy(e.Err) {
		return Retryable
	}
	return c
}

// answer reports whether the server answered, if only with a refusal.
func (e *Error) answer() bool {
	c := e.retry()
	return e.Status != 0 && c != Throttled && c != Retryable && c != Unavailable
}

// outage reports whether the server, or the connection to it, could not: as in an outage.
func (e *Error) outage() bool {
	c := e.class()
	return c == Retryable || c == Unavailable
}

// unknown reports whether the call may have taken effect all the same.
func (e *Error) unknown() bool {
	switch {
	case e.Status == 0:
		return !dialFailed(e.Err) && connectionCause(e.Err).class != Stop
	case e.Status >= 500:
		return e.Code != codeMaintenance
	}
	return e.Status < 300
}

// dialFailed reports whether there was no connection, to the server or the proxy
// before it, or one whose ends agree on no TLS: what is true of one call is true of all.
func dialFailed(err error) bool {
	if _, proxy := errors.AsType[*proxyError](err); proxy {
		return true
	}
	o, ok := errors.AsType[*net.OpError](err)
	return ok && slices.Contains([]string{"dial", "proxyconnect", "remote error", "local error"}, o.Op)
}

// proxyError is a proxy that does not connect.
type proxyError struct {
	host   string
	status int // HTTP
}

func (e *proxyError) Error() string {
	return fmt.Sprintf("proxy %s does not connect: HTTP %d %s", e.host, e.status, http.StatusText(e.status))
}

func refusedByProxy(err error) bool {
	e, ok := errors.AsType[*proxyError](err)
	return ok && e.status < 500
}

func unresolvable(err error) bool {
	d, ok := errors.AsType[*net.DNSError](err)
	return ok && d.IsNotFound
}
