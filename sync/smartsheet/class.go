package smartsheet

import (
	"context"
	"crypto/tls"
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

func (c Class) String() string {
	return [...]string{
		"this user", "user gone", "this photo", "permission", "foreign answer", "unconfirmed", "retryable", "throttled",
		"unavailable", "headers", "stop",
	}[c]
}

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

// class is what the answer, or its absence, says by itself.
func (e *Error) class() Class {
	if errors.Is(e.Err, errOutage) {
		return Unavailable
	}
	switch e.Code {
	case codeVersionRetired, codeCannotAssume:
		return Stop
	case codeRateLimit:
		return Throttled
	case codeMaintenance:
		return Unavailable
	case codeUnexpected, codeServerTimeout, codeSaveCollision:
		return Retryable
	case codeHeader, codeBadHeader:
		return Headers
	case codeNotFound, codeUserNotFound:
		return UserGone
	case codeNotAuthorized, codePlanLacks:
		return Permission
	case codeUnsupportedType, codeSizeMismatch, codeBadContentType, codeUnsupportedMedia, codeTooLarge:
		return ThisPhoto
	}
	return e.statusClass()
}

// statusClass is what the HTTP status says, where the errorCode says nothing.
func (e *Error) statusClass() Class {
	gateway := e.Code == 0
	switch s := e.Status; {
	case s == 0:
		return connectionClass(e.Err)
	case s == http.StatusUnauthorized, s == http.StatusGone:
		return Stop
	case s == http.StatusTooManyRequests:
		return Throttled
	case s >= 500, s == http.StatusRequestTimeout:
		return Retryable
	case e.unconfirmed:
		return Unconfirmed
	case errors.Is(e.Err, ErrContradiction):
		return ThisUser
	case s < 300 && e.Err != nil:
		return Retryable // an answer to a question that can be asked again
	case s == http.StatusForbidden && gateway:
		return Permission
	case gateway && (s == http.StatusRequestEntityTooLarge || s == http.StatusUnsupportedMediaType):
		return ThisPhoto
	case s < 400, s == http.StatusNotFound, s == http.StatusProxyAuthRequired, e.foreign:
		return Foreign
	}
	return ThisUser
}

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
		return !dialFailed(e.Err) && connectionClass(e.Err) != Stop
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

// connectionClass is for calls without an answer. A server that cannot be verified or
// reached, or a name that does not exist, stays so for every other call.
func connectionClass(err error) Class {
	if errors.Is(err, context.Canceled) || errors.Is(err, ErrTooLate) {
		return ThisUser
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return Stop
	}
	if errors.Is(err, http.ErrSchemeMismatch) || unresolvable(err) || dialFailed(err) || errors.Is(err, errRedirect) {
		return Stop
	}
	return Retryable
}
