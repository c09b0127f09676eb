package simulator

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is something that goes wrong, for whom and how often.
type Fault struct {
	Op   string // a name of Counts.ByOp or "any"; empty: "upload", of maintenance "any"
	User string // email or id of an upload's user; empty: any

	Skip  int           // matching requests that go well first
	Count int           // requests that fail then; 0: all
	Every int           // only every nth of those; 0: each
	For   time.Duration // from the first that fails on; 0: for ever

	Kind       string // one of kinds
	Status     int
	Code       int
	Message    string // empty: the API's own for Code
	RetryAfter string // header, verbatim; "date:N": N seconds from now, as a date
	Shape      string // of a refusal: one of refusalShapes
	Delay      time.Duration
}

// kinds of faults, and the status where they have one. Those of oddities, which change
// a good answer, are kinds too.
var kinds = map[string]int{
	"status":      http.StatusInternalServerError, // refuse with Status and Code
	"maintenance": http.StatusServiceUnavailable,  // refuse with 4001
	"html":        http.StatusBadGateway,          // a gateway's page
	"empty":       http.StatusBadGateway,          // a gateway's answer without a body
	"partial":     0,                              // answer PARTIAL_SUCCESS with a failed item, and take nothing
	"says":        0,                              // take it, and answer with Message and Code
	"reset":       0,                              // cut the connection
	"hang":        0,                              // never answer
	"slow":        0,                              // answer after Delay, whatever else goes wrong
	"truncate":    0,                              // take it, and cut the answer in half
	"lost":        0,                              // take it, and cut the connection before the answer
	"unreadable":  0,                              // take it, and answer with a page instead
}

// ops are the calls that a Fault can be about.
var ops = []string{"upload", "users", "user", "me", "imageurls", "token", "any"}

// ParseFault reads the text form: KIND[:DETAIL][,key=value…], where DETAIL is
// HTTP/errorCode of status, HTTP of html and empty, and MESSAGE/resultCode of says, and
// the keys are op, user, skip, count, every, for, delay, retry-after and as. Examples:
// "status:500/4004,every=7", "partial,user=a@b.c", "html,count=1", "says:FAILURE/0",
// "slow,delay=2s", "maintenance,for=10m", "status:429/4003,retry-after=date:30",
// "status:403/1004,as=text", "id-as-text,op=users,user=a@b.c".
func ParseFault(s string) (Fault, error) {
	head, rest, _ := strings.Cut(s, ",")
	kind, detail, detailed := strings.Cut(head, ":")
	f := Fault{Kind: kind}
	err := f.parseDetail(detail, detailed)
	for kv := range strings.SplitSeq(rest, ",") {
		if kv != "" && err == nil {
			err = f.set(kv)
		}
	}
	f.complete()
	if err == nil {
		err = f.check()
	}
	if err != nil {
		return f, fmt.Errorf("fault %q: %w", s, err)
	}
	return f, nil
}

// parseDetail reads what stands behind the colon.
func (f *Fault) parseDetail(detail string, given bool) (err error) {
	text, code, coded := strings.Cut(detail, "/")
	status, known := kinds[f.Kind]
	switch {
	case !known && oddities[f.Kind] == nil:
		all := slices.Concat(slices.Collect(maps.Keys(kinds)), slices.Collect(maps.Keys(oddities)))
		slices.Sort(all)
		return fmt.Errorf("no kind %q; there are %s", f.Kind, strings.Join(all, ", "))
	case f.Kind == "status" && !coded && text == "":
		return fmt.Errorf("want status:HTTP/errorCode, like status:403/1004")
	case f.Kind == "says" && !coded:
		return fmt.Errorf("want says:MESSAGE/resultCode, like says:FAILURE/0")
	case !given:
		return nil
	case f.Kind == "says":
		f.Message = text
	case status == 0 || f.Kind == "maintenance":
		return fmt.Errorf("%s has no detail %q", f.Kind, detail)
	default:
		if f.Status, err = strconv.Atoi(text); err != nil || f.Status < 200 || f.Status > 599 {
			return fmt.Errorf("%q is no HTTP status, like 403", text)
		}
	}
	if !coded {
		return nil
	}
	if f.Code, err = strconv.Atoi(code); err != nil || f.Kind != "status" && f.Kind != "says" {
		return fmt.Errorf("%q is no number, or not possible here", code)
	}
	return nil
}

