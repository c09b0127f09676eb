// Package ldap is the source of photos for LDAP directories and Active Directory.
//
// A listing asks for email addresses and a change mark only, page by page (RFC
// 2696), and never holds the directory in memory. Photos are read later, a few
// entries at a time, by a key that survives renames. A listing that a limit, a
// referral or a lost connection cuts short is an error, never a short list.
package ldap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"

	"photosync/sources"
)

const (
	dialTimeout = 10 * time.Second
	// answerTimeout bounds one page or one batch of photos as a whole, not the
	// silence in it: go-ldap's timeout is that of a response.
	answerTimeout = 2 * time.Minute
	// photoBatch is how many entries' photos are asked for, and so in memory, at
	// once.
	photoBatch = 20
)

// Options describe a directory.
type Options struct {
	URLs     []string // ldap://, ldaps:// or ldapi://, tried in order
	BindDN   string   // empty: anonymous
	Password string
	BaseDN   string
	Filter   string

	EmailAttributes []string // in order of preference
	PhotoAttributes []string // the first that is there counts

	TLS             TLS
	AllowPlaintext  bool   // send the password in clear to another host
	PageSize        int    // entries a page of the listing
	ChangeDetection string // "auto", or "content": no change marks, read every photo
}

// TLS is how the server is verified; the zero value is the system's authorities.
type TLS struct {
	CAFile     string
	StartTLS   bool
	ServerName string // empty: the host of the URL
	CertFile   string // of a client certificate
	KeyFile    string
}

// Source is a directory. It holds one connection for reading photos.
type Source struct {
	o   Options
	tls *tls.Config

	mu   sync.Mutex // serialises the reading of photos
	conn *ldap.Conn
}

// New checks o and reads its files; it contacts nobody.
func New(o Options) (*Source, error) {
	for _, raw := range o.URLs {
		u, err := url.Parse(raw)
		if err != nil || !slices.Contains([]string{"ldap", "ldaps", "ldapi"}, u.Scheme) || u.User != nil {
			return nil, errors.New("ldap address: want ldap://, ldaps:// or ldapi://, without a user or password in it")
		}
		if u.Scheme == "ldap" && o.BindDN != "" && !o.TLS.StartTLS && !o.AllowPlaintext && !loopback(u.Hostname()) {
			return nil, fmt.Errorf("ldap address %q: would send the password in clear: use ldaps:// or start_tls", raw)
		}
	}
	if len(o.URLs) == 0 || len(o.EmailAttributes) == 0 || len(o.PhotoAttributes) == 0 || o.PageSize <= 0 {
		return nil, errors.New("ldap: needs an address, an email attribute, a photo attribute and a page size")
	}
	if _, err := ldap.CompileFilter(o.Filter); err != nil {
		return nil, fmt.Errorf("ldap filter %q: %w", o.Filter, err)
	}
	if _, err := ldap.ParseDN(o.BaseDN); err != nil {
		return nil, fmt.Errorf("ldap base DN %q: %w", o.BaseDN, err)
	}
	t, err := tlsConfig(o.TLS)
	if err != nil {
		return nil, err
	}
	return &Source{o: o, tls: t}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func tlsConfig(o TLS) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.ServerName}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read tls.ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read tls.ca_file %q: no PEM certificate in it", o.CAFile)
		}
	}
	if o.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read tls.cert_file: %w", err)
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}

// Close ends the connection, if there is one.
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drop()
}

func (s *Source) drop() error {
	c := s.conn
	s.conn = nil
	if c == nil {
		return nil
	}
	return c.Close()
}

// connect binds to the first server that answers.
func (s *Source) connect(ctx context.Context) (*ldap.Conn, string, error) {
	var errs []error
	for _, raw := range s.o.URLs {
		if ctx.Err() != nil {
			return nil, "", context.Cause(ctx)
		}
		c, err := s.connectTo(ctx, raw)
		if ctx.Err() != nil {
			if err == nil {
				c.Close()
			}
			return nil, "", context.Cause(ctx)
		}
		if err == nil {
			return c, raw, nil
		}
		errs = append(errs, err)
		if e, ok := errors.AsType[*Error](err); ok && e.Op == "bind" && e.code() == ldap.LDAPResultInvalidCredentials {
			break // another attempt could lock the account
		}
	}
	return nil, "", errors.Join(errs...)
}

