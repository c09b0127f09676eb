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

// New checks o and reads its files; it contacts nobody.
func New(o Options) (*Source, error) {
	s := &Source{o: o, marks: newMarks(o), pause: time.Second, slots: make(chan struct{}, connections)}
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
	for _, raw := range o.URLs {
		at, err := parseAddress(raw)
		if err != nil {
			return nil, fmt.Errorf("ldap address: %w", err)
		}
		if s.o.Auth == Simple && !at.tls && !o.TLS.StartTLS && !o.AllowPlaintext && !at.local() {
			return nil, fmt.Errorf("ldap address %q: would send the password in clear: use ldaps:// or start_tls", raw)
		}
		s.addresses = append(s.addresses, at)
	}
	if len(o.URLs) == 0 || len(o.EmailAttributes) == 0 || len(o.PhotoAttributes) == 0 || o.PageSize <= 0 {
		return nil, errors.New("ldap: needs an address, an email attribute, a photo attribute and a page size")
	}
	for name, filter := range map[string]string{"filter": o.Filter, "exclude_filter": o.ExcludeFilter} {
		if _, err := ldap.CompileFilter(filter); err != nil && (filter != "" || name == "filter") {
			return nil, fmt.Errorf("ldap %s %q: %w", name, filter, err)
		}
	}
	for name, dn := range map[string]string{"base DN": o.BaseDN, "member_of": o.MemberOf} {
		if _, err := ldap.ParseDN(dn); err != nil {
			return nil, fmt.Errorf("ldap %s %q: %w", name, dn, err)
		}
	}
	var err error
	s.tls, err = tlsConfig(o.TLS)
	return s, err
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
