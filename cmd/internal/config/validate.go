package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// validate checks what the rules do not say.
func (c *Config) validate(d *decoder) {
	if s := &c.Smartsheet; s.BaseURL != "" {
		s.validateURL(d)
	} else if s.Region == "" {
		s.Region = "us"
	}
	names := map[string]bool{}
	for i, s := range c.Sources {
		at := fmt.Sprintf("sources[%d]", i)
		if s.Name != "" && names[s.Name] {
			d.fault(at+".name", "another source is called "+quote(at+".name", s.Name), "give each its own name")
		}
		names[s.Name] = true
		if s.Type != "ldap" {
			continue
		}
		s.validateLDAP(d, at)
		if s.TLS.StartTLS && !slices.ContainsFunc(s.URLs, func(u string) bool { return strings.HasPrefix(u, "ldap://") }) {
			c.Warnings = append(c.Warnings, at+".tls.start_tls does nothing: it is for ldap://, and ldaps:// begins with TLS")
		}
	}
	for key, globs := range map[string][]string{"match.include": c.Match.Include, "match.exclude": c.Match.Exclude} {
		for i, g := range globs {
			if _, err := path.Match(g, ""); err != nil {
				at := fmt.Sprintf("%s[%d]", key, i)
				d.fault(at, quote(at, g)+" is not a pattern", "* stands for any text, ? for one character")
			}
		}
	}
	for i, hash := range c.Match.IgnorePictures {
		c.Match.IgnorePictures[i] = strings.ToLower(hash)
	}
}

func (s *Smartsheet) validateURL(d *decoder) {
	u, err := url.Parse(s.BaseURL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		d.fault("smartsheet.base_url", quote("smartsheet.base_url", s.BaseURL)+" is not an address", "like https://api.smartsheet.com/2.0")
	case u.User != nil:
		d.fault("smartsheet.base_url", "may not hold a user or password", "the token goes into smartsheet.token_file")
	case u.Scheme == "http" && !s.AllowHTTP && !loopback(u.Hostname()):
		d.fault("smartsheet.base_url", "plain http would show the token to everyone on the way", "use https, or set smartsheet.allow_http: true")
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

var notInEnvName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[^A-Z0-9]+`) })

// secrets reads tokens and passwords.
func (c *Config) secrets(d *decoder, env func(string) string) {
	s, none := &c.Smartsheet, "there is no Smartsheet token"
	if s.OAuth2.Set() {
		none = ""
	}
	s.Token = c.secret(d, env, "smartsheet.token_file", s.TokenFile, none, "SMARTSHEET_ACCESS_TOKEN")
	if s.OAuth2.Set() {
		c.oauth2Secrets(d, env)
	}
	for i := range c.Sources {
		if src := &c.Sources[i]; src.Type == "ldap" && src.Auth == "simple" && src.BindDN != "" {
			own := "LDAP_BIND_PASSWORD_" + notInEnvName().ReplaceAllString(strings.ToUpper(src.Name), "_")
			src.BindPassword = c.secret(d, env, fmt.Sprintf("sources[%d].bind_password_file", i), src.BindPasswordFile,
				"there is no password for bind_dn", own, "LDAP_BIND_PASSWORD")
		}
	}
}

// oauth2Secrets reads the client secret, and looks whether the refresh token can be
// read: its value is the client's business, which replaces it.
func (c *Config) oauth2Secrets(d *decoder, env func(string) string) {
	const key = "smartsheet.oauth2"
	if c.Smartsheet.Token != "" && c.Smartsheet.TokenFile == "" {
		d.fault(key, "does not go together with SMARTSHEET_ACCESS_TOKEN", "unset the variable, or remove the key")
	}
	c.clientSecret(d, env)
	file := c.Smartsheet.OAuth2.RefreshTokenFile
	if _, err := os.Stat(file); file != "" && errors.Is(err, fs.ErrNotExist) {
		d.fault(key+".refresh_token_file", "there is no file "+quote(key+".refresh_token_file", file)+" yet", "photosync oauth login writes it")
		return
	}
	c.secret(d, env, key+".refresh_token_file", file, "")
}

func (c *Config) clientSecret(d *decoder, env func(string) string) {
	o := &c.Smartsheet.OAuth2
	o.ClientSecret = c.secret(d, env, "smartsheet.oauth2.client_secret_file", o.ClientSecretFile, "there is no client secret", "SMARTSHEET_CLIENT_SECRET")
}

// secret is that of the first variable that is set, or else of a file. Where there is
// neither, the fault is none, if that is not empty.
func (c *Config) secret(d *decoder, env func(string) string, key, file, none string, variables ...string) Secret {
	for _, name := range variables {
		if value := env(name); value != "" {
			return Secret(value)
		}
	}
	if file == "" {
		if none != "" {
			d.missing(key, none, "name a file that holds it, or set "+strings.Join(variables, " or "))
		}
		return ""
	}
	data, err := os.ReadFile(file)
	if err != nil {
		name := strings.Replace(quote(key, file), "the value", "the file named here", 1)
		d.fault(key, fmt.Sprintf("read %s: %v", name, cause(err)), "name a file that the user who runs photosync can read; it holds the secret")
		return ""
	}
	if fi, err := os.Stat(file); err == nil && readableByOthers(fi) {
		c.Warnings = append(c.Warnings, fmt.Sprintf("%s: every user of this machine can read %q (mode %#o): chmod 600 it", key, file, fi.Mode().Perm()))
	}
	text := strings.TrimSpace(string(data))
	if text == "" || strings.ContainsAny(text, "\r\n") {
		d.fault(key, "the file is empty, or has more than one line", "it must hold the secret and nothing else")
	}
	return Secret(text)
}

// cause is err without the operation and the path, which the message names itself.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// readableByOthers reports whether every user of the machine can read a file. To let
// its group read it is how a service, or a pod's volume, gets a secret. Windows does
// not say it like that.
func readableByOthers(fi fs.FileInfo) bool {
	return fi.Mode().Perm()&0o004 != 0 && os.PathSeparator == '/'
}