// connectTo dials and binds. Closing the connection is the only way to end a wait
// for a server that does not answer.
func (s *Source) connectTo(ctx context.Context, raw string) (*ldap.Conn, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, &Error{"connect", raw, err}
	}
	t := s.tls.Clone()
	if t.ServerName == "" {
		t.ServerName = u.Hostname()
	}
	c, err := ldap.DialURL(raw, ldap.DialWithDialer(&net.Dialer{Timeout: dialTimeout}), ldap.DialWithTLSConfig(t))
	if err != nil {
		return nil, &Error{"connect", raw, err}
	}
	defer context.AfterFunc(ctx, func() { c.Close() })()
	c.SetTimeout(answerTimeout)
	if s.o.TLS.StartTLS && u.Scheme == "ldap" {
		if err := c.StartTLS(t); err != nil {
			c.Close()
			return nil, &Error{"start TLS", raw, err}
		}
	}
	if s.o.BindDN != "" {
		if err := c.Bind(s.o.BindDN, s.o.Password); err != nil {
			c.Close()
			return nil, &Error{"bind", raw, err}
		}
	}
	return c, nil
}

// attributes of a listing besides the email addresses. Only a referral has a ref
// (RFC 3296, section 2.2).
var listed = []string{"displayName", "cn", "entryUUID", "objectGUID", "entryCSN", "modifyTimestamp", "ref"}

