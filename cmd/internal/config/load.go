package config

import (
	"cmp"
	"crypto/x509"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"
	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"photosync/sync/foreign"
)

// find returns the configuration file to use: the one asked for, that of
// PHOTOSYNC_CONFIG, ./config.yaml or /etc/photosync/config.yaml.
func find(explicit string, env func(string) string) (string, error) {
	if name := cmp.Or(explicit, env("PHOTOSYNC_CONFIG")); name != "" {
		return name, nil
	}
	for _, p := range []string{"config.yaml", "/etc/photosync/config.yaml"} {
		if _, err := os.Stat(p); !errors.Is(err, fs.ErrNotExist) {
			return p, nil
		}
	}
	return "", &Error{
		Faults: []Fault{{Message: "no configuration file: looked for config.yaml and /etc/photosync/config.yaml"}},
		hint:   "name one with --config FILE or PHOTOSYNC_CONFIG; photosync init writes a commented one",
	}
}

// Load reads, checks and completes a configuration file: the one with this name, or, if it is empty,
// the usual one. An *Error lists every fault. Relative paths in the file are relative to the working
// directory. Each check finds more faults of a source, whose keys are relative to the source.
func Load(name string, env func(string) string, checks ...func(Source) []Fault) (*Config, error) {
	d, err := read(name, env)
	if err != nil {
		return nil, err
	}
	if p := d.c.State.Path; !filepath.IsAbs(p) && filepath.Dir(d.c.File) != "." {
		d.warn("state.path %q is relative to the folder that photosync is started in: a run from another folder begins with an empty state; write the whole path", p)
	}
	for i, s := range d.c.Sources {
		for _, check := range checks {
			for _, f := range check(s) { // it may quote a value
				d.fault(fmt.Sprintf("sources[%d].%s", i, f.Key), withoutSecrets(f.Message), withoutSecrets(f.Instead))
			}
		}
	}
	d.secrets()
	d.notices()
	d.network()
	return &d.c, d.verdict("")
}

// LoadSection reads and checks one section: state, which needs no token and no other part of the
// file; or smartsheet, for a login, when there is no refresh token yet.
func LoadSection(name, section string, env func(string) string) (*Config, error) {
	d, err := read(name, env)
	if err != nil {
		return nil, err
	}
	if section == "smartsheet" {
		if !d.c.Smartsheet.OAuth2.Set() {
			d.missing("smartsheet.oauth2", "there is no app to log in with", "like {client_id: …, client_secret_file: …, refresh_token_file: …}")
		}
		d.clientSecret()
		d.network()
	}
	return &d.c, d.verdict(section)
}

// read decodes a file and checks all but secrets. Its faults are in the decoder.
func read(name string, env func(string) string) (*decoder, error) {
	path, err := find(name, env)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, &Error{Faults: []Fault{{Message: fmt.Sprintf("read configuration %q: %v", path, foreign.WithoutPath(err))}},
			hint: "check the path given with --config or PHOTOSYNC_CONFIG, and that the user who runs photosync may read it"}
	}
	d := &decoder{c: Config{File: path}, env: env, places: map[string]token.Position{}}
	if f := d.decode(data); f != nil {
		d.faults = []Fault{*f}
		return nil, d.verdict("")
	}
	return d, nil
}

// verdict returns an *Error if there are faults in the file, or in one section of it. An unknown
// key counts for every section: it may be meant for it.
func (d *decoder) verdict(section string) error {
	if section != "" {
		d.faults = slices.DeleteFunc(d.faults, func(f Fault) bool {
			top, _, _ := strings.Cut(strings.ReplaceAll(f.Key, "[", "."), ".")
			return top != section && slices.Contains(allKeys(), top)
		})
	}
	if len(d.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(d.faults, func(a, b Fault) int { return a.Line - b.Line })
	d.excerpts()
	return &Error{Path: d.c.File, Faults: d.faults}
}

// Globs returns a function that reports whether one of the patterns matches an address; nil if there are no patterns.
func Globs(patterns []string) func(email string) bool {
	if len(patterns) == 0 {
		return nil
	}
	return func(email string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return Glob(p, email) })
	}
}

// Glob reports whether email, in its canonical form, matches a pattern with * (any text) and ? (one
// character), with its domain in either form. Case is folded by Unicode's full rules, which make ß and ss
// one: it is better if an exclusion holds for too many.
func Glob(pattern, email string) bool {
	plain := func(s string) string { return strings.ReplaceAll(folded(s), "/", "\x00") } // the separator of path.Match
	ok, err := path.Match(plain(pattern), plain(email))
	return ok && err == nil
}

