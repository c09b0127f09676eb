package config

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// What a value must be beyond its type stands here, once: the program checks it, and the
// schema and the reference say it.

// rule is what the value of a key must be. A key's [] stands for every member of a list.
type rule struct {
	oneOf     []string
	low, high int64 // of numbers, sizes (bytes), durations (nanoseconds); high 0: any
	zero      bool  // 0 is possible, too
	pattern   string
	what      string // is the fault of a value that does not fit the pattern
	instead   string
}

var rules = map[string]rule{
	"smartsheet.region":              {oneOf: []string{"us", "eu", "au", "gov"}}, // those that smartsheet.Roots knows the address of
	"smartsheet.integration_source":  {pattern: `^(AI|SCRIPT|APPLICATION),[ -+\--~]+,[ -+\--~]+$`, what: "is not TYPE,Organisation,Name in printable ASCII", instead: "like SCRIPT,Example Corp,photosync; TYPE is AI, SCRIPT or APPLICATION, and an HTTP header holds no letters outside ASCII"},
	"smartsheet.requests_per_minute": {low: 1, high: 100_000},
	"smartsheet.upload_weight":       {low: 1, high: 100},
	"smartsheet.concurrency":         {low: 1, high: 64},
	"smartsheet.timeout":             {low: 1, instead: "like 30s"},
	"smartsheet.retry.max_attempts":  {low: 1, high: 100},

	"sources[].type":             {oneOf: []string{"folder", "ldap"}},
	"sources[].domains[]":        {pattern: `^[^@\s*/:]+$`, what: "is not a domain", instead: "the part after the @, like example.com"},
	"sources[].auth":             {oneOf: []string{"simple", "external", "gssapi", "anonymous"}},
	"sources[].photo_choice":     {oneOf: []string{"first", "largest"}},
	"sources[].paging":           {oneOf: []string{"auto", "required", "off"}},
	"sources[].page_size":        {low: 1, high: 10_000},
	"sources[].deref":            {oneOf: []string{"never", "always"}},
	"sources[].change_detection": {oneOf: []string{"auto", "content"}},
	"sources[].idle_timeout":     {low: 1, instead: "like 1m"},
	"sources[].list_timeout":     {low: 1, instead: "like 1h"},

	"match.refresh":           {low: 1, instead: "like 7d"},
	"match.ignore_pictures[]": {pattern: `^[0-9a-fA-F]{64}$`, what: "is not the SHA-256 of a picture", instead: "64 hexadecimal digits, as reports and photosync explain print them"},

	"image.max_edge":   {low: 16, high: 100_000, zero: true, instead: "16 to 100000; 0 leaves pictures as large as they are"},
	"image.max_bytes":  {low: 4096, high: 30_000_000, instead: "4096B to 30MB; Smartsheet takes about 1MB"},
	"image.max_pixels": {low: 1000, high: 1_000_000_000, instead: "write it like 50MP"},
	"image.crop":       {oneOf: []string{"none", "center", "top"}},
	"image.quality":    {high: 100},
	"image.background": {pattern: `^#[0-9a-fA-F]{6}$`, what: "is not a colour", instead: "write it like '#ffffff', in quotes: # begins a comment"},

	"policy.existing":      {oneOf: []string{"on_source_change", "enforce", "respect_user", "fill_empty"}},
	"policy.removed":       {oneOf: []string{"report", "placeholder"}},
	"policy.removed_after": {low: 1, high: 1000},
	"guard.min_people":     {high: 1_000_000_000},
	"guard.max_shared":     {high: 1_000_000_000},

	"report.formats[]": {oneOf: []string{"json", "html", "csv"}},
	"report.keep":      {high: 1_000_000},

	"notify.when":           {oneOf: []string{"attention", "always"}},
	"notify.webhook_format": {oneOf: []string{"auto", "slack", "teams", "json"}},
	"notify.smtp.port":      {low: 1, high: 65535},
	"notify.smtp.from":      mailbox,
	"notify.smtp.to[]":      mailbox,

	"success_on[]": {oneOf: []string{"3", "4", "5", "6", "10"}},

	"log.level":  {oneOf: []string{"debug", "info", "warn", "error"}},
	"log.format": {oneOf: []string{"auto", "console", "json"}},
}

var mailbox = rule{pattern: `^([^<>@]*<[^<>@\s]+@[^<>@\s]+>|[^<>@\s]+@[^<>@\s]+)$`, what: "is not a mail address", instead: "like photosync@example.com"}

// need is a key that must have a value where another has one. At names where both stand.
type need struct {
	at, key  string
	when, is string // key and value; is == "": any; when == "*": any key; when == "": always
	message  string
	instead  string
}

