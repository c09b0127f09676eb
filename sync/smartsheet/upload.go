package smartsheet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// Image is a picture ready for upload.
type Image struct {
	Data        []byte
	ContentType string // image/jpeg, image/png or image/gif
	FileName    string // sent URL-encoded in Content-Disposition

	// Unanswered: an earlier run got no good answer for this user either. So another failure says
	// nothing about other users, and is no sign of an outage.
	Unanswered bool
}

// UploadResult is what the answers to one Client.Upload say, failed or not.
type UploadResult struct {
	Attempts   int
	Earlier    []*Error // the attempts that failed before the last one
	HTTPStatus int      // of the last attempt; 0: no answer
	// Unknown: some attempt may have set the picture although no answer says so. Only the user's entry shows it.
	Unknown     bool
	Message     string // SUCCESS, PARTIAL_SUCCESS, or any other text
	ResultCode  *int   // nil: the answer has none
	RefID       string
	Users       []User // in the answer, from "data" and from "result"; may be empty
	FailedItems []FailedItem
}

// Success reports whether the answer says that everything succeeded: SUCCESS and 0.
func (r *UploadResult) Success() bool { return r.says("SUCCESS", 0) && len(r.FailedItems) == 0 }

// Partial reports whether the answer says that only a part succeeded: PARTIAL_SUCCESS and 3.
func (r *UploadResult) Partial() bool { return r.says("PARTIAL_SUCCESS", 3) }

func (r *UploadResult) says(message string, code int) bool {
	return r.Message == message && r.ResultCode != nil && *r.ResultCode == code
}

// FailedItem is an entry of failedItems in a PARTIAL_SUCCESS answer.
type FailedItem struct {
	Index int
	Error *Error // its code, refId and message; nil: the answer has null, or nothing
}

// ErrTooLate means that an upload was not sent because its time had passed. Both clocks count: the
// monotonic clock stands still while the machine is suspended, the wall clock may be set back.
var ErrTooLate = errors.New("not sent: it waited for too long")

// ErrContradiction means that message and resultCode of an answer contradict each other.
var ErrContradiction = errors.New("the answer contradicts itself")

// Upload sets the profile image of u (POST /users/{id}/profileimage). Only a system admin and the
// user may do so. The server scales down pictures of more than 1050 x 1050 pixels, unless the
// organisation has set another size. No attempt begins after sendBefore, if that is not zero; the
// error then is ErrTooLate. Without an error the answer says SUCCESS and 0, or PARTIAL_SUCCESS and
// 3; the caller checks whose picture it shows. An unreadable answer is an error of class Unconfirmed.
func (c *Client) Upload(ctx context.Context, u User, img Image, sendBefore time.Time) (r UploadResult, err error) {
	h := http.Header{}
	h.Set("Content-Type", img.ContentType)
	h.Set("Content-Disposition", `attachment; filename="`+url.PathEscape(img.FileName)+`"`)
	if c.o.AssumeUser {
		h.Set("Assume-User", url.QueryEscape(u.Email))
	}
	a, err := c.do(ctx, call{
		op: fmt.Sprintf("set profile image of user %d", u.ID), method: http.MethodPost, path: fmt.Sprintf("/users/%d/profileimage", u.ID),
		header: h, body: img.Data, units: c.o.UploadWeight, upload: true, unanswered: img.Unanswered, before: sendBefore,
	}, func(v gjson.Result) (err error) {
		r, err = parseUpload(v, c.auth.secrets.clean)
		return err
	})
	r.HTTPStatus, r.Attempts, r.Earlier, r.Unknown = a.status, a.n, a.earlier, a.unknown && !r.Success()
	return r, err
}

// parseUpload reads the answer. Today's reference has the user in "data", an array; an older one
// has it in "result", an object.
func parseUpload(v gjson.Result, clean func(string) string) (UploadResult, error) {
	r := UploadResult{Message: clean(text(v.Get("message"))), RefID: clean(textOrNumber(v.Get("refId")))}
	if n, ok := integer(v.Get("resultCode")); ok {
		r.ResultCode = new(int(n))
	}
	for _, u := range append(objects(v.Get("data")), objects(v.Get("result"))...) {
		r.Users = append(r.Users, userOf(u))
	}
	for _, f := range objects(v.Get("failedItems")) {
		index, _ := integer(f.Get("index"))
		r.FailedItems = append(r.FailedItems, FailedItem{int(index), errorObject(f.Get("error"), clean)})
	}
	switch {
	case r.Success(), r.Partial():
		return r, nil
	case v.Get("errorCode").Exists():
		return r, fmt.Errorf("%w: an error under a status of success", ErrContradiction)
	case r.Message == "" && r.ResultCode == nil:
		return r, errors.New("the answer is not the result of an upload")
	case !v.Get("resultCode").Exists():
		return r, fmt.Errorf("%w: message %q without a resultCode", ErrContradiction, r.Message)
	}
	return r, fmt.Errorf(`%w: message %q, resultCode %s, %d failed items; a success says "SUCCESS" and 0`, ErrContradiction, r.Message, clean(v.Get("resultCode").Raw), len(r.FailedItems))
}

// ImageURLs returns temporary addresses by image id (POST /imageurls, one call). Anybody who knows
// such an address can see the picture.
func (c *Client) ImageURLs(ctx context.Context, ids []string) (map[string]string, error) {
	ask := make([]map[string]string, len(ids))
	for i, id := range ids {
		ask[i] = map[string]string{"imageId": id}
	}
	body, _ := json.Marshal(ask) // cannot fail: only texts
	urls := make(map[string]string, len(ids))
	_, err := c.do(ctx, call{
		op: "ask for addresses of pictures", method: http.MethodPost, path: "/imageurls",
		header: http.Header{"Content-Type": {"application/json"}}, body: body, units: 1,
	}, func(answer gjson.Result) error {
		for _, v := range objects(answer.Get("imageUrls")) {
			if u := text(v.Get("url")); u != "" {
				urls[textOrNumber(v.Get("imageId"))] = u
			}
		}
		return nil
	})
	return urls, err
}

// Picture fetches a picture from an address that ImageURLs returned, without the token and with one
// attempt. It accepts plain http only if Smartsheet itself is reached by http.
func (c *Client) Picture(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil || req.URL.Scheme != "https" && (req.URL.Scheme != "http" || !strings.HasPrefix(c.o.BaseURL, "http:")) {
		return nil, errors.New("the address of a picture is not https")
	}
	resp, err := c.o.Transport.RoundTrip(req) // follows no redirect
	if err != nil {
		return nil, fmt.Errorf("fetch a picture: %w", transportCause(ctx, err))
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	if err == nil && (resp.StatusCode != http.StatusOK || len(data) > maxAnswerBytes) {
		err = fmt.Errorf("fetch a picture: status %d, %d bytes", resp.StatusCode, len(data))
	}
	return data, err
}
