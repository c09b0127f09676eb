package simulator

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is a failure to simulate: what goes wrong, for whom and how often.
type Fault struct {
	Op   string // a name of Counts.ByOp or "any"; empty: "upload", of maintenance "any"
	User string // email or id of an upload's user; empty: any

	Skip  int           // matching requests that succeed first
	Count int           // how many requests then fail; 0: all
	Every int           // only every nth of these fails; 0: each
	For   time.Duration // from the first failure on; 0: for ever

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

// ParseFault reads the text form: KIND[:DETAIL][,key=value…], where DETAIL is HTTP/errorCode of status, HTTP of
// html and empty, and MESSAGE/resultCode of says, and the keys are op, user, skip, count, every, for, delay,
// retry-after and as. Examples: "status:500/4004,every=7", "partial,user=a@b.c", "html,count=1",
// "says:FAILURE/0", "slow,delay=2s", "maintenance,for=10m", "status:429/4003,retry-after=date:30",
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

// parseDetail reads the part after the colon.
func (f *Fault) parseDetail(detail string) error {
	k, known := kinds[f.Kind]
	if !known {
		return fmt.Errorf("no kind %q; there are %s", f.Kind, names(kinds))
	}
	part := regexp.MustCompile("^" + k.detail + "$").FindStringSubmatch(detail)
	if part == nil {
		return fmt.Errorf("%q does not go with %s: want status:403/1004, html:502, empty:504, says:FAILURE/0, or nothing behind the kind", detail, f.Kind)
	}
	part = append(part, "", "")       // of a kind with fewer parts
	f.Code, _ = strconv.Atoi(part[2]) // digits, or nothing
	if f.Kind == "says" {
		f.Message = part[1]
	} else {
		f.Status, _ = strconv.Atoi(part[1])
	}
	return nil
}

func names[V any](table map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(table)), ", ")
}

// parseKeys reads the part after the first comma.
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

// complete fills in the defaults of the kind.
func (f *Fault) complete() {
	f.Status = cmp.Or(f.Status, kinds[f.Kind].status)
	if f.Kind == "maintenance" {
		f.Op, f.Code = cmp.Or(f.Op, "any"), 4001
	}
	f.Op = cmp.Or(f.Op, "upload")
}

// check refuses a fault that would never occur: a rehearsal would look as if the server had no faults.
func (f *Fault) check() error {
	switch {
	case !slices.Contains(ops, f.Op):
		return fmt.Errorf("no op %q; there are %s", f.Op, strings.Join(ops, ", "))
	case min(f.Skip, f.Count, f.Every) < 0 || min(f.Delay, f.For) < 0:
		return fmt.Errorf("skip, count, every, for and delay cannot be negative")
	case f.Shape != "" && !slices.Contains(kinds[f.Kind].shapes, f.Shape):
		return fmt.Errorf("partial can come as null, status as one of %s", names(shapes))
	case f.Kind == "slow" && f.Delay == 0, f.Kind != "slow" && f.Delay != 0:
		return fmt.Errorf("slow has a delay, like slow,delay=2s, and nothing else has; it goes together with other faults")
	}
	return nil
}

// AddFault adds f. If several faults apply, the first one counts, after the delays of all before
// it. Faults that only change good answers are combined with the others.
func (s *Server) AddFault(f Fault) {
	f.complete()
	s.locked(func() { s.faults = append(s.faults, &f) })
}

func (s *Server) ClearFaults() { s.locked(func() { s.faults = nil }) }

// listQuirks are peculiarities of the list of users.
var listQuirks = []string{
	"churn",            // a guest comes and goes between pages, and moves all others
	"duplicate-users",  // a page begins with the last user of the page before
	"no-email-filter",  // the filter is refused
	"repeat-last-page", // a page beyond the last repeats it
}

