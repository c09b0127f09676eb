package ldap

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"photosync/sources"
	"photosync/sources/ldap/slapdtest"
	"photosync/sources/sourcetest"
)

func TestEncryptedConnectionsAndFailover(t *testing.T) {
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: slapdtest.Entry("a", "a@example.com", []byte{1})})
	for name, change := range map[string]func(*Options){
		"ldaps":    func(o *Options) { o.URLs = []string{srv.LDAPSURL} },
		"StartTLS": func(o *Options) { o.TLS.StartTLS = true },
		"failover": func(o *Options) { o.URLs = []string{"ldap://127.0.0.1:1", srv.URL} },
	} {
		t.Run(name, func(t *testing.T) {
			o := options(srv)
			o.TLS.CAs = authority(t, srv)
			change(&o)
			if got := sourcetest.List(t, open(t, o)); len(got) != 1 {
				t.Errorf("listed %d people", len(got))
			}
		})
	}
}

// A server that goes away in the middle of a listing.
func TestServerGoesAway(t *testing.T) {
	first, second := slapdtest.Start(t, slapdtest.Config{LDIF: many(50)}), slapdtest.Start(t, slapdtest.Config{LDIF: many(50)})
	const nobody = "ldap://127.0.0.1:1"
	lost := first.URL + " was lost after "
	for name, c := range map[string]struct {
		urls     []string
		then     func()
		complete bool
		warning  string
	}{
		"for good":                                {[]string{first.URL}, func() {}, false, lost},
		"and is restarted":                        {[]string{first.URL}, first.Run, true, lost},
		"and the second is there":                 {[]string{first.URL, second.URL}, func() {}, true, lost},
		"and the second is not":                   {[]string{first.URL, nobody}, func() {}, false, lost},
		"though another was away":                 {[]string{nobody, first.URL, second.URL}, func() {}, true, lost},
		"no: another was away from the beginning": {[]string{nobody, second.URL}, func() {}, true, "connect " + nobody + ": dial tcp 127.0.0.1:1: connect: connection refused: " + second.URL + " was asked instead"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(first)
			o.URLs = c.urls
			s := open(t, o)
			times := map[string]int{}
			l, err := s.List(t.Context(), func(p sources.Person) error {
				if times[p.Own[0]]++; len(times) == 10 {
					first.Stop()
					c.then()
				}
				return nil
			})
			first.Stop()
			first.Run()
			if c.complete != (err == nil) || c.complete != l.Complete {
				t.Fatalf("listing %+v of %d people, error %v", l, len(times), err)
			}
			if c.complete && (len(times) != 50 || l.Entries != 50) {
				t.Errorf("%d people, %d entries; want 50", len(times), l.Entries)
			}
			if !strings.Contains(strings.Join(l.Warnings, "\n"), c.warning) {
				t.Errorf("warnings %q, want %q among them", l.Warnings, c.warning)
			}
			for e, n := range times {
				if n != 1 {
					t.Errorf("%s was listed %d times", e, n)
				}
			}
		})
	}
}

// When no server can be had, the error names each, in a line, and has the hints of all.
func TestNoServerCanBeHad(t *testing.T) {
	srv := slapdtest.Start(t, slapdtest.Config{})
	o := options(srv)
	o.Password, o.URLs = "wrong", []string{"ldap://127.0.0.1:1", "ldap://127.0.0.1:2", srv.URL}
	_, err := open(t, o).List(t.Context(), func(sources.Person) error { return nil })
	e, ok := errors.AsType[interface {
		error
		Hint() string
	}](err)
	if !ok || strings.Contains(err.Error(), "\n") || strings.Count(err.Error(), "127.0.0.1:") < 3 ||
		strings.Count(e.Hint(), "check that the server runs") != 1 || !strings.Contains(e.Hint(), "bind_password_file") {
		t.Errorf("error %v, hint %q", err, e.Hint())
	}
}

// Photos are read to the end although the server goes away in between, each once.
func TestServerGoesAwayBetweenPhotos(t *testing.T) {
	const n = 120
	first, second := slapdtest.Start(t, slapdtest.Config{LDIF: many(n)}), slapdtest.Start(t, slapdtest.Config{LDIF: many(n)})
	o := options(first)
	o.URLs = append(o.URLs, second.URL)
	s := open(t, o)
	var refs []sources.Ref
	for _, p := range sourcetest.List(t, s) {
		refs = append(refs, p.Ref)
	}
	times, moved := map[sources.Ref]int{}, 0
	err := s.Photos(t.Context(), refs, func(p sources.Photo) error {
		if times[p.Ref]++; len(times) == 10 {
			first.Stop()
		}
		if p.Moved || p.Err != nil {
			moved++
		}
		return nil
	})
	if err != nil || len(times) != n || moved != 0 {
		t.Errorf("%d photos, %d moved, error %v", len(times), moved, err)
	}
	first.Run()
}

// Photos are read although the only server was away for a moment after the listing.
// When it stays away, those who come later do not wait for it as long as the first.
func TestServerComesBackForPhotos(t *testing.T) {
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: many(3)})
	s := open(t, options(srv))
	s.pause = time.Second // doubled with each try: 15 seconds for the server to come back
	read := func() error {
		var err error
		if e := s.Photos(t.Context(), []sources.Ref{{Name: dn("u01@")}}, func(p sources.Photo) error { err = p.Err; return nil }); e != nil {
			return e
		}
		return err
	}
	if people := sourcetest.List(t, s); len(people) != 3 {
		t.Fatalf("listed %v", people)
	}
	srv.Stop()
	done := make(chan error)
	go func() { done <- read() }()
	srv.Run()
	if err := <-done; err != nil {
		t.Fatalf("the server was restarted: %v", err)
	}

	srv.Stop()
	s.pause = time.Millisecond
	l, err := net.Listen("tcp", strings.TrimPrefix(srv.URL, "ldap://")) // hangs up, whatever it is asked
	if err != nil {
		t.Fatal(err)
	}
	tries := make(chan int, 1)
	tries <- 0
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(done)
				return
			}
			tries <- 1 + <-tries
			c.Close()
		}
	}()
	defer func() { l.Close(); <-done }()
	for _, least := range []int{restarts, 1} { // and one more, if the connection of before is not known to be lost
		if err := read(); err == nil {
			t.Error("a photo came from a server that is away")
		}
		n := <-tries
		tries <- 0
		if n != least && (least == 1 || n != least+1) {
			t.Errorf("tried %d times, want %d", n, least)
		}
	}
}

// A server that takes the connection and never answers must not outlast the run.
func TestCancelledWhileBinding(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := Options{
		URLs: []string{"ldap://" + l.Addr().String()}, BindDN: "cn=x", Password: "x", Filter: "(a=b)", PageSize: 1,
		EmailAttributes: []string{"mail"}, PhotoAttributes: []string{"jpegPhoto"},
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		if c, err := l.Accept(); err == nil {
			defer c.Close()
			io.ReadFull(c, make([]byte, 1)) // the bind has been sent
			cancel()
			<-t.Context().Done()
		}
	}()
	if _, err := open(t, o).List(ctx, func(sources.Person) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}
