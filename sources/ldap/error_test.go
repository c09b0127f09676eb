package ldap

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"photosync/sources"
	"photosync/sources/ldap/slapdtest"
)

// Every way in which a listing can fail is an error with a hint, and never a
// short list.
func TestFailures(t *testing.T) {
	var ldif strings.Builder
	for i := range 60 {
		ldif.WriteString(slapdtest.Entry(fmt.Sprintf("u%02d", i), fmt.Sprintf("u%02d@example.com", i), []byte{1}))
	}
	ldif.WriteString("dn: ou=away," + slapdtest.BaseDN + "\nobjectClass: referral\nobjectClass: extensibleObject\nou: away\nref: ldap://127.0.0.1:1/ou=x\n\n")
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: ldif.String(), Limits: "size.soft=30 size.hard=30 size.prtotal=30"})
	expired := slapdtest.Start(t, slapdtest.Config{Expired: true})
	other := slapdtest.Start(t, slapdtest.Config{})
	plain := slapdtest.Start(t, slapdtest.Config{Backend: "meta"})
	cases := map[string]struct {
		change func(*Options)
		text   string
		hint   string
	}{
		"wrong password":            {func(o *Options) { o.Password = "hunter2" }, "bind ldap://127", "bind_password_file"},
		"nobody there":              {func(o *Options) { o.URLs = []string{"ldap://127.0.0.1:1"} }, "connect ldap://127.0.0.1:1", "check that the server runs, its address and port"},
		"size limit":                {func(o *Options) { o.BindDN = slapdtest.ReaderDN }, "Size Limit", "prtotal"},
		"no TLS there":              {func(o *Options) { o.URLs = []string{"ldaps://" + strings.TrimPrefix(srv.URL, "ldap://")} }, "connect ldaps://", "hung up instead of speaking TLS"},
		"only TLS there":            {func(o *Options) { o.URLs = []string{"ldap://" + strings.TrimPrefix(srv.LDAPSURL, "ldaps://")} }, "bind ldap://", "whether TLS is meant"},
		"no TLS to start":           {func(o *Options) { o.URLs, o.TLS.StartTLS = []string{plain.URL}, true }, "start TLS ldap://", "does not start TLS"},
		"no socket there":           {func(o *Options) { o.URLs = []string{"ldapi:///nowhere/ldapi"} }, "connect ldapi:///nowhere/ldapi", "check the path in urls"},
		"name instead of DN":        {func(o *Options) { o.BindDN = "photosync" }, "Invalid DN Syntax", "check bind_dn"},
		"no such base":              {func(o *Options) { o.BaseDN = "ou=nowhere," + slapdtest.Suffix }, "No Such Object", "base_dn"},
		"base is referral":          {func(o *Options) { o.BaseDN = "ou=x,ou=away," + slapdtest.BaseDN }, "Referral", "another server"},
		"base is a referral itself": {func(o *Options) { o.BaseDN = "ou=Away, " + slapdtest.BaseDN }, "base_dn is a referral to another server: ldap://127.0.0.1:1/ou=x", "name that server in urls"},
		"wrong CA":                  {func(o *Options) { o.URLs, o.TLS.CAs = []string{srv.LDAPSURL}, authority(t, other) }, "connect ldaps", `issued by "CN=slapdtest CA 001"`},
		"wrong name": {func(o *Options) {
			o.URLs, o.TLS.CAs, o.TLS.ServerName = []string{srv.LDAPSURL}, authority(t, srv), "dc1.example.com"
		}, "x509: certificate is ", "tls.server_name"},
		"expired": {func(o *Options) { o.URLs, o.TLS.CAs = []string{expired.LDAPSURL}, authority(t, expired) }, "connect ldaps", "not valid now"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := options(srv)
			c.change(&o)
			l, err := open(t, o).List(t.Context(), func(sources.Person) error { return nil })
			if err == nil || l.Complete {
				t.Fatalf("complete %v, error %v; want an error", l.Complete, err)
			}
			e, ok := errors.AsType[*Error](err)
			if !ok || !strings.Contains(err.Error(), c.text) || !strings.Contains(e.Hint(), c.hint) {
				t.Errorf("error %v, hint %q; want %q and %q", err, e.Hint(), c.text, c.hint)
			}
			if strings.Contains(err.Error(), o.Password) || strings.HasSuffix(err.Error(), ":") {
				t.Errorf("error %q has the password in it, or ends in nothing", err)
			}
		})
	}
}

