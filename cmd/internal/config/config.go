// Package config reads the configuration file: strict YAML with defaults and
// secrets, every fault at once and each with its place. The packages of the sync
// never see it; the commands hand each its own small option struct.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Config is the whole file.
type Config struct {
	Smartsheet Smartsheet `yaml:"smartsheet"`
	Sources    []Source   `yaml:"sources"`
	State      State      `yaml:"state"`
	Match      Match      `yaml:"match"`
	Image      Image      `yaml:"image"`
	Policy     Policy     `yaml:"policy"`
	Guard      Guard      `yaml:"guard"`
	Report     Report     `yaml:"report"`
	Metrics    Metrics    `yaml:"metrics"`
	Notify     Notify     `yaml:"notify"`
	Log        Log        `yaml:"log"`
	SuccessOn  []int      `yaml:"success_on"` // exit codes that become 0

	Warnings []string `yaml:"-"` // what is allowed and not wise
}

// Smartsheet is the target.
type Smartsheet struct {
	Region            string   `yaml:"region"`
	BaseURL           string   `yaml:"base_url"`
	AllowHTTP         bool     `yaml:"allow_http"`
	CAFile            string   `yaml:"ca_file"`
	TokenFile         string   `yaml:"token_file"`
	OAuth2            OAuth2   `yaml:"oauth2"`
	IntegrationSource string   `yaml:"integration_source"`
	AssumeUser        bool     `yaml:"assume_user"`
	RequestsPerMinute int      `yaml:"requests_per_minute"`
	UploadWeight      int      `yaml:"upload_weight"`
	Concurrency       int      `yaml:"concurrency"`
	Timeout           Duration `yaml:"timeout"`
	Retry             Retry    `yaml:"retry"`

	Token Secret `yaml:"-"`
}

// OAuth2 is an app that acts for a user, in place of that user's own token.
type OAuth2 struct {
	ClientID         string `yaml:"client_id"`
	ClientSecretFile string `yaml:"client_secret_file"`
	RefreshTokenFile string `yaml:"refresh_token_file"`

	ClientSecret Secret `yaml:"-"`
}

// Set reports whether OAuth2 is used.
func (o OAuth2) Set() bool { return o != OAuth2{} }

// Retry bounds the attempts of one call.
type Retry struct {
	MaxAttempts int      `yaml:"max_attempts"`
	MaxWait     Duration `yaml:"max_wait"`
}

// Source is one source of photos: the keys of all types.
type Source struct {
	Name string `yaml:"name"`
	Type string `yaml:"type"` // folder or ldap

	MayBeEmpty bool     `yaml:"may_be_empty"` // to list nobody is no finding
	Domains    []string `yaml:"domains"`      // that its addresses may have; empty: any

	Path        string   `yaml:"path" of:"folder"`
	Recursive   bool     `yaml:"recursive" of:"folder"`
	MappingFile string   `yaml:"mapping_file" of:"folder"`
	MinAge      Duration `yaml:"min_age" of:"folder"`

	URLs             []string `yaml:"urls" of:"ldap"`
	Auth             string   `yaml:"auth" of:"ldap"`
	BindDN           string   `yaml:"bind_dn" of:"ldap"`
	BindPasswordFile string   `yaml:"bind_password_file" of:"ldap"`
	Kerberos         Kerberos `yaml:"kerberos" of:"ldap"`
	BaseDN           string   `yaml:"base_dn" of:"ldap"`
	Filter           string   `yaml:"filter" of:"ldap"`
	ExcludeFilter    string   `yaml:"exclude_filter" of:"ldap"`
	MemberOf         string   `yaml:"member_of" of:"ldap"`
	EmailAttributes  []string `yaml:"email_attributes" of:"ldap"`
	PhotoAttributes  []string `yaml:"photo_attributes" of:"ldap"`
	PhotoChoice      string   `yaml:"photo_choice" of:"ldap"`
	TLS              TLS      `yaml:"tls" of:"ldap"`
	Paging           string   `yaml:"paging" of:"ldap"`
	PageSize         int      `yaml:"page_size" of:"ldap"` // 0: as many as the server is known to give
	Deref            string   `yaml:"deref" of:"ldap"`
	ChangeDetection  string   `yaml:"change_detection" of:"ldap"`
	AllowPlaintext   bool     `yaml:"allow_plaintext" of:"ldap"`
	IdleTimeout      Duration `yaml:"idle_timeout" of:"ldap"`
	ListTimeout      Duration `yaml:"list_timeout" of:"ldap"`

	BindPassword Secret `yaml:"-"`
}

// State is where the state lies.
type State struct {
	Path string `yaml:"path"`
}

// Match is how people are matched and who is left out.
type Match struct {
	Domains map[string]string `yaml:"domains"`
	Include []string          `yaml:"include"`
	Exclude []string          `yaml:"exclude"`

	AlternateEmails bool     `yaml:"alternate_emails"`
	Refresh         Duration `yaml:"refresh"`         // how long a user who was found is not looked up again
	IgnorePictures  []string `yaml:"ignore_pictures"` // SHA-256 of pictures that count as none, lower-case hex
}

