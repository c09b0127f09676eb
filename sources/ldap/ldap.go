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
	"sync"
	"sync/atomic"
	"time"

	"photosync/sources"
)

// restarts is how often work goes on with another connection after one was lost.
const restarts = 4

// Source is a directory. It keeps its connections for later reads.
type Source struct {
	o         Options
	addresses []address
	tls       *tls.Config
	marks     marks
	buffers   sources.Buffers // of photos
	pause     time.Duration   // before all servers are tried again; it doubles
	now       func() time.Time

	first   atomic.Int32 // the address to try first
	reached atomic.Bool  // a server answered, and is worth waiting for when it does not
	mu      sync.Mutex
	idle    []*conn
}

// New checks o and reads its files; it contacts nobody. An error is the first Fault.
func New(o Options) (*Source, error) {
	s, f := build(o)
	if len(f) > 0 {
		return nil, f[0]
	}
	return s, nil
}

// Check is New for somebody who wants to know everything that is wrong with o.
func Check(o Options) []Fault {
	_, f := build(o)
	return f
}

func build(o Options) (*Source, faults) {
	var f faults
	o.defaults()
	s := &Source{o: o, marks: newMarks(o), pause: time.Second, now: time.Now, addresses: f.addresses(o)}
	f.others(o)
	s.tls = f.tls(o.TLS)
	return s, f
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

var _ sources.Source = (*Source)(nil)
