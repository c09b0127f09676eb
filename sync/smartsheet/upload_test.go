package smartsheet

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

// Only SUCCESS/0 and PARTIAL_SUCCESS/3 are what they say. Users come in "data" and in
// "result", and whatever else came is kept.
func TestParseUpload(t *testing.T) {
	zero, three := 0, 3
	user := User{ID: testID, Email: "a@b.c", ImageID: "i1"}
	const u = `{"id":48569348493401200,"email":"a@b.c","profileImage":{"imageId":"i1","height":"10","width":10}}`
	failed := func(items ...FailedItem) []FailedItem { return items }
	for name, c := range map[string]struct {
		body string
		err  string // part of it; empty: none
		want UploadResult
	}{
		"data array":          {`{"message":"SUCCESS","resultCode":0,"data":[` + u + `]}`, "", UploadResult{Message: "SUCCESS", ResultCode: &zero, Users: []User{user}}},
		"result object":       {`{"message":"SUCCESS","resultCode":0,"result":` + u + `}`, "", UploadResult{Message: "SUCCESS", ResultCode: &zero, Users: []User{user}}},
		"data object":         {`{"message":"SUCCESS","resultCode":0,"data":` + u + `}`, "", UploadResult{Message: "SUCCESS", ResultCode: &zero, Users: []User{user}}},
		"empty data, result":  {`{"message":"SUCCESS","resultCode":0,"data":[],"result":` + u + `}`, "", UploadResult{Message: "SUCCESS", ResultCode: &zero, Users: []User{user}}},
		"data of two":         {`{"message":"SUCCESS","resultCode":"0","data":[{"id":1},` + u + `]}`, "", UploadResult{Message: "SUCCESS", ResultCode: &zero, Users: []User{{ID: 1}, user}}},
		"unknown fields":      {`{"message":"SUCCESS","resultCode":0,"new":{},"data":[{"id":1,"seat":1}]}`, "", UploadResult{Message: "SUCCESS", ResultCode: &zero, Users: []User{{ID: 1}}}},
		"other shapes":        {`{"message":"SUCCESS","resultCode":0,"data":[{"id":"48569348493401200","email":"a@b.c","name":{},"status":1,"profileImage":{"imageId":5}}]}`, "", UploadResult{Message: "SUCCESS", ResultCode: &zero, Users: []User{{ID: testID, Email: "a@b.c", ImageID: "5"}}}},
		"image as text":       {`{"message":"SUCCESS","resultCode":0,"data":[{"id":1,"profileImage":"x"}]}`, "", UploadResult{Message: "SUCCESS", ResultCode: &zero, Users: []User{{ID: 1}}}},
		"no user":             {`{"message":"SUCCESS","resultCode":0,"data":[]}`, "", UploadResult{Message: "SUCCESS", ResultCode: &zero}},
		"null user":           {`{"message":"SUCCESS","resultCode":0,"data":[null],"result":null}`, "", UploadResult{Message: "SUCCESS", ResultCode: &zero}},
		"partial":             {`{"message":"PARTIAL_SUCCESS","resultCode":3,"data":[` + u + `]}`, "", UploadResult{Message: "PARTIAL_SUCCESS", ResultCode: &three, Users: []User{user}}},
		"failed items":        {`{"message":"PARTIAL_SUCCESS","resultCode":3,"refId":7,"failedItems":[{"index":2,"error":{"refId":9,"errorCode":"1004","message":"no\nway"}}]}`, "", UploadResult{Message: "PARTIAL_SUCCESS", ResultCode: &three, RefID: "7", FailedItems: failed(FailedItem{2, &Error{Code: 1004, RefID: "9", Message: "no way"}})}},
		"failed item of null": {`{"message":"PARTIAL_SUCCESS","resultCode":3,"failedItems":[{"index":0,"error":null},{}]}`, "", UploadResult{Message: "PARTIAL_SUCCESS", ResultCode: &three, FailedItems: failed(FailedItem{}, FailedItem{})}},
		"success that failed": {`{"message":"SUCCESS","resultCode":0,"failedItems":[{"index":1}]}`, "1 failed items", UploadResult{Message: "SUCCESS", ResultCode: &zero, FailedItems: failed(FailedItem{Index: 1})}},
		"FAILURE and 0":       {`{"message":"FAILURE","resultCode":0,"data":[` + u + `]}`, `"FAILURE", resultCode 0`, UploadResult{Message: "FAILURE", ResultCode: &zero, Users: []User{user}}},
		"no message":          {`{"resultCode":0,"data":[` + u + `]}`, `"", resultCode 0`, UploadResult{ResultCode: &zero, Users: []User{user}}},
		"SUCCESS and 3":       {`{"message":"SUCCESS","resultCode":3}`, "resultCode 3", UploadResult{Message: "SUCCESS", ResultCode: &three}},
		"PARTIAL and 0":       {`{"message":"PARTIAL_SUCCESS","resultCode":0}`, "resultCode 0", UploadResult{Message: "PARTIAL_SUCCESS", ResultCode: &zero}},
		"success, lower case": {`{"message":"success","resultCode":0}`, "contradicts", UploadResult{Message: "success", ResultCode: &zero}},
		"no code":             {`{"message":"SUCCESS","data":[` + u + `]}`, "without a resultCode", UploadResult{Message: "SUCCESS", Users: []User{user}}},
		"another number":      {`{"message":"SUCCESS","resultCode":0.0}`, `"SUCCESS", resultCode 0.0, 0 failed items; a success says "SUCCESS" and 0`, UploadResult{Message: "SUCCESS"}},
		"says nothing":        {`{"data":[` + u + `]}`, "not the result", UploadResult{Users: []User{user}}},
		"error object":        {`{"errorCode":1004,"message":"no","refId":"r"}`, "under a status of success", UploadResult{Message: "no", RefID: "r"}},
		"truncated":           {success[:40], "not the result", UploadResult{}},
		"empty":               {``, "not the result", UploadResult{}},
		"null":                {`null`, "not the result", UploadResult{}},
		"array":               {`[]`, "not the result", UploadResult{}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := parseUpload(parse([]byte(c.body)), oneLine)
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if d := cmp.Diff(c.want, r, cmp.AllowUnexported(Error{})); d != "" {
				t.Error(d)
			}
		})
	}
}

