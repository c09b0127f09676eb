package smartsheet

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// What the core calls until it is rebuilt on the new calls.

type Verdict = Class

const (
	PersonOnly  = ThisUser
	Transient   = Retryable
	StaleID     = UserGone
	Maintenance = Unavailable
	StopRun     = Stop
)

// VerdictOf is Classify.
func VerdictOf(err error) Verdict {
	if c := Classify(err); c != Headers {
		return c
	}
	return Stop
}

// Find is UsersByEmail without the addresses that may not stand in a filter.
func (c *Client) Find(ctx context.Context, emails []string, each func(User) error) error {
	var fit []string
	for _, e := range emails {
		if _, ok := filters([]string{e}); ok {
			fit = append(fit, e)
		}
	}
	return c.UsersByEmail(ctx, fit, func(u User) error {
		if u.ID == 0 {
			return nil
		}
		return each(u)
	})
}

// Upload1 is what became of one SetProfileImage call.
type Upload1 struct {
	HTTPStatus  int
	Message     string
	ResultCode  int
	User        User
	FailedItems []FailedItem1
	Attempts    int
	Earlier     []*Error
}

type FailedItem1 struct {
	Index     int
	ErrorCode int
	RefID     string
	Message   string
}

func (u Upload1) Partial() bool { return u.Message == "PARTIAL_SUCCESS" }

// SetProfileImage is Upload, and judges the answer.
func (c *Client) SetProfileImage(ctx context.Context, u User, img Image) (Upload1, error) {
	var earlier []*Error
	n := 0
	for {
		r, err := c.Upload(ctx, u, img, time.Time{})
		n += r.Attempts
		earlier = append(earlier, r.Earlier...)
		up := Upload1{HTTPStatus: r.HTTPStatus, Message: r.Message, Attempts: n, Earlier: earlier}
		if r.ResultCode != nil {
			up.ResultCode = *r.ResultCode
		}
		up.User, _ = r.User(u.ID)
		for _, f := range r.FailedItems {
			x := FailedItem1{Index: f.Index}
			if f.Error != nil {
				x.ErrorCode, x.RefID, x.Message = f.Error.Code, f.Error.RefID, f.Error.Message
			}
			up.FailedItems = append(up.FailedItems, x)
		}
		if err == nil && r.Success() && up.User.ImageID == "" {
			err = &Error{Op: fmt.Sprintf("set profile image of user %d", u.ID), Status: r.HTTPStatus, Err: errors.New("answer shows no picture"), unconfirmed: true}
		}
		if Classify(err) != Unconfirmed || n >= c.o.MaxAttempts {
			return up, err
		}
		e, _ := errors.AsType[*Error](err)
		earlier = append(earlier, e)
		if err := sleepUntil(ctx, time.Now().Add(backoff(n-1))); err != nil {
			return up, err
		}
	}
}
