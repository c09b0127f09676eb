package smartsheet

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// A systemic fault is not that of one call, user or photo: in an outage all calls fail, and may
// go well later; or all uploads are refused.

// outageAfter is how many different calls have to fail in a row before that counts as an
// outage. A call that fails again and again alone may be at fault itself.
const outageAfter = 3

const longestPause = 5 * time.Minute // in an outage: a day of it is 300 requests

// Why a call is given up, or not begun: an outage, or a time without quota, lasts too long.
var (
	errOutage = errors.New("Smartsheet serves nobody now")
	errQuota  = errors.New("the quota does not come back within retry.max_wait")
)

// outage is a time in which every call fails: one at a time finds out whether it is over.
type outage struct {
	limit  time.Duration   // after which every call is given up
	failed map[string]bool // paths of calls that failed, since one had an answer
	since  time.Time       // the first of them
	pauses int             // before an attempt of one call
	last   Error
	over   error // why every call is given up: the limit was reached; nil: it was not
	others bool  // a call failed that is no upload
}

// failing notes that a call failed, and returns for how long all callers pause: as long as the
// server asks, and longer each time in an outage. Beyond the limit, over is set, and e says so.
func (o *outage) failing(now time.Time, q call, e *Error, asked time.Duration) (pause time.Duration) {
	if o.failed == nil {
		o.failed, o.since = map[string]bool{}, now
	}
	o.failed[q.path], o.last = true, *e
	o.others = o.others || !q.upload
	pause = asked
	if len(o.failed) >= outageAfter {
		pause = max(pause, min(time.Second<<min(o.pauses, 10), longestPause))
		o.pauses++
	}
	if o.over == nil && pause > 0 && now.Add(pause).Sub(o.since) > o.limit {
		o.over = fmt.Errorf("%w: %d different calls failed in a row", errOutage, len(o.failed))
		if len(o.failed) < outageAfter {
			o.over = fmt.Errorf("%w: it asks to wait for longer than retry.max_wait", errOutage)
		}
	}
	switch {
	case o.over != nil && e.Err != nil:
		e.Err = fmt.Errorf("%w: %w", o.over, e.Err)
	case o.over != nil:
		e.Err = o.over
	}
	return pause + rand.N(pause/8+1)
}

// answered ends the outage. If only uploads failed, only one that works shows its end.
func (o *outage) answered(q call) {
	if q.upload || o.others || len(o.failed) == 0 {
		*o = outage{limit: o.limit}
	}
}

// error is why a call is not begun; nil: it may begin.
func (o *outage) error(op string) *Error {
	if o.over == nil {
		return nil
	}
	return &Error{Op: op, Err: fmt.Errorf("%w, the last one: %w", o.over, &o.last)}
}

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

// Refused notes that the upload of a picture of this content type for a user failed with err. It returns
// an error of class Stop if every upload would fail that way; what was known of the user does not count.
func (r *Refusals) Refused(user int64, contentType string, err error, known bool) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return nil
	}
	c := e.cause()
	// With no answer, or one about the user's account, the next user's call may go well.
	another := e.Status == 0 || e.Code == codeUserInactive || e.Code/1000 == 5
	if c.class == ThisUser && another || !slices.Contains([]Class{ThisUser, ThisPhoto, Permission, Foreign, Unconfirmed}, c.class) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refused == nil {
		r.refused, r.row = map[int64]refusedImage{}, map[int64]bool{}
	}
	why := reason{e.Status, e.Code}
	r.refused[user] = refusedImage{why, contentType, e.Final()}
	if !known {
		r.row[user] = true
	}
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
