package ldap

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/go-ldap/ldap/v3"
)

// answers are hints for what a server answered, by its code (RFC 4511, appendix A), and
// where the code means several things, by a part of its message. The first one counts.
var answers = []struct {
	code       uint16
	text, hint string
}{
	// What Active Directory adds to error 49.
	{ldap.LDAPResultInvalidCredentials, "data 525", "the bind user does not exist: check bind_dn"},
	{ldap.LDAPResultInvalidCredentials, "data 532", expiredHint},
	{ldap.LDAPResultInvalidCredentials, "data 533", disabledHint},
	{ldap.LDAPResultInvalidCredentials, "data 701", "the bind user's account has expired: extend it"},
	{ldap.LDAPResultInvalidCredentials, "data 773", mustChangeHint},
	{ldap.LDAPResultInvalidCredentials, "data 775", lockedHint},
	{ldap.LDAPResultInvalidCredentials, "data 80090346", "the server wants channel binding, which photosync cannot do with a keytab: use auth: simple"},
	{ldap.LDAPResultInvalidCredentials, "password expired", expiredHint}, // 389 Directory Server
	{ldap.LDAPResultInvalidCredentials, "", "check bind_dn, and the password in bind_password_file or LDAP_BIND_PASSWORD"},
	// 389 Directory Server, and slapd with ppolicy.
	{ldap.LDAPResultConstraintViolation, "password retry limit", lockedHint},
	{ldap.LDAPResultUnwillingToPerform, "Account inactivated", disabledHint},
	{ldap.LDAPResultUnwillingToPerform, "password", mustChangeHint},
	{ldap.LDAPResultInsufficientAccessRights, "restricted to bind", mustChangeHint},

	{ldap.LDAPResultSizeLimitExceeded, "", "the server's size limit cuts the listing: on slapd give the bind DN \"limits … size.prtotal=unlimited\", on 389 Directory Server raise nsslapd-sizelimit (or nsSizeLimit of the bind DN), on Active Directory lower page_size to 1000"},
	{ldap.LDAPResultAdminLimitExceeded, "pagedResults control not allowed", "slapd's limits forbid pages to the bind DN (size.prtotal=disabled): allow them, or set paging: auto"},
	{ldap.LDAPResultAdminLimitExceeded, "page size", "slapd's limits allow the bind DN only smaller pages (size.pr): lower page_size"},
	{ldap.LDAPResultAdminLimitExceeded, "", "the server refuses to look at as many entries: raise its limit for the bind DN (nsslapd-lookthroughlimit, nsslapd-pagedlookthroughlimit or nsLookThroughLimit on 389 Directory Server, size.unchecked on slapd), index the attributes of filter, or narrow base_dn or filter"},
	{ldap.LDAPResultTimeLimitExceeded, "", "the server's time limit cuts the listing: lower page_size, raise the limit for the bind DN, or narrow the filter"},
	{ldap.LDAPResultUnavailableCriticalExtension, "", "the server does not know paged results: set paging: auto to take the listing in one piece"},
	{ldap.LDAPResultNoSuchObject, "", "check base_dn: the server knows no such entry, or does not show it to the user of bind_dn or auth"},
	{ldap.LDAPResultReferral, "", "check base_dn: another server holds it, which has to stand in urls"},
	// Samba says so over TLS, too.
	{ldap.LDAPResultStrongAuthRequired, "Sign or Seal", "the server wants Kerberos to sign, which photosync leaves to TLS: use ldaps://, and with Samba \"ldap server require strong auth = allow_sasl_over_tls\"; or set auth: simple"},
	{ldap.LDAPResultStrongAuthRequired, "", encryptionHint},
	{ldap.LDAPResultConfidentialityRequired, "", encryptionHint},
	{ldap.LDAPResultAuthMethodNotSupported, "", methodHint},
	{ldap.LDAPResultInappropriateAuthentication, "", methodHint},
	{ldap.LDAPResultOperationsError, "", refusedHint},
	{ldap.LDAPResultInsufficientAccessRights, "", refusedHint},
}

const (
	expiredHint    = "the bind user's password has expired: set a new one, or one that does not expire"
	disabledHint   = "the bind user's account is disabled: enable it"
	lockedHint     = "the bind user is locked out after wrong passwords: unlock it, and check bind_password_file"
	mustChangeHint = "the bind user must change its password first: set one that need not be changed (pwdReset, \"must change password at next logon\")"
	encryptionHint = "the server wants encryption: use ldaps:// or tls.start_tls: true"
	methodHint     = "the server does not take this way to bind: check auth"
	refusedHint    = "the server refuses this search: check auth, bind_dn and its rights"
)

// answerHint is for what the server answered.
func (e *Error) answerHint() string {
	code, message := e.code(), e.Err.Error()
	for _, a := range answers {
		if a.code == code && strings.Contains(message, a.text) {
			return a.hint
		}
	}
	return ""
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

// tlsHint is for what went wrong with TLS; the error itself says for which names a
// certificate is, and how long it is valid.
func tlsHint(err error) string {
	if h, ok := errors.AsType[x509.HostnameError](err); ok {
		if len(h.Certificate.DNSNames)+len(h.Certificate.IPAddresses) == 0 {
			return fmt.Sprintf("the certificate names no server (its CN does not count): the server needs one with the subject alternative name %q", h.Host)
		}
		return "the certificate is for another name: correct urls, or set tls.server_name"
	}
	if u, ok := errors.AsType[x509.UnknownAuthorityError](err); ok && u.Cert != nil {
		return fmt.Sprintf("the server's certificate is issued by %q: name the file of that authority in tls.ca_file", u.Cert.Issuer)
	}
	if i, ok := errors.AsType[x509.CertificateInvalidError](err); ok && i.Reason == x509.Expired {
		return "the server's certificate is not valid now: renew it, or set this machine's clock"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "no TLS is spoken at this port: check it (ldaps:// has 636), or use ldap:// with tls.start_tls: true"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the server's certificate cannot be verified: check tls.ca_file and tls.server_name"
	}
	switch text := err.Error(); { // an alert has no type of its own
	case strings.Contains(text, "protocol version"):
		return "the server speaks only TLS that is broken by now: let it speak TLS 1.2 or newer"
	case strings.Contains(text, "remote error: tls: "):
		return "the server refuses to go on with TLS: if it wants a client certificate, give or correct tls.cert_file"
	}
	return ""
}
