package smartsheet

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

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
	over   bool // the limit was reached
	others bool // a call failed that is no upload
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
	if o.over = o.over || pause > 0 && now.Add(pause).Sub(o.since) > o.limit; o.over {
		*e = *o.error(e.Op)
	}
	return pause + rand.N(pause/8+1)
}

// answered ends the outage. If only uploads failed, only one that works shows its end.
func (o *outage) answered(q call) {
	if q.upload || o.others || len(o.failed) == 0 {
		*o = outage{limit: o.limit}
	}
}

// error is why a call fails, or is not begun: the outage, or the quota, took too long. nil: it did not.
func (o *outage) error(op string) *Error {
	if !o.over {
		return nil
	}
	e := o.last
	if e.Op = op; errors.Is(e.Err, errQuota) {
		return &e
	}
	err := fmt.Errorf("%w: %d different calls failed in a row", errOutage, len(o.failed))
	if len(o.failed) < outageAfter {
		err = fmt.Errorf("%w: it asks to wait for longer than retry.max_wait", errOutage)
	}
	if e.Err != nil {
		err = fmt.Errorf("%w, the last one: %w", err, e.Err)
	}
	e.Err = err
	return &e
}
