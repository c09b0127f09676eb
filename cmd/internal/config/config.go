// Package config reads the configuration file: strict YAML with defaults and secrets. It
// reports all faults at once, each with its place. The packages below sync never see it: the
// commands give each its own small option struct.
package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Config is the whole file. example.yaml says what each key means, rules.yaml which keys go
// together, and the tags of a field say the rest. The decoder, the JSON Schema and the reference
// use the tags:
//
//	yaml     the key's name; "-": the field is not in the file
//	of       the type of source that has the key
//	default  as the file writes it, members of a list with commas
//	one      the possible values
//	range    the least and the greatest value
//	above0   an example; 0 is not possible
type Config struct {
	Smartsheet Smartsheet `yaml:"smartsheet"`
	Sources    []Source   `yaml:"sources"`
	State      struct {
		Path string `yaml:"path" default:"/var/lib/photosync/state.db"`
	} `yaml:"state"`
	Match struct {
		Domains map[string]string `yaml:"domains"`
		Include []string          `yaml:"include"`
		Exclude []string          `yaml:"exclude"`

		AlternateEmails bool     `yaml:"alternate_emails"`
		Refresh         Duration `yaml:"refresh" default:"7d" above0:"like 7d"` // how often everybody's user is looked up anew
		IgnorePictures  []string `yaml:"ignore_pictures"`                       // SHA-256 of pictures that count as none, lower-case hex
	} `yaml:"match"`
	Image  Image    `yaml:"image"`
	Policy struct { // when a picture is uploaded
		Existing     string `yaml:"existing" default:"on_source_change" one:"on_source_change, enforce, respect_user, fill_empty"`
		Removed      string `yaml:"removed" default:"report" one:"report, placeholder"`
		RemovedAfter int    `yaml:"removed_after" default:"3" range:"1 to 1000"`
	} `yaml:"policy"`
	Guard struct { // what one run may do at most
		MaxReplaced Limit `yaml:"max_replaced" default:"20%"`
		MaxRemoved  Limit `yaml:"max_removed" default:"5%"`
		MinListed   Limit `yaml:"min_listed" default:"80%"`
		MinPeople   int   `yaml:"min_people" default:"10" range:"0 to 1000000000"`
		MaxShared   int   `yaml:"max_shared" default:"10" range:"0 to 1000000000"`
	} `yaml:"guard"`
	Report struct {
		Dir        string   `yaml:"dir" default:"./reports"`
		Formats    []string `yaml:"formats" default:"json, html" one:"json, html, csv"`
		Keep       int      `yaml:"keep" default:"30" range:"0 to 1000000"`
		Thumbnails bool     `yaml:"thumbnails" default:"true"`
		Before     bool     `yaml:"before"` // also show the picture that Smartsheet has now
	} `yaml:"report"`
	Metrics Metrics `yaml:"metrics"`
	Notify  Notify  `yaml:"notify"`
	Log     struct {
		Level  string `yaml:"level" default:"info" one:"debug, info, warn, error"`
		Format string `yaml:"format" default:"auto" one:"auto, console, json"`
	} `yaml:"log"`
	SuccessOn []int `yaml:"success_on" one:"3, 4, 5, 6, 10"` // exit codes that count as 0

	File     string   `yaml:"-"` // that was read
	Warnings []string `yaml:"-"` // about what is allowed, but not wise
}

type Smartsheet struct {
	Region            string   `yaml:"region" one:"us, eu, au, gov"`
	BaseURL           string   `yaml:"base_url"`
	AllowHTTP         bool     `yaml:"allow_http"`
	CAFile            string   `yaml:"ca_file"`
	TokenFile         string   `yaml:"token_file"`
	OAuth2            OAuth2   `yaml:"oauth2"`
	IntegrationSource string   `yaml:"integration_source"`
	AssumeUser        bool     `yaml:"assume_user"`
	RequestsPerMinute int      `yaml:"requests_per_minute" default:"300" range:"1 to 100000"`
	UploadWeight      int      `yaml:"upload_weight" default:"1" range:"1 to 100"`
	Concurrency       int      `yaml:"concurrency" default:"4" range:"1 to 64"`
	Timeout           Duration `yaml:"timeout" default:"30s" above0:"like 30s"`
	Retry             struct {
		MaxAttempts int      `yaml:"max_attempts" default:"6" range:"1 to 100"`
		MaxWait     Duration `yaml:"max_wait" default:"5m"`
	} `yaml:"retry"`

	Token Secret         `yaml:"-"`
	CAs   *x509.CertPool `yaml:"-"`
}

