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

// A systemic fault is not about one call, user or photo: in an outage all calls fail now, and may
// succeed later; or all uploads are refused.

// outageAfter is how many different calls have to fail in a row to count as an outage. If only one
// call fails again and again, that call may be at fault.
const outageAfter = 3

const longestPause = 5 * time.Minute // in an outage: about 300 requests a day

// Why a call is given up, or not begun: an outage, or a lack of quota, lasts too long.
var (
	errOutage = errors.New("Smartsheet serves nobody now")
	errQuota  = errors.New("the quota does not come back within retry.max_wait")
)

// outage is a time in which every call fails. One call at a time finds out whether it is over.
type outage struct {
	limit  time.Duration   // after which every call is given up
	failed map[string]bool // paths of calls that failed since the last good answer
	since  time.Time       // of the first failure
	pauses int             // so far
	last   Error
	over   error // why every call is given up: the limit was reached; nil: it was not
	others bool  // a call failed that is not an upload
}

// failing counts a failed call, and returns for how long all callers pause: as long as the server
// asks, and longer each time in an outage. Beyond the limit it sets over, and e says so.
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
	if o.over != nil {
		e.Err = because(o.over, e.Err)
	}
	return pause + rand.N(pause/8+1)
}

// answered ends the outage after a good answer; if only uploads failed, only after that of an upload.
func (o *outage) answered(q call) {
	if q.upload || o.others || len(o.failed) == 0 {
		*o = outage{limit: o.limit}
	}
}

// error returns why a call is not begun; nil: it may begin.
func (o *outage) error(op string) *Error {
	if o.over == nil {
		return nil
	}
	return &Error{Op: op, Err: fmt.Errorf("%w, the last one: %w", o.over, &o.last)}
}

// If so many different people in a row are refused for the same reason, the reason is not about
// them: firstRefused before any upload was accepted, rowRefused after that.
const firstRefused, rowRefused = 5, 50

// Refusals finds out whether uploads are refused because of their photos, or for a reason that is
// the same for everybody. The zero value is ready, for one run; it is safe for concurrent use.
type Refusals struct {
	mu       sync.Mutex
	accepted []string               // content types of uploads that were accepted
	row      map[int64]bool         // users refused since the last accepted upload
	refused  map[int64]refusedImage // by user
}

type refusedImage struct {
	why         [2]int // HTTP status and errorCode
	contentType string
	final       bool // the reason is the photo
}

// Accepted counts an accepted upload of this content type.
func (r *Refusals) Accepted(contentType string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.row)
	if !slices.Contains(r.accepted, contentType) {
		r.accepted = append(r.accepted, contentType)
	}
}

// Refused counts an upload of this content type for a user that failed with err. It returns an error
// of class Stop if every upload would fail that way. known: the failure says nothing about others.
func (r *Refusals) Refused(user int64, contentType string, err error, known bool) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return nil
	}
	c := e.cause()
	// Without an answer, or if it is about the user's account, the next user's upload may succeed.
	another := e.Status == 0 || e.Code == codeUserInactive || e.Code/1000 == 5
	if c.class == ThisUser && another || !slices.Contains([]Class{ThisUser, ThisPhoto, Permission, Foreign, Unconfirmed}, c.class) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refused == nil {
		r.refused, r.row = map[int64]refusedImage{}, map[int64]bool{}
	}
	why := [2]int{e.Status, e.Code}
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
	stop.Err = because(fmt.Errorf("%d different people in a row had the same answer", n), e.Err)
	return &stop
}

// because adds err, if there is one, to why.
func because(why, err error) error {
	if err == nil {
		return why
	}
	return fmt.Errorf("%w: %w", why, err)
}

// inRow counts the users refused for this reason since the last accepted upload, and reports
// whether they are so many that the reason is not about them.
func (r *Refusals) inRow(why [2]int) (n int, everybody bool) {
	for user := range r.row {
		if r.refused[user].why == why {
			n++
		}
	}
	if len(r.accepted) == 0 {
		return n, n >= firstRefused
	}
	return n, n >= rowRefused
}

// Final reports, at the end of the run, whether the same picture need not be sent again for this
// user: Smartsheet refused it while it accepted others with the same headers, or refused it again,
// and only few others.
func (r *Refusals) Final(user int64, again bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.refused[user]
	_, everybody := r.inRow(x.why)
	others := slices.Contains(r.accepted, x.contentType) || again && len(r.refused) < firstRefused
	return x.final && others && !(everybody && r.row[user])
}
