package simulator

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"time"

	"photosync/sync/smartsheet"
)

// Fault is something that goes wrong, for whom and how often.
type Fault struct {
	Op   string // "upload" (default), "users", "user", "me" or "any"
	User string // email or id of an upload's user; empty: any

	Skip  int // matching requests that go well first
	Count int // requests that fail then; 0: all
	Every int // only every nth of those; 0: each

	// Kind: "status" refuses with Status and Code; "partial" accepts and answers
	// PARTIAL_SUCCESS with a failed item; "reset" cuts the connection; "hang" never
	// answers; "slow" answers after Delay; "truncate" accepts and cuts the answer in half; "html" answers
	// with a gateway's 502 page; "other-user" and "no-image-id" accept and answer
	// with a SUCCESS that shows somebody else or no picture.
	Kind       string
	Status     int
	Code       int
	Message    string // empty: the API's own for Code
	RetryAfter string // header, verbatim
	Delay      time.Duration
}

// ParseFault reads the text form: KIND[:DETAIL][,key=value…], where DETAIL of
// status is HTTP/errorCode and the keys are op, user, skip, count, every, delay
// and retry-after. Examples: "status:500/4004,every=7", "partial,user=a@b.c",
// "html,count=1", "slow,delay=2s".
func ParseFault(s string) (Fault, error) {
	head, rest, _ := strings.Cut(s, ",")
	kind, detail, _ := strings.Cut(head, ":")
	f := Fault{Op: "upload", Kind: kind}
	var err error
	switch kind {
	case "status":
		status, code, _ := strings.Cut(detail, "/")
		if f.Status, err = strconv.Atoi(status); err != nil || f.Status < 400 || f.Status > 599 {
			return f, fmt.Errorf("fault %q: want status:HTTP/errorCode, like status:403/1004", s)
		}
		if code != "" {
			if f.Code, err = strconv.Atoi(code); err != nil {
				return f, fmt.Errorf("fault %q: errorCode %q is no number", s, code)
			}
		}
	case "partial", "reset", "hang", "slow", "truncate", "html", "other-user", "no-image-id":
	default:
		return f, fmt.Errorf("fault %q: no kind %q; there are status, partial, reset, hang, slow, truncate, html, other-user, no-image-id", s, kind)
	}
	for kv := range strings.SplitSeq(rest, ",") {
		if kv == "" {
			continue
		}
		k, v, _ := strings.Cut(kv, "=")
		switch k {
		case "op":
			f.Op = v
		case "user":
			f.User = v
		case "skip":
			f.Skip, err = strconv.Atoi(v)
		case "count":
			f.Count, err = strconv.Atoi(v)
		case "every":
			f.Every, err = strconv.Atoi(v)
		case "delay":
			f.Delay, err = time.ParseDuration(v)
		case "retry-after":
			f.RetryAfter = v
		default:
			err = fmt.Errorf("no key %q; there are op, user, skip, count, every, delay, retry-after", k)
		}
		if err != nil {
			return f, fmt.Errorf("fault %q: %s: %w", s, kv, err)
		}
	}
	return f, f.check(s)
}

// check refuses a fault that would never show, which a rehearsal would take for
// a server without faults.
func (f Fault) check(text string) error {
	switch {
	case !slices.Contains([]string{"upload", "users", "user", "me", "any"}, f.Op):
		return fmt.Errorf("fault %q: no op %q; there are upload, users, user, me, any", text, f.Op)
	case f.Skip < 0 || f.Count < 0 || f.Every < 0 || f.Delay < 0:
		return fmt.Errorf("fault %q: skip, count, every and delay cannot be negative", text)
	case f.Kind == "slow" && f.Delay == 0:
		return fmt.Errorf("fault %q: say how slow, like slow,delay=2s", text)
	}
	return nil
}

// fault is a Fault with what it has seen.
type fault struct {
	Fault
	matched, failed int
}

// AddFault adds f to what goes wrong; of several, the first that applies counts.
func (s *Server) AddFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Op == "" {
		f.Op = "upload"
	}
	s.faults = append(s.faults, &fault{Fault: f})
}

// takeFault returns the fault that this request runs into, or nil.
func (s *Server) takeFault(op string, r *http.Request) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.Op != "any" && f.Op != op || !s.concerns(f, r) {
			continue
		}
		f.matched++
		nth := f.matched - f.Skip
		if nth <= 0 || f.Count > 0 && f.failed >= f.Count || f.Every > 1 && nth%f.Every != 0 {
			continue
		}
		f.failed++
		return f
	}
	return nil
}