// List implements sources.Source.
func (s *Source) List(ctx context.Context, each func(sources.Person) error) (sources.Listing, error) {
	var l sources.Listing
	c, at, err := s.connect(ctx)
	if err != nil {
		return l, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	skipped := skips{}
	filter, controls := s.withoutReferrals(c)
	var cookie []byte
	for {
		res, next, err := s.page(c, filter, cookie, controls)
		if ctx.Err() != nil {
			return l, context.Cause(ctx)
		}
		if err != nil {
			return l, &Error{"list", at, err}
		}
		l.Pages++
		for _, e := range res.Entries {
			l.Entries++
			p, why := s.person(e, time.Now())
			if why != "" {
				skipped.add(why, e.DN)
				continue
			}
			if err := each(p); err != nil {
				return l, err
			}
		}
		if cookie = next; len(cookie) == 0 {
			break
		}
	}
	l.Warnings = skipped.warnings()
	l.Complete = true
	return l, nil
}

// withoutReferrals returns the filter and the controls that keep referrals from
// ending the listing, where the server says that it knows them. Those of
// Active Directory lead to partitions without people. Others are asked for as the
// entries that they are (RFC 3296, section 3), so that they can be reported.
func (s *Source) withoutReferrals(c *ldap.Conn) (filter string, controls []ldap.Control) {
	filter = s.o.Filter
	res, err := c.Search(ldap.NewSearchRequest("", ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false,
		"(objectClass=*)", []string{"supportedControl"}, nil))
	if err != nil || len(res.Entries) != 1 {
		return filter, nil // the listing itself will tell what is wrong
	}
	supported := res.Entries[0].GetEqualFoldAttributeValues("supportedControl")
	if slices.Contains(supported, ldap.ControlTypeManageDsaIT) {
		controls = append(controls, ldap.NewControlManageDsaIT(false))
		filter = "(|" + filter + "(objectClass=referral))"
	}
	if slices.Contains(supported, ldap.ControlTypeMicrosoftDomainScope) {
		controls = append(controls, ldap.NewControlString(ldap.ControlTypeMicrosoftDomainScope, false, ""))
	}
	return filter, controls
}

// page asks for one page with a request of its own: one that is used again keeps
// the cookie of the search before.
func (s *Source) page(c *ldap.Conn, filter string, cookie []byte, controls []ldap.Control) (*ldap.SearchResult, []byte, error) {
	paging := ldap.NewControlPaging(uint32(s.o.PageSize))
	paging.SetCookie(cookie)
	req := ldap.NewSearchRequest(s.o.BaseDN, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false,
		filter, slices.Concat(s.o.EmailAttributes, listed), append([]ldap.Control{paging}, controls...))
	res, err := c.Search(req)
	if err != nil {
		return nil, nil, err
	}
	if len(res.Referrals) > 0 {
		return nil, nil, &referralError{res.Referrals}
	}
	answer, ok := ldap.FindControl(res.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
	if !ok {
		return nil, nil, errors.New("the server did not answer page by page, so nothing proves that this is everyone")
	}
	return res, answer.Cookie, nil
}

// person makes a Person of an entry, or says why it is none.
func (s *Source) person(e *ldap.Entry, now time.Time) (p sources.Person, why string) {
	if len(values(e, "ref")) > 0 {
		return p, "a referral to another server, which is not followed"
	}
	had := false
	for _, a := range s.o.EmailAttributes {
		for _, v := range addresses(a, values(e, a)) {
			had = true
			if email, err := sources.Email(v); err == nil && !slices.Contains(p.Emails, email) {
				p.Emails = append(p.Emails, email)
			}
		}
	}
	switch {
	case len(p.Emails) == 0 && had:
		return p, "no valid email address"
	case len(p.Emails) == 0:
		return p, "no email address"
	}
	for _, a := range []string{"displayName", "cn"} {
		if p.DisplayName == "" {
			p.DisplayName = e.GetEqualFoldAttributeValue(a)
		}
	}
	p.Ref = sources.Ref{Name: e.DN, Key: key(e)}
	if s.o.ChangeDetection != "content" {
		p.Stamp = stamp(e, now)
	}
	return p, ""
}

// values returns the values of an attribute, in any case and with any option
// (";binary", ";lang-de").
func values(e *ldap.Entry, name string) []string {
	var vs []string
	for _, a := range e.Attributes {
		if base, _, _ := strings.Cut(a.Name, ";"); strings.EqualFold(base, name) {
			vs = append(vs, a.Values...)
		}
	}
	return vs
}

// addresses takes the email addresses out of an attribute's values. Those of
// proxyAddresses have a type: SMTP for the primary one, smtp for others
// ([MS-ADA3], section 2.105).
func addresses(attribute string, vs []string) []string {
	if !strings.EqualFold(attribute, "proxyAddresses") {
		return vs
	}
	var primary, others []string
	for _, v := range vs {
		switch kind, address, _ := strings.Cut(v, ":"); kind {
		case "SMTP":
			primary = append(primary, address)
		case "smtp":
			others = append(others, address)
		}
	}
	return append(primary, others...)
}

// key is what an entry is read by later: its UUID (RFC 4530) or objectGUID, which
// survive renames, or else its DN.
func key(e *ldap.Entry) string {
	if id := e.GetEqualFoldAttributeValue("entryUUID"); id != "" {
		return "entryUUID=" + id
	}
	if id := e.GetEqualFoldRawAttributeValue("objectGUID"); len(id) > 0 {
		return fmt.Sprintf("objectGUID=%x", id)
	}
	return ""
}

// timeGranularity is how old a modifyTimestamp must be to be trusted: it counts
// whole seconds, and the server's clock may differ from ours.
const timeGranularity = 5 * time.Minute

// stamp is the change mark of an entry: OpenLDAP's entryCSN, or modifyTimestamp
// (RFC 4512, section 3.4.4) unless it is so young that another change in the same
// second would not show.
func stamp(e *ldap.Entry, now time.Time) string {
	if csn := e.GetEqualFoldAttributeValue("entryCSN"); csn != "" {
		return "entryCSN=" + csn
	}
	m := e.GetEqualFoldAttributeValue("modifyTimestamp")
	at, err := time.Parse("20060102150405", strings.TrimSuffix(strings.SplitN(m, ".", 2)[0], "Z"))
	if err != nil || now.Sub(at) < timeGranularity {
		return ""
	}
	return "modifyTimestamp=" + m
}

// skips counts entries that are no people, by why.
type skips map[string]*skip

type skip struct {
	n     int
	first string
}

func (s skips) add(why, dn string) {
	if s[why] == nil {
		s[why] = &skip{first: dn}
	}
	s[why].n++
}

func (s skips) warnings() []string {
	var lines []string
	for why, c := range s {
		lines = append(lines, fmt.Sprintf("%d entries left out: %s (first: %q)", c.n, why, c.first))
	}
	slices.Sort(lines)
	return lines
}
