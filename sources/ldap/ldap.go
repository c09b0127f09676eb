// Package ldap is the source of photos for LDAP directories and Active Directory.
//
// A listing asks only for email addresses and a change mark, page by page (RFC 2696), and never
// holds the directory in memory. Photos are read later, a few entries at a time, by a key that
// survives renames. If a server goes away, the next one is asked. If a limit, a referral or the
// loss of all servers cuts a listing short, that is an error, never a short list.
package ldap

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-ldap/ldap/v3"

	"photosync/sources"
	"photosync/sync/foreign"
)

// restarts is how often work continues with another connection after one was lost.
const restarts = 4

// Source is a directory. It keeps its connections for later reads.
type Source struct {
	o         Options
	addresses []address
	tls       *tls.Config
	stamps    stamps
	buffers   sources.Buffers // of photos
	pause     time.Duration   // before all servers are tried again; it doubles
	now       func() time.Time

	first   atomic.Int32 // the address to try first
	reached atomic.Bool  // a server answered before, so it is worth waiting for one
	mu      sync.Mutex
	idle    []*conn
}

// New checks o and reads its files; it contacts nobody. Its error is Faults: all mistakes in o.
func New(o Options) (*Source, error) {
	var f Faults
	s := &Source{o: o, stamps: newStamps(o), pause: time.Second, now: time.Now, addresses: f.addresses(o)}
	f.others(o)
	if s.tls = f.tls(o.TLS); len(f) > 0 {
		return nil, f
	}
	return s, nil
}

// Close ends the connections that are not in use.
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.idle {
		c.Close()
	}
	s.idle = nil
	return nil
}

