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
	"strconv"
	"strings"
	"sync"
)

// validate checks what the types alone do not say.
func (c *Config) validate(d *decoder) {
	c.Smartsheet.validate(d)
	if len(c.Sources) == 0 {
		d.fault("sources", "there is no source of photos", "add a folder or an LDAP directory: see config.example.yaml")
	}
	names := map[string]bool{}
	for i, s := range c.Sources {
		at := fmt.Sprintf("sources[%d]", i)
		if s.Name == "" {
			d.fault(at+".name", "a source needs a name", "any short one: it stands in reports and logs")
		} else if names[s.Name] {
			d.fault(at+".name", fmt.Sprintf("two sources are called %q", s.Name), "give each its own name")
		}
		names[s.Name] = true
		s.validate(d, at)
	}
	c.State.validate(d)
	c.Match.validate(d)
	for i, code := range c.SuccessOn {
		if !slices.Contains(softCodes, code) {
			d.fault(fmt.Sprintf("success_on[%d]", i), fmt.Sprintf("exit code %d cannot count as success", code), "3, 4, 5, 6 or 10")
		}
	}
	c.Image.validate(d)
	d.oneOf("policy.existing", c.Policy.Existing)
	d.oneOf("policy.removed", c.Policy.Removed)
	d.between("policy.removed_after", c.Policy.RemovedAfter, 1, 1000)
	d.between("guard.min_people", c.Guard.MinPeople, 0, 1_000_000_000)
	d.between("guard.max_shared", c.Guard.MaxShared, 0, 1_000_000_000)
	c.Report.validate(d)
	d.oneOf("log.level", c.Log.Level)
	d.oneOf("log.format", c.Log.Format)
}

// softCodes are the exit codes that success_on may make 0: a run that failed (1) and a
// wrong configuration (2) are never a success.
var softCodes = []int{3, 4, 5, 6, 10}

var (
	sha256Hex = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{64}$`) })
	domain    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[^@\s*/:]+$`) })
)

func (m *Match) validate(d *decoder) {
	for key, globs := range map[string][]string{"match.include": m.Include, "match.exclude": m.Exclude} {
		for i, g := range globs {
			if _, err := path.Match(g, ""); err != nil {
				d.fault(fmt.Sprintf("%s[%d]", key, i), fmt.Sprintf("%q is no pattern", g), "* stands for any text, ? for one character")
			}
		}
	}
	if m.Refresh <= 0 {
		d.fault("match.refresh", "must be above 0", "like 7d")
	}
	for i, hash := range m.IgnorePictures {
		m.IgnorePictures[i] = strings.ToLower(hash)
		if !sha256Hex().MatchString(m.IgnorePictures[i]) {
			d.fault(fmt.Sprintf("match.ignore_pictures[%d]", i), "is not the SHA-256 of a picture", "64 hexadecimal digits, as reports and photosync explain print them")
		}
	}
}

func (s State) validate(d *decoder) {
	if s.Path == "" {
		d.fault("state.path", "may not be empty", "the file that remembers what was uploaded, on a local disk")
	}
}

func (r Report) validate(d *decoder) {
	if r.Dir == "" {
		d.fault("report.dir", "may not be empty", "the folder for reports")
	}
	if len(r.Formats) == 0 {
		d.fault("report.formats", "may not be empty: a run must say what it did", "one or more of "+strings.Join(choices["report.formats[]"], ", "))
	}
	for i, f := range r.Formats {
		d.oneOf(fmt.Sprintf("report.formats[%d]", i), f)
	}
	d.between("report.keep", r.Keep, 0, 1_000_000)
}

var hexColor = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^#[0-9a-fA-F]{6}$`) })

func (m Image) validate(d *decoder) {
	if m.MaxEdge != 0 {
		d.between("image.max_edge", m.MaxEdge, 16, 100_000)
	}
	d.between("image.quality", m.Quality, 0, 100)
	if m.MaxBytes < 4096 || m.MaxBytes > 30_000_000 {
		d.fault("image.max_bytes", fmt.Sprintf("%d bytes make no sense", m.MaxBytes), "4096B to 30MB; Smartsheet takes about 1MB")
	}
	if m.MaxPixels < 1000 || m.MaxPixels > 1_000_000_000 {
		d.fault("image.max_pixels", fmt.Sprintf("%d pixels make no sense", m.MaxPixels), "write it like 50MP")
	}
	d.oneOf("image.crop", m.Crop)
	if !hexColor().MatchString(m.Background) {
		d.fault("image.background", fmt.Sprintf("%q is no colour", m.Background), "write it like '#ffffff', in quotes: # begins a comment")
	}
}

