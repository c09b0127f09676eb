package config

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"path"
	"reflect"
	"slices"
	"strings"
)

// validate sets the defaults that depend on others, and checks what the tags do not say.
func (d *decoder) validate() {
	if s := &d.c.Smartsheet; s.BaseURL != "" {
		d.validateURL(s)
	} else {
		s.Region = cmp.Or(s.Region, "us")
	}
	names := map[string]bool{}
	for i := range d.c.Sources {
		s, at := &d.c.Sources[i], fmt.Sprintf("sources[%d]", i)
		if s.Name != "" && names[s.Name] {
			d.fault(at+".name", "another source is called "+quote(at+".name", s.Name), "give each its own name")
		}
		names[s.Name] = true
		fill(reflect.ValueOf(s).Elem(), s.Type)
		if s.Type == "ldap" {
			d.validateLDAP(s, at)
		}
	}
	for key, globs := range map[string][]string{"match.include": d.c.Match.Include, "match.exclude": d.c.Match.Exclude} {
		for i, g := range globs {
			if _, err := path.Match(g, ""); err != nil {
				at := fmt.Sprintf("%s[%d]", key, i)
				d.fault(at, quote(at, g)+" is not a pattern", "* stands for any text, ? for one character")
			}
		}
	}
	for i, hash := range d.c.Match.IgnorePictures {
		d.c.Match.IgnorePictures[i] = strings.ToLower(hash)
	}
}

func (d *decoder) validateURL(s *Smartsheet) {
	const key = "smartsheet.base_url"
	u, ok := address(s.BaseURL)
	switch {
	case !ok:
		d.fault(key, quote(key, s.BaseURL)+" is not an address", "like https://api.smartsheet.com/2.0")
	case u.User != nil:
		d.fault(key, "may not hold a user or password", "the token goes into smartsheet.token_file")
	case u.Scheme == "http" && !s.AllowHTTP && !loopback(u.Hostname()):
		d.fault(key, "plain http would show the token to everyone on the way", "use https, or set smartsheet.allow_http: true")
	}
}

// validateLDAP checks that there is what the way to bind needs, and nothing that it would
// ignore. Addresses, filters and files are checked by sources/ldap.
func (d *decoder) validateLDAP(s *Source, at string) {
	krb := s.Kerberos.Principal != "" || s.Kerberos.Keytab != ""
	certified := s.TLS.CertFile != "" || !slices.ContainsFunc(s.URLs, func(u string) bool { return !strings.HasPrefix(u, "ldapi://") })
	if s.Auth == "" { // the way for which there is something
		switch {
		case s.BindDN != "" || s.BindPasswordFile != "":
			s.Auth = "simple"
		case krb:
			s.Auth = "gssapi"
		case certified && (len(s.URLs) > 0 || s.TLS.CertFile != ""):
			s.Auth = "external"
		default:
			s.Auth = "anonymous"
		}
	}
	if s.Auth == "external" && !certified {
		d.missing(at+".tls.cert_file", "auth: external needs a client certificate", "give tls.cert_file and tls.key_file")
	}
	if s.Auth != "simple" && s.BindDN != "" {
		d.fault(at+".bind_dn", fmt.Sprintf("auth: %s does not use it", s.Auth), "remove it, or set auth: simple")
	}
	if s.Auth != "gssapi" && (krb || s.Kerberos.Service != "") {
		d.fault(at+".kerberos", fmt.Sprintf("auth: %s does not use it", s.Auth), "remove it, or set auth: gssapi")
	}
	if s.TLS.StartTLS && !slices.ContainsFunc(s.URLs, func(u string) bool { return strings.HasPrefix(u, "ldap://") }) {
		d.warnings = append(d.warnings, at+".tls.start_tls does nothing: it is for ldap://, and ldaps:// begins with TLS")
	}
}

// address reads the address of a server that speaks HTTP.
func address(text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	return u, err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
