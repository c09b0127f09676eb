package smartsheet

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

// What is everybody's stops the run, and is nobody's photo's fault.
func TestRefusals(t *testing.T) {
	type step struct {
		user   int64
		status int // 0: got through
		code   int
		stop   bool
	}
	refused := func(status, code int, users ...int64) (s []step) {
		for _, u := range users {
			s = append(s, step{user: u, status: status, code: code})
		}
		return s
	}
	stopping := func(s []step) []step {
		s[len(s)-1].stop = true
		return s
	}
	through := []step{{user: 1000}}
	var many []int64
	for i := range int64(rowRefused) {
		many = append(many, 100+i)
	}
	for name, c := range map[string]struct {
		steps []step
		final []int64 // of users 1 to 5 and 100
		hint  string  // of the last one
	}{
		"one photo, others pass":         {append(refused(400, 1074, 1), through...), []int64{1}, ""},
		"one photo, after others passed": {append(through, refused(400, 1128, 1)...), []int64{1}, ""},
		"one photo, alone":               {refused(400, 1074, 1), nil, ""},
		"a gateway, others pass":         {append(refused(413, 0, 1, 2), through...), []int64{1, 2}, ""},
		"a gateway, everybody":           {stopping(refused(413, 0, 1, 2, 3, 4, 5)), nil, "lower image.max_bytes"},
		"415 for everybody":              {stopping(refused(415, 1124, 1, 2, 3, 4, 5)), nil, "check the proxy or gateway"},
		"1091 for everybody":             {stopping(refused(400, 1091, 1, 2, 3, 4, 5)), nil, "check the proxy or gateway"},
		"1004 for everybody":             {stopping(refused(403, 1004, 1, 2, 3, 4, 5)), nil, "fix the rights"},
		"unknown code for everybody":     {stopping(refused(400, 9999, 1, 2, 3, 4, 5)), nil, "call Smartsheet support, with"},
		"HTML 404 for everybody":         {stopping(refused(404, 0, 1, 2, 3, 4, 5)), nil, "check the address"},
		"304 for everybody":              {stopping(refused(304, 0, 1, 2, 3, 4, 5)), nil, "check the proxy: it answers an upload with 304"},
		"the same person":                {refused(403, 1004, 1, 1, 1, 1, 1, 1), nil, ""},
		"different reasons":              {append(refused(403, 1004, 1, 2, 3, 4), refused(400, 1074, 5, 6, 7, 8)...), nil, ""},
		"inactive accounts":              {refused(403, 1188, 1, 2, 3, 4, 5, 6), nil, ""},
		"locked accounts":                {refused(400, 5029, 1, 2, 3, 4, 5, 6), nil, ""},
		"users who left":                 {refused(404, 1020, 1, 2, 3, 4, 5, 6), nil, ""},
		"server errors":                  {refused(500, 4000, 1, 2, 3, 4, 5, 6), nil, ""},
		"somebody passes":                {append(append(refused(403, 1004, 1, 2, 3, 4), through...), refused(403, 1004, 5, 6, 7, 8, 9)...), nil, ""},
		"everybody from some time on":    {append(append(refused(413, 0, 1), through...), stopping(refused(413, 0, many...))...), []int64{1}, "lower"},
	} {
		t.Run(name, func(t *testing.T) {
			var r Refusals
			var stop error
			for i, s := range c.steps {
				if s.status == 0 {
					r.Accepted("image/png")
					continue
				}
				e := &Error{Op: "op", Status: s.status, Code: s.code, RefID: "r"}
				if stop = r.Refused(s.user, "image/png", e, false); (stop != nil) != s.stop {
					t.Fatalf("step %d: %v", i, stop)
				}
			}
			if e, ok := errors.AsType[*Error](stop); c.hint != "" && (!ok || Classify(stop) != Stop || !strings.HasPrefix(e.Hint(), c.hint) || e.RefID != "r") {
				t.Errorf("stops with %v, want the hint %q", stop, c.hint)
			}
			var final []int64
			for _, u := range []int64{1, 2, 3, 4, 5, 100} {
				if r.Final(u, false) {
					final = append(final, u)
				}
			}
			if len(final) != len(c.final) || len(final) > 0 && final[0] != c.final[0] {
				t.Errorf("final for %v, want %v", final, c.final)
			}
		})
	}
	var r Refusals
	r.Accepted("image/png")
	if r.Refused(1, "image/jpeg", &Error{Status: 415}, false); r.Final(1, false) {
		t.Error("what passes with other headers proves nothing")
	}
	if err := r.Refused(1, "", errors.New("other"), false); err != nil || r.Final(2, false) {
		t.Error(err)
	}
}

// A header that a call without a user has, and that Smartsheet refuses, is everybody's.
func TestHeaderOfEveryCall(t *testing.T) {
	for _, code := range []int{1011, 1272} {
		c := newTest(t, func(*http.Request) (*http.Response, error) { return refusal(400, code, "r1"), nil }, nil)
		_, err := c.Me(t.Context())
		e, ok := errors.AsType[*Error](err)
		if !ok || Classify(err) != Stop || !strings.Contains(e.Hint(), "smartsheet.integration_source") {
			t.Errorf("%d: class %v, hint %q", code, Classify(err), e.Hint())
		}
	}
}
