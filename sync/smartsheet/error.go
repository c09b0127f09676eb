package smartsheet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
)

// errorCodes that decide something (API reference, "Errors").
const (
	codeNoToken          = 1001
	codeTokenInvalid     = 1002
	codeTokenExpired     = 1003
	codeSSORequired      = 1005
	codeNotAuthorized    = 1004
	codeNotFound         = 1006
	codePlanLacks        = 1013
	codeUserNotFound     = 1020
	codeCannotAssume     = 1030
	codeUserInactive     = 1188
	codeHeader           = 1011
	codeUnexpected       = 4000
	codeMaintenance      = 4001
	codeServerTimeout    = 4002
	codeRateLimit        = 4003
	codeSaveCollision    = 4004
	codeVersionRetired   = 4005
	codeUnsupportedType  = 1074
	codeSizeMismatch     = 1075
	codeBadContentType   = 1091
	codeUnsupportedMedia = 1124
	codeTooLarge         = 1128
	codeBadHeader        = 1272
)

// Error is a call that Smartsheet refused, or that did not get an answer.
type Error struct {
	Op      string // "set profile image of user 48569348493401200"
	Status  int    // HTTP; 0: there was no answer
	Code    int    // errorCode; 0: none given
	RefID   string // what Smartsheet support asks for
	Message string // the server's, shortened and without control characters
	Err     error  // why there was no answer, or why it is not usable

	advice   string // of a call for an access token: without one no other call can succeed
	hopeless bool   // not worth another attempt, whatever the rest says
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op + ":")
	if e.Status != 0 {
		fmt.Fprintf(&b, " HTTP %d", e.Status)
	}
	if e.Code != 0 {
		fmt.Fprintf(&b, " errorCode %d", e.Code)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, " %q", e.Message)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, " %v", e.Err)
	}
	if e.RefID != "" {
		fmt.Fprintf(&b, " (refId %s)", e.RefID)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Verdict is what a failed call means for the run.
type Verdict int

const (
	PersonOnly  Verdict = iota // this person failed; the others may go on
	Transient                  // the server could not: worth another attempt, or another run
	Throttled                  // 429: everybody waits
	StaleID                    // the user id is no longer known: look the email up again
	Permission                 // not allowed for this user; for everyone, if nobody succeeds
	Maintenance                // Smartsheet is offline: end the run, to be continued
	StopRun                    // no other call can succeed
)

// VerdictOf says what err means for the run. Errors that are no *Error are
// PersonOnly.
func VerdictOf(err error) Verdict {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return PersonOnly
	}
	v := e.verdict()
	if e.advice != "" && v != Maintenance {
		return StopRun
	}
	return v
}

// verdict is what the answer, or its absence, says by itself.
func (e *Error) verdict() Verdict {
	switch {
	case e.Status == 0:
		return connectionVerdict(e.Err)
	case e.Status == 401, e.Status == 410, e.Code == codeVersionRetired, e.Code == codeCannotAssume:
		return StopRun
	case e.Status == 429, e.Code == codeRateLimit:
		return Throttled
	case e.Code == codeMaintenance:
		return Maintenance
	case e.Code == codeUnexpected, e.Code == codeServerTimeout, e.Code == codeSaveCollision:
		return Transient
	case e.Code == codeNotFound, e.Code == codeUserNotFound, e.Status == 404:
		return StaleID
	case e.Code == codeNotAuthorized, e.Code == codePlanLacks, e.Status == 403 && e.Code == 0:
		return Permission
	case e.Status >= 500, e.Status == 408, e.Err != nil:
		return Transient
	}
	return PersonOnly
}

// retry is e's verdict on its own call: a connection that could not be made is
// tried again before it stops the run.
func (e *Error) retry() Verdict {
	v := e.verdict()
	if e.hopeless {
		return StopRun
	}
	if v == StopRun && e.Status == 0 && dialFailed(e.Err) && !unresolvable(e.Err) && !refusedByProxy(e.Err) {
		return Transient
	}
	return v
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

// connectionVerdict is for calls without an answer. A server that cannot be
// verified or reached, or a name that does not exist, stays so for every other
// call.
func connectionVerdict(err error) Verdict {
	if errors.Is(err, context.Canceled) {
		return PersonOnly
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return StopRun
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return StopRun
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return StopRun
	}
	if errors.Is(err, http.ErrSchemeMismatch) || unresolvable(err) || dialFailed(err) || errors.Is(err, errRedirect) {
		return StopRun
	}
	return Transient
}

// Final reports whether the same bytes would be refused again.
func (e *Error) Final() bool {
	switch e.Code {
	case codeUnsupportedType, codeSizeMismatch, codeBadContentType, codeUnsupportedMedia, codeTooLarge, codeHeader, codeBadHeader:
		return true
	case 0: // a gateway's word
		return e.Status == http.StatusRequestEntityTooLarge || e.Status == http.StatusUnsupportedMediaType
	}
	return false
}

// Hint says in one line what a human can do.
func (e *Error) Hint() string {
	switch VerdictOf(e) {
	case Throttled:
		return "retry by itself: the token's quota is used up, perhaps by another integration that shares it"
	case Maintenance:
		return "retry by itself: Smartsheet is offline for maintenance; the next run continues"
	case StaleID:
		return "fix the user: this person is no longer known to Smartsheet under that id"
	case Permission:
		return "fix the rights: the token must belong to a system admin, and the plan must allow profile images"
	case StopRun:
		return stopHint(e)
	}
	switch {
	case e.Code == codeUserInactive:
		return "fix the user: the Smartsheet account is not active"
	case e.Code == codeHeader || e.Code == codeBadHeader:
		return "check smartsheet.integration_source: Smartsheet refuses a header of this request; then send it again with --retry-failed"
	case e.Code >= 5000 && e.Code < 6000:
		return "fix the account: the message is what Smartsheet tells its user"
	case e.Final():
		return "fix the photo: Smartsheet refuses this file; it is not sent again until it changes"
	case e.Status == 0:
		return "retry by itself: the connection failed; the next run tries again"
	case e.RefID != "":
		return "call Smartsheet support with the refId if it does not go away"
	}
	return "retry by itself: the next run tries again"
}

func stopHint(e *Error) string {
	switch {
	case e.advice != "":
		return e.advice
	case e.Code == codeNoToken || e.Code == codeTokenInvalid:
		return "check smartsheet.token_file or SMARTSHEET_ACCESS_TOKEN: Smartsheet does not know this token (is the region right?)"
	case e.Code == codeTokenExpired:
		return "the token has expired: create a new one in Smartsheet and replace it"
	case e.Code == codeSSORequired:
		return "the organisation demands single sign-on: use a token of a user who may log in that way"
	case e.Code == codeCannotAssume:
		return "switch smartsheet.assume_user off, or use a system admin's token"
	case e.Status == 410:
		return "this version of the API is gone: update photosync"
	case e.Err != nil && strings.Contains(e.Err.Error(), "tls: protocol version"):
		return "the server, or a proxy that opens TLS before it, must offer TLS 1.2 or later"
	case e.Status == 0:
		return "check the address, DNS, the proxy (HTTPS_PROXY) and the server's certificate (smartsheet.region, base_url, ca_file)"
	}
	return "check the token and its rights"
}
