package simulator

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"
)

// shown is how many users the page at the root shows at most, with their current pictures.
const shown = 10_000

//go:embed page
var pageFiles embed.FS

// secure lets the page use only its own files, as names are foreign text.
func secure(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store") // another simulator gives the same image ids
		h(w, r)
	})
}

// shownUsers answers with the users, in order.
func (s *Server) shownUsers(w http.ResponseWriter, _ *http.Request) {
	users, pictures := []any{}, 0
	var body object
	s.locked(func() {
		for i, u := range s.users {
			if u.image.ID != "" {
				pictures++
			}
			if i < shown { // the id as a text: JavaScript's numbers do not hold it
				users = append(users, object{"id": strconv.FormatInt(u.ID, 10), "name": u.Name, "email": u.Email, "image": u.image.ID})
			}
		}
		body = object{"total": len(s.users), "pictures": pictures, "uploads": s.counts.Accepted, "users": users}
	})
	write(w, ok(body), nil)
}

// Listener is a Server that listens on an address. Close stops it, and cuts its connections.
type Listener struct{ http.Server }

// URL is the base address for the client.
func (x *Listener) URL() string { return "http://" + x.Addr + "/2.0" }

// Listen starts the server on addr ("127.0.0.1:0": any free port).
func (s *Server) Listen(addr string) (*Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", addr, err)
	}
	x := &Listener{http.Server{Addr: l.Addr().String(), Handler: s, ReadHeaderTimeout: 10 * time.Second}}
	go x.Serve(l) // ends with Close
	return x, nil
}

// Transport answers requests in this process, without a network: with it, a
// client and the simulator can run in virtual time (testing/synctest).
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ http.Handler }

func (t transport) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	defer func() {
		if p := recover(); p == http.ErrAbortHandler { //nolint:errorlint // a panic's value, which nobody wraps
			resp, err = nil, cmp.Or(r.Context().Err(), io.ErrUnexpectedEOF)
		} else if p != nil {
			panic(p)
		}
	}()
	in := r.Clone(r.Context())
	in.Body = cmp.Or(in.Body, io.ReadCloser(http.NoBody))
	defer in.Body.Close()
	w := httptest.NewRecorder()
	if r.Context().Err() == nil {
		t.ServeHTTP(w, in)
	}
	if err := r.Context().Err(); err != nil { // a real client would not have waited
		return nil, err
	}
	resp = w.Result()
	resp.Request = r
	return resp, nil
}
