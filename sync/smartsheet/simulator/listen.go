package simulator

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"time"
)

// Listener is a Server that listens on an address. Close stops that, and cuts the
// connections there are.
type Listener struct{ http.Server }

// URL is the base address for the client.
func (x *Listener) URL() string { return "http://" + x.Addr + "/2.0" }

// Listen starts the server on addr ("127.0.0.1:0": any free port).
func (s *Server) Listen(addr string) (*Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", addr, err)
	}
	x := &Listener{http.Server{Addr: l.Addr().String(), Handler: s.Page(), ReadHeaderTimeout: 10 * time.Second}}
	go x.Serve(l) // ends with Close
	return x, nil
}

// Transport answers requests in this process, without a network: with it, a
// client and the simulator can run in virtual time (testing/synctest).
func (s *Server) Transport() http.RoundTripper { return transport{s.Page()} }

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
	if r.Body == nil {
		in.Body = http.NoBody
	}
	defer in.Body.Close()
	w := httptest.NewRecorder()
	if r.Context().Err() == nil {
		t.ServeHTTP(w, in)
	}
	if err := r.Context().Err(); err != nil { // the client would not have waited
		return nil, err
	}
	resp = w.Result()
	resp.Request = r
	return resp, nil
}
