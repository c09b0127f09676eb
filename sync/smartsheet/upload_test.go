package smartsheet

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseUpload(t *testing.T) {
	const id = testID
	for name, c := range map[string]struct {
		body    string
		ok      bool
		partial bool
		image   string
	}{
		"data array":           {success, true, false, "i1"},
		"result object":        {`{"message":"SUCCESS","resultCode":0,"result":{"id":48569348493401200,"profileImage":{"imageId":"i1"}}}`, true, false, "i1"},
		"data of two":          {`{"message":"SUCCESS","data":[{"id":1},{"id":48569348493401200,"profileImage":{"imageId":"i1"}}]}`, true, false, "i1"},
		"unknown fields":       {`{"message":"SUCCESS","new":{},"data":[{"id":48569348493401200,"seat":1,"profileImage":{"imageId":"i1"}}]}`, true, false, "i1"},
		"empty data, result":   {`{"message":"SUCCESS","data":[],"result":{"id":48569348493401200,"profileImage":{"imageId":"i1"}}}`, true, false, "i1"},
		"neighbour in a float": {`{"message":"SUCCESS","resultCode":0,"data":[{"id":48569348493401201,"profileImage":{"imageId":"i1"}}]}`, false, false, ""},
		"no image":             {`{"message":"SUCCESS","resultCode":0,"data":[{"id":48569348493401200}]}`, false, false, ""},
		"no user":              {`{"message":"SUCCESS","resultCode":0}`, false, false, ""},
		"null user":            {`{"message":"SUCCESS","resultCode":0,"data":[null]}`, false, false, ""},
		"says nothing":         {`{"data":[{"id":48569348493401200,"profileImage":{"imageId":"i1"}}]}`, false, false, ""},
		"result code 1":        {`{"message":"SUCCESS","resultCode":1,"data":[{"id":48569348493401200,"profileImage":{"imageId":"i1"}}]}`, false, false, ""},
		"partial, code only":   {`{"resultCode":3,"data":[]}`, true, true, ""},
		"partial, message":     {`{"message":"PARTIAL_SUCCESS","data":[{"id":48569348493401200,"profileImage":{"imageId":"i1"}}]}`, true, true, "i1"},
		"failed items": {`{"message":"SUCCESS","failedItems":[{"index":0,"error":{"refId":"r","errorCode":1004,"message":"m"}}],
			"data":[{"id":48569348493401200,"profileImage":{"imageId":"i1"}}]}`, true, true, "i1"},
		"truncated": {success[:40], false, false, ""},
		"empty":     {``, false, false, ""},
		"null":      {`null`, false, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			up, err := parseUpload([]byte(c.body), id)
			if (err == nil) != c.ok || err == nil && (up.Partial() != c.partial || up.User.ImageID != c.image) {
				t.Errorf("%+v, error %v", up, err)
			}
		})
	}
}

func TestFailedItemsKeepTheirRefIDs(t *testing.T) {
	up, err := parseUpload([]byte(`{"message":"PARTIAL_SUCCESS","resultCode":3,"failedItems":[{"index":2,"error":{"refId":"r9","errorCode":1004,"message":"no\nway"}}]}`), 1)
	want := []FailedItem{{Index: 2, ErrorCode: 1004, RefID: "r9", Message: "no way"}}
	if d := cmp.Diff(want, up.FailedItems); d != "" || err != nil {
		t.Errorf("error %v\n%s", err, d)
	}
}

// No answer but one that names the user and a picture is a success.
func FuzzParseUpload(f *testing.F) {
	for _, s := range []string{success, success[:50], `{"resultCode":3}`, `{"data":{"id":1e3}}`, `{"result":[{"id":"7"}]}`, `[]`, `{"data":7}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		up, err := parseUpload(b, testID)
		if err == nil && !up.Partial() && (up.User.ID != testID || up.User.ImageID == "") {
			t.Errorf("%q taken for a success: %+v", b, up)
		}
	})
}

// What an upload looks like on the wire.
func TestUploadRequest(t *testing.T) {
	var got *http.Request
	var body []byte
	c := newTest(t, nil, func(o *Options) {
		o.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			got = r
			body, _ = io.ReadAll(r.Body)
			return answer(200, success), nil
		})
		o.AssumeUser, o.IntegrationSource, o.UserAgent = true, "SCRIPT,Example Corp,photosync", "photosync/1"
	})
	up, err := c.SetProfileImage(t.Context(), User{ID: testID, Email: "a+b@exämple.com"}, picture)
	if err != nil || up.HTTPStatus != 200 || up.Attempts != 1 || string(body) != "bytes" {
		t.Fatalf("%+v, %v, body %q", up, err, body)
	}
	if want := "POST https://api.example.test/2.0/users/48569348493401200/profileimage"; got.Method+" "+got.URL.String() != want {
		t.Errorf("%s %s, want %s", got.Method, got.URL, want)
	}
	for k, want := range map[string]string{
		"Authorization": "Bearer " + testToken, "Content-Type": "image/png", "User-Agent": "photosync/1",
		"Content-Disposition": `attachment; filename="a%20b%22.png"`, "Assume-User": "a%2Bb%40ex%C3%A4mple.com",
		"Smartsheet-Integration-Source": "SCRIPT,Example Corp,photosync",
	} {
		if got.Header.Get(k) != want {
			t.Errorf("%s: %q, want %q", k, got.Header.Get(k), want)
		}
	}
	if got.ContentLength != 5 {
		t.Errorf("Content-Length %d", got.ContentLength)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestNothingIsSentOnceStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := newTest(t, func(*http.Request) (*http.Response, error) {
		t.Error("a request was sent")
		return answer(200, success), nil
	}, nil)
	if up, err := c.SetProfileImage(ctx, User{ID: testID}, picture); err == nil || up.Attempts != 0 {
		t.Errorf("%+v, %v", up, err)
	}
}