var needs = []need{
	{"", "sources", "", "", "there is no source of photos", "add a folder or an LDAP directory: see config.example.yaml"},
	{"sources[]", "name", "", "", "a source needs a name", "any short one: it stands in reports and logs"},
	{"sources[]", "type", "", "", "a source needs a type", "folder or ldap"},
	{"sources[]", "path", "type", "folder", "a folder needs a path", "where the files <email>.jpg lie"},
	{"sources[]", "urls", "type", "ldap", "an LDAP source needs an address", "like [ldaps://dc1.example.com]"},
	{"sources[]", "base_dn", "type", "ldap", "an LDAP source needs a base DN", "like OU=People,DC=example,DC=com"},
	{"sources[]", "bind_dn", "auth", "simple", "auth: simple needs it", "the DN of the user who reads the directory"},
	{"sources[]", "bind_dn", "bind_password_file", "", "there is a password and no user", "the DN of the user who reads the directory"},
	{"sources[].kerberos", "keytab", "principal", "", "a principal needs it", "like /etc/photosync/photosync.keytab"},
	{"sources[].kerberos", "principal", "keytab", "", "a keytab needs it", "like photosync@EXAMPLE.COM"},
	{"sources[].tls", "key_file", "cert_file", "", "a certificate needs its key", "the file with the private key"},
	{"sources[].tls", "cert_file", "key_file", "", "a key needs its certificate", "the file with the certificate"},
	{"smartsheet.oauth2", "client_id", "*", "", "there is no client id", "the App client id that Smartsheet's Developer Tools show"},
	{"smartsheet.oauth2", "refresh_token_file", "*", "", "there is no refresh token", "name a file that holds it, as photosync oauth login writes it; it is rewritten whenever the token rotates"},
	{"notify.smtp", "host", "*", "", "there is no mail server", "like smtp.example.com"},
	{"notify.smtp", "from", "*", "", "mail needs a sender", "like photosync@example.com"},
	{"notify.smtp", "to", "*", "", "there is nobody to send mail to", "like [it@example.com]"},
	{"notify.smtp", "username", "password_file", "", "there is a password and no user name", "the name to log in with"},
	{"state", "path", "", "", "may not be empty", "the file that remembers what was uploaded, on a local disk"},
	{"report", "dir", "", "", "may not be empty", "the folder for reports"},
	{"report", "formats", "", "", "may not be empty: a run must say what it did", "one or more of json, html, csv"},
}

// excluded are keys that do not go together.
var excluded = []struct{ at, key, other string }{
	{"smartsheet", "base_url", "region"},
	{"smartsheet", "oauth2", "token_file"},
	{"notify", "webhook", "webhook_file"},
	{"notify", "healthcheck", "healthcheck_file"},
}

var indexes = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\[\d+\]`) })

// walk calls f for v, which stands at key, and for all below it.
func walk(v reflect.Value, key string, f func(v reflect.Value, key string)) {
	f(v, key)
	switch v.Kind() {
	case reflect.Struct:
		for i, name := range keys(v.Type()) {
			if name != "-" {
				walk(v.Field(i), strings.TrimPrefix(key+"."+name, "."), f)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), fmt.Sprintf("%s[%d]", key, i), f)
		}
	}
}

// check applies the rules to a value, if the file sets it.
func (d *decoder) check(v reflect.Value, key string) {
	r, ruled := rules[indexes().ReplaceAllString(key, "[]")]
	if !ruled || d.places[key].line == 0 {
		return
	}
	text := fmt.Sprint(v)
	switch {
	case r.oneOf != nil && !slices.Contains(r.oneOf, text):
		d.wrong(key, quote(key, text)+" is not possible", strings.Join(r.oneOf, ", "), text, nearest(text, r.oneOf))
	case r.pattern != "" && !regexp.MustCompile(r.pattern).MatchString(text):
		d.fault(key, quote(key, text)+" "+r.what, r.instead)
	case !v.CanInt() || r.oneOf != nil || v.Int() >= r.low && (v.Int() <= r.high || r.high == 0) || r.zero && v.IsZero():
	case r.high == 0:
		d.fault(key, "must be above 0", r.instead)
	default:
		d.fault(key, "is out of range", cmp.Or(r.instead, fmt.Sprintf("%d to %d", r.low, r.high)))
	}
}

// require checks that the keys of an object go together.
func (d *decoder) require(v reflect.Value, key string) {
	at := indexes().ReplaceAllString(key, "[]")
	full := func(name string) string { return strings.TrimPrefix(key+"."+name, ".") }
	empty := func(name string) bool {
		v := field(v, name)
		return v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0
	}
	below := false // the file has a key below this one
	for k := range d.places {
		below = below || strings.HasPrefix(k, key+".")
	}
	for _, n := range needs {
		if n.at == at && empty(n.key) && (n.when == "" || n.when == "*" && below ||
			n.when != "*" && !empty(n.when) && (n.is == "" || field(v, n.when).String() == n.is)) {
			d.missing(full(n.key), n.message, n.instead)
		}
	}
	for _, e := range excluded {
		if e.at == at && !empty(e.key) && !empty(e.other) {
			d.fault(full(e.key), "does not go together with "+e.other, "keep one of the two")
		}
	}
	if at != "sources[]" {
		return
	}
	for i, name := range keys(v.Type()) {
		of, kind := v.Type().Field(i).Tag.Get("of"), field(v, "type").String()
		if _, set := d.places[full(name)]; set && of != "" && of != kind && slices.Contains(rules["sources[].type"].oneOf, kind) {
			d.fault(full(name), fmt.Sprintf("a source of type %s has no such key", kind), "remove it, or correct the type")
		}
	}
}

// field is the field at a key below v, like tls.ca_file.
func field(v reflect.Value, key string) reflect.Value {
	for name := range strings.SplitSeq(key, ".") {
		v = v.Field(slices.Index(keys(v.Type()), name))
	}
	return v
}