func folded(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return strings.ToLower(s)
	}
	local, domain, _ := strings.Cut(norm.NFC.String(cases.Fold().String(s)), "@")
	if ascii, err := idn.ToASCII(domain); err == nil {
		domain = ascii
	}
	return strings.TrimSuffix(local+"@"+domain, "@")
}

var idn = idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.Transitional(false)) // lets * and ? pass

var (
	// Example is a commented configuration file with every key. The one at the root is a copy.
	//
	//go:embed example.yaml
	Example string

	// Schema is a JSON Schema (draft 7, which editors know) of the configuration file:
	// go test -update makes it of the fields, the rules and the comments of the example.
	//
	//go:embed schema.json
	Schema string

	//go:embed start
	start embed.FS
)

// Start returns a short configuration for one kind of source, ad, openldap or folder,
// with the whole example as comments below.
func Start(kind string) string {
	short, _ := start.ReadFile("start/" + kind + ".yaml") // there is one of each kind
	text := string(short) + "\n# ---- Every key, with its default or an example ----\n#\n"
	for line := range strings.Lines(Example) {
		text += strings.TrimRight("# "+line, " \n") + "\n"
	}
	return text
}

func (d *decoder) secrets() {
	s, none := &d.c.Smartsheet, "there is no Smartsheet token"
	if s.OAuth2.Set() {
		none = ""
		if d.env("SMARTSHEET_ACCESS_TOKEN") != "" && s.TokenFile == "" {
			d.fault("smartsheet.oauth2", "does not go together with SMARTSHEET_ACCESS_TOKEN", "unset the variable, or remove the key")
		}
		d.clientSecret()
		// The client reads and replaces the refresh token. This checks only that the file can be read.
		d.secret("smartsheet.oauth2.refresh_token_file", s.OAuth2.RefreshTokenFile, "")
	}
	s.Token = d.secret("smartsheet.token_file", s.TokenFile, none, "SMARTSHEET_ACCESS_TOKEN")
	taken := map[string]string{} // names of sources, by their variable
	for i := range d.c.Sources {
		if src := &d.c.Sources[i]; src.Type == "ldap" && src.Auth == "simple" && src.BindDN != "" {
			own := "LDAP_BIND_PASSWORD_" + regexp.MustCompile(`[^A-Z0-9]+`).ReplaceAllString(strings.ToUpper(src.Name), "_")
			if key := fmt.Sprintf("sources[%d].name", i); taken[own] != "" && d.env(own) != "" {
				d.fault(key, "the variable "+own+" would be the password of source "+quote(key, taken[own])+", too", "give one of them another name, or unset the variable")
			}
			taken[own] = src.Name
			src.BindPassword = d.secret(fmt.Sprintf("sources[%d].bind_password_file", i), src.BindPasswordFile,
				"there is no password for bind_dn", own, "LDAP_BIND_PASSWORD")
		}
	}
}

func (d *decoder) clientSecret() {
	o := &d.c.Smartsheet.OAuth2
	o.ClientSecret = d.secret("smartsheet.oauth2.client_secret_file", o.ClientSecretFile, "there is no client secret", "SMARTSHEET_CLIENT_SECRET")
}

