package ldap

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

const (
	dialTimeout = 10 * time.Second // for TCP, StartTLS and TLS together
	maxStartTLS = 16 << 10         // bytes of the answer to StartTLS
)

// address is where a server listens.
type address struct {
	raw     string
	network string // tcp or unix
	addr    string
	host    string // empty for a socket
	tls     bool
}

// parseAddress understands ldap://, ldaps:// and ldapi://. The path of a socket takes the place of
// the host, escaped, as OpenLDAP writes it, or as a path.
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
	port := ldap.DefaultLdapPort
	if u.Scheme == "ldaps" {
		port = ldap.DefaultLdapsPort
	}
	return address{raw, "tcp", net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port)), u.Hostname(), u.Scheme == "ldaps"}, nil
}

// tls reads the client certificate of o.
func (f *Faults) tls(o TLS) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.ServerName, RootCAs: o.CAs}
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
	page   int     // how many entries of a listing to ask for at once; 0: all
	types  string  // the attributes that the server knows, in lower case; empty: not asked yet
	failed []error // why the addresses tried before this one could not be used
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
		c.server, err = c.rootDSE(ctx)
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

// startTLS asks for TLS (RFC 4511, section 4.14). go-ldap cannot do it: it would put TLS between
// itself and the wire, which then could read nothing.
func startTLS(ctx context.Context, nc net.Conn) error {
	defer context.AfterFunc(ctx, func() { nc.SetDeadline(time.Now()) })()
	if _, err := nc.Write([]byte("\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037")); err != nil {
		return err
	}
	answer, err := ber.ReadPacket(io.LimitReader(nc, maxStartTLS)) // whoever answers has not proved to be the server
	if err != nil {
		return err
	}
	return ldap.GetLDAPError(answer)
}

// do runs an operation, and closes the connection when ctx is done: nothing else ends a wait. Entries go to sink.
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
		return why // go-ldap says only that the connection was lost
	}
	return err
}

// search runs a search. It calls each for every entry as it arrives, on another goroutine; each must
// not keep the entry. The result holds the rest. An error of each ends the connection.
func (c *conn) search(ctx context.Context, req *ldap.SearchRequest, each func(*entry) error) (res *ldap.SearchResult, err error) {
	err = c.do(ctx, each, func() error {
		res, err = c.Conn.Search(req)
		return err
	})
	return res, err
}

// read reads one entry. It returns an empty one if there is an error, and if the entry does not match,
// does not exist or may not be seen.
func (c *conn) read(ctx context.Context, dn, filter string, attributes ...string) (*entry, error) {
	found := &entry{}
	_, err := c.search(ctx, request(dn, ldap.ScopeBaseObject, filter, attributes), func(e *entry) error {
		found = &entry{e.dn, bytes.Clone(e.attributes), e.tooLarge}
		return nil
	})
	if ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
		return found, nil
	}
	if err == nil && found.tooLarge > 0 {
		err = final("", "entry %q is too large to be read: it has %d bytes, or too many values", dn, found.tooLarge)
	}
	return found, err
}

const anything = "(objectClass=*)"

func request(base string, scope int, filter string, attributes []string) *ldap.SearchRequest {
	return ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, 0, 0, false, filter, attributes, nil)
}

// peopleRequest returns a request for the entries below base_dn that match filter.
func (s *Source) peopleRequest(filter string, attributes []string) *ldap.SearchRequest {
	req := request(s.o.BaseDN, ldap.ScopeWholeSubtree, filter, attributes)
	if s.o.Deref {
		req.DerefAliases = ldap.DerefAlways
	}
	return req
}

// Capabilities of Active Directory and of its lightweight form ([MS-ADTS], section 3.1.1.3.4.3).
const (
	activeDirectory      = "1.2.840.113556.1.4.800"
	activeDirectoryLight = "1.2.840.113556.1.4.1851"
)

// server is what a server says of itself (RFC 4512, section 5.1).
type server struct {
	entry        // its root DSE
	ad    bool   // Active Directory, or a server that behaves like it
	dc    string // identifies the domain controller and the instance of its database; empty: not known
}

// rootDSE reads what the server says of itself. If that may not be read, nothing is known about the
// server, and its listing will show what is wrong.
func (c *conn) rootDSE(ctx context.Context) (s server, err error) {
	root, err := c.read(ctx, "", anything, "supportedControl", "supportedCapabilities", "namingContexts", "subschemaSubentry", "dsServiceName")
	if err != nil && !refused(err) {
		return s, err
	}
	s.entry = *root
	can := root.texts("supportedCapabilities")
	s.ad = slices.Contains(can, activeDirectory) || slices.Contains(can, activeDirectoryLight)
	if name := root.text("dsServiceName"); s.ad && name != "" {
		settings, err := c.read(ctx, name, anything, "invocationId")
		if err != nil && !refused(err) {
			return s, err
		}
		if life := settings.text("invocationId"); life != "" {
			s.dc = digest(strings.ToLower(name) + "\x00" + life)
		}
	}
	return s, nil
}

// refused reports whether a server answered with a refusal.
func refused(err error) bool {
	code, answered := resultCode(err)
	return answered && !slices.Contains([]uint16{ldap.LDAPResultBusy, ldap.LDAPResultUnavailable, ldap.LDAPResultStrongAuthRequired}, code)
}

// inSchema returns those photo attributes that the server's schema has (RFC 4512, section 4.2.2):
// nothing else distinguishes an attribute that may not be seen from one that does not exist.
func (s *Source) inSchema(ctx context.Context, c *conn) (names []string, err error) {
	if schema := c.server.text("subschemaSubentry"); c.types == "" && schema != "" {
		e, err := c.read(ctx, schema, "(objectClass=subschema)", "attributeTypes")
		if err != nil && !refused(err) {
			return nil, err
		}
		c.types = strings.ToLower(strings.Join(e.texts("attributeTypes"), "\n"))
	}
	for _, a := range s.o.PhotoAttributes {
		if strings.Contains(c.types, "'"+strings.ToLower(a)+"'") {
			names = append(names, a)
		}
	}
	return names, nil
}