// Image is what a picture may be like.
type Image struct {
	MaxEdge       int    `yaml:"max_edge"`
	MaxBytes      Size   `yaml:"max_bytes"`
	MaxPixels     Pixels `yaml:"max_pixels"`
	Crop          string `yaml:"crop"`
	StripMetadata bool   `yaml:"strip_metadata"`
	Quality       int    `yaml:"quality"`
	Background    string `yaml:"background"`
}

// Policy is when a picture is uploaded.
type Policy struct {
	Existing     string `yaml:"existing"`
	Removed      string `yaml:"removed"`
	RemovedAfter int    `yaml:"removed_after"`
}

// Guard bounds what one run may do.
type Guard struct {
	MaxReplaced Limit `yaml:"max_replaced"`
	MaxRemoved  Limit `yaml:"max_removed"`
	MinListed   Limit `yaml:"min_listed"`
	MinPeople   int   `yaml:"min_people"`
	MaxShared   int   `yaml:"max_shared"`
}

// Report is where reports go.
type Report struct {
	Dir        string   `yaml:"dir"`
	Formats    []string `yaml:"formats"`
	Keep       int      `yaml:"keep"`
	Thumbnails bool     `yaml:"thumbnails"`
	Before     bool     `yaml:"before"` // also show the picture that Smartsheet has now
}

// Metrics is where Prometheus finds the numbers of a run.
type Metrics struct {
	Textfile    string `yaml:"textfile"`
	Pushgateway Secret `yaml:"pushgateway"` // may hold a user and password
}

// Notify is who is told how a run came out. The addresses are as good as passwords.
type Notify struct {
	Webhook         Secret `yaml:"webhook"`
	WebhookFile     string `yaml:"webhook_file"`
	WebhookFormat   string `yaml:"webhook_format"`
	When            string `yaml:"when"`
	SMTP            SMTP   `yaml:"smtp"`
	Healthcheck     Secret `yaml:"healthcheck"`
	HealthcheckFile string `yaml:"healthcheck_file"`
}

// SMTP is the server that takes mail about runs.
type SMTP struct {
	Host         string   `yaml:"host"` // empty: no mail
	Port         int      `yaml:"port"`
	StartTLS     bool     `yaml:"starttls"`
	CAFile       string   `yaml:"ca_file"`
	Username     string   `yaml:"username"`
	PasswordFile string   `yaml:"password_file"`
	From         string   `yaml:"from"`
	To           []string `yaml:"to"`

	Password Secret `yaml:"-"`
}

// Log is how much is logged and how.
type Log struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

func defaults() *Config {
	return &Config{
		Smartsheet: Smartsheet{
			RequestsPerMinute: 300, UploadWeight: 1, Concurrency: 4, Timeout: Duration(30 * time.Second),
			Retry: Retry{MaxAttempts: 6, MaxWait: Duration(5 * time.Minute)},
		},
		State:  State{Path: "/var/lib/photosync/state.db"},
		Image:  Image{MaxEdge: 1050, MaxBytes: 1_000_000, MaxPixels: 50_000_000, Crop: "none", StripMetadata: true, Quality: 90, Background: "#ffffff"},
		Policy: Policy{Existing: "on_source_change", Removed: "report", RemovedAfter: 3},
		Guard: Guard{
			MaxReplaced: Limit{20, true}, MaxRemoved: Limit{5, true}, MinListed: Limit{80, true}, MinPeople: 10, MaxShared: 10,
		},
		Report: Report{Dir: "./reports", Formats: []string{"json", "html"}, Keep: 30, Thumbnails: true},
		Match:  Match{Refresh: Duration(7 * 24 * time.Hour)},
		Notify: Notify{When: "attention", WebhookFormat: "auto", SMTP: SMTP{Port: 587, StartTLS: true}},
		Log:    Log{Level: "info", Format: "auto"},
	}
}

// Find returns the configuration file to use: the one asked for, that of
// PHOTOSYNC_CONFIG, ./config.yaml or /etc/photosync/config.yaml.
func Find(explicit string, env func(string) string) (string, error) {
	if explicit != "" {
		return explicit, nil
	}
	if p := env("PHOTOSYNC_CONFIG"); p != "" {
		return p, nil
	}
	places := []string{"config.yaml", "/etc/photosync/config.yaml"}
	for _, p := range places {
		if _, err := os.Stat(p); !errors.Is(err, fs.ErrNotExist) {
			return p, nil
		}
	}
	return "", &FileError{"no configuration file: looked for " + strings.Join(places, " and "),
		"name one with --config FILE or PHOTOSYNC_CONFIG; photosync init writes a commented one", fs.ErrNotExist}
}