// OAuth2 is an app that acts for a user, in place of that user's own token.
type OAuth2 struct {
	ClientID         string `yaml:"client_id"`
	ClientSecretFile string `yaml:"client_secret_file"`
	RefreshTokenFile string `yaml:"refresh_token_file"`

	ClientSecret Secret `yaml:"-"`
}

func (o OAuth2) Set() bool { return o != OAuth2{} }

// Source is one source of photos: the keys of all types.
type Source struct {
	Name string `yaml:"name"`
	Type string `yaml:"type" one:"folder, ldap"`

	MayBeEmpty bool     `yaml:"may_be_empty"` // it is not a finding if the source lists nobody
	Domains    []string `yaml:"domains"`      // that its addresses may have; empty: any

	Path        string   `yaml:"path" of:"folder"`
	Recursive   bool     `yaml:"recursive" of:"folder"`
	MappingFile string   `yaml:"mapping_file" of:"folder"`
	MinAge      Duration `yaml:"min_age" of:"folder"`

	URLs             []string `yaml:"urls" of:"ldap"`
	Auth             string   `yaml:"auth" of:"ldap" one:"simple, external, gssapi, anonymous"`
	BindDN           string   `yaml:"bind_dn" of:"ldap"`
	BindPasswordFile string   `yaml:"bind_password_file" of:"ldap"`
	Kerberos         struct { // who binds with auth: gssapi
		Principal string `yaml:"principal"`
		Keytab    string `yaml:"keytab"`
		Config    string `yaml:"config" of:"ldap" default:"/etc/krb5.conf"`
		Service   string `yaml:"service"`
	} `yaml:"kerberos" of:"ldap"`
	BaseDN          string   `yaml:"base_dn" of:"ldap"`
	Filter          string   `yaml:"filter" of:"ldap" default:"(objectClass=person)"`
	ExcludeFilter   string   `yaml:"exclude_filter" of:"ldap"`
	MemberOf        string   `yaml:"member_of" of:"ldap"`
	EmailAttributes []string `yaml:"email_attributes" of:"ldap" default:"mail"`
	PhotoAttributes []string `yaml:"photo_attributes" of:"ldap" default:"thumbnailPhoto, jpegPhoto"`
	PhotoChoice     string   `yaml:"photo_choice" of:"ldap" default:"first" one:"first, largest"`
	TLS             struct { // how the server is verified, and the certificate shown to it
		CAFile     string `yaml:"ca_file"`
		StartTLS   bool   `yaml:"start_tls"`
		ServerName string `yaml:"server_name"`
		CertFile   string `yaml:"cert_file"`
		KeyFile    string `yaml:"key_file"`

		CAs *x509.CertPool `yaml:"-"`
	} `yaml:"tls" of:"ldap"`
	Paging          string   `yaml:"paging" of:"ldap" default:"auto" one:"auto, required, off"`
	PageSize        int      `yaml:"page_size" of:"ldap" range:"1 to 10000"` // 0: as many as the server is known to give
	Deref           string   `yaml:"deref" of:"ldap" default:"never" one:"never, always"`
	ChangeDetection string   `yaml:"change_detection" of:"ldap" default:"auto" one:"auto, content"`
	AllowPlaintext  bool     `yaml:"allow_plaintext" of:"ldap"`
	IdleTimeout     Duration `yaml:"idle_timeout" of:"ldap" default:"1m" above0:"like 1m"`
	ListTimeout     Duration `yaml:"list_timeout" of:"ldap" default:"1h" above0:"like 1h"`

	BindPassword Secret `yaml:"-"`
}

// Metrics names the receivers of numbers for Prometheus.
type Metrics struct {
	Textfile    string `yaml:"textfile"`
	Pushgateway Secret `yaml:"pushgateway"` // may hold a user and password
}

// Notify names the receivers of notices about runs.
type Notify struct {
	Webhook         Secret `yaml:"webhook"`
	WebhookFile     string `yaml:"webhook_file"`
	WebhookFormat   string `yaml:"webhook_format" default:"auto" one:"auto, slack, teams, json"`
	When            string `yaml:"when" default:"attention" one:"attention, always"`
	SMTP            SMTP   `yaml:"smtp"`
	Healthcheck     Secret `yaml:"healthcheck"`
	HealthcheckFile string `yaml:"healthcheck_file"`
}

