package ldap

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/go-ldap/ldap/v3"
)

// Error is what went wrong with a directory.
type Error struct {
	Op  string // connect, start TLS, bind, ask about, list, read photos
	URL string
	Err error
}

// Error is one line: what a server says may hold several, and Active Directory
// ends it with a NUL.
func (e *Error) Error() string {
	text := strings.FieldsFunc(e.Err.Error(), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
	return strings.TrimSuffix(fmt.Sprintf("%s %s: %s", e.Op, e.URL, strings.Join(text, " ")), ":") // of go-ldap, where the server says no more
}

func (e *Error) Unwrap() error { return e.Err }

func (e *Error) code() uint16 {
	if le, ok := errors.AsType[*ldap.Error](e.Err); ok {
		return le.ResultCode
	}
	return 0
}

// serversError is why each of the servers could not be had.
type serversError []error

// Error is one line.
func (e serversError) Error() string {
	texts := make([]string, len(e))
	for i, err := range e {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (e serversError) Unwrap() []error { return e }

// Hint has the hint of each, once.
func (e serversError) Hint() string {
	var hints []string
	for _, err := range e {
		if own, ok := errors.AsType[*Error](err); ok && !slices.Contains(hints, own.Hint()) {
			hints = append(hints, own.Hint())
		}
	}
	return strings.Join(hints, "; ")
}

// referralError is an answer that sends us elsewhere for a part of the people.
type referralError struct{ urls []string }

func (e *referralError) Error() string {
	return "the server refers to others for a part of the entries, which are not followed: " + strings.Join(e.urls, ", ")
}

// errUnpaged is a listing in one piece: a server that does not know paging may have
// cut it.
var errUnpaged = errors.New("the server did not answer page by page, so nothing proves that this is everyone")

// rangeError is an attribute of which the server gave a part only.
type rangeError struct{ attribute, dn string }

func (e *rangeError) Error() string {
	return fmt.Sprintf("the server gave only a part of the values of %q: %s", e.dn, e.attribute)
}

// limitError is a listing that takes longer than it may.
type limitError struct{ limit time.Duration }

func (e *limitError) Error() string { return fmt.Sprintf("the listing took longer than %s", e.limit) }

// groupError is a group that is not there.
type groupError struct{ dn string }

func (e *groupError) Error() string { return fmt.Sprintf("there is no group %q", e.dn) }

// hiddenError is a directory in which no photo may be seen.
type hiddenError struct{ attributes []string }

func (e *hiddenError) Error() string {
	return "the bind user may read nobody's photo (" + strings.Join(e.attributes, ", ") + ")"
}

// catalogueHint is for who asks for photos where they are not kept.
const catalogueHint = "the ports 3268 and 3269 are those of the global catalogue, which lacks photos: use 389 or 636"

func isCatalogue(url string) bool {
	return strings.HasSuffix(url, ":3268") || strings.HasSuffix(url, ":3269")
}

// isRefusal reports an answer that would be the same at every server.
func isRefusal(err error) bool {
	_, referral := errors.AsType[*referralError](err)
	_, ranged := errors.AsType[*rangeError](err)
	_, group := errors.AsType[*groupError](err)
	_, hidden := errors.AsType[*hiddenError](err)
	return referral || ranged || group || hidden || errors.Is(err, errUnpaged)
}

// Hint says what an administrator can do.
func (e *Error) Hint() string {
	if _, hidden := errors.AsType[*hiddenError](e.Err); hidden && isCatalogue(e.URL) {
		return catalogueHint
	}
	if h := tlsHint(e.Err); h != "" {
		return h
	}
	if h := ownHint(e.Err); h != "" {
		return h
	}
	if h := e.connectionHint(); h != "" {
		return h
	}
	switch e.code() {
	case ldap.LDAPResultInvalidCredentials:
		return credentialsHint(e.Err.Error())
	case ldap.LDAPResultSizeLimitExceeded:
		return "the server's size limit cuts the listing: on slapd give the bind DN \"limits … size.prtotal=unlimited\", on Active Directory lower page_size to 1000"
	case ldap.LDAPResultTimeLimitExceeded, ldap.LDAPResultAdminLimitExceeded:
		return "the server's limits refuse the listing or cut it: lower page_size, raise the limits for the bind DN, or narrow the filter"
	case ldap.LDAPResultNoSuchObject:
		return "check base_dn: the server knows no such entry, or does not show it to the user of bind_dn or auth"
	case ldap.LDAPResultReferral:
		return "check base_dn: another server holds it"
	case ldap.LDAPResultStrongAuthRequired, ldap.LDAPResultConfidentialityRequired:
		if strings.Contains(e.Err.Error(), "Sign or Seal") { // Samba says so over TLS, too
			return "the server wants Kerberos to sign, which photosync leaves to TLS: use ldaps://, and with Samba \"ldap server require strong auth = allow_sasl_over_tls\"; or set auth: simple"
		}
		return "the server wants encryption: use ldaps:// or tls.start_tls: true"
	case ldap.LDAPResultAuthMethodNotSupported, ldap.LDAPResultInappropriateAuthentication:
		return "the server does not take this way to bind: check auth"
	case ldap.LDAPResultOperationsError, ldap.LDAPResultInsufficientAccessRights:
		return "the server refuses this search: check auth, bind_dn and its rights"
	}
	if e.Op == "read photos" {
		return "look into the server's log, at what it did at that time; the next run tries again"
	}
	return "the directory could not be read to its end, so nothing was changed; the next run tries again"
}

// connectionHint is for the way to the server, up to the first answer.
func (e *Error) connectionHint() string {
	hungUp := errors.Is(e.Err, io.EOF) || errors.Is(e.Err, syscall.ECONNRESET) || errors.Is(e.Err, syscall.EPIPE)
	op, network := errors.AsType[*net.OpError](e.Err)
	switch {
	case e.Op == "connect" && hungUp:
		return "the server hung up instead of speaking TLS: check the port (ldaps:// has 636), or use ldap:// with tls.start_tls: true"
	case (e.Op == "bind" || e.Op == "ask about") && hungUp:
		return "the server hung up: check address and port in urls, whether TLS is meant, and whether it wants a client certificate (tls.cert_file)"
	case e.Op == "start TLS" && (hungUp || e.code() != 0):
		return "the server does not start TLS: let its administrator set TLS up, or use ldaps://"
	case network && op.Net == "unix":
		return "check the path in urls: the server has to listen there, and photosync's user to be let in"
	case network:
		return "check that the server runs, its address and port in urls, and that a firewall lets photosync through"
	}
	return ""
}

// ownHint is for what we found ourselves.
func ownHint(err error) string {
	if _, ok := errors.AsType[*referralError](err); ok {
		return "set base_dn to an organisational unit below the domain, or add a source for each server that is referred to"
	}
	if _, ok := errors.AsType[*rangeError](err); ok {
		return "take that attribute out of email_attributes or photo_attributes"
	}
	if _, ok := errors.AsType[*limitError](err); ok {
		return "raise list_timeout, or find out why the server is slow"
	}
	if _, ok := errors.AsType[*silentError](err); ok {
		return "the server is there and does not answer: look at its load, or raise idle_timeout"
	}
	if _, ok := errors.AsType[*groupError](err); ok {
		return "check member_of, and that the bind user may see that entry"
	}
	if _, ok := errors.AsType[*hiddenError](err); ok {
		return "give the bind user the right to read it, or correct photo_attributes"
	}
	if _, ok := errors.AsType[*kerberosError](err); ok {
		return "check kerberos.principal, keytab and config, that the clocks agree, and that the server is called by the name in its service principal"
	}
	if errors.Is(err, errMalformed) || errors.Is(err, errTooMuch) {
		return "check address and port in urls: is that an LDAP server, and is TLS meant?"
	}
	return ""
}

// credentialsHint explains Active Directory's sub-codes of error 49.
func credentialsHint(message string) string {
	for code, why := range map[string]string{
		"data 525": "the bind user does not exist: check bind_dn",
		"data 532": "the bind user's password has expired",
		"data 533": "the bind user is disabled",
		"data 701": "the bind user's account has expired",
		"data 773": "the bind user must change the password first",
		"data 775": "the bind user is locked out",

		"data 80090346": "the server wants channel binding, which photosync cannot do with Kerberos: use auth: simple",
	} {
		if strings.Contains(message, code) {
			return why
		}
	}
	return "check bind_dn, and the password in bind_password_file or LDAP_BIND_PASSWORD"
}

func tlsHint(err error) string {
	if h, ok := errors.AsType[x509.HostnameError](err); ok {
		names := namesOf(h.Certificate)
		if names == "" {
			return fmt.Sprintf("the certificate names no server (its CN %q does not count): the server needs one with the subject alternative name %q", h.Certificate.Subject.CommonName, h.Host)
		}
		return fmt.Sprintf("the certificate is for %s, not for %q: correct urls, or set tls.server_name", names, h.Host)
	}
	if a, ok := errors.AsType[*authorityError](err); ok {
		return a.Hint()
	}
	if i, ok := errors.AsType[x509.CertificateInvalidError](err); ok && i.Reason == x509.Expired {
		return fmt.Sprintf("the server's certificate is not valid now: it runs from %s to %s", i.Cert.NotBefore.Format("2006-01-02"), i.Cert.NotAfter.Format("2006-01-02"))
	}
	if strings.Contains(err.Error(), "protocol version") { // an alert has no type of its own
		return "the server speaks only TLS that is broken by now: let it speak TLS 1.2 or newer"
	}
	if strings.Contains(err.Error(), "remote error: tls: ") {
		return "the server refuses to go on with TLS: if it wants a client certificate, give or correct tls.cert_file"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "no TLS is spoken at this port: check it (ldaps:// has 636), or use ldap:// with tls.start_tls: true"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the server's certificate cannot be verified: check tls.ca_file and tls.server_name"
	}
	return ""
}

// plain leaves out what go-ldap puts before an error of its own.
func plain(err error) error {
	if e, ok := errors.AsType[*ldap.Error](err); ok && e.Err != nil {
		err = e.Err
	}
	return errors.New(strings.TrimPrefix(err.Error(), "ldap: "))
}

// authorityError is a certificate from an authority that is not trusted.
type authorityError struct {
	error
	caFile string // empty: those of the system are
}

func (e *authorityError) Unwrap() error { return e.error }

// Hint says who issued the certificate, and who would have had to.
func (e *authorityError) Hint() string {
	u, _ := errors.AsType[x509.UnknownAuthorityError](e.error)
	if u.Cert == nil {
		return "the server's certificate is not from a trusted authority: name the file of its authority in tls.ca_file"
	}
	trusted := "the authorities of this system"
	if names := authorities(e.caFile); len(names) > 0 {
		trusted = strings.Join(names, ", ")
	}
	return fmt.Sprintf("the server's certificate is issued by %q, and trusted is only %s: name the file of its authority in tls.ca_file", u.Cert.Issuer, trusted)
}

// authorities are the names of the certificates in a file.
func authorities(file string) (names []string) {
	data, _ := os.ReadFile(file) // it was read before; without names the hint is shorter
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return names
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			names = append(names, fmt.Sprintf("%q", c.Subject))
		}
	}
}

// namesOf are the names that a certificate is for; empty: none.
func namesOf(c *x509.Certificate) string {
	var names []string
	for _, n := range c.DNSNames {
		names = append(names, fmt.Sprintf("%q", n))
	}
	for _, ip := range c.IPAddresses {
		names = append(names, fmt.Sprintf("%q", ip))
	}
	return strings.Join(names, ", ")
}