// No answer but one that says so is a success.
func FuzzParseUpload(f *testing.F) {
	for _, s := range []string{success, success[:50], `{"resultCode":3}`, `{"data":{"id":1e3}}`, `{"result":[{"id":"7"}]}`, `[]`, `{"data":7}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseUpload(parse(b), oneLine)
		if (err == nil) != (r.Success() || r.Partial()) || r.Success() && r.Partial() {
			t.Errorf("%q: %+v, %v", b, r, err)
		}
	})
}

// An unreadable answer is not followed by another attempt; a readable error is, if it
// is worth one. Whether the picture may be there all the same is said.
func TestAnswersThatDoNotConfirm(t *testing.T) {
	for name, c := range map[string]struct {
		answers  []string
		status   int
		class    Class
		requests int
		unknown  bool
	}{
		"HTML":                      {[]string{"<html>"}, 200, Unconfirmed, 1, true},
		"empty":                     {[]string{""}, 200, Unconfirmed, 1, true},
		"FAILURE":                   {[]string{`{"message":"FAILURE","resultCode":0}`}, 200, ThisUser, 1, true},
		"error under 200":           {[]string{`{"errorCode":1004,"refId":"r","message":"m"}`}, 200, Permission, 1, true},
		"server error under 200":    {[]string{`{"errorCode":4000,"refId":"r","message":"m"}`, success}, 200, ThisUser, 2, false},
		"refused after a 502":       {[]string{"502", `{"errorCode":1004,"refId":"r","message":"m"}`}, 403, Permission, 2, true},
		"refused after maintenance": {[]string{`{"errorCode":4001}`, `{"errorCode":1004}`}, 403, Permission, 2, false},
		"refused":                   {[]string{`{"errorCode":1004}`}, 403, Permission, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 0
				cl := newTest(t, func(*http.Request) (*http.Response, error) {
					n++
					body, status := c.answers[n-1], c.status
					switch {
					case body == "502":
						status = 502
					case n < len(c.answers) && status != 200:
						status = 503
					}
					return answer(status, body), nil
				}, nil)
				r, err := cl.Upload(t.Context(), User{ID: testID}, picture, time.Time{})
				if Classify(err) != c.class || n != c.requests || r.Unknown != c.unknown || (err == nil) != r.Success() {
					t.Errorf("error %v (%v), %d requests, result %+v", err, Classify(err), n, r)
				}
			})
		})
	}
}

// An answer that breaks off on the way is not followed by another upload, but by another
// question.
func TestAnswerCutShort(t *testing.T) {
	n := 0
	c := newTest(t, func(*http.Request) (*http.Response, error) {
		n++
		r := answer(200, "")
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader(success[:40]), iotest.ErrReader(io.ErrUnexpectedEOF)))
		return r, nil
	}, func(o *Options) { o.MaxAttempts = 2 })
	r, err := c.Upload(t.Context(), User{ID: testID}, picture, time.Time{})
	if Classify(err) != Unconfirmed || !errors.Is(err, io.ErrUnexpectedEOF) || n != 1 || !r.Unknown {
		t.Errorf("error %v (%v), %d requests, %+v", err, Classify(err), n, r)
	}
	if _, err := c.Me(t.Context()); Classify(err) != Retryable || n != 3 {
		t.Errorf("error %v (%v), %d requests", err, Classify(err), n)
	}
}

// An upload is not sent once its time has passed, however long quota kept it.
func TestSendBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := newTest(t, func(*http.Request) (*http.Response, error) {
			n++
			r := refusal(429, 4003, "r")
			r.Header.Set("Retry-After", "600")
			return r, nil
		}, func(o *Options) { o.MaxWait = time.Hour })
		r, err := c.Upload(t.Context(), User{ID: testID}, picture, time.Now().Add(5*time.Minute))
		if !errors.Is(err, ErrTooLate) || Classify(err) != ThisUser || n != 1 || r.Attempts != 1 || r.Unknown || len(r.Earlier) != 1 {
			t.Errorf("error %v, %d requests, %+v", err, n, r)
		}
	})
}

// Nor is it sent after the machine was suspended: the monotonic clock stood still, and the
// wall clock did not. A time keeps the seconds of the wall clock above 30 bits of nanoseconds.
func TestSendBeforeAfterSuspension(t *testing.T) {
	for _, suspended := range []time.Duration{0, time.Hour} {
		n := 0
		c := newTest(t, func(*http.Request) (*http.Response, error) { n++; return answer(200, success), nil }, nil)
		before := time.Now().Add(5 * time.Minute)
		*(*uint64)(unsafe.Pointer(&before)) -= uint64(suspended/time.Second) << 30
		if time.Until(before) < time.Minute {
			t.Fatalf("%v is not in the future by the monotonic clock", before)
		}
		_, err := c.Upload(t.Context(), User{ID: testID}, picture, before)
		if errors.Is(err, ErrTooLate) != (suspended > 0) || n != 1 && suspended == 0 || n != 0 && suspended > 0 {
			t.Errorf("suspended for %v: error %v, %d requests", suspended, err, n)
		}
	}
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
	up, err := c.Upload(t.Context(), User{ID: testID, Email: "a+b@exämple.com"}, picture, time.Time{})
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
	if up, err := c.Upload(ctx, User{ID: testID}, picture, time.Time{}); err == nil || up.Attempts != 0 {
		t.Errorf("%+v, %v", up, err)
	}
}
