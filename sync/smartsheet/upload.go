package smartsheet

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// SetProfileImage uploads a picture for u (POST /users/{id}/profileimage). It
// returns without error when the server says SUCCESS or PARTIAL_SUCCESS (see
// Upload.Partial) for that user; a SUCCESS that shows another user or no picture
// is an error. u.Email is sent with AssumeUser only.
func (c *Client) SetProfileImage(ctx context.Context, u User, img Image) (Upload, error) {
	h := http.Header{}
	h.Set("Content-Type", img.ContentType)
	h.Set("Content-Disposition", `attachment; filename="`+url.PathEscape(img.FileName)+`"`)
	if c.o.AssumeUser {
		h.Set("Assume-User", url.QueryEscape(u.Email))
	}
	q := call{
		op: fmt.Sprintf("set profile image of user %d", u.ID), method: http.MethodPost,
		path: "/users/" + strconv.FormatInt(u.ID, 10) + "/profileimage", header: h, body: img.Data,
		units: c.o.UploadWeight, upload: true,
	}
	var up Upload
	a, err := c.do(ctx, q, func(b []byte) (err error) {
		up, err = parseUpload(b, u.ID)
		return err
	})
	if err == nil {
		c.tally.uploaded(len(img.Data))
	} else {
		up = Upload{}
	}
	up.HTTPStatus, up.Attempts, up.Earlier = a.status, a.n, a.earlier
	return up, err
}

// parseUpload reads the answer: the user stands in "data", an array, in today's
// reference, and in "result", an object, in the older one.
func parseUpload(b []byte, id int64) (Upload, error) {
	var w struct {
		Message     string          `json:"message"`
		ResultCode  *int            `json:"resultCode"`
		Data        json.RawMessage `json:"data"`
		Result      json.RawMessage `json:"result"`
		FailedItems []struct {
			Index int `json:"index"`
			Error struct {
				RefID     string `json:"refId"`
				ErrorCode int    `json:"errorCode"`
				Message   string `json:"message"`
			} `json:"error"`
		} `json:"failedItems"`
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return Upload{}, fmt.Errorf("answer is not a result: %w", err)
	}
	up := Upload{Message: oneLine(w.Message)}
	if w.ResultCode != nil {
		up.ResultCode = *w.ResultCode
	}
	for _, f := range w.FailedItems {
		up.FailedItems = append(up.FailedItems, FailedItem{
			Index: f.Index, ErrorCode: f.Error.ErrorCode, RefID: oneLine(f.Error.RefID), Message: oneLine(f.Error.Message),
		})
	}
	users, err := answeredUsers(w.Data, w.Result)
	if err != nil {
		return up, err
	}
	for i, u := range users {
		if i == 0 || u.ID == id {
			up.User = u.user()
		}
	}
	switch {
	case up.Partial():
		return up, nil
	case up.Message != "SUCCESS" && w.ResultCode == nil:
		return up, fmt.Errorf("answer does not say SUCCESS")
	case up.ResultCode != 0:
		return up, fmt.Errorf("answer with resultCode %d, message %q", up.ResultCode, up.Message)
	case up.User.ID != id:
		return up, fmt.Errorf("answer shows user %d", up.User.ID)
	case up.User.ImageID == "":
		return up, fmt.Errorf("answer shows no picture")
	}
	return up, nil
}

// answeredUsers reads "data" or "result", each as an array or one object.
func answeredUsers(data, result json.RawMessage) ([]wireUser, error) {
	raw := bytes.TrimSpace(data)
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) || bytes.Equal(raw, []byte("[]")) {
		raw = bytes.TrimSpace(result)
	}
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil, nil
	}
	if raw[0] == '[' {
		var us []wireUser
		err := json.Unmarshal(raw, &us)
		return us, err
	}
	var u wireUser
	err := json.Unmarshal(raw, &u)
	return []wireUser{u}, err
}
