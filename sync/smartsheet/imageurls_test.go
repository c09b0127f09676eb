package smartsheet

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
)

// Ids come back with their addresses; those that have none, or another shape than the
// reference says, are missing.
func TestImageURLs(t *testing.T) {
	c := newTest(t, func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodPost || r.URL.Path != "/2.0/imageurls" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s, %v", r.Method, r.URL, r.Header)
		}
		return answer(200, `{"urlExpiresInMillis":1,"imageUrls":[{"imageId":"a","url":"https://x/a"},{"imageId":"b","error":{"errorCode":1006}},{"imageId":7,"url":"https://x/7"},{"imageId":"c","url":5},null]}`), nil
	}, nil)
	got, err := c.ImageURLs(t.Context(), []string{"a", "b", "7", "c"})
	if err != nil || !maps.Equal(got, map[string]string{"a": "https://x/a", "7": "https://x/7"}) {
		t.Errorf("%v, %v", got, err)
	}
	c = newTest(t, func(*http.Request) (*http.Response, error) { return refusal(403, 1004, "r"), nil }, nil)
	if got, err := c.ImageURLs(t.Context(), []string{"a"}); err == nil || len(got) > 0 {
		t.Errorf("%v, %v; want the refusal", got, err)
	}
}

// A picture is fetched without the token, once, and only from where it may come from;
// no error shows the address.
func TestPicture(t *testing.T) {
	const path = "//images.example.test/a?signature=s3cret"
	for name, c := range map[string]struct {
		base, address string
		status        int
		body          string
		fail          error
		asked, ok     bool
	}{
		"https":              {"https", "https:" + path, 200, "bytes", nil, true, true},
		"http under http":    {"http", "http:" + path, 200, "bytes", nil, true, true},
		"http under https":   {"https", "http:" + path, 200, "bytes", nil, false, false},
		"a file":             {"http", "file:///etc/passwd", 200, "bytes", nil, false, false},
		"no address":         {"https", "", 200, "bytes", nil, false, false},
		"bad address":        {"https", "https://%zz", 200, "bytes", nil, false, false},
		"missing":            {"https", "https:" + path, 404, "", nil, true, false},
		"redirect":           {"https", "https:" + path, 302, "", nil, true, false},
		"too long":           {"https", "https:" + path, 200, strings.Repeat("x", maxAnswerBytes+1), nil, true, false},
		"as long as allowed": {"https", "https:" + path, 200, strings.Repeat("x", maxAnswerBytes), nil, true, true},
		"no connection":      {"https", "https:" + path, 0, "", errors.New("refused"), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			client := newTest(t, func(r *http.Request) (*http.Response, error) {
				if asked++; r.Header.Get("Authorization") != "" || strings.Contains(r.URL.String(), testToken) {
					t.Error("the token goes to where pictures are")
				}
				if c.fail != nil {
					return nil, c.fail
				}
				a := answer(c.status, "")
				a.Header.Set("Location", "https://elsewhere.example.test/")
				a.Body = io.NopCloser(strings.NewReader(c.body))
				return a, nil
			}, func(o *Options) { o.BaseURL, o.AllowHTTP = c.base+"://api.example.test/2.0", true })
			data, err := client.Picture(t.Context(), c.address)
			if (err == nil) != c.ok || (asked == 1) != c.asked || asked > 1 || c.ok && string(data) != c.body {
				t.Errorf("%d bytes, error %v, asked %d times", len(data), err, asked)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the address shows: %v", err)
			}
		})
	}
}
