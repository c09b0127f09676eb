package smartsheet

import (
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
		Message     string    `json:"message"`
		ResultCode  *int      `json:"resultCode"`
		Data        wireUsers `json:"data"`
		Result      wireUsers `json:"result"`
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
	users := w.Data
	if len(users) == 0 {
		users = w.Result
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

// wireUsers are users written as an array, or as one object.
type wireUsers []wireUser

// UnmarshalJSON implements json.Unmarshaler.
func (us *wireUsers) UnmarshalJSON(b []byte) error {
	if b[0] == '[' || b[0] == 'n' { // of null
		return json.Unmarshal(b, (*[]wireUser)(us))
	}
	*us = make(wireUsers, 1)
	return json.Unmarshal(b, &(*us)[0])
}
