package smartsheet

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

var certificateError = &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}

func redirect(to string) *http.Response {
	r := answer(http.StatusTemporaryRedirect, "")
	r.Header.Set("Location", to)
	return r
}

// The table of the API reference: what each refusal means for the run, whether the
// same bytes are ever sent again, and how the hint begins. TestRetry has what is
// tried again, TestExpiredToken what 1003 means with OAuth2.
func TestClasses(t *testing.T) {
	for _, c := range []struct {
		status, code int
		want         Class
		final        bool
		hint         string
	}{
		{401, 1001, Stop, false, "check smartsheet.token_file"},
		{401, 1002, Stop, false, "check smartsheet.token_file"},
		{401, 1003, Stop, false, "the token has expired"},
		{401, 1005, Stop, false, "the organisation demands single sign-on"},
		{401, 1030, Permission, false, "switch smartsheet.assume_user off"},
		{403, 1004, Permission, false, "fix the rights"},
		{403, 1013, Permission, false, "fix the rights"},
		{403, 0, Permission, false, "fix the rights"},
		{403, 1188, ThisUser, false, "fix the user"},
		{404, 1006, UserGone, false, "retry by itself"},
		{404, 1020, UserGone, false, "retry by itself"},
		{400, 1011, ThisUser, false, "check this person's address"},
		{400, 1074, ThisPhoto, true, "fix the photo"},
		{400, 1075, ThisPhoto, true, "fix the photo"},
		{400, 1091, ThisPhoto, true, "fix the photo"},
		{415, 1124, ThisPhoto, true, "fix the photo"},
		{400, 1128, ThisPhoto, true, "fix the photo"},
		{400, 1272, ThisUser, false, "check this person's address"},
		{413, 0, ThisPhoto, true, "fix the photo"},
		{415, 0, ThisPhoto, true, "fix the photo"},
		{404, 0, Foreign, false, "check the address"},
		{407, 0, Foreign, false, "check the proxy: it wants a user"},
		{301, 0, Foreign, false, "check the address: it redirects"},
		{304, 0, Foreign, false, "check the proxy: it answers an upload"},
		{410, 4005, Stop, false, "this version of the API is gone"},
		{429, 4003, Throttled, false, "retry by itself"},
		{429, 0, Throttled, false, "retry by itself"},
		{500, 4000, Retryable, false, "call Smartsheet support"},
		{503, 4001, Unavailable, false, "retry by itself"},
		{500, 4002, Retryable, false, "call Smartsheet support"},
		{500, 4004, Retryable, false, "call Smartsheet support"},
		{502, 0, Retryable, false, "call Smartsheet support"},
		{500, 9999, Retryable, false, "call Smartsheet support"},
		{400, 9999, ThisUser, false, "call Smartsheet support"},
		{400, 5001, ThisUser, false, "fix the account"},
		{408, 0, Retryable, false, "call Smartsheet support"},
	} {
		t.Run(fmt.Sprint(c.status, "/", c.code), func(t *testing.T) {
			e := &Error{Op: "op", Status: c.status, Code: c.code, RefID: "r"}
			wrapped := fmt.Errorf("upload: %w", e)
			if got := Classify(wrapped); got != c.want || e.Final() != c.final || !strings.HasPrefix(e.Hint(), c.hint) {
				t.Errorf("class %v, final %v, hint %q", got, e.Final(), e.Hint())
			}
		})
	}
}

func TestClassesWithoutAnswer(t *testing.T) {
	if v := Classify(&Error{Status: 400, Message: "<html>", foreign: true}); v != Foreign || Classify(&Error{Status: 200, unconfirmed: true}) != Unconfirmed {
		t.Errorf("a gateway's page: %v", v)
	}
	if v := Classify(errors.New("other")); v != ThisUser {
		t.Errorf("foreign error: %v", v)
	}
	for _, err := range []error{certificateError, errRedirect} {
		e := &Error{Op: "op", Err: fmt.Errorf("wrapped: %w", err)}
		if v := Classify(e); v != Stop || !strings.HasPrefix(e.Hint(), "check the address") {
			t.Errorf("%v: %v, hint %q", err, v, e.Hint())
		}
	}
}

// Whatever the body of a refusal is, the error is one good line without the token.
func FuzzErrorFrom(f *testing.F) {
	for _, s := range []string{
		`{"refId":7,"errorCode":"1004","message":"m","detail":[{"a":"` + testToken + `"}]}`, "", "<html>\n<body>502 Bad Gateway", `{"refId":"k3x9","errorCode":1004,"message":"You are not authorized"}`,
		`{"refId":"k3x9","errorCode":"1004"}`, `{"refId":7`, "null", "[]", "\xff\x00\x1b[2J", "Authorization: Bearer " + testToken,
		`{"message":"` + testToken + `"}`, strings.Repeat("é", 1000),
	} {
		f.Add(502, []byte(s))
	}
	c, err := New(Options{BaseURL: Roots["us"], Token: testToken, RequestsPerMinute: 1, Timeout: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e := errorFrom("op", status, body, c.auth.secrets.clean)
		text := strings.Join([]string{e.Error(), e.Hint(), e.Message, e.RefID, e.Detail}, "|")
		if len(text) > 16*maxMessage || strings.ContainsAny(text, "\n\r\x00\x1b") || strings.Contains(text, testToken) {
			t.Errorf("%q", text)
		}
	})
}

// Errors keep all that came, in whatever shape it came.
func TestErrorKeepsAll(t *testing.T) {
	for body, want := range map[string]Error{
		`{"errorCode":"1004","refId":7,"message":"m"}`:                  {Code: 1004, RefID: "7", Message: "m"},
		`{"errorCode":1004,"detail":{"index":1},"refId":"r"}`:           {Code: 1004, RefID: "r", Detail: `{"index":1}`},
		`{"errorCode":1004,"detail":[{"index":1},{"index":2}]}`:         {Code: 1004, Detail: `[{"index":1},{"index":2}]`},
		`{"errorCode":1004,"detail":null,"message":{"a":1},"refId":[]}`: {Code: 1004},
		`{"errorCode":"E-7","message":"m"}`:                             {Message: "errorCode E-7: m"},
		`{"errorCode":1004.5,"message":"m"}`:                            {Message: "errorCode 1004.5: m"},
		`[1]`:                                                           {Message: "[1]", foreign: true},
		``:                                                              {Message: "Bad Request", foreign: true},
	} {
		want.Op, want.Status = "op", 400
		if got := errorFrom("op", 400, []byte(body), oneLine); *got != want {
			t.Errorf("%s: %+v, want %+v", body, *got, want)
		}
	}
}

func TestErrorText(t *testing.T) {
	e := &Error{Op: "set profile image of user 7", Status: 403, Code: 1004, RefID: "k3x9", Message: "You are not authorized."}
	if got, want := e.Error(), `set profile image of user 7: HTTP 403 errorCode 1004 "You are not authorized." (refId k3x9)`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