func (s *Smartsheet) validate(d *decoder) {
	switch {
	case s.BaseURL == "" && s.Region == "":
		s.Region = "us"
	case s.BaseURL != "" && s.Region != "":
		d.fault("smartsheet.base_url", "goes not together with region", "keep one of the two")
	case s.BaseURL != "":
		s.validateURL(d)
	}
	if s.BaseURL == "" {
		d.oneOf("smartsheet.region", s.Region)
	}
	if s.IntegrationSource != "" && !integrationSource().MatchString(s.IntegrationSource) {
		d.fault("smartsheet.integration_source", fmt.Sprintf("%q is not TYPE,Organisation,Name", s.IntegrationSource),
			"like SCRIPT,Example Corp,photosync; TYPE is AI, SCRIPT or APPLICATION")
	}
	d.between("smartsheet.requests_per_minute", s.RequestsPerMinute, 1, 100_000)
	d.between("smartsheet.upload_weight", s.UploadWeight, 1, 100)
	d.between("smartsheet.concurrency", s.Concurrency, 1, 64)
	d.between("smartsheet.retry.max_attempts", s.Retry.MaxAttempts, 1, 100)
	if s.Timeout <= 0 {
		d.fault("smartsheet.timeout", "must be above 0", "like 30s")
	}
}

func (s *Smartsheet) validateURL(d *decoder) {
	u, err := url.Parse(s.BaseURL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		d.fault("smartsheet.base_url", quoteURL(s.BaseURL)+" is no address", "like https://api.smartsheet.com/2.0")
	case u.User != nil:
		d.fault("smartsheet.base_url", "may not hold a user or password", "the token goes into smartsheet.token_file")
	case u.Scheme == "http" && !s.AllowHTTP && !loopback(u.Hostname()):
		d.fault("smartsheet.base_url", "plain http would show the token to everyone on the way", "use https, or set smartsheet.allow_http: true")
	}
}

// quoteURL quotes an address for a fault, without a user and password in it.
func quoteURL(raw string) string {
	if i := strings.LastIndex(raw, "@"); i >= 0 {
		raw = "…" + raw[i:]
	}
	return strconv.Quote(raw)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// keys that only one type of source has.
var (
	folderKeys = []string{"path", "recursive", "mapping_file", "min_age"}
	ldapKeys   = []string{
		"urls", "auth", "bind_dn", "bind_password_file", "kerberos", "base_dn", "filter", "exclude_filter", "member_of",
		"email_attributes", "photo_attributes", "photo_choice", "tls", "page_size", "change_detection", "allow_plaintext",
		"idle_timeout", "list_timeout",
	}
)

func (s *Source) validate(d *decoder, at string) {
	for i, name := range s.Domains {
		if !domain().MatchString(name) {
			d.fault(fmt.Sprintf("%s.domains[%d]", at, i), fmt.Sprintf("%q is no domain", name), "the part after the @, like example.com")
		}
	}
	var foreign []string
	switch s.Type {
	case "folder":
		foreign = ldapKeys
		if s.Path == "" {
			d.fault(at+".path", "a folder needs a path", "where the files <email>.jpg lie")
		}
	case "ldap":
		foreign = folderKeys
		s.validateLDAP(d, at)
	default:
		d.oneOf(at+".type", s.Type)
	}
	for _, key := range foreign {
		if _, set := d.places[at+"."+key]; set {
			d.fault(at+"."+key, fmt.Sprintf("a source of type %s has no such key", s.Type), "remove it, or correct the type")
		}
	}
}

func (d *decoder) between(key string, n, low, high int) {
	if n < low || n > high {
		d.fault(key, fmt.Sprintf("%d is out of range", n), fmt.Sprintf("%d to %d", low, high))
	}
}

// choices are the possible values of keys that have few.
var choices = map[string][]string{
	"smartsheet.region":          {"us", "eu", "au", "gov"}, // those that smartsheet.Roots knows the address of
	"sources[].type":             {"folder", "ldap"},
	"sources[].change_detection": {"auto", "content"},
	"sources[].auth":             {"simple", "external", "gssapi", "anonymous"},
	"sources[].photo_choice":     {"first", "largest"},
	"image.crop":                 {"none", "center", "top"},
	"policy.existing":            {"on_source_change", "enforce", "respect_user", "fill_empty"},
	"policy.removed":             {"report", "placeholder"},
	"report.formats[]":           {"json", "html", "csv"},
	"notify.when":                {"attention", "always"},
	"notify.webhook_format":      {"auto", "slack", "teams", "json"},
	"log.level":                  {"debug", "info", "warn", "error"},
	"log.format":                 {"auto", "console", "json"},
}

var listIndex = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\[\d+\]`) })

func (d *decoder) oneOf(key, v string) {
	values := choices[listIndex().ReplaceAllString(key, "[]")]
	if !slices.Contains(values, v) {
		d.fault(key, fmt.Sprintf("%q is not possible", v), strings.Join(values, ", "))
	}
}

var notInEnvName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[^A-Z0-9]+`) })

