package smartsheet

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// So many different people who are refused for the same reason show that it is not about them:
// the lower number as long as no upload was accepted, the higher one in a row after that.
const firstRefused, rowRefused = 5, 50

// Refusals finds out whether uploads are refused because of the photo, or of what is the same
// for everybody. The zero value is ready, for one run; it is safe for concurrent use.
type Refusals struct {
	mu       sync.Mutex
	accepted []string               // content types of uploads that were accepted
	row      map[int64]bool         // users refused since the last accepted upload
	refused  map[int64]refusedImage // by user
}

// reason is what makes two refusals the same.
type reason struct{ status, code int }

type refusedImage struct {
	reason
	contentType string
	final       bool // it is about the photo
}

// Accepted notes that an upload of this content type was accepted.
func (r *Refusals) Accepted(contentType string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.row)
	if !slices.Contains(r.accepted, contentType) {
		r.accepted = append(r.accepted, contentType)
	}
}

// Refused notes that the upload of a picture of this content type for a user failed with
// err. It returns an error of class Stop if every upload would fail that way.
func (r *Refusals) Refused(user int64, contentType string, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return nil
	}
	c := e.cause()
	switch c.class {
	case ThisPhoto, Permission, Foreign, Unconfirmed:
	case ThisUser:
		if e.Status == 0 || e.Code == codeUserInactive || e.Code/1000 == 5 { // no answer, or one about the user's account
			return nil
		}
	default:
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refused == nil {
		r.refused, r.row = map[int64]refusedImage{}, map[int64]bool{}
	}
	why := reason{e.Status, e.Code}
	r.refused[user], r.row[user] = refusedImage{why, contentType, e.Final()}, true
	n, everybody := r.inRow(why)
	if !everybody {
		return nil
	}
	stop := *e
	stop.advice = cmp.Or(c.hintForAll, e.Hint())
	if c.class == Permission && e.foreign {
		stop.advice = gateway + "it forbids every upload"
	}
	stop.Err = fmt.Errorf("%d different people in a row had the same answer", n)
	if e.Err != nil {
		stop.Err = fmt.Errorf("%w: %w", stop.Err, e.Err)
	}
	return &stop
}

// inRow counts those who were refused for this reason since the last accepted upload, and
// reports whether they are so many that it is not about them.
func (r *Refusals) inRow(why reason) (n int, everybody bool) {
	for user := range r.row {
		if r.refused[user].reason == why {
			n++
		}
	}
	if len(r.accepted) == 0 {
		return n, n >= firstRefused
	}
	return n, n >= rowRefused
}

// Final reports, at the end of the run, whether Smartsheet refused this user's picture while
// it accepted others with the same headers: the same one need not be sent again.
func (r *Refusals) Final(user int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.refused[user]
	_, everybody := r.inRow(x.reason)
	return x.final && slices.Contains(r.accepted, x.contentType) && !(everybody && r.row[user])
}
