package smartsheet

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
)

const (
	// firstRefused is how many different people may be refused for the same reason while
	// nobody got through; rowRefused is how many in a row after somebody did. Then it is
	// not about them.
	firstRefused = 5
	rowRefused   = 50
)

// Refusals finds out whether uploads are refused because of the person or the photo, or
// because of what is the same for everybody: the token's rights, the headers, a gateway
// on the way. The zero value is ready, for one run; it is safe for concurrent use.
type Refusals struct {
	mu      sync.Mutex
	passed  map[string]bool           // content types with which somebody got through
	row     map[reason]map[int64]bool // users refused since somebody got through
	refused map[int64]refusedImage    // by user
}

// reason is what makes two refusals the same.
type reason struct{ status, code int }

type refusedImage struct {
	reason
	contentType string
	final       bool // if it is about the photo at all
}

// set returns m with the value of a key, which it makes if it is nil.
func set[K comparable, V any](m map[K]V, k K, v V) map[K]V {
	if m == nil {
		m = map[K]V{}
	}
	m[k] = v
	return m
}

// Passed notes that an upload of this content type got through.
func (r *Refusals) Passed(contentType string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.passed, r.row = set(r.passed, contentType, true), nil
}

// Refused notes that the upload of a picture of this content type for a user failed with
// err. The error is not nil if so many different people in a row failed for the same
// reason that it must be everybody's: the run is to stop. It has the class Stop.
func (r *Refusals) Refused(user int64, contentType string, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || !e.mayBeEverybodys() {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	why := reason{e.Status, e.Code}
	r.refused = set(r.refused, user, refusedImage{why, contentType, e.Final()})
	r.row = set(r.row, why, set(r.row[why], user, true))
	if !r.everybodys(why) {
		return nil
	}
	stop, c := *e, e.cause()
	stop.advice = cmp.Or(c.everybodys, e.Hint())
	if c.class == Permission && e.foreign {
		stop.advice = gateway + "it forbids every upload"
	}
	stop.Err = fmt.Errorf("%d different people in a row had the same answer", len(r.row[why]))
	if e.Err != nil {
		stop.Err = fmt.Errorf("%w: %w", stop.Err, e.Err)
	}
	return &stop
}

// everybodys reports whether so many people were refused for this reason that it is not
// about them.
func (r *Refusals) everybodys(why reason) bool {
	if len(r.passed) == 0 {
		return len(r.row[why]) >= firstRefused
	}
	return len(r.row[why]) >= rowRefused
}

// Final reports, at the end of the run, whether the picture that was refused for a user
// need not be sent again as long as it is the same: Smartsheet refused this picture, and
// others with the same headers got through.
func (r *Refusals) Final(user int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.refused[user]
	return x.final && r.passed[x.contentType] && !(r.row[x.reason][user] && r.everybodys(x.reason))
}

// mayBeEverybodys reports whether such a refusal may have a cause that all requests
// share. One that is about the account of a user has not.
func (e *Error) mayBeEverybodys() bool {
	switch e.cause().class {
	case ThisPhoto, Permission, Foreign, Unconfirmed:
		return true
	case ThisUser:
		return e.Status != 0 && e.Code != codeUserInactive && e.Code/1000 != 5
	}
	return false
}