// secrets reads tokens and passwords: the environment wins over the file.
func (c *Config) secrets(d *decoder, env func(string) string) {
	s := &c.Smartsheet
	s.Token = c.secret(d, "smartsheet.token_file", s.TokenFile, env("SMARTSHEET_ACCESS_TOKEN"))
	switch {
	case s.OAuth2.Set():
		c.oauth2Secrets(d, env)
	case s.Token == "" && s.TokenFile == "":
		d.fault("smartsheet.token_file", "there is no Smartsheet token", "name a file that holds it, or set SMARTSHEET_ACCESS_TOKEN")
	}
	for i := range c.Sources {
		src := &c.Sources[i]
		if src.Type != "ldap" || src.Auth != "simple" || src.BindDN == "" {
			continue
		}
		at := fmt.Sprintf("sources[%d].bind_password_file", i)
		name := "LDAP_BIND_PASSWORD_" + notInEnvName().ReplaceAllString(strings.ToUpper(src.Name), "_")
		value := env(name)
		if value == "" {
			value = env("LDAP_BIND_PASSWORD")
		}
		src.BindPassword = c.secret(d, at, src.BindPasswordFile, value)
		if src.BindPassword == "" && src.BindPasswordFile == "" {
			d.fault(at, fmt.Sprintf("there is no password for %q", src.BindDN), fmt.Sprintf("name a file that holds it, or set %s or LDAP_BIND_PASSWORD", name))
		}
	}
}

// oauth2Secrets reads the client secret, and looks whether the refresh token can be
// read: its value is the client's business, which replaces it.
func (c *Config) oauth2Secrets(d *decoder, env func(string) string) {
	const key = "smartsheet.oauth2"
	s, o := &c.Smartsheet, &c.Smartsheet.OAuth2
	switch {
	case s.TokenFile != "":
		d.fault(key, "goes not together with token_file", "keep one of the two")
	case s.Token != "":
		d.fault(key, "goes not together with SMARTSHEET_ACCESS_TOKEN", "unset the variable, or remove the key")
	}
	if o.ClientID == "" {
		d.fault(key+".client_id", "there is no client id", "the App client id that Smartsheet's Developer Tools show")
	}
	o.ClientSecret = c.secret(d, key+".client_secret_file", o.ClientSecretFile, env("SMARTSHEET_CLIENT_SECRET"))
	if o.ClientSecret == "" && o.ClientSecretFile == "" {
		d.fault(key+".client_secret_file", "there is no client secret", "name a file that holds it, or set SMARTSHEET_CLIENT_SECRET")
	}
	if o.RefreshTokenFile == "" {
		d.fault(key+".refresh_token_file", "there is no refresh token", "name a file that holds it; it is rewritten whenever the token rotates")
		return
	}
	c.secret(d, key+".refresh_token_file", o.RefreshTokenFile, "")
}

func (c *Config) secret(d *decoder, key, file, env string) Secret {
	if env != "" {
		return Secret(env)
	}
	if file == "" {
		return ""
	}
	data, err := os.ReadFile(file)
	if err != nil {
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			err = pe.Err
		}
		name := strconv.Quote(file)
		if !strings.ContainsAny(file, `/\.`) {
			name = "the file named here" // people put the secret itself here
		}
		d.fault(key, fmt.Sprintf("read %s: %v", name, err), "name a file that the user who runs photosync can read; it holds the secret")
		return ""
	}
	if fi, err := os.Stat(file); err == nil && readableByOthers(fi) {
		c.Warnings = append(c.Warnings, fmt.Sprintf("%s: every user of this machine can read %q (mode %#o): chmod 600 it", key, file, fi.Mode().Perm()))
	}
	text := strings.TrimSpace(string(data))
	if text == "" {
		d.fault(key, fmt.Sprintf("%q is empty", file), "it must hold the secret and nothing else")
	} else if strings.ContainsAny(text, "\r\n") {
		d.fault(key, fmt.Sprintf("%q has more than one line", file), "it must hold the secret and nothing else")
	}
	return Secret(text)
}

// readableByOthers tells whether every user of the machine can read a file. To let
// its group read it is how a service, or a pod's volume, gets a secret. Windows does
// not say it like that.
func readableByOthers(fi fs.FileInfo) bool {
	return fi.Mode().Perm()&0o004 != 0 && os.PathSeparator == '/'
}
