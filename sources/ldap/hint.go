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

func tlsHint(err error) string {
	if h, ok := errors.AsType[x509.HostnameError](err); ok {
		names := namesOf(h.Certificate)
		if names == "" {
			return fmt.Sprintf("the certificate names no server (its CN %q does not count): the server needs one with the subject alternative name %q", h.Certificate.Subject.CommonName, h.Host)
		}
		return fmt.Sprintf("the certificate is for %s, not for %q: correct urls, or set tls.server_name", names, h.Host)
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

// authorityHint says who issued a certificate, and who would have had to.
func authorityHint(u x509.UnknownAuthorityError, caFile string) string {
	if u.Cert == nil {
		return "the server's certificate is not from a trusted authority: name the file of its authority in tls.ca_file"
	}
	trusted := "the authorities of this system"
	if names := authorities(caFile); len(names) > 0 {
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
