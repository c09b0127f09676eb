package smartsheet

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
)

// cause is why a call failed: what that means for the run, and what a human can do.
type cause struct {
	class Class
	hint  string // empty: nothing in particular
}

// errorCodes that are named elsewhere.
const (
	codeTokenInvalid   = 1002
	codeTokenExpired   = 1003
	codeParameter      = 1018
	codeBadContentType = 1091
	codeTooLarge       = 1128
	codeUserInactive   = 1188
	codeMaintenance    = 4001
)

var (
	unknownToken = cause{Stop, "check smartsheet.token_file or SMARTSHEET_ACCESS_TOKEN: Smartsheet does not know this token (is the region right?)"}
	noRights     = cause{Permission, "fix the rights: the token must belong to a system admin, and the plan must allow profile images; if it is only this user, they may belong to another organisation (isInternal)"}
	userGone     = cause{UserGone, "retry by itself: Smartsheet has no user with this id any more; the next run looks the person up again"}
	badHeader    = cause{Headers, "check smartsheet.integration_source: Smartsheet refuses a header that every request has"}
	badPhoto     = cause{ThisPhoto, "fix the photo: Smartsheet refuses this file; if it takes others, this one is not sent again until it changes"}
	outOfQuota   = cause{Throttled, "retry by itself: the token's quota is used up, perhaps by another integration that shares it"}
	wrongAddress = cause{Foreign, "check the address: this is not the Smartsheet API (smartsheet.region, base_url)"}
	retired      = cause{Stop, "this version of the API is gone: update photosync"}
)

// causes by errorCode (API reference, "Errors").
var causes = map[int]cause{
	1001: unknownToken, 1002: unknownToken,
	1003: {Stop, "the token has expired: create a new one in Smartsheet and replace it"},
	1004: noRights,
	1005: {Stop, "the organisation demands single sign-on: use a token of a user who may log in that way"},
	1006: userGone,
	1011: badHeader,
	1013: noRights,
	1020: userGone,
	1030: {Stop, "switch smartsheet.assume_user off, or use a system admin's token"},
	1074: badPhoto, 1075: badPhoto, 1091: badPhoto, 1124: badPhoto, 1128: badPhoto,
	1188: {ThisUser, "fix the user: the Smartsheet account is not active"},
	1272: badHeader,
	4000: {Retryable, ""}, 4002: {Retryable, ""}, 4004: {Retryable, ""},
	4001: {Unavailable, "retry by itself: Smartsheet is offline for maintenance; the next run continues"},
	4003: outOfQuota,
	4005: retired,
}

// byStatus are causes where the errorCode says nothing.
var byStatus = map[int]cause{
	304: {Foreign, "check the proxy: it answers an upload with 304, as if it were a page in its cache"},
	401: {Stop, "check the token and its rights"},
	403: noRights,
	404: wrongAddress,
	407: {Foreign, "check the proxy: it wants a user and a password (HTTPS_PROXY=http://user:password@host:port)"},
	408: {Retryable, ""},
	410: retired,
	413: badPhoto,
	415: badPhoto,
	429: outOfQuota,
}

// cause is what the answer, or its absence, says by itself.
func (e *Error) cause() cause {
	if errors.Is(e.Err, errOutage) {
		return cause{Unavailable, "retry by itself: Smartsheet serves nobody now; the next run continues"}
	}
	if c, ok := causes[e.Code]; ok {
		return c
	}
	if c, ok := byStatus[e.Status]; ok {
		return c
	}
	switch s := e.Status; {
	case s == 0:
		return connectionCause(e.Err)
	case s >= 500:
		return cause{Retryable, ""}
	case e.unconfirmed:
		return cause{Unconfirmed, "look at the person's picture in Smartsheet: the answer to the upload cannot be read (is there a proxy in between?)"}
	case errors.Is(e.Err, ErrContradiction):
		return cause{ThisUser, "look at the person's picture in Smartsheet; the next run sends it again"}
	case s < 300: // to a question that can be asked again
		return cause{Retryable, "check the address and the proxy if it does not go away: the answer is not Smartsheet's"}
	case s < 400:
		return cause{Foreign, "check the address: it redirects, and does not say where to (smartsheet.region, base_url)"}
	case e.foreign:
		return cause{Foreign, "check the proxy or gateway before Smartsheet: the answer is not Smartsheet's"}
	case e.Code >= 5000 && e.Code < 6000:
		return cause{ThisUser, "fix the account: the message is what Smartsheet tells its user"}
	}
	return cause{ThisUser, ""}
}

// connectionCause is for calls without an answer. A server that cannot be verified or
// reached, or a name that does not exist, stays so for every other call.
func connectionCause(err error) cause {
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, ErrTooLate):
		return cause{ThisUser, "retry by itself: the next run tries again"}
	case err != nil && strings.Contains(err.Error(), "tls: protocol version"):
		return cause{Stop, "the server, or a proxy that opens TLS before it, must offer TLS 1.2 or later"}
	case untrusted, errors.Is(err, http.ErrSchemeMismatch), unresolvable(err), dialFailed(err), errors.Is(err, errRedirect):
		return cause{Stop, "check the address, DNS, the proxy (HTTPS_PROXY) and the server's certificate (smartsheet.region, base_url, ca_file)"}
	}
	return cause{Retryable, "retry by itself: the connection failed; the next run tries again"}
}
