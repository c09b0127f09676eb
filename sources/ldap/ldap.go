// Package ldap is the source of photos for LDAP directories and Active Directory.
//
// A listing asks for email addresses and a change mark only, page by page (RFC
// 2696), and never holds the directory in memory. Photos are read later, a few
// entries at a time, by a key that survives renames. A server that goes away is
// replaced by the next. A listing that a limit, a referral or the loss of all
// servers cuts short is an error, never a short list.
package ldap

import (
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-ldap/ldap/v3"

	"photosync/sources"
)

// Options describe a directory.
type Options struct {
	URLs []string // ldap://, ldaps:// or ldapi://, tried in order

	Auth     string // how to bind; empty: Simple with a BindDN, Anonymous without
	BindDN   string
	Password string
	Kerberos Kerberos

	BaseDN        string
	Filter        string
	ExcludeFilter string // entries that it matches are left out; empty: none
	MemberOf      string // DN of a group: only its members, also through groups in it; empty: everyone

	EmailAttributes []string // in order of preference
	PhotoAttributes []string
	PhotoChoice     string // "first" of PhotoAttributes that is there (also when empty), or the "largest" picture

	TLS             TLS
	AllowPlaintext  bool          // send the password in clear to another host
	PageSize        int           // entries a page of the listing
	ChangeDetection string        // "auto", or "content": no change marks, read every photo
	IdleTimeout     time.Duration // how long a server may be silent when asked; 0: a minute
	ListTimeout     time.Duration // how long a listing may take; 0: an hour
}

// TLS is how the server is verified; the zero value is the system's authorities.
type TLS struct {
	CAFile     string
	StartTLS   bool
	ServerName string // empty: the host of the URL
	CertFile   string // of a client certificate
	KeyFile    string
}

const (
	// connections is how many may be open at once: workers of an upload share them.
	connections = 4
	// restarts is how often work goes on with another connection after one was lost.
	restarts = 4
)

// Source is a directory. It keeps its connections for later reads.
type Source struct {
	o         Options
	addresses []address
	tls       *tls.Config
	marks     marks
	buffers   sources.Buffers
	pause     time.Duration // before all servers are tried again; it doubles

	first   atomic.Int32 // the address to try first
	reached atomic.Bool  // a server answered, and is worth waiting for when it does not
	listed  atomic.Int64 // entries of the last listing
	slots   chan struct{}
	mu      sync.Mutex
	idle    []*conn
	closed  bool
}

// New checks o and reads its files; it contacts nobody. An error is the first Fault.
func New(o Options) (*Source, error) {
	s, faults := build(o)
	if len(faults) > 0 {
		return nil, faults[0]
	}
	return s, nil
}

// Check is New for somebody who wants to know everything that is wrong with o.
func Check(o Options) []Fault {
	_, faults := build(o)
	return faults
}

// Fault is a mistake in Options.
type Fault struct {
	Key     string // of the configuration: what is wrong
	Message string
	Instead string // what to write instead
}

func (f Fault) Error() string { return fmt.Sprintf("ldap: %s: %s (%s)", f.Key, f.Message, f.Instead) }

func build(o Options) (s *Source, faults []Fault) {
	fault := func(key, message, instead string) { faults = append(faults, Fault{key, message, instead}) }
	s = &Source{o: o, marks: newMarks(o), pause: time.Second, slots: make(chan struct{}, connections)}
	if o.Auth == "" {
		s.o.Auth = Anonymous
		if o.BindDN != "" {
			s.o.Auth = Simple
		}
	}
	if o.IdleTimeout == 0 {
		s.o.IdleTimeout = time.Minute
	}
	if o.ListTimeout == 0 {
		s.o.ListTimeout = time.Hour
	}
	for i, raw := range o.URLs {
		key := fmt.Sprintf("urls[%d]", i)
		at, err := parseAddress(raw)
		if err != nil {
			fault(key, "is no LDAP address", err.Error())
		} else if s.o.Auth == Simple && !at.tls && !o.TLS.StartTLS && !o.AllowPlaintext && !at.local() {
			fault(key, "would send the password in clear", "use ldaps:// or start_tls")
		}
		s.addresses = append(s.addresses, at)
	}
	for _, n := range []struct {
		key  string
		have int
	}{{"urls", len(o.URLs)}, {"email_attributes", len(o.EmailAttributes)}, {"photo_attributes", len(o.PhotoAttributes)}, {"page_size", o.PageSize}} {
		if n.have <= 0 {
			fault(n.key, "there is none", "give one at least")
		}
	}
	for _, f := range [][2]string{{"filter", o.Filter}, {"exclude_filter", o.ExcludeFilter}} {
		if _, err := ldap.CompileFilter(f[1]); err != nil && (f[1] != "" || f[0] == "filter") {
			fault(f[0], fmt.Sprintf("%q is no LDAP filter: %v", f[1], plain(err)), "like (&(objectClass=person)(mail=*))")
		}
	}
	for _, d := range [][2]string{{"base_dn", o.BaseDN}, {"member_of", o.MemberOf}} {
		if _, err := ldap.ParseDN(d[1]); err != nil {
			fault(d[0], fmt.Sprintf("%q is no distinguished name: %v", d[1], plain(err)), "like OU=People,DC=example,DC=com")
		}
	}
	s.tls, faults = tlsConfig(o.TLS, faults)
	return s, faults
}

// Close ends the connections that are not in use.
func (s *Source) Close() error {
	s.mu.Lock()
	idle := s.idle
	s.idle, s.closed = nil, true
	s.mu.Unlock()
	var errs []error
	for _, c := range idle {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

var _ sources.Source = (*Source)(nil)