// SMTP says how to mail the summary, and to whom.
type SMTP struct {
	Host         string   `yaml:"host"` // empty: no mail
	Port         int      `yaml:"port" default:"587" range:"1 to 65535"`
	StartTLS     bool     `yaml:"starttls" default:"true"` // TLS is required; false: none, unless it is there already
	CAFile       string   `yaml:"ca_file"`
	Username     string   `yaml:"username"` // empty: no login
	PasswordFile string   `yaml:"password_file"`
	From         string   `yaml:"from"`
	To           []string `yaml:"to"`

	TLS      bool           `yaml:"-"` // from the start, as on port 465 (RFC 8314, section 3.3)
	Password Secret         `yaml:"-"`
	CAs      *x509.CertPool `yaml:"-"` // of ca_file, as elsewhere; nil: the system's
}

type Image struct {
	MaxEdge       int    `yaml:"max_edge" default:"1050" range:"16 to 100000, or 0"`
	MaxBytes      Size   `yaml:"max_bytes" default:"1MB" range:"4096B to 30MB"`
	MaxPixels     Pixels `yaml:"max_pixels" default:"50MP" range:"1kP to 1000MP"`
	Crop          string `yaml:"crop" default:"none" one:"none, center, top"`
	StripMetadata bool   `yaml:"strip_metadata" default:"true"`
	Quality       int    `yaml:"quality" default:"90" range:"0 to 100"`
	Background    string `yaml:"background" default:"#ffffff"`
}

// Secret is a text that shows itself nowhere: every way of printing it gives "[redacted]".
type Secret string

const redacted = "[redacted]"

func (s Secret) Reveal() string { return string(s) }

// Format, which all verbs of fmt use, and MarshalText redact.
func (s Secret) Format(f fmt.State, _ rune)   { fmt.Fprint(f, redacted) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Duration is written like 30s, 5m, 1h30m or 1d, also with spaces.
type Duration time.Duration

func (d *Duration) UnmarshalText(b []byte) error {
	text := strings.ReplaceAll(string(b), " ", "")
	if head, rest, found := strings.Cut(text, "d"); found {
		if days, err := strconv.ParseFloat(head, 64); err == nil { // else ParseDuration refuses the d
			text = fmt.Sprintf("%fh%s", days*24, rest)
		}
	}
	v, err := time.ParseDuration(text)
	if err != nil || v < 0 {
		return errors.New("is not a duration: write it like 30s, 5m, 1h30m or 1d")
	}
	*d = Duration(v)
	return nil
}

// Size is a number of bytes, written like 800kB, 1MB (1,000,000) or 1MiB (1,048,576).
type Size int64

func (s *Size) UnmarshalText(b []byte) error {
	return quantity((*int64)(s), b, "is not a size: write it like 800kB, 1MB or 1MiB",
		map[string]float64{"": 1, "B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "KiB": 1 << 10, "MiB": 1 << 20})
}

// Pixels is a number of pixels, written like 50MP.
type Pixels int64

func (p *Pixels) UnmarshalText(b []byte) error {
	return quantity((*int64)(p), b, "is not a number of pixels: write it like 50MP", map[string]float64{"": 1, "kP": 1e3, "MP": 1e6})
}

func quantity(to *int64, b []byte, fault string, units map[string]float64) error {
	number := strings.TrimRightFunc(string(b), unicode.IsLetter)
	factor, known := units[string(b[len(number):])]
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !known || err != nil || v < 0 || v*factor >= math.MaxInt64/2 {
		return errors.New(fault)
	}
	*to = int64(v * factor)
	return nil
}

// Limit is a number of people, like 100, or a percentage, like 20%.
type Limit struct {
	N       float64 `yaml:"-"`
	Percent bool    `yaml:"-"`
}

func (l *Limit) UnmarshalText(b []byte) error {
	head, percent := strings.CutSuffix(strings.TrimSpace(string(b)), "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(head), 64)
	if err != nil || !(v >= 0) || math.IsInf(v, 0) || percent && v > 100 || !percent && v != math.Trunc(v) {
		return errors.New("is not a limit: write a number of people like 100, or a percentage like 20%")
	}
	l.N, l.Percent = v, percent
	return nil
}