// Without TLS, whoever is on the network path sees the password, and supplies everyone's
// picture: to another host it takes a word of the administrator, however one binds.
func TestPlaintext(t *testing.T) {
	for _, c := range []struct {
		auth, url string
		change    func(*Options)
		want      string
	}{
		{Simple, "ldap://dc1.example.com", nil, "password in clear"},
		{Anonymous, "ldap://dc1.example.com", nil, "anybody on the network path can answer"},
		{GSSAPI, "ldap://dc1.example.com", nil, "anybody on the network path can answer"},
		{External, "ldap://dc1.example.com", nil, "nobody sees the certificate"},
		{External, "ldap://dc1.example.com", func(o *Options) { o.AllowPlaintext = true }, "nobody sees the certificate"},
		{Simple, "ldap://dc1.example.com", func(o *Options) { o.AllowPlaintext = true }, ""},
		{Anonymous, "ldap://dc1.example.com", func(o *Options) { o.AllowPlaintext = true }, ""},
		{GSSAPI, "ldap://dc1.example.com", func(o *Options) { o.TLS.StartTLS = true }, ""},
		{GSSAPI, "ldaps://dc1.example.com", nil, ""},
		{GSSAPI, "ldaps://dc1.example.com", func(o *Options) { o.Kerberos = Kerberos{} }, "needs principal and keytab"}, // but on Windows
		{Simple, "ldap://localhost", nil, ""},
		{Simple, "ldap://[::1]", nil, ""},
		{External, "ldapi:///run/ldapi", nil, ""},
	} {
		o := Options{Auth: c.auth, URLs: []string{c.url}, BindDN: "cn=x", Password: "hunter2", Filter: "(a=b)", EmailAttributes: []string{"mail"}, PhotoAttributes: []string{"jpegPhoto"}, Kerberos: Kerberos{Principal: "x", Keytab: "y"}}
		if c.change != nil {
			c.change(&o)
		}
		_, err := New(o)
		if text := fmt.Sprint(err); (err != nil) != (c.want != "") || !strings.Contains(text, c.want) || strings.Contains(text, "hunter2") {
			t.Errorf("%s, %s: %v, want %q", c.auth, c.url, err, c.want)
		}
	}
}

// New names everything that is wrong with the options, by the key that it stands under.
func TestFaults(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	faulty := Options{
		URLs: []string{"ldaps://dc1", "ldap://dc1.example.com", "ldap://u:hunter2@x", "http://u:hunter2@x", "ldapi://%zz"}, Auth: Simple, BindDN: "cn=x", Password: "hunter2", BaseDN: "People",
		Filter: "", ExcludeFilter: "(uid=x", MemberOf: "Photo Users", TLS: TLS{CertFile: file("cert.pem", "x"), KeyFile: "none"},
	}
	var keys []string
	_, err := New(faulty)
	faults, _ := errors.AsType[Faults](err)
	for _, f := range faults {
		keys = append(keys, f.Key)
		if f.Message == "" || f.Instead == "" || strings.Contains(fmt.Sprint(f), "hunter2") || strings.Contains(fmt.Sprint(f), "LDAP Result Code") {
			t.Errorf("fault %q", f)
		}
	}
	want := "[urls[1] urls[2] urls[3] urls[4] email_attributes photo_attributes filter exclude_filter base_dn member_of tls.cert_file]"
	if got := fmt.Sprint(keys); got != want {
		t.Errorf("faults of %s, want %s", got, want)
	}
	if err == nil || !strings.Contains(err.Error(), "urls[1]: would send the password in clear") {
		t.Errorf("New: %v", err)
	}
}