// set sets one key.
func (f *Fault) set(kv string) (err error) {
	texts := map[string]*string{"op": &f.Op, "user": &f.User, "retry-after": &f.RetryAfter, "as": &f.Shape}
	numbers := map[string]*int{"skip": &f.Skip, "count": &f.Count, "every": &f.Every}
	times := map[string]*time.Duration{"for": &f.For, "delay": &f.Delay}
	k, v, _ := strings.Cut(kv, "=")
	switch {
	case texts[k] != nil:
		*texts[k] = v
	case numbers[k] != nil:
		*numbers[k], err = strconv.Atoi(v)
	case times[k] != nil:
		*times[k], err = time.ParseDuration(v)
	default:
		err = fmt.Errorf("no key; there are op, user, skip, count, every, for, delay, retry-after, as")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", kv, err)
	}
	return nil
}

// complete fills in what follows from the kind.
func (f *Fault) complete() {
	f.Op = cmp.Or(f.Op, map[string]string{"maintenance": "any"}[f.Kind], "upload")
	f.Status = cmp.Or(f.Status, kinds[f.Kind])
	if f.Kind == "maintenance" {
		f.Code = 4001
	}
}

// check refuses a fault that would never show, which a rehearsal would take for
// a server without faults.
func (f *Fault) check() error {
	switch {
	case !slices.Contains(ops, f.Op):
		return fmt.Errorf("no op %q; there are %s", f.Op, strings.Join(ops, ", "))
	case f.Skip < 0 || f.Count < 0 || f.Every < 0 || f.Delay < 0 || f.For < 0:
		return fmt.Errorf("skip, count, every, for and delay cannot be negative")
	case f.Shape != "" && (f.Kind != "status" || refusalShapes[f.Shape] == nil) && (f.Kind != "partial" || f.Shape != "null"):
		return fmt.Errorf("partial can come as null, status as one of %s", strings.Join(slices.Sorted(maps.Keys(refusalShapes)), ", "))
	case f.Kind == "slow" && f.Delay == 0:
		return fmt.Errorf("say how slow, like slow,delay=2s")
	case f.Kind != "slow" && f.Delay != 0:
		return fmt.Errorf("only slow has a delay; it goes together with other faults")
	}
	return nil
}

// fault is a Fault with what it has seen.
type fault struct {
	Fault
	matched, failed int
	until           time.Time // zero: not begun, or for ever
}

// AddFault adds f to what goes wrong; of several, the first that applies counts, after
// the delays of all before it. Oddities go together with all others.
func (s *Server) AddFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.complete()
	s.faults = append(s.faults, &fault{Fault: f})
}

// ClearFaults lets nothing go wrong any more.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// takeFaults returns the fault that this request runs into, or nil, how long it takes
// before, and the oddities of its answer.
func (s *Server) takeFaults(op string, r *http.Request) (delay time.Duration, hit *fault, odd []*fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		isOdd := oddities[f.Kind] != nil
		if hit != nil && !isOdd || f.Op != "any" && f.Op != op || !s.concerns(f, op, r) || !f.due() {
			continue
		}
		switch {
		case isOdd:
			odd = append(odd, f)
		case f.Kind == "slow":
			delay += f.Delay
		default:
			hit = f
		}
	}
	return delay, hit, odd
}

// due counts a matching request and reports whether it fails.
func (f *fault) due() bool {
	f.matched++
	nth := f.matched - f.Skip
	if nth <= 0 || f.Count > 0 && f.failed >= f.Count || f.Every > 1 && nth%f.Every != 0 {
		return false
	}
	if f.For > 0 {
		now := time.Now()
		if f.until.IsZero() {
			f.until = now.Add(f.For)
		}
		if !now.Before(f.until) {
			return false
		}
	}
	f.failed++
	return true
}

// concerns reports whether the request is about the fault's user. A list may be: an
// oddity looks for the user in it. The lock is held.
func (s *Server) concerns(f *fault, op string, r *http.Request) bool {
	if f.User == "" || oddities[f.Kind] != nil && op == "users" {
		return true
	}
	id := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/2.0/users/"), "/profileimage")
	if f.User == id {
		return true
	}
	u := s.find(f.User)
	return u != nil && strconv.FormatInt(u.ID, 10) == id
}