// concerns tells whether the request is about the fault's user. The lock is held.
func (s *Server) concerns(f *fault, r *http.Request) bool {
	if f.User == "" {
		return true
	}
	id := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/2.0/users/"), "/profileimage")
	if f.User == id {
		return true
	}
	u := s.find(f.User)
	return u != nil && strconv.FormatInt(u.ID, 10) == id
}

// before acts instead of, or before, the real handler; done means that the
// request is over.
func (f *fault) before(s *Server, w http.ResponseWriter, r *http.Request) (done bool) {
	switch f.Kind {
	case "status":
		if f.RetryAfter != "" {
			w.Header().Set("Retry-After", f.RetryAfter)
		}
		drain(r)
		s.refuse(w, f.Status, f.Code, f.Message)
	case "html":
		drain(r)
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		io.WriteString(w, "<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>")
	case "partial":
		s.partial(w, r, f)
	case "reset":
		panic(http.ErrAbortHandler)
	case "hang":
		drain(r)
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case "slow":
		select {
		case <-time.After(f.Delay):
		case <-r.Context().Done():
		}
		return false
	default:
		return false
	}
	return true
}

// partial answers that the request went through and the picture did not.
func (s *Server) partial(w http.ResponseWriter, r *http.Request, f *fault) {
	drain(r)
	code := f.Code
	if code == 0 {
		code = 1074
	}
	message := f.Message
	if message == "" {
		message = messages[code]
	}
	item := map[string]any{"index": 0, "error": map[string]any{"refId": s.refID(), "errorCode": code, "message": message}}
	res := map[string]any{"message": "PARTIAL_SUCCESS", "resultCode": 3, "failedItems": []any{item}, "data": []any{}}
	answer(w, http.StatusOK, res)
}

// wrap changes the answer of the real handler on its way out.
func (f *fault) wrap(w http.ResponseWriter) http.ResponseWriter {
	switch f.Kind {
	case "truncate", "other-user", "no-image-id":
		return &spoiler{ResponseWriter: w, kind: f.Kind}
	}
	return w
}

// spoiler spoils the body of an answer that the server meant well.
type spoiler struct {
	http.ResponseWriter
	kind string
}

func (s *spoiler) Write(b []byte) (int, error) {
	out := b
	switch s.kind {
	case "truncate":
		s.ResponseWriter.Write(b[:len(b)/2])
		http.NewResponseController(s.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	case "other-user":
		out = bytes.ReplaceAll(b, []byte(`"id":`), []byte(`"id":9`))
	case "no-image-id":
		out = bytes.ReplaceAll(b, []byte(`"imageId"`), []byte(`"formerImageId"`))
	}
	_, err := s.ResponseWriter.Write(out)
	return len(b), err
}

// Transport answers requests in this process, without a network: with it, a
// client and the simulator can run in virtual time (testing/synctest).
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ s *Server }

func (t transport) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	defer func() {
		if p := recover(); p == http.ErrAbortHandler {
			resp, err = nil, io.ErrUnexpectedEOF
			if r.Context().Err() != nil {
				err = r.Context().Err()
			}
		} else if p != nil {
			panic(p)
		}
	}()
	if r.Body != nil {
		defer r.Body.Close()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	t.s.ServeHTTP(w, in)
	if err := r.Context().Err(); err != nil { // the client would not have waited
		return nil, err
	}
	resp = w.Result()
	resp.Request = r
	return resp, nil
}

// SampleUsers returns n active users, user0001@example.com and so on.
func SampleUsers(n int) []smartsheet.User {
	first := []string{"Ana", "Ben", "Chloé", "Dmitri", "Elif", "Farid", "Grace", "Hùng", "Iris", "João"}
	last := []string{"Adler", "Brown", "Castro", "Diaz", "Evans", "Fischer", "García", "Hansen", "Ito", "Jansen", "Kim"}
	users := make([]smartsheet.User, n)
	for i := range users {
		f, l := first[i%len(first)], last[i/len(first)%len(last)]
		users[i] = smartsheet.User{Email: fmt.Sprintf("user%04d@example.com", i+1), FirstName: f, LastName: l, Name: f + " " + l}
	}
	return users
}
