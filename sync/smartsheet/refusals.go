package smartsheet

import (
	"errors"
	"fmt"
	"net/http"
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

// Passed notes that an upload of this content type got through.
func (r *Refusals) Passed(contentType string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.passed == nil {
		r.passed = map[string]bool{}
	}
	r.passed[contentType] = true
	r.row = nil
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
	if r.refused == nil {
		r.refused = map[int64]refusedImage{}
	}
	if r.row == nil {
		r.row = map[reason]map[int64]bool{}
	}
	if r.row[why] == nil {
		r.row[why] = map[int64]bool{}
	}
	r.refused[user], r.row[why][user] = refusedImage{why, contentType, e.Final()}, true
	n := len(r.row[why])
	if n < r.limit() {
		return nil
	}
	stop := *e
	stop.advice = everybodysHint(e)
	stop.Err = fmt.Errorf("%d different people in a row had the same answer", n)
	if e.Err != nil {
		stop.Err = fmt.Errorf("%w: %w", stop.Err, e.Err)
	}
	return &stop
}

func (r *Refusals) limit() int {
	if len(r.passed) == 0 {
		return firstRefused
	}
	return rowRefused
}

// Final reports, at the end of the run, whether the picture that was refused for a user
// need not be sent again as long as it is the same: Smartsheet refused this picture, and
// others with the same headers got through.
func (r *Refusals) Final(user int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	x, ok := r.refused[user]
	everybodys := r.row[x.reason][user] && len(r.row[x.reason]) >= r.limit()
	return ok && x.final && r.passed[x.contentType] && !everybodys
}

// mayBeEverybodys reports whether such a refusal may have a cause that all requests
// share. One that is about the account of a user has not.
func (e *Error) mayBeEverybodys() bool {
	switch e.class() {
	case ThisPhoto, Permission, Foreign, Unconfirmed:
		return true
	case ThisUser:
		return e.Status != 0 && e.Code != codeUserInactive && (e.Code < 5000 || e.Code >= 6000)
	}
	return false
}

// everybodysHint is what to do about a refusal that everybody gets.
func everybodysHint(e *Error) string {
	const gateway = "check the proxy or gateway before Smartsheet: "
	switch s, c := e.Status, e.class(); {
	case c == Permission && e.foreign:
		return gateway + "it forbids every upload"
	case c == Permission, c == Foreign:
		return e.Hint()
	case c == Unconfirmed:
		return gateway + "uploads are answered with something that is not Smartsheet's answer"
	case e.Code == codeBadContentType, s == http.StatusUnsupportedMediaType:
		return gateway + "it may change the Content-Type of uploads"
	case e.Code == codeTooLarge, s == http.StatusRequestEntityTooLarge:
		return "lower image.max_bytes or image.max_edge, or raise the limit of the gateway before Smartsheet: every picture is too large for it"
	case c == ThisPhoto:
		return gateway + "pictures may not arrive as they are sent"
	}
	return "call Smartsheet support, with the refId if there is one: everybody's upload ends like that"
}