// Active Directory explains a refused password in a line that ends with a NUL.
func TestActiveDirectoryErrors(t *testing.T) {
	for data, hint := range map[string]string{
		"52e": "bind_password_file", "525": "does not exist", "532": "expired", "533": "disabled", "773": "must change its password", "775": "locked out",
		"80090346": "channel binding",
	} {
		e := &Error{"bind", "ldaps://dc1.example.com", ldap.NewError(ldap.LDAPResultInvalidCredentials,
			errors.New("80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data "+data+", v4563\x00"))}
		if !strings.Contains(e.Hint(), hint) || strings.ContainsRune(e.Error(), 0) || !strings.HasSuffix(e.Error(), "v4563") {
			t.Errorf("error %q, hint %q; want %q", e, e.Hint(), hint)
		}
	}
}

// A bind account that has to change its password, is locked, or whose password has
// expired: slapd's ppolicy says so when it is asked.
func TestAccounts(t *testing.T) {
	const long = "20200101000000Z"
	for name, c := range map[string]struct{ policy, reader, hint string }{
		"in order":    {"pwdMustChange: TRUE\n", "", ""},
		"must change": {"pwdMustChange: TRUE\n", "pwdReset: TRUE\n", "must change its password"},
		"expired":     {"pwdMaxAge: 60\n", "pwdChangedTime: " + long + "\n", "has expired"},
		"locked":      {"pwdLockout: TRUE\n", "pwdAccountLockedTime: " + long + "\n", "locked out"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(slapdtest.Start(t, slapdtest.Config{LDIF: many(1), Policy: c.policy, Reader: c.reader}))
			o.BindDN = slapdtest.ReaderDN
			_, err := open(t, o).List(t.Context(), func(sources.Person) error { return nil })
			if e, ok := errors.AsType[*Error](err); ok != (c.hint != "") || ok && !strings.Contains(e.Hint(), c.hint) {
				t.Errorf("error %v, want the hint %q", err, c.hint)
			}
		})
	}
}

// What other servers answer to such accounts, and to searches beyond their limits.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		op   string
		code uint16
		text string
		hint string
	}{ // the first ones are of 389 Directory Server 2.3
		{"bind", 19, "Exceed password retry limit. Please try later.", "locked out"},
		{"bind", 53, "Account inactivated. Contact system administrator.", "disabled"},
		{"bind", 49, "password expired!", "has expired"},
		{"list", 11, "", "nsslapd-lookthroughlimit"},
		{"list", 4, "", "nsslapd-sizelimit"},
		{"list", 50, "Operations are restricted to bind/unbind/abandon/StartTLS/modify password", "must change its password"},
		{"list", 50, "", "its rights"},
		{"list", 12, "critical control unavailable in context", "paging: auto"},
		{"list", 11, "illegal pagedResults page size", "lower page_size"},
		{"list", 10, "", "name that server in urls"},
	} {
		e := &Error{c.op, "ldaps://ds", ldap.NewError(c.code, errors.New(c.text))}
		if !strings.Contains(e.Hint(), c.hint) {
			t.Errorf("%v: hint %q, want %q", e, e.Hint(), c.hint)
		}
	}
}

// Samba asks for signatures over TLS, too: to use TLS is no advice then.
func TestSignaturesOverTLS(t *testing.T) {
	for text, hint := range map[string]string{"SASL:[GSSAPI]: Sign or Seal are required.": "allow_sasl_over_tls", "BindSimple: Transport encryption required.": "wants encryption"} {
		e := &Error{"bind", "ldaps://dc1.example.com", ldap.NewError(ldap.LDAPResultStrongAuthRequired, errors.New(text))}
		if !strings.Contains(e.Hint(), hint) {
			t.Errorf("%v: hint %q", e, e.Hint())
		}
	}
}

// A certificate that names no server is not mended by another name in the settings.
func TestCertificateWithoutNames(t *testing.T) {
	c := &x509.Certificate{Subject: pkix.Name{CommonName: "dc1"}}
	e := &Error{"connect", "ldaps://dc1", fmt.Errorf("tls: %w", x509.HostnameError{Certificate: c, Host: "dc1"})}
	if h := e.Hint(); !strings.Contains(h, `subject alternative name "dc1"`) || strings.Contains(h, "server_name") {
		t.Errorf("hint %q", h)
	}
}