// FileError is a configuration file that is not there, or cannot be read.
type FileError struct {
	text, hint string
	Err        error
}

func (e *FileError) Error() string { return e.text }
func (e *FileError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *FileError) Hint() string { return e.hint }

// Load reads, checks and completes the file at path. An *Error lists every fault.
// Relative paths in the file are relative to the working directory. Checks know more
// of a source than its form: the keys of their faults begin below it.
func Load(path string, env func(string) string, checks ...func(Source) []Fault) (*Config, error) {
	c, d, err := read(path)
	if err != nil {
		return nil, err
	}
	c.Warnings = d.warnings
	c.complete(d)
	for i, s := range c.Sources {
		for _, check := range checks {
			for _, f := range check(s) { // it may quote a value
				d.fault(fmt.Sprintf("sources[%d].%s", i, f.Key), withoutSecrets(f.Message), withoutSecrets(f.Instead))
			}
		}
	}
	c.secrets(d, env)
	c.notices(d, path, env)
	proxies(d, env)
	return c, d.verdict(path)
}

// complete sets the defaults that depend on others, and checks everything.
func (c *Config) complete(d *decoder) {
	walk(reflect.ValueOf(c).Elem(), "", d.check)
	for i := range c.Sources {
		c.Sources[i].defaults()
	}
	c.validate(d)
	walk(reflect.ValueOf(c).Elem(), "", d.require)
}

// LoadState reads only where the state lies: what works on the state alone needs no
// token, and no other part of the file to be right. A key that is not known may be
// meant for it.
func LoadState(path string) (State, error) {
	c, d, err := read(path)
	if err != nil {
		return State{}, err
	}
	c.complete(d)
	d.only("state")
	return c.State, d.verdict(path)
}

// only drops the faults of other sections. A key that is not known stays: it may be meant
// for this one.
func (d *decoder) only(section string) {
	known := keys(reflect.TypeFor[Config]())
	d.faults = slices.DeleteFunc(d.faults, func(f Fault) bool {
		top, _, _ := strings.Cut(strings.ReplaceAll(f.Key, "[", "."), ".")
		return top != section && slices.Contains(known, top)
	})
}

// LoadLogin reads what photosync oauth login needs, and whether the rest of its section is
// right: the file of the refresh token need not be there yet.
func LoadLogin(path string, env func(string) string) (Smartsheet, error) {
	c, d, err := read(path)
	if err != nil {
		return Smartsheet{}, err
	}
	c.complete(d)
	if !c.Smartsheet.OAuth2.Set() {
		d.missing("smartsheet.oauth2", "there is no app to log in with", "like {client_id: …, client_secret_file: …, refresh_token_file: …}")
	}
	c.clientSecret(d, env)
	d.only("smartsheet")
	proxies(d, env)
	return c.Smartsheet, d.verdict(path)
}

func read(path string) (*Config, *decoder, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		hint := "check the path given with --config or PHOTOSYNC_CONFIG"
		if errors.Is(err, fs.ErrPermission) {
			hint = "give the user that runs photosync the right to read it"
		}
		return nil, nil, &FileError{fmt.Sprintf("read configuration %q: %v", path, cause(err)), hint, err}
	}
	c, d := defaults(), &decoder{places: map[string]place{}}
	if f := d.decode(data, c); f != nil {
		d.faults = []Fault{*f}
		return nil, nil, d.verdict(path)
	}
	return c, d, nil
}

// verdict is an *Error if there are faults in the file.
func (d *decoder) verdict(path string) error {
	if len(d.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(d.faults, func(a, b Fault) int { return a.Line - b.Line })
	excerpts(d.lines, d.faults)
	return &Error{Path: path, Faults: d.faults}
}

// Includes reports whether match.include names an address; nil: it names everybody.
func (m Match) Includes() func(email string) bool { return anyOf(m.Include) }

// Excludes reports whether match.exclude names an address; nil: it names nobody.
func (m Match) Excludes() func(email string) bool { return anyOf(m.Exclude) }

func anyOf(globs []string) func(string) bool {
	if len(globs) == 0 {
		return nil
	}
	return func(email string) bool {
		return slices.ContainsFunc(globs, func(g string) bool { return Glob(g, email) })
	}
}

// Glob reports whether email, in its canonical form, matches a pattern with * and ?, in
// any case and with its domain in either form.
func Glob(pattern, email string) bool {
	ok, err := path.Match(canonical(pattern), email)
	return ok && err == nil
}

// canonical writes a pattern as sources.Email writes addresses.
func canonical(pattern string) string {
	if !strings.ContainsFunc(pattern, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return strings.ToLower(pattern)
	}
	local, domain, found := strings.Cut(pattern, "@")
	local = norm.NFC.String(cases.Fold().String(local))
	if d, err := idn.ToASCII(domain); err == nil {
		domain = d
	}
	if !found {
		return local
	}
	return local + "@" + domain
}

var idn = idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.Transitional(false)) // lets * and ? pass