// secret returns the value of the first variable that is set, or else of a file. If there is
// neither, none is the message of the fault; if none is empty, that is not a fault.
func (d *decoder) secret(key, file, none string, variables ...string) Secret {
	for _, name := range variables {
		if value := strings.TrimRight(d.env(name), "\r\n"); value != "" {
			return d.plain(key, "the variable "+name, value)
		}
	}
	if file == "" {
		if none != "" {
			d.missing(key, none, "name a file that holds it, or set "+strings.Join(variables, " or "))
		}
		return ""
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && key == "smartsheet.oauth2.refresh_token_file" {
		d.fault(key, "there is no file "+quote(key, file)+" yet", "photosync oauth login writes it")
		return ""
	}
	name := strings.Replace(quote(key, file), "the value", "the file named here", 1)
	if err != nil {
		instead := "name a file that the user who runs photosync can read; it holds the secret"
		if here, err := os.Getwd(); err == nil && !filepath.IsAbs(file) {
			instead += "; without its folder it is looked for in " + here
		}
		d.fault(key, fmt.Sprintf("read %s: %v", name, foreign.WithoutPath(err)), instead)
		return ""
	}
	d.warnReadable(file, key, "chmod 600 it")
	return d.plain(key, name, strings.TrimSpace(string(data)))
}

// plain returns a secret without the byte order mark that an editor may have written.
func (d *decoder) plain(key, where, text string) Secret {
	text = strings.TrimPrefix(text, "\ufeff")
	switch {
	case strings.Contains(text, "\x00"):
		d.fault(key, where+" is in UTF-16", "save it as UTF-8; Windows calls UTF-16 \"Unicode\"")
	case text == "":
		d.fault(key, where+" is empty", "write the secret into it")
	case strings.ContainsAny(text, "\r\n"):
		d.fault(key, where+" has more than one line", "it must hold the secret and nothing else")
	}
	return Secret(text)
}

// warnReadable warns about a file with secrets that every user of the machine can read. Its group
// may read it: services and volumes of pods get secrets that way. On Windows the mode says nothing.
func (d *decoder) warnReadable(file, key, instead string) {
	if fi, err := os.Stat(file); err == nil && fi.Mode().Perm()&0o004 != 0 && os.PathSeparator == '/' {
		d.warn("%s: every user of this machine can read %q (mode %#o): %s", key, file, fi.Mode().Perm(), instead)
	}
}

// notices reads and checks the addresses of the receivers of notices.
func (d *decoder) notices() {
	n, gateway := &d.c.Notify, &d.c.Metrics.Pushgateway
	if *gateway+n.Webhook+n.Healthcheck != "" {
		d.warnReadable(d.c.File, "notify", "it holds addresses that work like passwords: chmod 600 it, or use webhook_file and healthcheck_file")
	}
	d.receiver("metrics.pushgateway", "PHOTOSYNC_PUSHGATEWAY", "", gateway, "")
	d.receiver("notify.webhook", "PHOTOSYNC_WEBHOOK", n.WebhookFile, &n.Webhook, "the address, which works like a password, and people's addresses")
	d.receiver("notify.healthcheck", "PHOTOSYNC_HEALTHCHECK", n.HealthcheckFile, &n.Healthcheck, "the address, which works like a password")
	m := &n.SMTP
	m.TLS = m.Port == 465
	m.Password = d.secret("notify.smtp.password_file", m.PasswordFile, "", "PHOTOSYNC_SMTP_PASSWORD")
	if m.Host != "" && !m.StartTLS && !m.TLS && !foreign.Loopback(m.Host) {
		d.warn("notify.smtp: without TLS everyone on the network path can read the mail, with people's addresses: set starttls: true")
	}
}

// receiver reads and checks one address. As it may be a secret, no message shows it. clear names
// what everyone on the network path can read without TLS; empty: nothing important.
func (d *decoder) receiver(key, variable, file string, to *Secret, clear string) {
	if d.hasFault(key) {
		return
	}
	if *to = cmp.Or(d.secret(key+"_file", file, "", variable), *to); *to == "" {
		return
	}
	u, ok := address(to.Reveal())
	if !ok {
		d.fault(key, "is not an address", "like https://example.com/…")
		return
	}
	if u.User != nil {
		clear = "the user and password in it"
	}
	if u.Scheme == "http" && !foreign.Loopback(u.Hostname()) && clear != "" {
		d.warn("%s: plain http shows %s to everyone on the network path: use https", key, clear)
	}
}

// network reads the certificates of authorities, and checks the proxies.
func (d *decoder) network() {
	c := &d.c
	c.Smartsheet.CAs = d.authorities("smartsheet.ca_file", c.Smartsheet.CAFile)
	c.Notify.SMTP.CAs = d.authorities("notify.smtp.ca_file", c.Notify.SMTP.CAFile)
	for i := range c.Sources {
		c.Sources[i].TLS.CAs = d.authorities(fmt.Sprintf("sources[%d].tls.ca_file", i), c.Sources[i].TLS.CAFile)
	}
	d.proxies()
}

// authorities reads the certificates in a PEM file; nil if none is named.
func (d *decoder) authorities(key, file string) *x509.CertPool {
	if file == "" {
		return nil
	}
	cas := x509.NewCertPool()
	pem, err := os.ReadFile(file)
	if err == nil && !cas.AppendCertsFromPEM(pem) {
		err = errors.New("no PEM certificate that can be used")
	}
	if err != nil {
		d.fault(key, "there is no certificate in the file named here: "+foreign.WithoutPath(err).Error(), "name a PEM file that photosync can read")
	}
	return cas
}

// proxies checks the proxies that the environment names: if Go cannot read one, it silently connects directly.
func (d *decoder) proxies() {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		value := d.env(name)
		if value == "" {
			continue
		}
		if !strings.Contains(value, "://") {
			value = "http://" + value
		}
		u, err := url.Parse(value)
		if err != nil || u.Hostname() == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
			d.faults = append(d.faults, Fault{Message: "the environment variable " + name + " names no proxy", Instead: "like http://proxy.example.com:3128, or unset it"})
		}
	}
}
