package smartsheet

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// serve is a server without sockets: it sees each request and its body's end.
type serve func(r *http.Request) (*http.Response, error)

func (f serve) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
	return f(r)
}

func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

func refusal(status, code int, refID string) *http.Response {
	return answer(status, fmt.Sprintf(`{"errorCode":%d,"refId":%q,"message":"m"}`, code, refID))
}

const (
	testID    = 48569348493401200 // beyond 2^53
	testToken = "s3cret-token"
	success   = `{"message":"SUCCESS","resultCode":0,"data":[{"id":48569348493401200,"profileImage":{"imageId":"i1","height":"10","width":10}}]}`
)

func newTest(t *testing.T, s serve, change func(*Options)) *Client {
	t.Helper()
	o := Options{
		BaseURL: "https://api.example.test/2.0", Transport: s, Token: testToken, RequestsPerMinute: 60_000,
		Timeout: 30 * time.Second, MaxAttempts: 6, MaxWait: 5 * time.Minute, Grace: 20 * time.Second,
	}
	if change != nil {
		change(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var picture = Image{Data: []byte("bytes"), ContentType: "image/png", FileName: "a b\".png"}

// String is for the messages of tests.
func (c Class) String() string {
	return [...]string{
		"this user", "user gone", "this photo", "permission", "foreign answer", "unconfirmed", "retryable", "throttled",
		"unavailable", "headers", "stop",
	}[c]
}
