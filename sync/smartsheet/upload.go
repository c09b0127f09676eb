package smartsheet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// ErrTooLate is why an upload was not sent: its time had passed while it waited for
// quota or for another attempt.
var ErrTooLate = errors.New("not sent: it waited for too long")

// ErrContradiction is an answer whose message and resultCode do not go together.
var ErrContradiction = errors.New("the answer contradicts itself")

// Upload sets the profile image of u (POST /users/{id}/profileimage). A system admin may do
// so, or the user for themselves. The server scales down what is larger than 1050 x 1050
// pixels; a custom size of the organisation is the limit of the file instead. There is no
// call that deletes an image. u.Email is sent with AssumeUser only. No attempt begins after sendBefore, if that is not zero; the
// error is ErrTooLate then. Without error the answer says SUCCESS and 0, or
// PARTIAL_SUCCESS and 3; whose picture it shows is for the caller to look at. An
// unreadable answer is an error of class Unconfirmed, and not followed by another attempt.
func (c *Client) Upload(ctx context.Context, u User, img Image, sendBefore time.Time) (UploadResult, error) {
	h := http.Header{}
	h.Set("Content-Type", img.ContentType)
	h.Set("Content-Disposition", `attachment; filename="`+url.PathEscape(img.FileName)+`"`)
	if c.o.AssumeUser {
		h.Set("Assume-User", url.QueryEscape(u.Email))
	}
	q := call{
		op: fmt.Sprintf("set profile image of user %d", u.ID), method: http.MethodPost,
		path: "/users/" + strconv.FormatInt(u.ID, 10) + "/profileimage", header: h, body: img.Data,
		units: c.o.UploadWeight, upload: true, before: sendBefore,
	}
	var r UploadResult
	a, err := c.do(ctx, q, func(b []byte) (err error) {
		r, err = parseUpload(b, c.auth.secrets.clean)
		return err
	})
	if err == nil {
		c.tally.bytes.Add(int64(len(img.Data)))
	}
	r.HTTPStatus, r.Attempts, r.Earlier, r.Unknown = a.status, a.n, a.earlier, a.unknown && !r.Success()
	return r, err
}

// parseUpload reads the answer. The user stands in "data", an array, in today's
// reference, and in "result", an object, in the older one.
func parseUpload(b []byte, clean func(string) string) (UploadResult, error) {
	v := parse(b)
	r := UploadResult{Message: clean(text(v.Get("message"))), RefID: clean(label(v.Get("refId")))}
	if n, ok := whole(v.Get("resultCode")); ok {
		code := int(n)
		r.ResultCode = &code
	}
	for _, u := range append(objects(v.Get("data")), objects(v.Get("result"))...) {
		r.Users = append(r.Users, userOf(u))
	}
	for _, f := range objects(v.Get("failedItems")) {
		index, _ := whole(f.Get("index"))
		item := FailedItem{Index: int(index)}
		if e := f.Get("error"); e.IsObject() {
			x := itemError(e, clean)
			item.Error = &x
		}
		r.FailedItems = append(r.FailedItems, item)
	}
	switch {
	case r.Success(), r.Partial():
		return r, nil
	case v.Get("errorCode").Exists():
		return r, fmt.Errorf("%w: an error under a status of success", ErrContradiction)
	case r.Message == "" && r.ResultCode == nil:
		return r, errors.New("the answer is not the result of an upload")
	case r.ResultCode == nil:
		return r, fmt.Errorf("%w: message %q without a resultCode", ErrContradiction, r.Message)
	}
	return r, fmt.Errorf("%w: message %q, resultCode %d, %d failed items", ErrContradiction, r.Message, *r.ResultCode, len(r.FailedItems))
}
