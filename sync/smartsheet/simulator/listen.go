package simulator

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Listener is a Server that listens on an address.
type Listener struct {
	l    net.Listener
	http *http.Server
	done chan struct{}
}

// Listen starts the server on addr ("127.0.0.1:0": any free port).
func (s *Server) Listen(addr string) (*Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", addr, err)
	}
	x := &Listener{l: l, http: &http.Server{Handler: s.Page(), ReadHeaderTimeout: 10 * time.Second}, done: make(chan struct{})}
	go func() {
		defer close(x.done)
		x.http.Serve(l) // ends with Close
	}()
	return x, nil
}

// URL is the base address for the client.
func (x *Listener) URL() string { return "http://" + x.l.Addr().String() + "/2.0" }

// Close stops listening and cuts the connections there are.
func (x *Listener) Close() error {
	err := x.http.Close()
	<-x.done
	return err
}