// withServer calls use with a connection. If the connection is lost, it calls use again with a
// connection to the next server, a few times. It gives up early if the next server would give the
// same error, or if no server answers and none ever did.
func (s *Source) withServer(ctx context.Context, op string, use func(*conn) error) error {
	pause := s.pause
	for try := 0; ; try++ {
		c, err := s.acquire(ctx)
		connected := err == nil
		if connected {
			err = s.release(ctx, c, op, use(c))
		}
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !lost(err), !connected && try == 0 && !s.reached.Load():
			return err
		case try == restarts:
			s.reached.Store(false) // the next caller need not wait as long for the same servers
			return err
		case connected:
			continue
		}
		select { // all servers are away: one may be restarting
		case <-time.After(pause):
			pause *= 2
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// acquire returns an idle connection, or a new one to the first server that answers.
func (s *Source) acquire(ctx context.Context) (*conn, error) {
	s.mu.Lock()
	for len(s.idle) > 0 {
		c := s.idle[len(s.idle)-1]
		s.idle = s.idle[:len(s.idle)-1]
		if !c.IsClosing() {
			s.mu.Unlock()
			return c, nil
		}
	}
	s.mu.Unlock()
	var errs []error
	for i := range s.addresses {
		at := (int(s.first.Load()) + i) % len(s.addresses)
		c, err := s.dial(ctx, s.addresses[at])
		if err == nil {
			s.first.Store(int32(at))
			s.reached.Store(true)
			c.failed = errs
			return c, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil || ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials) || isFinal(err) {
			break // another attempt could lock the account
		}
	}
	return nil, serversError(errs)
}

// release puts a connection back after a use that returned err, or closes it. If the connection was
// lost, the next server is tried first from then on.
func (s *Source) release(ctx context.Context, c *conn, op string, err error) error {
	if err == nil {
		c.failed = nil
		s.mu.Lock()
		defer s.mu.Unlock()
		s.idle = append(s.idle, c)
		return nil
	}
	c.Close()
	if lost(err) && ctx.Err() == nil {
		at := slices.Index(s.addresses, c.at)
		s.first.CompareAndSwap(int32(at), int32((at+1)%len(s.addresses)))
		s.Close() // the idle connections are probably lost, too
	}
	if _, own := errors.AsType[*Error](err); own {
		return err
	}
	return &Error{op, c.at.raw, err}
}

// lost reports whether err is about a connection or a server, so that another server may do better:
// this one did not answer, or said that it cannot now.
func lost(err error) bool {
	code, answered := resultCode(err)
	return !isFinal(err) && (!answered || code == ldap.LDAPResultBusy || code == ldap.LDAPResultUnavailable)
}

// resultCode returns the server's result code, if it answered: go-ldap's own codes begin at 200.
func resultCode(err error) (uint16, bool) {
	e, ok := errors.AsType[*ldap.Error](err)
	if !ok || e.ResultCode >= ldap.ErrorNetwork || e.ResultCode == ldap.LDAPResultServerDown || e.ResultCode == ldap.LDAPResultConnectError {
		return 0, false
	}
	return e.ResultCode, true
}

// Options describe a directory.
type Options struct {
	URLs []string // ldap://, ldaps:// or ldapi://, tried in order

	Auth     string // how to bind: Simple, External, GSSAPI or Anonymous
	BindDN   string
	Password string
	Kerberos Kerberos

	BaseDN        string
	Filter        string
	ExcludeFilter string // entries that it matches are left out; empty: none
	MemberOf      string // DN of a group: only its members, also through groups in it; empty: everyone

	EmailAttributes []string // in order of preference
	PhotoAttributes []string
	PhotoChoice     string            // "first" of PhotoAttributes that is there (also when empty), or the "largest" picture
	IsPicture       func([]byte) bool // judges the first bytes; of several values, a picture is preferred; nil: all are pictures

	TLS             TLS
	AllowPlaintext  bool          // also to other hosts, although nothing then proves who answers
	Paging          string        // PagingAuto, PagingRequired or PagingOff
	PageSize        int           // entries on a page of the listing; 0: depends on the kind of server
	Deref           bool          // follow aliases: list the entries that they name
	ChangeDetection string        // "auto", or "content": no change marks, read every photo
	IdleTimeout     time.Duration // how long a server may be silent when asked
	ListTimeout     time.Duration // how long a listing may take
}

// TLS is how the server is verified.
type TLS struct {
	CAs        *x509.CertPool // nil: the system's
	StartTLS   bool
	ServerName string // empty: the host of the URL
	CertFile   string // of a client certificate
	KeyFile    string
}

// Paging: whether a listing is asked for page by page (RFC 2696).
const (
	PagingAuto     = "auto"     // if the server can; else in one piece
	PagingRequired = "required" // otherwise the listing fails
	PagingOff      = "off"      // in one piece
)

// Fault is a mistake in Options.
type Fault struct {
	Key     string // of the configuration: what is wrong
	Message string
	Instead string // what to write instead
}

// Faults are the mistakes that New found, at least one.
type Faults []Fault

func (f Faults) Error() string {
	return fmt.Sprintf("ldap: %s: %s (%s)", f[0].Key, f[0].Message, f[0].Instead)
}

func (f *Faults) add(key, message, instead string) { *f = append(*f, Fault{key, message, instead}) }

// addresses reads and checks the URLs.
func (f *Faults) addresses(o Options) (as []address) {
	const encrypt = "use ldaps://, or tls.start_tls: true"
	for i, raw := range o.URLs {
		key := fmt.Sprintf("urls[%d]", i)
		at, err := parseAddress(raw)
		open := !at.tls && !o.TLS.StartTLS && at.network == "tcp"
		overheard := open && !o.AllowPlaintext && !foreign.Loopback(at.host)
		switch {
		case err != nil:
			f.add(key, "is not an LDAP address", err.Error())
		case open && o.Auth == External:
			f.add(key, "without TLS nobody sees the certificate of auth: external", encrypt)
		case overheard && o.Auth == Simple:
			f.add(key, "would send the password in clear", encrypt+", or allow_plaintext: true")
		case overheard:
			f.add(key, "without TLS anybody on the network path can answer, and replace everyone's picture", encrypt+", or allow_plaintext: true")
		}
		as = append(as, at)
	}
	return as
}

// others checks the other options, except TLS.
func (f *Faults) others(o Options) {
	list := func(key string, values []string) {
		if len(values) == 0 {
			f.add(key, "is empty", "give one at least")
		}
	}
	filter := func(key, text string) {
		if _, err := ldap.CompileFilter(text); err != nil {
			f.add(key, fmt.Sprintf("%q is not an LDAP filter: %v", text, withoutPrefix(err)), "like (&(objectClass=person)(mail=*))")
		}
	}
	dn := func(key, text string) {
		if _, err := ldap.ParseDN(text); err != nil {
			f.add(key, fmt.Sprintf("%q is not a distinguished name: %v", text, withoutPrefix(err)), "like OU=People,DC=example,DC=com")
		}
	}
	list("urls", o.URLs)
	list("email_attributes", o.EmailAttributes)
	list("photo_attributes", o.PhotoAttributes)
	if o.Auth == GSSAPI && o.Kerberos.Keytab == "" && currentUser == nil {
		f.add("kerberos", "auth: gssapi needs principal and keytab; only on Windows the current user will do",
			"like {principal: photosync@EXAMPLE.COM, keytab: /etc/photosync/photosync.keytab}")
	}
	filter("filter", o.Filter)
	filter("exclude_filter", cmp.Or(o.ExcludeFilter, anything))
	dn("base_dn", o.BaseDN)
	dn("member_of", o.MemberOf)
}
