package ldap

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/go-ldap/ldap/v3"

	"photosync/sync/foreign"
)

// Error is a failure of a directory, or of the way to it.
type Error struct {
	Op  string // connect, start TLS, bind, ask about, list, read photos
	URL string
	Err error
}

// Error returns one line: a server's text may have several, and Active Directory ends it with a NUL.
func (e *Error) Error() string {
	text := foreign.Line(e.Err.Error(), 1000)
	return strings.TrimSuffix(fmt.Sprintf("%s %s: %s", e.Op, e.URL, text), ":") // go-ldap's, if the server sent no text
}

func (e *Error) Unwrap() error { return e.Err }

// serversError says why none of the servers could be used.
type serversError []error

func (e serversError) Error() string {
	return strings.ReplaceAll(errors.Join(e...).Error(), "\n", "; ")
}

func (e serversError) Unwrap() []error { return e }

// Hint returns the hints of all errors, each once.
func (e serversError) Hint() string {
	var hints []string
	for _, err := range e {
		if own, ok := errors.AsType[*Error](err); ok && !slices.Contains(hints, own.Hint()) {
			hints = append(hints, own.Hint())
		}
	}
	return strings.Join(hints, "; ")
}

// problem is an error that is not a server's answer, and what to do about it.
type problem struct {
	error
	hint  string
	final bool // the next server would have it, too
}

func (p *problem) Unwrap() error { return p.error }

// final returns a problem that the next server would have, too.
func final(hint, format string, args ...any) *problem {
	return &problem{fmt.Errorf(format, args...), hint, true}
}

func isFinal(err error) bool {
	p, ok := errors.AsType[*problem](err)
	return ok && p.final
}

// withoutPrefix removes what go-ldap puts before its own errors.
func withoutPrefix(err error) error {
	if e, ok := errors.AsType[*ldap.Error](err); ok && e.Err != nil {
		err = e.Err
	}
	return errors.New(strings.TrimPrefix(err.Error(), "ldap: "))
}

// hints say what an administrator can do about an error. The first one counts whose condition holds
// and whose text is part of the error's text.
var hints = []struct {
	when       func(*Error) bool // nil: always
	text, hint string
}{
	// TLS. The error itself says which names a certificate has, and until when it is valid.
	{is[x509.HostnameError], "", "the certificate is for another name: correct urls, or set tls.server_name"},
	{is[x509.CertificateInvalidError], "expired", "the server's certificate is not valid now: renew it, or set this machine's clock"},
	{is[tls.RecordHeaderError], "", "this port does not speak TLS: check it (ldaps:// has 636), or use ldap:// with tls.start_tls: true"},
	{is[*tls.CertificateVerificationError], "", "the server's certificate cannot be verified: check tls.ca_file and tls.server_name"},
	{nil, "protocol version", "the server offers only TLS versions that are not safe any more: let it offer TLS 1.2 or later"}, // an alert has no type of its own
	{nil, "remote error: tls: ", "the server refuses to go on with TLS: if it wants a client certificate, give or correct tls.cert_file"},

	// The way to the server, up to the first answer.
	{hungUp("connect"), "", "the server hung up instead of speaking TLS: check the port (ldaps:// has 636), or use ldap:// with tls.start_tls: true"},
	{hungUp("bind", "ask about"), "", "the server hung up: check address and port in urls, whether TLS is meant, and whether it wants a client certificate (tls.cert_file)"},
	{hungUp("start TLS"), "", noStartTLSHint},
	{is[*net.OpError], " unix ", "check the path in urls: the server must listen there, and let in the user that runs photosync"},
	{is[*net.OpError], "", "check that the server runs, its address and port in urls, and that a firewall lets photosync through"},
	{func(e *Error) bool { return e.Op == "start TLS" }, "", noStartTLSHint},

	// What the server answered, by its code (RFC 4511, appendix A). Active Directory adds data to error 49.
	{answered(ldap.LDAPResultInvalidCredentials), "data 525", "the bind user does not exist: check bind_dn"},
	{answered(ldap.LDAPResultInvalidCredentials), "data 532", expiredHint},
	{answered(ldap.LDAPResultInvalidCredentials), "data 533", disabledHint},
	{answered(ldap.LDAPResultInvalidCredentials), "data 701", "the bind user's account has expired: extend it"},
	{answered(ldap.LDAPResultInvalidCredentials), "data 773", mustChangeHint},
	{answered(ldap.LDAPResultInvalidCredentials), "data 775", lockedHint},
	{answered(ldap.LDAPResultInvalidCredentials), "data 80090346", "the server wants channel binding, which photosync cannot do with a keytab: use auth: simple"},
	{answered(ldap.LDAPResultInvalidCredentials), "password expired", expiredHint}, // 389 Directory Server
	{answered(ldap.LDAPResultInvalidCredentials), "", "check bind_dn, and the password in bind_password_file or LDAP_BIND_PASSWORD"},
	// 389 Directory Server, and slapd with ppolicy.
	{answered(ldap.LDAPResultConstraintViolation), "password retry limit", lockedHint},
	{answered(ldap.LDAPResultUnwillingToPerform), "Account inactivated", disabledHint},
	{answered(ldap.LDAPResultUnwillingToPerform), "password", mustChangeHint},
	{answered(ldap.LDAPResultInsufficientAccessRights), "restricted to bind", mustChangeHint},

	{answered(ldap.LDAPResultSizeLimitExceeded), "", "the server's size limit cuts the listing: on slapd give the bind DN \"limits … size.prtotal=unlimited\", on 389 Directory Server raise nsslapd-sizelimit (or nsSizeLimit of the bind DN), on Active Directory lower page_size to 1000"},
	{answered(ldap.LDAPResultAdminLimitExceeded), "pagedResults control not allowed", "slapd's limits forbid pages to the bind DN (size.prtotal=disabled): allow them, or set paging: auto"},
	{answered(ldap.LDAPResultAdminLimitExceeded), "page size", "slapd's limits allow the bind DN only smaller pages (size.pr): lower page_size"},
	{answered(ldap.LDAPResultAdminLimitExceeded), "", "the server refuses to look at so many entries: raise its limit for the bind DN (nsslapd-lookthroughlimit, nsslapd-pagedlookthroughlimit or nsLookThroughLimit on 389 Directory Server, size.unchecked on slapd), index the attributes of filter, or narrow base_dn or filter"},
	{answered(ldap.LDAPResultTimeLimitExceeded), "", "the server's time limit cuts the listing: lower page_size, raise the limit for the bind DN, or narrow the filter"},
	{answered(ldap.LDAPResultUnavailableCriticalExtension), "", "the server does not know paged results: set paging: auto to take the listing in one piece"},
	{answered(ldap.LDAPResultNoSuchObject), "", "check base_dn: the server knows no such entry, or does not show it to the user of bind_dn or auth"},
	{answered(ldap.LDAPResultInvalidDNSyntax), "", "check bind_dn and base_dn: this server takes only full names, such as cn=photosync,ou=services,dc=example,dc=com"},
	{answered(ldap.LDAPResultReferral), "", "check base_dn: another server has it; name that server in urls"},
	// Samba says so over TLS, too.
	{answered(ldap.LDAPResultStrongAuthRequired), "Sign or Seal", "the server wants Kerberos to sign, which photosync leaves to TLS: use ldaps://, and with Samba \"ldap server require strong auth = allow_sasl_over_tls\"; or set auth: simple"},
	{answered(ldap.LDAPResultStrongAuthRequired, ldap.LDAPResultConfidentialityRequired), "", "the server wants encryption: use ldaps:// or tls.start_tls: true"},
	{answered(ldap.LDAPResultAuthMethodNotSupported, ldap.LDAPResultInappropriateAuthentication), "", "the server does not take this way to bind: check auth"},
	{answered(ldap.LDAPResultOperationsError, ldap.LDAPResultInsufficientAccessRights), "", "the server refuses this search: check auth, bind_dn and its rights"},

	{func(e *Error) bool { return e.Op == "read photos" }, "", "look at the server's log of that time; the next run tries again"},
}