// AddQuirk switches on a quirk: a change of every answer, one of listQuirks, or page-cap=N, the
// most users on a page. Call it before the first request.
func (s *Server) AddQuirk(text string) error {
	n, capped := strings.CutPrefix(text, "page-cap=")
	switch size, err := strconv.Atoi(n); {
	case capped && err == nil && size > 0:
		s.pageCap = size
	case slices.Contains(listQuirks, text):
		s.quirks[text] = true
	case kinds[text].edit != nil && text != "says":
		s.AddFault(Fault{Op: "any", Kind: text})
	default:
		return fmt.Errorf("no quirk %q; there are page-cap=N, %s and the faults that change answers", text, strings.Join(listQuirks, ", "))
	}
	return nil
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

// concerns reports whether the request is about the fault's user. A list may be: the change of the
// answer looks for the user in it. The lock is held.
func (s *Server) concerns(f *Fault, op string, r *http.Request) bool {
	if f.User == "" || op == "users" && kinds[f.Kind].edit != nil {
		return true
	}
	id, u := r.PathValue("id"), s.find(f.User)
	return f.User == id || u != nil && strconv.FormatInt(u.ID, 10) == id
}

// kind is a kind of fault. instead answers in place of the API. after gets the API's answer, and
// returns the body to send. edit changes a good answer, and can be combined with other faults:
// shapes about which the reference, the SDKs and the OpenAPI document differ, and answers that confirm nothing.
type kind struct {
	detail  string                          // an expression for the part after the colon; empty: there is none
	status  int                             // HTTP, if none is given
	shapes  []string                        // that it can have
	instead func(s *Server, f *Fault) reply // under the lock
	after   func(w http.ResponseWriter, body []byte) []byte
	edit    func(answer object, f *Fault)
}

var kinds = map[string]kind{
	"status":      {detail: `([2-5]\d\d)(?:/(\d{1,4}))?`, status: http.StatusInternalServerError, shapes: slices.Sorted(maps.Keys(shapes)), instead: refusal},
	"maintenance": {status: http.StatusServiceUnavailable, instead: refusal},
	"html":        {detail: `([2-5]\d\d)?`, status: http.StatusBadGateway, instead: gateway}, // a gateway's page
	"empty":       {detail: `([2-5]\d\d)?`, status: http.StatusBadGateway, instead: gateway}, // and one without a body
	"partial":     {shapes: []string{"null"}, instead: partial},
	"reset":       {instead: func(*Server, *Fault) reply { panic(http.ErrAbortHandler) }},
	"hang":        {}, // never answer
	"slow":        {}, // answer after Delay, in addition to other faults

	"truncate": {after: func(w http.ResponseWriter, body []byte) []byte {
		w.Write(body[:len(body)/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}},
	"lost":       {after: func(http.ResponseWriter, []byte) []byte { panic(http.ErrAbortHandler) }},
	"unreadable": {after: func(http.ResponseWriter, []byte) []byte { return []byte("<html><body>Thank you</body></html>") }},

	"says": {detail: `([^/]*)/(\d{1,4})`, edit: func(a object, f *Fault) {
		a["message"], a["resultCode"] = f.Message, f.Code
	}},
	"id-as-text":         ofUsers(func(u object) { u["id"] = str(u["id"]) }),
	"id-odd":             ofUsers(func(u object) { u["id"] = "x" + str(u["id"]) }),
	"name-as-object":     ofUsers(func(u object) { u["name"] = object{} }),
	"status-as-number":   ofUsers(func(u object) { u["status"] = 1 }),
	"status-lower-case":  ofUsers(func(u object) { u["status"] = strings.ToLower(str(u["status"])) }),
	"image-as-text":      ofUsers(func(u object) { u["profileImage"] = "x" }),
	"image-id-as-number": ofUsers(func(u object) { u["profileImage"] = object{"imageId": 5} }),
	"no-image-id":        ofUsers(func(u object) { u["profileImage"] = object{"formerImageId": "x"} }),
	"no-image":           ofUsers(func(u object) { delete(u, "profileImage") }),
	"no-email":           ofUsers(func(u object) { delete(u, "email") }),
	"other-email":        ofUsers(func(u object) { u["email"] = "other." + str(u["email"]) }),
	"other-user":         ofUsers(func(u object) { u["id"] = json.Number("9" + str(u["id"])) }),
	"other-organisation": ofUsers(func(u object) { u["isInternal"] = false }),
	"alternates-as-object": ofUsers(func(u object) {
		if all, ok := u["alternateEmails"].([]any); ok && len(all) > 0 {
			u["alternateEmails"] = all[0]
		}
	}),
	"sizes-as-text": ofUsers(func(u object) {
		if p, ok := u["profileImage"].(object); ok {
			p["height"], p["width"] = str(p["height"]), str(p["width"])
		}
	}),
	"unstable-ids": ofUsers(func(u object) { // a picture has another image id each time it is shown
		if p, ok := u["profileImage"].(object); ok {
			p["imageId"] = str(p["imageId"]) + "-" + rand.Text()[:8]
		}
	}),
	"answer-in-result": {edit: func(a object, _ *Fault) { // of an upload: the older reference
		if a["resultCode"] == nil {
			return
		}
		all, _ := a["data"].([]any)
		if delete(a, "data"); len(all) > 0 {
			a["result"] = all[0]
		}
	}},
	"totals-unknown": {edit: func(a object, _ *Fault) {
		if a["totalCount"] != nil {
			a["totalPages"], a["totalCount"] = -1, -1
		}
	}},
	"no-account": {edit: func(a object, _ *Fault) { delete(a, "account") }},
	"no-user":    {edit: func(a object, _ *Fault) { a["data"] = []any{}; delete(a, "result") }},
	"no-code":    {edit: func(a object, _ *Fault) { delete(a, "resultCode") }},
	"short-list": {edit: func(a object, _ *Fault) { // gives a total, and lists nobody after the first page
		if str(a["pageNumber"]) != "1" {
			a["data"] = []any{}
		}
	}},
}

// ofUsers makes a kind that changes the users in an answer (a list, the result of an upload, or one
// user): the user whom the fault names, or all.
func ofUsers(change func(object)) kind {
	return kind{edit: func(a object, f *Fault) {
		all, _ := a["data"].([]any)
		for _, x := range append(all, a["result"], any(a)) {
			if u, ok := x.(object); ok && u["email"] != nil && (f.User == "" || strings.EqualFold(f.User, str(u["email"]))) {
				change(u)
			}
		}
	}}
}

// shapes are other forms of errors.
var shapes = map[string]func(body object){
	"text":   func(b object) { b["errorCode"], b["refId"] = fmt.Sprint(b["errorCode"]), len(str(b["refId"])) },
	"object": func(b object) { b["detail"] = object{"index": 0} },
	"array":  func(b object) { b["detail"] = []any{object{"index": 0}, object{"index": 1}} },
	"null":   func(b object) { b["detail"], b["refId"] = nil, nil },
}

// refusal answers with an error in the API's form.
func refusal(s *Server, f *Fault) reply {
	body := s.failure(f.Code, f.Message)
	if shape := shapes[f.Shape]; shape != nil {
		shape(body)
	}
	return reply{f.Status, body, f.retryAfter()}
}

// gateway answers with a page, or with nothing.
func gateway(_ *Server, f *Fault) reply {
	if f.Kind == "empty" {
		return reply{f.Status, nil, f.retryAfter()}
	}
	title := strconv.Itoa(f.Status) + " " + http.StatusText(f.Status)
	return reply{f.Status, "<html><head><title>" + title + "</title></head><body><h1>" + title + "</h1></body></html>", f.retryAfter()}
}

// partial answers that the request succeeded and the picture did not.
func partial(s *Server, f *Fault) reply {
	item := object{"index": 0, "error": s.failure(cmp.Or(f.Code, 1074), f.Message)}
	if f.Shape == "null" {
		item["error"] = nil
	}
	return ok(object{"message": "PARTIAL_SUCCESS", "resultCode": 3, "failedItems": []any{item}, "data": []any{}})
}

func (f *Fault) retryAfter() string {
	seconds, date := strings.CutPrefix(f.RetryAfter, "date:")
	if !date {
		return f.RetryAfter
	}
	d, _ := time.ParseDuration(seconds + "s") // 0 if it is no number
	return time.Now().Add(d).UTC().Format(http.TimeFormat)
}

func str(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}
