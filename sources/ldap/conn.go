package ldap

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

const (
	// dialTimeout bounds the way to a server: TCP, TLS, and StartTLS, each.
	dialTimeout = 10 * time.Second
	// maxStartTLS is the most bytes that the answer to StartTLS may have.
	maxStartTLS = 16 << 10
)

// address is where a server listens.
type address struct {
	raw     string
	network string // tcp or unix
	addr    string
	host    string // empty for a socket
	tls     bool
}

// parseAddress understands ldap://, ldaps:// and ldapi://. The path of a socket
// stands where a host would, escaped, as OpenLDAP writes it, or as a path.
func parseAddress(raw string) (address, error) {
	if path, ok := strings.CutPrefix(raw, "ldapi://"); ok {
		path, err := url.PathUnescape(path)
		if err != nil {
			return address{}, err
		}
		if path == "" || path == "/" {
			path = "/var/run/slapd/ldapi"
		}
		return address{raw: raw, network: "unix", addr: path}, nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.User != nil || u.Hostname() == "" || u.Scheme != "ldap" && u.Scheme != "ldaps" {
		return address{}, errors.New("want ldap://, ldaps:// or ldapi://, without a user or password in it")
	}
	port := cmp.Or(u.Port(), map[string]string{"ldap": "389", "ldaps": "636"}[u.Scheme])
	return address{raw, "tcp", net.JoinHostPort(u.Hostname(), port), u.Hostname(), u.Scheme == "ldaps"}, nil
}

// local reports whether nobody else can listen on the way.
func (a address) local() bool {
	ip := net.ParseIP(a.host)
	return a.network == "unix" || a.host == "localhost" || ip != nil && ip.IsLoopback()
}

// tls reads the files of o.
func (f *faults) tls(o TLS) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.ServerName}
	if o.CAFile != "" {
		c.RootCAs = x509.NewCertPool()
		text, err := os.ReadFile(o.CAFile)
		if err == nil && !c.RootCAs.AppendCertsFromPEM(text) {
			err = fmt.Errorf("read %s: no PEM certificate in it that can be used", o.CAFile)
		}
		if err != nil {
			f.add("tls.ca_file", err.Error(), "name a PEM file with the certificate of the server's authority")
		}
	}
	if o.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			f.add("tls.cert_file", err.Error(), "name two PEM files that belong together, and that photosync can read")
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c
}

// conn is a connection to one server, for one user at a time.
type conn struct {
	*ldap.Conn
	wire   *wire
	at     address
	server server
	page   int     // how many entries of a listing are asked for at once; 0: all
	group  *group  // MemberOf, as the last listing resolved it; nil: there is none, or it was not resolved
	types  string  // the attributes that the server knows, in lower case; empty: not asked yet
	passed []error // why the addresses before it were passed over, when it was made
}

// dial connects, encrypts, binds, and asks what kind of server it is.
func (s *Source) dial(ctx context.Context, at address) (*conn, error) {
	nc, err := s.encrypted(ctx, at)
	if err != nil {
		return nil, err
	}
	w := newWire(nc, s.o.IdleTimeout)
	c := &conn{Conn: ldap.NewConn(w, at.tls), wire: w, at: at}
	c.Start()
	op := "bind"
	if err = c.do(ctx, nil, func() error { return s.bind(c) }); err == nil {
		op = "ask about"
		c.server, err = c.describe(ctx)
	}
	if err != nil {
		c.Close()
		return nil, &Error{op, at.raw, err}
	}
	c.page = s.pageSize(c.server)
	return c, nil
}

// encrypted makes the connection itself, up to TLS.
func (s *Source) encrypted(ctx context.Context, at address) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	nc, err := (&net.Dialer{}).DialContext(ctx, at.network, at.addr)
	if err != nil {
		return nil, &Error{"connect", at.raw, err}
	}
	op, encrypt := "connect", at.tls
	if s.o.TLS.StartTLS && at.network == "tcp" && !at.tls {
		op, encrypt = "start TLS", true
		err = startTLS(ctx, nc)
	}
	if err == nil && encrypt {
		t := s.tls.Clone()
		t.ServerName = cmp.Or(t.ServerName, at.host)
		tc := tls.Client(nc, t)
		nc, err = tc, tc.HandshakeContext(ctx)
	}
	if err != nil {
		nc.Close()
		return nil, &Error{op, at.raw, err}
	}
	return nc, nil
}

// startTLS asks for TLS (RFC 4511, section 4.14). go-ldap would put it between itself and
// the wire, which then saw nothing.
func startTLS(ctx context.Context, nc net.Conn) error {
	defer context.AfterFunc(ctx, func() { nc.SetDeadline(time.Now()) })()
	if _, err := nc.Write([]byte("\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037")); err != nil {
		return err
	}
	answer, err := ber.ReadPacket(io.LimitReader(nc, maxStartTLS)) // nobody has proved to be the server yet
	if err != nil {
		return err
	}
	return ldap.GetLDAPError(answer)
}

// do runs an operation and gives the connection up when ctx is done: closing it
// is the only way to end a wait. Entries go to sink.
func (c *conn) do(ctx context.Context, sink func(*entry) error, op func() error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	defer context.AfterFunc(ctx, func() { c.Close() })()
	c.wire.begin(sink)
	err := op()
	why := c.wire.end()
	switch {
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && why != nil:
		return why // go-ldap says only that it was lost
	}
	return err
}

// search runs a search. Its entries go to each while they arrive, on another goroutine,
// and may not be kept; the result holds the rest. An error of each ends the connection.
func (c *conn) search(ctx context.Context, req *ldap.SearchRequest, each func(*entry) error) (res *ldap.SearchResult, err error) {
	err = c.do(ctx, each, func() error {
		res, err = c.Conn.Search(req)
		return err
	})
	return res, err
}

// read reads one entry; nil: there is none that matches, or it may not be seen.
func (c *conn) read(ctx context.Context, dn, filter string, attributes ...string) (found *entry, err error) {
	_, err = c.search(ctx, request(dn, ldap.ScopeBaseObject, filter, attributes), func(e *entry) error {
		found = e
		found.attributes = bytes.Clone(e.attributes)
		return nil
	})
	if ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
		return nil, nil
	}
	if err == nil && found != nil && found.tooLarge > 0 {
		err = final("", "entry %q is too large to be read: it has %d bytes, or too many values", found.dn, found.tooLarge)
	}
	return found, err
}

const anything = "(objectClass=*)"

func request(base string, scope int, filter string, attributes []string) *ldap.SearchRequest {
	return ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, 0, 0, false, filter, attributes, nil)
}

// search is a new search for people.
func (s *Source) search(filter string, attributes []string) *ldap.SearchRequest {
	req := request(s.o.BaseDN, ldap.ScopeWholeSubtree, filter, attributes)
	if s.o.Deref {
		req.DerefAliases = ldap.DerefAlways
	}
	return req
}
