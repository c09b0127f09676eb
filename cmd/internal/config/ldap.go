package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// TLS is how an LDAP server is verified, and who we are to it.
type TLS struct {
	CAFile     string `yaml:"ca_file"`
	StartTLS   bool   `yaml:"start_tls"`
	ServerName string `yaml:"server_name"`
	CertFile   string `yaml:"cert_file"`
	KeyFile    string `yaml:"key_file"`
}

// Kerberos is who binds with auth: gssapi.
type Kerberos struct {
	Principal string `yaml:"principal"`
	Keytab    string `yaml:"keytab"`
	Config    string `yaml:"config"`
	Service   string `yaml:"service"`
}

// defaults completes a source of type ldap.
func (s *Source) defaults() {
	if s.Type != "ldap" {
		return
	}
	s.Auth = cmp.Or(s.Auth, s.defaultAuth())
	s.Kerberos.Config = cmp.Or(s.Kerberos.Config, "/etc/krb5.conf")
	s.Filter = cmp.Or(s.Filter, "(objectClass=person)")
	s.PhotoChoice = cmp.Or(s.PhotoChoice, "first")
	s.Paging, s.Deref = cmp.Or(s.Paging, "auto"), cmp.Or(s.Deref, "never")
	s.ChangeDetection = cmp.Or(s.ChangeDetection, "auto")
	s.IdleTimeout, s.ListTimeout = cmp.Or(s.IdleTimeout, Duration(time.Minute)), cmp.Or(s.ListTimeout, Duration(time.Hour))
	if len(s.EmailAttributes) == 0 {
		s.EmailAttributes = []string{"mail"}
	}
	if len(s.PhotoAttributes) == 0 {
		s.PhotoAttributes = []string{"thumbnailPhoto", "jpegPhoto"}
	}
}

// defaultAuth is the way to bind for which there is something.
func (s *Source) defaultAuth() string {
	switch {
	case s.BindDN != "" || s.BindPasswordFile != "":
		return "simple"
	case s.Kerberos.Keytab != "" || s.Kerberos.Principal != "":
		return "gssapi"
	case s.TLS.CertFile != "" || len(s.URLs) > 0 && !slices.ContainsFunc(s.URLs, notSocket):
		return "external"
	}
	return "anonymous"
}

func notSocket(raw string) bool { return !strings.HasPrefix(raw, "ldapi://") }

// validateLDAP checks that there is nothing that the way to bind would ignore. Addresses,
// filters and files are checked by sources/ldap.
func (s *Source) validateLDAP(d *decoder, at string) {
	krb := s.Kerberos.Principal != "" || s.Kerberos.Keytab != "" || s.Kerberos.Service != ""
	if s.Auth == "external" && s.TLS.CertFile == "" && slices.ContainsFunc(s.URLs, notSocket) {
		d.missing(at+".tls.cert_file", "auth: external needs a client certificate", "give tls.cert_file and tls.key_file")
	}
	if s.Auth != "simple" && s.BindDN != "" {
		d.fault(at+".bind_dn", fmt.Sprintf("auth: %s does not use it", s.Auth), "remove it, or set auth: simple")
	}
	if s.Auth != "gssapi" && krb {
		d.fault(at+".kerberos", fmt.Sprintf("auth: %s does not use it", s.Auth), "remove it, or set auth: gssapi")
	}
}
