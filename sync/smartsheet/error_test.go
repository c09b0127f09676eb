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
func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		status, code int
		want         Verdict
		final        bool
		hint         string
	}{
		{401, 1001, StopRun, false, "check smartsheet.token_file"},
		{401, 1002, StopRun, false, "check smartsheet.token_file"},
		{401, 1003, StopRun, false, "the token has expired"},
		{401, 1005, StopRun, false, "the organisation demands single sign-on"},
		{401, 1030, StopRun, false, "switch smartsheet.assume_user off"},
		{403, 1004, Permission, false, "fix the rights"},
		{403, 1013, Permission, false, "fix the rights"},
		{403, 0, Permission, false, "fix the rights"},
		{403, 1188, PersonOnly, false, "fix the user"},
		{404, 1006, StaleID, false, "fix the user"},
		{404, 1020, StaleID, false, "fix the user"},
		{400, 1011, PersonOnly, true, "check smartsheet.integration_source"},
		{400, 1074, PersonOnly, true, "fix the photo"},
		{400, 1075, PersonOnly, true, "fix the photo"},
		{400, 1091, PersonOnly, true, "fix the photo"},
		{415, 1124, PersonOnly, true, "fix the photo"},
		{400, 1128, PersonOnly, true, "fix the photo"},
		{400, 1272, PersonOnly, true, "check smartsheet.integration_source"},
		{413, 0, PersonOnly, true, "fix the photo"},
		{410, 4005, StopRun, false, "this version of the API is gone"},
		{429, 4003, Throttled, false, "retry by itself"},
		{429, 0, Throttled, false, "retry by itself"},
		{500, 4000, Transient, false, "call Smartsheet support"},
		{503, 4001, Maintenance, false, "retry by itself"},
		{500, 4002, Transient, false, "call Smartsheet support"},
		{500, 4004, Transient, false, "call Smartsheet support"},
		{502, 0, Transient, false, "call Smartsheet support"},
		{500, 9999, Transient, false, "call Smartsheet support"},
		{400, 9999, PersonOnly, false, "call Smartsheet support"},
		{400, 5001, PersonOnly, false, "fix the account"},
		{408, 0, Transient, false, "call Smartsheet support"},
	} {
		t.Run(fmt.Sprint(c.status, "/", c.code), func(t *testing.T) {
			e := &Error{Op: "op", Status: c.status, Code: c.code, RefID: "r"}
			wrapped := fmt.Errorf("upload: %w", e)
			if got := VerdictOf(wrapped); got != c.want || e.Final() != c.final || !strings.HasPrefix(e.Hint(), c.hint) {
				t.Errorf("verdict %v, final %v, hint %q", got, e.Final(), e.Hint())
			}
		})
	}
}

func TestVerdictsWithoutAnswer(t *testing.T) {
	if v := VerdictOf(errors.New("other")); v != PersonOnly {
		t.Errorf("foreign error: %v", v)
	}
	for _, err := range []error{certificateError, x509.HostnameError{Certificate: &x509.Certificate{}}, errRedirect} {
		e := &Error{Op: "op", Err: fmt.Errorf("wrapped: %w", err)}
		if v := VerdictOf(e); v != StopRun || !strings.HasPrefix(e.Hint(), "check the address") {
			t.Errorf("%v: %v, hint %q", err, v, e.Hint())
		}
	}
}

// Whatever the body of a refusal is, the error is one good line without the token.
func FuzzErrorFrom(f *testing.F) {
	for _, s := range []string{
		"", "<html>\n<body>502 Bad Gateway", `{"refId":"k3x9","errorCode":1004,"message":"You are not authorized"}`,
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
		text := e.Error() + e.Hint() + e.Message + e.RefID
		if len(text) > 16*maxMessage || strings.ContainsAny(text, "\n\r\x00\x1b") || strings.Contains(text, testToken) {
			t.Errorf("%q", text)
		}
	})
}

func TestErrorText(t *testing.T) {
	e := &Error{Op: "set profile image of user 7", Status: 403, Code: 1004, RefID: "k3x9", Message: "You are not authorized."}
	if got, want := e.Error(), `set profile image of user 7: HTTP 403 errorCode 1004 "You are not authorized." (refId k3x9)`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
