package smartsheet

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
)

// Class is what a failed call means for the run.
type Class int

const (
	ThisUser    Class = iota // this user's call failed; the others may go on
	UserGone                 // Smartsheet knows no user with this id
	ThisPhoto                // this picture is refused
	Permission               // the token may not do this for this user, or for any user
	Foreign                  // a proxy, a gateway or another host answered, not Smartsheet
	Unconfirmed              // the answer to an upload cannot be read: check the user's picture before sending again
	Retryable                // the server or the connection failed: try again now, or in the next run
	Throttled                // the quota is used up, even after long waits: end the run; the next run continues
	Unavailable              // Smartsheet serves nobody now: end the run; the next run continues
	Stop                     // no other call can succeed: stop the run
)

// EndsRun reports whether other calls would fail now as well.
func (c Class) EndsRun() bool { return c >= Throttled }

// Resumable reports whether the next run continues by itself after a run that ended this way.
func (c Class) Resumable() bool { return c == Throttled || c == Unavailable }

// refused reports whether a later attempt would get the same answer.
func (c Class) refused() bool { return c < Retryable || c > Unavailable }

// Classify says what err means for the run. Any error but an *Error is ThisUser.
func Classify(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.cause().class
	}
	return ThisUser
}

// cause is why a call failed: its class, and what a human can do.
type cause struct {
	class      Class
	hint       string // empty: there is no special advice
	hintForAll string // the hint if every upload fails this way; empty: hint
}

// errorCodes that are named elsewhere.
const (
	codeTokenInvalid = 1002
	codeTokenExpired = 1003
	codeUserInactive = 1188
	codeMaintenance  = 4001
)

const (
	gateway      = "check the proxy or gateway before Smartsheet: "
	fixPhoto     = "fix the photo at its source: Smartsheet refuses this file; as a rule, it is not sent again until it changes"
	callSupport  = "call Smartsheet support, with the refId if there is one: every upload ends like this"
	wrongAddress = "check the address: this is not the Smartsheet API (smartsheet.region, base_url)"
)

var (
	unknownToken = cause{class: Stop, hint: "check smartsheet.token_file or SMARTSHEET_ACCESS_TOKEN: Smartsheet does not know this token (is the region right?)"}
	noRights     = cause{class: Permission, hint: "fix the rights: the token must belong to a system admin, and your Smartsheet subscription must allow profile images; if it is only this user, they may belong to another organisation (isInternal): match.exclude leaves them out"}
	userGone     = cause{class: UserGone, hint: "retry by itself: Smartsheet has no user with this id any more; the next run looks the person up again"}
	badHeader    = cause{ThisUser, "check this person's address: Smartsheet refuses a header of the upload, and the file name in it is made of the address",
		"check smartsheet.integration_source: Smartsheet refuses a header that every request has"}
	badPhoto   = cause{ThisPhoto, fixPhoto, gateway + "pictures may not arrive as they are sent"}
	badType    = cause{ThisPhoto, fixPhoto, gateway + "it may change the Content-Type of uploads"}
	tooLarge   = cause{ThisPhoto, fixPhoto, "lower image.max_bytes or image.max_edge, or raise the limit of the gateway before Smartsheet: every picture is too large for it"}
	outOfQuota = cause{class: Throttled, hint: "retry by itself: the token's quota is used up, perhaps by another integration that shares it"}
	retired    = cause{class: Stop, hint: "this version of the API is gone: update photosync"}
)

// causes by errorCode (API reference, "Errors") and by HTTP status, which counts only if the
// errorCode is not listed: no errorCode is below 1000.
var causes = map[int]cause{
	1001: unknownToken, 1002: unknownToken,
	1003: {class: Stop, hint: "the token has expired: create a new one in Smartsheet and replace it"},
	1004: noRights, 1013: noRights, 403: noRights,
	1005: {class: Stop, hint: "the organisation demands single sign-on: use a token of a user who may log in that way"},
	1006: userGone, 1020: userGone,
	1011: badHeader, 1272: badHeader,
	1030: {class: Permission, hint: "switch smartsheet.assume_user off, or use a system admin's token"},
	1074: badPhoto, 1075: badPhoto,
	1091: badType, 1124: badType, 415: badType,
	1128: tooLarge, 413: tooLarge,
	1188: {class: ThisUser, hint: "fix the user: the Smartsheet account is not active"},
	4000: {class: Retryable}, 4002: {class: Retryable}, 4004: {class: Retryable}, 408: {class: Retryable},
	4001: {class: Unavailable, hint: "retry by itself: Smartsheet is offline for maintenance; the next run continues"},
	4003: outOfQuota, 429: outOfQuota,
	4005: retired, 410: retired,
	304: {class: Foreign, hint: "check the proxy: it answers an upload with 304, as if it were a page in its cache"},
	401: {class: Stop, hint: "check the token and its rights"},
	404: {class: Foreign, hint: wrongAddress},
	407: {class: Foreign, hint: "check the proxy: it wants a user and a password (HTTPS_PROXY=http://user:password@host:port)"},
}

