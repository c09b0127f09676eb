package simulator

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"regexp"
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
	Shape      string // of a refusal: one of shapes
	Delay      time.Duration

	matched, failed int       // requests so far
	until           time.Time // zero: not begun, or for ever
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
	name, detail, _ := strings.Cut(head, ":")
	f := Fault{Kind: name}
	err := cmp.Or(f.parseDetail(detail), f.parseKeys(rest))
	f.complete()
	if err = cmp.Or(err, f.check()); err != nil {
		return f, fmt.Errorf("fault %q: %w", s, err)
	}
	return f, nil
}

// parseDetail reads what stands behind the colon.
func (f *Fault) parseDetail(detail string) error {
	k, known := kinds[f.Kind]
	if !known {
		return fmt.Errorf("no kind %q; there are %s", f.Kind, names(kinds))
	}
	if k.detail == nil {
		k.detail = regexp.MustCompile("^()()$")
	}
	part := k.detail.FindStringSubmatch(detail)
	if part == nil {
		return fmt.Errorf("%q does not go with %s: want status:403/1004, html:502, empty:504, says:FAILURE/0, or nothing behind the kind", detail, f.Kind)
	}
	f.Code, _ = strconv.Atoi(part[2]) // which holds digits, or nothing
	if f.Kind == "says" {
		f.Message = part[1]
	} else {
		f.Status, _ = strconv.Atoi(part[1])
	}
	return nil
}

// names lists the keys of a table.
func names[V any](table map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(table)), ", ")
}

// parseKeys reads what stands behind the first comma.
func (f *Fault) parseKeys(text string) (err error) {
	keys := map[string]any{
		"op": &f.Op, "user": &f.User, "retry-after": &f.RetryAfter, "as": &f.Shape,
		"skip": &f.Skip, "count": &f.Count, "every": &f.Every, "for": &f.For, "delay": &f.Delay,
	}
	for kv := range strings.SplitSeq(text, ",") {
		k, v, _ := strings.Cut(kv, "=")
		switch p := keys[k].(type) {
		case *string:
			*p = v
		case *int:
			*p, err = strconv.Atoi(v)
		case *time.Duration:
			*p, err = time.ParseDuration(v)
		default:
			if kv != "" {
				err = fmt.Errorf("no key; there are %s", names(keys))
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", kv, err)
		}
	}
	return nil
}

// complete fills in what follows from the kind.
func (f *Fault) complete() {
	f.Status = cmp.Or(f.Status, kinds[f.Kind].status)
	if f.Kind == "maintenance" {
		f.Op, f.Code = cmp.Or(f.Op, "any"), 4001
	}
	f.Op = cmp.Or(f.Op, "upload")
}

// check refuses a fault that would never show, which a rehearsal would take for
// a server without faults.
func (f *Fault) check() error {
	switch {
	case !slices.Contains(ops, f.Op):
		return fmt.Errorf("no op %q; there are %s", f.Op, strings.Join(ops, ", "))
	case f.Skip < 0 || f.Count < 0 || f.Every < 0 || f.Delay < 0 || f.For < 0:
		return fmt.Errorf("skip, count, every, for and delay cannot be negative")
	case f.Shape != "" && (f.Kind != "status" || shapes[f.Shape] == nil) && (f.Kind != "partial" || f.Shape != "null"):
		return fmt.Errorf("partial can come as null, status as one of %s", names(shapes))
	case f.Kind == "slow" && f.Delay == 0:
		return fmt.Errorf("say how slow, like slow,delay=2s")
	case f.Kind != "slow" && f.Delay != 0:
		return fmt.Errorf("only slow has a delay; it goes together with other faults")
	}
	return nil
}

// AddFault adds f to what goes wrong; of several, the first that applies counts, after
// the delays of all before it. Changes of good answers go together with all others.
func (s *Server) AddFault(f Fault) {
	f.complete()
	s.locked(func() { s.faults = append(s.faults, &f) })
}

// ClearFaults lets nothing go wrong any more.
func (s *Server) ClearFaults() { s.locked(func() { s.faults = nil }) }

// AddQuirk switches on what text names: a change of every answer, one of the quirks of
// Options or page-cap=N. It comes before the first request.
func (s *Server) AddQuirk(text string) error {
	quirks := map[string]*bool{
		"repeat-last-page": &s.o.RepeatLastPage, "duplicate-users": &s.o.DuplicateUsers, "churn": &s.o.Churn, "no-email-filter": &s.o.NoEmailFilter,
	}
	n, capped := strings.CutPrefix(text, "page-cap=")
	switch size, err := strconv.Atoi(n); {
	case capped && err == nil && size > 0:
		s.o.PageSizeCap = size
	case quirks[text] != nil:
		*quirks[text] = true
	case kinds[text].edit != nil && text != "says":
		s.AddFault(Fault{Op: "any", Kind: text})
	default:
		return fmt.Errorf("no quirk %q; there are page-cap=N, %s and the faults that change answers", text, names(quirks))
	}
	return nil
}

// takeFaults returns the fault that this request runs into, or one of no kind, how long
// it takes before, and the changes of its answer. The lock is held.
func (s *Server) takeFaults(op string, r *http.Request) (delay time.Duration, hit *Fault, edits []*Fault) {
	hit = &Fault{}
	for _, f := range s.faults {
		edit := kinds[f.Kind].edit != nil
		if hit.Kind != "" && !edit || f.Op != "any" && f.Op != op || !s.concerns(f, op, r) || !f.due() {
			continue
		}
		switch {
		case edit:
			edits = append(edits, f)
		case f.Kind == "slow":
			delay += f.Delay
		default:
			hit = f
		}
	}
	return delay, hit, edits
}

// due counts a matching request and reports whether it fails.
func (f *Fault) due() bool {
	f.matched++
	nth := f.matched - f.Skip
	if nth <= 0 || f.Count > 0 && f.failed >= f.Count || f.Every > 1 && nth%f.Every != 0 {
		return false
	}
	if f.For > 0 && f.until.IsZero() {
		f.until = time.Now().Add(f.For)
	}
	if f.For > 0 && !time.Now().Before(f.until) {
		return false
	}
	f.failed++
	return true
}

// concerns reports whether the request is about the fault's user. A list may be: a
// change of the answer looks for the user in it. The lock is held.
func (s *Server) concerns(f *Fault, op string, r *http.Request) bool {
	if f.User == "" || op == "users" && kinds[f.Kind].edit != nil {
		return true
	}
	id := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/2.0/users/"), "/profileimage")
	u := s.find(f.User)
	return f.User == id || u != nil && strconv.FormatInt(u.ID, 10) == id
}
