package smartsheet

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"
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
	codeParameter        = 1018
	codeBadHeader        = 1272
)

// Error is a call that Smartsheet refused, or that did not get an answer.
type Error struct {
	Op      string // "set profile image of user 48569348493401200"
	Status  int    // HTTP; 0: there was no answer. 200: the answer is an error all the same, or of no use
	Code    int    // errorCode; 0: none given
	RefID   string // what Smartsheet support asks for
	Message string // the server's, shortened and without control characters
	Detail  string // the server's detail, as it is written; shortened
	Err     error  // why there was no answer, or why it is not usable

	advice      string // what to do, where that does not follow from the rest: no other call can succeed either
	hopeless    bool   // not worth another attempt, whatever the rest says
	unconfirmed bool   // an upload was answered, and the answer cannot be read
	foreign     bool   // the answer is not in Smartsheet's form: a gateway wrote it
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
	if e.Detail != "" {
		fmt.Fprintf(&b, " %s", e.Detail)
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

// Final reports whether the same picture would be refused again, if it is the picture
// that is refused: a gateway may refuse all of them, with the same words (see Refusals).
func (e *Error) Final() bool { return e.class() == ThisPhoto }

// Hint says in one line what a human can do.
func (e *Error) Hint() string {
	switch Classify(e) {
	case Throttled:
		return "retry by itself: the token's quota is used up, perhaps by another integration that shares it"
	case Unavailable:
		if e.Code == codeMaintenance {
			return "retry by itself: Smartsheet is offline for maintenance; the next run continues"
		}
		return "retry by itself: Smartsheet serves nobody now; the next run continues"
	case UserGone:
		return "retry by itself: Smartsheet has no user with this id any more; the next run looks the person up again"
	case Permission:
		return "fix the rights: the token must belong to a system admin, and the plan must allow profile images; if it is only this user, they may belong to another organisation (isInternal)"
	case ThisPhoto:
		return "fix the photo: Smartsheet refuses this file; if it takes others, this one is not sent again until it changes"
	case Headers:
		return "check smartsheet.integration_source: Smartsheet refuses a header that every request has"
	case Foreign:
		return foreignHint(e)
	case Unconfirmed:
		return "look at the person's picture in Smartsheet: the answer to the upload cannot be read (is there a proxy in between?)"
	case Stop:
		return stopHint(e)
	}
	switch {
	case e.Code == codeUserInactive:
		return "fix the user: the Smartsheet account is not active"
	case e.Code >= 5000 && e.Code < 6000:
		return "fix the account: the message is what Smartsheet tells its user"
	case errors.Is(e.Err, ErrContradiction):
		return "look at the person's picture in Smartsheet; the next run sends it again"
	case e.Status == 0:
		return "retry by itself: the connection failed; the next run tries again"
	case e.Status < 300:
		return "check the address and the proxy if it does not go away: the answer is not Smartsheet's"
	case e.RefID != "":
		return "call Smartsheet support with the refId if it does not go away"
	}
	return "retry by itself: the next run tries again"
}

// foreignHint is for answers that Smartsheet did not write.
func foreignHint(e *Error) string {
	switch s := e.Status; {
	case s == http.StatusProxyAuthRequired:
		return "check the proxy: it wants a user and a password (HTTPS_PROXY=http://user:password@host:port)"
	case s == http.StatusNotModified:
		return "check the proxy: it answers an upload with 304, as if it were a page in its cache"
	case s >= 300 && s < 400:
		return "check the address: it redirects, and does not say where to (smartsheet.region, base_url)"
	case s == http.StatusNotFound:
		return "check the address: this is not the Smartsheet API (smartsheet.region, base_url)"
	}
	return "check the proxy or gateway before Smartsheet: the answer is not Smartsheet's"
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

// errorFrom reads a refusal: Smartsheet's JSON, or whatever a gateway wrote. A
// gateway's page may repeat the request, and with it the token: clean takes it out.
func errorFrom(op string, status int, body []byte, clean func(string) string) *Error {
	if e := errorObject(op, status, body, clean); e != nil {
		return e
	}
	e := &Error{Op: op, Status: status, Message: clean(string(body)), foreign: true}
	if e.Message == "" {
		e.Message = http.StatusText(status)
	}
	return e
}

// errorObject reads an error as the API writes one; nil if body is none. errorCode and
// refId come as numbers and as texts, detail as an object or an array.
func errorObject(op string, status int, body []byte, clean func(string) string) *Error {
	v := parse(body)
	i := itemError(v, clean)
	if i == (ItemError{}) {
		return nil
	}
	e := &Error{Op: op, Status: status, Code: i.Code, RefID: i.RefID, Message: i.Message}
	if d := v.Get("detail"); d.Type != gjson.Null {
		e.Detail = clean(d.Raw)
	}
	return e
}

// itemError reads the code, the refId and the message of an error.
func itemError(v gjson.Result, clean func(string) string) ItemError {
	i := ItemError{RefID: clean(label(v.Get("refId"))), Message: clean(text(v.Get("message")))}
	code, ok := whole(v.Get("errorCode"))
	if written := label(v.Get("errorCode")); !ok && written != "" {
		i.Message = clean("errorCode " + written + ": " + i.Message)
	}
	i.Code = int(code)
	return i
}
