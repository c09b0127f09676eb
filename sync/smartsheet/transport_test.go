package smartsheet

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// secure starts a server with TLS and returns a client of it that trusts it.
func secure(t *testing.T, h http.HandlerFunc, server func(*httptest.Server), change func(*Options)) *Client {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = quiet
	srv.EnableHTTP2 = true
	srv.TLS = &tls.Config{}
	if server != nil {
		server(srv)
	}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	cas := x509.NewCertPool()
	cas.AddCert(srv.Certificate())
	c := newTest(t, nil, func(o *Options) {
		o.BaseURL, o.MaxAttempts = srv.URL+"/2.0", 1
		if change != nil {
			change(o)
		}
		o.Transport = NewTransport(cas)
	})
	t.Cleanup(c.Close)
	return c
}

const user1 = `{"id":1,"email":"a@b.c"}`

// HTTP/2 where the server has it, HTTP/1.1 where it has not; TLS 1.2 at least.
func TestProtocols(t *testing.T) {
	for name, c := range map[string]struct {
		server func(*httptest.Server)
		want   string // protocol; empty: refused
	}{
		"TLS 1.3 and HTTP/2": {func(s *httptest.Server) { s.TLS.MinVersion = tls.VersionTLS13 }, "HTTP/2.0"},
		"TLS 1.2":            {func(s *httptest.Server) { s.TLS.MaxVersion = tls.VersionTLS12 }, "HTTP/2.0"},
		"without HTTP/2":     {func(s *httptest.Server) { s.EnableHTTP2 = false }, "HTTP/1.1"},
		"TLS 1.1":            {func(s *httptest.Server) { s.TLS.MinVersion, s.TLS.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, ""},
		"TLS 1.0":            {func(s *httptest.Server) { s.TLS.MinVersion, s.TLS.MaxVersion = tls.VersionTLS10, tls.VersionTLS10 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			client := secure(t, func(w http.ResponseWriter, r *http.Request) {
				got = r.Proto
				_, _ = io.WriteString(w, user1)
			}, c.server, nil)
			_, err := client.User(t.Context(), 1)
			if got != c.want || (err == nil) != (c.want != "") {
				t.Errorf("spoke %q, error %v", got, err)
			}
			if e, ok := errors.AsType[*Error](err); ok && (Classify(err) != Stop || !strings.Contains(e.Hint(), "TLS 1.2")) {
				t.Errorf("%v: hint %q, verdict %v", err, e.Hint(), Classify(err))
			}
		})
	}
}

// A server without TLS at an https address stops the run at once.
func TestNoTLS(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	c := newTest(t, nil, func(o *Options) {
		o.BaseURL, o.Transport = strings.Replace(srv.URL, "http:", "https:", 1), NewTransport(nil)
	})
	defer c.Close()
	if _, err := c.Me(t.Context()); Classify(err) != Stop || c.Stats().Requests != 1 {
		t.Errorf("%v after %d requests", err, c.Stats().Requests)
	}
}

// zipped writes n copies of b, compressed.
func zipped(w http.ResponseWriter, b []byte, n int) {
	w.Header().Set("Content-Encoding", "gzip")
	z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
	for range n {
		if _, err := z.Write(b); err != nil {
			return // the client has enough
		}
	}
	z.Close()
}

// Compressed answers are understood, refusals too.
func TestGzip(t *testing.T) {
	c := secure(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			t.Error("does not ask for gzip")
		}
		if strings.HasSuffix(r.URL.Path, "/users/1") {
			zipped(w, []byte(user1), 1)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(http.StatusForbidden)
		zipped(w, []byte(`{"errorCode":1004,"refId":"r5","message":"no"}`), 1)
	}, nil, nil)
	if u, err := c.User(t.Context(), 1); err != nil || u.Email != "a@b.c" {
		t.Errorf("%+v, %v", u, err)
	}
	_, err := c.User(t.Context(), 2)
	if e, ok := errors.AsType[*Error](err); !ok || e.RefID != "r5" || e.Code != 1004 {
		t.Errorf("error %v", err)
	}
}

// Answers without end, and those that only become one when unpacked, are given up
// after 8 MB; the server notices.
func TestAnswersWithoutEnd(t *testing.T) {
	for name, serve := range map[string]func(w http.ResponseWriter, stopped chan bool){
		"plain": func(w http.ResponseWriter, stopped chan bool) {
			b := bytes.Repeat([]byte(" "), 1<<20)
			for {
				if _, err := w.Write(b); err != nil {
					stopped <- true
					return
				}
			}
		},
		"gzip bomb": func(w http.ResponseWriter, stopped chan bool) {
			zipped(w, make([]byte, 1<<20), 24)
			stopped <- true
		},
	} {
		for _, http2 := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				stopped := make(chan bool, 1)
				c := secure(t, func(w http.ResponseWriter, r *http.Request) { serve(w, stopped) },
					func(s *httptest.Server) { s.EnableHTTP2 = http2 }, nil)
				_, err := c.User(t.Context(), 1)
				if err == nil || !strings.Contains(err.Error(), "answer of more than 8388608 bytes") {
					t.Errorf("error %v", err)
				}
				<-stopped
			})
		}
	}
}

// A server that falls silent, in whichever phase, is given up. What only takes time to
// send, on a slow line, is not.
func TestTimeouts(t *testing.T) {
	const limit = 100 * time.Millisecond
	slow := func(o *Options) { o.Timeout = limit }
	t.Run("silent server", func(t *testing.T) {
		released := make(chan bool)
		c := secure(t, func(_ http.ResponseWriter, r *http.Request) { <-released }, nil, slow)
		defer close(released)
		if _, err := c.User(t.Context(), 1); Classify(err) != Retryable || err == nil {
			t.Errorf("error %v", err)
		}
	})
	t.Run("an answer that stops", func(t *testing.T) {
		c := secure(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, user1[:5])
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, nil, slow)
		if _, err := c.User(t.Context(), 1); Classify(err) != Retryable || err == nil {
			t.Errorf("error %v", err)
		}
	})
	t.Run("silent handshake", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c := newTest(t, nil, func(o *Options) {
			o.BaseURL, o.Timeout, o.Transport, o.MaxAttempts = "https://"+l.Addr().String(), limit, NewTransport(nil), 1
		})
		defer c.Close()
		if _, err := c.User(t.Context(), 1); err == nil {
			t.Error("no error")
		}
	})
	for _, http2 := range []bool{false, true} {
		t.Run("slow upload", func(t *testing.T) {
			const limit = time.Second // a machine that has much to do pauses longer than the above
			c := secure(t, func(w http.ResponseWriter, r *http.Request) {
				b := make([]byte, 8<<10)
				for { // far slower than the limit for an answer
					n, err := r.Body.Read(b)
					if err != nil {
						break
					}
					time.Sleep(time.Duration(n) * time.Second / (60 << 10))
				}
				_, _ = io.WriteString(w, success)
			}, func(s *httptest.Server) { s.EnableHTTP2 = http2 }, func(o *Options) { o.Timeout = limit })
			img := picture
			img.Data = make([]byte, 150_000)
			begin := time.Now()
			if _, err := c.Upload(t.Context(), User{ID: testID}, img, time.Time{}); err != nil || time.Since(begin) < 2*limit {
				t.Errorf("error %v after %v", err, time.Since(begin))
			}
		})
	}
}
