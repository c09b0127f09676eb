package config

import (
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
	"smartsheet.integration_source":  {pattern: `^(AI|SCRIPT|APPLICATION),[^,\x00-\x1f]+,[^,\x00-\x1f]+$`, what: "is not TYPE,Organisation,Name", instead: "like SCRIPT,Example Corp,photosync; TYPE is AI, SCRIPT or APPLICATION"},
	"smartsheet.requests_per_minute": {low: 1, high: 100_000},
	"smartsheet.upload_weight":       {low: 1, high: 100},
	"smartsheet.concurrency":         {low: 1, high: 64},
	"smartsheet.timeout":             {low: 1, instead: "like 30s"},
	"smartsheet.retry.max_attempts":  {low: 1, high: 100},

	"sources[].type":             {oneOf: []string{"folder", "ldap"}},
	"sources[].domains[]":        {pattern: `^[^@\s*/:]+$`, what: "is no domain", instead: "the part after the @, like example.com"},
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
	"image.background": {pattern: `^#[0-9a-fA-F]{6}$`, what: "is no colour", instead: "write it like '#ffffff', in quotes: # begins a comment"},

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

var mailbox = rule{pattern: `^([^<>@]*<[^<>@\s]+@[^<>@\s]+>|[^<>@\s]+@[^<>@\s]+)$`, what: "is no mail address", instead: "like photosync@example.com"}

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
	{"sources[]", "kerberos.principal", "auth", "gssapi", "auth: gssapi needs it", "like photosync@EXAMPLE.COM"},
	{"sources[]", "kerberos.keytab", "auth", "gssapi", "auth: gssapi needs it", "like /etc/photosync/photosync.keytab"},
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

// check applies the rules to what is set below v, which stands at key.
func (d *decoder) check(v reflect.Value, key string) {
	if key != "" && d.places[key].line == 0 {
		return // a default
	}
	r, ruled := rules[indexes().ReplaceAllString(key, "[]")]
	switch v.Kind() {
	case reflect.Struct:
		for i, name := range keys(v.Type()) {
			if name != "-" {
				d.check(v.Field(i), strings.TrimPrefix(key+"."+name, "."))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			d.check(v.Index(i), fmt.Sprintf("%s[%d]", key, i))
		}
	case reflect.String:
		if ruled {
			d.checkText(key, v.String(), r)
		}
	case reflect.Int, reflect.Int64:
		if n := v.Int(); ruled && r.oneOf != nil {
			d.checkText(key, fmt.Sprint(n), r)
		} else if ruled && (n < r.low || n > r.high && r.high > 0) && !(r.zero && n == 0) {
			message, instead := "is out of range", r.instead
			if r.high == 0 {
				message = "must be above 0"
			} else if instead == "" {
				instead = fmt.Sprintf("%d to %d", r.low, r.high)
			}
			d.fault(key, message, instead)
		}
	}
}

func (d *decoder) checkText(key, v string, r rule) {
	switch {
	case r.oneOf != nil && !slices.Contains(r.oneOf, v):
		d.wrong(key, quote(key, v)+" is not possible", strings.Join(r.oneOf, ", "), replaceAfter(d.line(key), leaf(key), v, nearest(v, r.oneOf)))
	case r.pattern != "" && !regexp.MustCompile(r.pattern).MatchString(v):
		d.fault(key, quote(key, v)+" "+r.what, r.instead)
	}
}

// require applies needs and excluded.
func (d *decoder) require(c *Config) {
	each := func(at string, f func(v reflect.Value, key string)) {
		rest, inSource := strings.CutPrefix(at, "sources[]")
		if !inSource {
			f(reflect.ValueOf(c).Elem(), at)
			return
		}
		for i := range c.Sources {
			f(reflect.ValueOf(c).Elem(), fmt.Sprintf("sources[%d]%s", i, rest))
		}
	}
	for _, n := range needs {
		each(n.at, func(root reflect.Value, at string) {
			v := field(root, at)
			switch {
			case n.when == "*" && !d.hasBelow(at), n.when != "" && n.when != "*" && field(v, n.when).IsZero(),
				n.is != "" && field(v, n.when).String() != n.is, !field(v, n.key).IsZero() && lengthOf(field(v, n.key)) > 0:
			default:
				d.missing(strings.TrimPrefix(at+"."+n.key, "."), n.message, n.instead)
			}
		})
	}
	for _, e := range excluded {
		each(e.at, func(root reflect.Value, at string) {
			if v := field(root, at); !field(v, e.key).IsZero() && !field(v, e.other).IsZero() {
				d.fault(at+"."+e.key, "does not go together with "+e.other, "keep one of the two")
			}
		})
	}
	each("sources[]", func(root reflect.Value, at string) {
		s := field(root, at).Interface().(Source)
		for i, name := range keys(reflect.TypeFor[Source]()) {
			of := reflect.TypeFor[Source]().Field(i).Tag.Get("of")
			if _, set := d.places[at+"."+name]; set && of != "" && of != s.Type && slices.Contains(rules["sources[].type"].oneOf, s.Type) {
				d.fault(at+"."+name, fmt.Sprintf("a source of type %s has no such key", s.Type), "remove it, or correct the type")
			}
		}
	})
}

// hasBelow reports whether the file has a key below this one.
func (d *decoder) hasBelow(key string) bool {
	for k := range d.places {
		if strings.HasPrefix(k, key+".") {
			return true
		}
	}
	return false
}

func lengthOf(v reflect.Value) int {
	if v.Kind() == reflect.Slice {
		return v.Len()
	}
	return 1
}

// field is the field at a key below v, like sources[0].tls.
func field(v reflect.Value, key string) reflect.Value {
	for _, name := range strings.FieldsFunc(key, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		if v.Kind() == reflect.Slice {
			var i int
			fmt.Sscan(name, &i)
			v = v.Index(i)
		} else {
			v = v.Field(slices.Index(keys(v.Type()), name))
		}
	}
	return v
}
