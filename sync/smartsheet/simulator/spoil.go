package simulator

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"
)

// How faults show in answers, and answers without a network.

// before acts instead of the real handler; done means that the request is over.
func (f *fault) before(s *Server, w http.ResponseWriter, r *http.Request) (done bool) {
	switch f.Kind {
	case "status", "maintenance":
		drain(r)
		f.retryAfter(s, w)
		s.refuse(w, f.Status, f.Code, f.Message, refusalShapes[f.Shape])
	case "html":
		drain(r)
		f.retryAfter(s, w)
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(f.Status)
		title := strconv.Itoa(f.Status) + " " + http.StatusText(f.Status)
		io.WriteString(w, "<html><head><title>"+title+"</title></head><body><h1>"+title+"</h1></body></html>")
	case "empty":
		drain(r)
		f.retryAfter(s, w)
		w.WriteHeader(f.Status)
	case "partial":
		s.partial(w, r, f)
	case "reset":
		panic(http.ErrAbortHandler)
	case "hang":
		drain(r)
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	default:
		return false
	}
	return true
}

func (f *fault) retryAfter(s *Server, w http.ResponseWriter) {
	v := f.RetryAfter
	if text, ok := strings.CutPrefix(v, "date:"); ok {
		if n, err := strconv.Atoi(text); err == nil {
			v = time.Now().Add(time.Duration(n) * time.Second).UTC().Format(http.TimeFormat)
		}
	}
	if v != "" {
		w.Header().Set("Retry-After", v)
	}
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
		message = wording(code)
	}
	item := map[string]any{"index": 0, "error": map[string]any{"refId": s.refID(), "errorCode": code, "message": message}}
	if f.Shape == "null" {
		item["error"] = nil
	}
	answer(w, http.StatusOK, map[string]any{"message": "PARTIAL_SUCCESS", "resultCode": 3, "failedItems": []any{item}, "data": []any{}})
}

// spoiler spoils the body of an answer that was meant well.
type spoiler struct {
	http.ResponseWriter
	fault *fault
}

func (s *spoiler) Write(b []byte) (int, error) {
	out := b
	switch f := s.fault; f.Kind {
	case "truncate":
		s.ResponseWriter.Write(b[:len(b)/2])
		http.NewResponseController(s.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	case "unreadable":
		out = []byte("<html><body>Thank you</body></html>")
	case "says":
		out = edit(b, func(a map[string]any) { a["message"], a["resultCode"] = f.Message, f.Code })
	default:
		if odd := oddities[f.Kind]; odd != nil {
			out = edit(b, func(a map[string]any) { odd(a, f.User) })
		}
	}
	_, err := s.ResponseWriter.Write(out)
	return len(b), err
}

// WriteHeader lets an answer that is lost not even begin.
func (s *spoiler) WriteHeader(status int) {
	if s.fault.Kind == "lost" {
		panic(http.ErrAbortHandler)
	}
	s.ResponseWriter.WriteHeader(status)
}

// Transport answers requests in this process, without a network: with it, a
// client and the simulator can run in virtual time (testing/synctest).
func (s *Server) Transport() http.RoundTripper { return transport{s.Page()} }

type transport struct{ h http.Handler }

func (t transport) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	defer func() {
		if p := recover(); p == http.ErrAbortHandler { //nolint:errorlint // a panic's value, which nobody wraps
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
	t.h.ServeHTTP(w, in)
	if err := r.Context().Err(); err != nil { // the client would not have waited
		return nil, err
	}
	resp = w.Result()
	resp.Request = r
	return resp, nil
}