const (
	expiredHint    = "the bind user's password has expired: set a new one, or one that does not expire"
	disabledHint   = "the bind user's account is disabled: enable it"
	lockedHint     = "the bind user is locked out after wrong passwords: unlock it, and check bind_password_file"
	mustChangeHint = "the bind user must change its password first: set one that need not be changed (pwdReset, \"must change password at next logon\")"
	noStartTLSHint = "the server does not start TLS: let its administrator set TLS up, or use ldaps://"
)

func is[T error](e *Error) bool {
	_, ok := errors.AsType[T](e.Err)
	return ok
}

func answered(codes ...uint16) func(*Error) bool {
	return func(e *Error) bool {
		code, ok := resultCode(e.Err)
		return ok && slices.Contains(codes, code)
	}
}

func hungUp(ops ...string) func(*Error) bool {
	return func(e *Error) bool {
		return slices.Contains(ops, e.Op) && (errors.Is(e.Err, io.EOF) || errors.Is(e.Err, syscall.ECONNRESET) || errors.Is(e.Err, syscall.EPIPE))
	}
}

func (e *Error) Hint() string {
	if p, ok := errors.AsType[*problem](e.Err); ok && p.hint != "" {
		return p.hint
	}
	if h, ok := errors.AsType[x509.HostnameError](e.Err); ok && len(h.Certificate.DNSNames)+len(h.Certificate.IPAddresses) == 0 {
		return fmt.Sprintf("the certificate names no server (its CN does not count): the server needs one with the subject alternative name %q", h.Host)
	}
	if u, ok := errors.AsType[x509.UnknownAuthorityError](e.Err); ok && u.Cert != nil {
		return fmt.Sprintf("the server's certificate is issued by %q: name the file of that authority in tls.ca_file", u.Cert.Issuer)
	}
	for _, h := range hints {
		if (h.when == nil || h.when(e)) && strings.Contains(e.Err.Error(), h.text) {
			return h.hint
		}
	}
	return "the directory could not be read to its end, so nothing was changed; the next run tries again"
}