// cause returns what e means for the run. If e has advice of its own, no other call can succeed.
func (e *Error) cause() cause {
	switch c := e.ownCause(); {
	case e.advice != "" && c.class != Unavailable:
		return cause{class: Stop, hint: e.advice}
	case e.Op == opRefresh && c.class == Retryable: // the error is not about one person
		return cause{class: Unavailable, hint: "retry by itself: Smartsheet gives no access token now; the next run continues"}
	default:
		return c
	}
}

// ownCause returns what the answer, or the lack of one, means by itself.
func (e *Error) ownCause() cause {
	if errors.Is(e.Err, errOutage) {
		return cause{class: Unavailable, hint: "retry by itself: Smartsheet serves nobody now; the next run continues"}
	}
	if errors.Is(e.Err, errQuota) {
		return outOfQuota
	}
	for _, number := range []int{e.Code, e.Status} {
		if c, ok := causes[number]; ok {
			return c
		}
	}
	switch s := e.Status; {
	case s >= 500:
		return cause{class: Retryable}
	case e.unconfirmed:
		return cause{Unconfirmed, "look at the person's picture in Smartsheet: the answer to the upload cannot be read (is there a proxy in between?)",
			gateway + "uploads are answered with something that is not Smartsheet's answer"}
	case errors.Is(e.Err, ErrContradiction):
		return cause{ThisUser, "look at the person's picture in Smartsheet; the next run sends it again", callSupport}
	case errors.Is(e.Err, errTimeout):
		return cause{class: Retryable, hint: "retry by itself: the next run tries again; raise smartsheet.timeout if it does not go away"}
	case s == 0:
		return connectionCause(e.Err)
	case s < 300: // a useless answer to a GET
		return cause{class: Retryable, hint: "check the address and the proxy if it does not go away: the answer is not Smartsheet's"}
	case s < 400:
		return cause{class: Foreign, hint: "check the address: it redirects, and does not say where to (smartsheet.region, base_url)"}
	case e.foreign:
		return cause{class: Foreign, hint: gateway + "the answer is not Smartsheet's"}
	case e.Code/1000 == 5:
		return cause{class: ThisUser, hint: "fix the account: the message is what Smartsheet tells its user"}
	}
	return cause{hintForAll: callSupport}
}

// connectionCause returns the cause of a call without an answer. Some causes affect every call.
func connectionCause(err error) cause {
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, ErrTooLate):
		return cause{class: ThisUser, hint: "retry by itself: the next run tries again"}
	case err != nil && strings.Contains(err.Error(), "tls: protocol version"):
		return cause{class: Stop, hint: "the server, or a proxy that opens TLS before it, must offer TLS 1.2 or later"}
	case untrusted, errors.Is(err, http.ErrSchemeMismatch), unresolvable(err), dialFailed(err), errors.Is(err, errRedirect):
		return cause{class: Stop, hint: "check the address, DNS, the proxy (HTTPS_PROXY) and the server's certificate (smartsheet.region, base_url, ca_file)"}
	}
	return cause{class: Retryable, hint: "retry by itself: the connection failed; the next run tries again"}
}

// forCall returns e's class for the call that failed: if no connection could be made, the call tries
// again before the run stops.
func (e *Error) forCall() Class {
	c := e.ownCause().class
	switch {
	case e.hopeless:
		return Stop
	case c == Stop && e.Status == 0 && dialFailed(e.Err) && !unresolvable(e.Err) && !errors.Is(e.Err, errProxy):
		return Retryable
	}
	return c
}

// unknown reports whether the call may have taken effect although it failed.
func (e *Error) unknown() bool {
	switch {
	case e.Status == 0:
		return !dialFailed(e.Err) && connectionCause(e.Err).class != Stop
	case e.Status >= 500:
		return e.Code != codeMaintenance
	}
	return e.Status < 300
}

// dialFailed reports whether no connection could be made, or no TLS session on it.
func dialFailed(err error) bool {
	o, ok := errors.AsType[*net.OpError](err)
	return ok && slices.Contains([]string{"dial", "proxyconnect", "remote error", "local error"}, o.Op)
}

func unresolvable(err error) bool {
	d, ok := errors.AsType[*net.DNSError](err)
	return ok && d.IsNotFound
}
