package config

import (
	"cmp"
	_ "embed"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"

	"photosync/sync/foreign"
)

//go:embed rules.yaml
var rulesFile []byte

// need is a key that must have a value if another key has one; see rules.yaml.
type need struct{ At, Key, When, Is, Message, Instead string }

var rules = sync.OnceValue(func() (all struct {
	Needs    []need
	Excluded []struct{ At, Key, Other string }
	Patterns map[string]struct { // by key; [] stands for every member of a list
		Pattern       *regexp.Regexp
		What, Instead string
	}
	Secrets map[string]string
	Slips   []struct {
		Pattern                 *regexp.Regexp
		Cause, Instead, Correct string
	}
}) {
	if err := yaml.UnmarshalWithOptions(rulesFile, &all, yaml.Strict()); err != nil {
		panic(err)
	}
	return all
})

var index = regexp.MustCompile(`\[\d+\]`)

// general returns a key without the numbers of members, like sources[].urls[].
func general(key string) string { return index.ReplaceAllString(key, "[]") }

func below(above, name string) string { return strings.TrimPrefix(above+"."+name, ".") }

func leaf(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

// keys returns the keys of a struct's fields, in order; "-" for fields that are not in the file.
func keys(t reflect.Type) (names []string) {
	for f := range t.Fields() {
		names = append(names, f.Tag.Get("yaml"))
	}
	return names
}

// allKeys returns all keys in the order of the file; keys of a source look like sources[].urls.
var allKeys = sync.OnceValue(func() (all []string) {
	walk(reflect.ValueOf(Config{Sources: make([]Source, 1)}), "", "", func(_ reflect.Value, key string, _ reflect.StructTag) {
		if key = general(key); key != "" && key != "sources[]" {
			all = append(all, key)
		}
	})
	return all
})

// walk calls f for v, whose key is key, and for everything below it, with the tags of the fields.
func walk(v reflect.Value, key string, tag reflect.StructTag, f func(v reflect.Value, key string, tag reflect.StructTag)) {
	f(v, key, tag)
	switch v.Kind() {
	case reflect.Struct:
		for field, value := range v.Fields() {
			if name := field.Tag.Get("yaml"); name != "-" {
				walk(value, below(key, name), field.Tag, f)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), fmt.Sprintf("%s[%d]", key, i), tag, f)
		}
	}
}

// fill gives keys of v without a value their defaults.
func fill(v reflect.Value) {
	walk(v, "", "", func(v reflect.Value, _ string, tag reflect.StructTag) {
		if text, ok := tag.Lookup("default"); ok && isEmpty(v) {
			set(v, text) // cannot fail: TestReference tries all defaults
		}
	})
}

func isEmpty(v reflect.Value) bool { return v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0 }

// check checks a value against its tag and its pattern, if the file sets it.
func (d *decoder) check(v reflect.Value, key string, tag reflect.StructTag) {
	if d.places[key].Line == 0 || v.Kind() == reflect.Slice {
		return
	}
	text := fmt.Sprint(v)
	span, one, p := tag.Get("range"), tag.Get("one"), rules().Patterns[general(key)]
	words := strings.Split(one, ", ")
	switch {
	case one != "" && !slices.Contains(words, text):
		d.faultWithFix(key, quote(key, text)+" is not possible", one, text, nearest(text, words))
	case p.Pattern != nil && !p.Pattern.MatchString(text):
		d.fault(key, quote(key, text)+" "+p.What, p.Instead)
	case tag.Get("above0") != "" && v.IsZero():
		d.fault(key, "must be above 0", tag.Get("above0"))
	case span != "":
		low, high, zero := bounds(span, v.Type())
		if n := v.Int(); (n < low || n > high) && !(zero && n == 0) {
			d.fault(key, "is out of range", span)
		}
	}
}

// bounds reads a range, like 16 to 100, or 0.
func bounds(span string, t reflect.Type) (low, high int64, orZero bool) {
	span, orZero = strings.CutSuffix(span, ", or 0")
	from, to, _ := strings.Cut(span, " to ")
	v := reflect.New(t).Elem()
	set(v, from)
	low = v.Int()
	set(v, to)
	return low, v.Int(), orZero
}

// require checks that the keys of an object go together.
func (d *decoder) require(v reflect.Value, key string, _ reflect.StructTag) {
	at := general(key)
	empty := func(name string) bool { return isEmpty(field(v, name)) }
	used := false // whether the file has a key below this one
	for k := range d.places {
		used = used || strings.HasPrefix(k, key+".")
	}
	applies := func(n need) bool {
		switch n.When {
		case "":
			return true
		case "*":
			return used
		}
		return !empty(n.When) && (n.Is == "" || field(v, n.When).String() == n.Is)
	}
	for _, n := range rules().Needs {
		if n.At == at && empty(n.Key) && applies(n) {
			d.missing(below(key, n.Key), n.Message, n.Instead)
		}
	}
	for _, e := range rules().Excluded {
		if e.At == at && !empty(e.Key) && !empty(e.Other) {
			d.fault(below(key, e.Key), "does not go together with "+e.Other, "keep one of the two")
		}
	}
}

// field returns the field of a struct that has a key.
func field(v reflect.Value, key string) reflect.Value {
	return v.Field(slices.Index(keys(v.Type()), key))
}

// validate sets defaults that depend on other keys, and checks what the tags cannot say.
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
		fill(reflect.ValueOf(s).Elem())
		walk(reflect.ValueOf(s).Elem(), at, "", func(_ reflect.Value, key string, tag reflect.StructTag) {
			if of := tag.Get("of"); of != "" && s.Type != "" && of != s.Type && d.places[key].Line > 0 && !d.hasFault(at+".type") {
				d.fault(key, fmt.Sprintf("a source of type %s has no such key", s.Type), "remove it, or correct the type")
			}
		})
		if s.Type == "ldap" {
			d.validateLDAP(s, at)
		}
	}
	d.validateMatch()
	for i, hash := range d.c.Match.IgnorePictures {
		d.c.Match.IgnorePictures[i] = strings.ToLower(hash)
	}
}

// validateMatch finds what would silently match nobody, or somebody else each time: a text that
// is not a domain, a domain in two spellings, and a pattern for the addresses of a domain that
// match.domains rewrites first.
func (d *decoder) validateMatch() {
	m, isDomain, before := &d.c.Match, rules().Patterns["sources[].domains[]"], map[string]string{}
	for _, from := range slices.Sorted(maps.Keys(m.Domains)) {
		if other := before[folded("@"+from)]; other != "" {
			d.fault("match.domains", quote("match.domains", from)+" is the same domain as "+other, "keep one")
		}
		before[folded("@"+from)] = from
		for _, text := range []string{from, m.Domains[from]} {
			if !isDomain.Pattern.MatchString(text) {
				d.fault("match.domains", quote("match.domains", text)+" "+isDomain.What, isDomain.Instead)
			}
		}
	}
	for key, patterns := range map[string][]string{"match.include": m.Include, "match.exclude": m.Exclude} {
		for i, pattern := range patterns {
			local, domain, _ := strings.Cut(pattern, "@")
			for from, to := range m.Domains {
				if strings.EqualFold(domain, from) {
					d.fault(fmt.Sprintf("%s[%d]", key, i), "match.domains rewrites "+from+" first", "write "+local+"@"+to)
				}
			}
		}
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
	case u.Scheme == "http" && !s.AllowHTTP && !foreign.Loopback(u.Hostname()):
		d.fault(key, "plain http would show the token to everyone on the network path", "use https, or set smartsheet.allow_http: true")
	}
}

// validateLDAP checks that the keys for the way to bind are set, and no keys that it would ignore.
// sources/ldap checks addresses, filters and files.
func (d *decoder) validateLDAP(s *Source, at string) {
	krb := s.Kerberos.Principal != "" || s.Kerberos.Keytab != ""
	certified := s.TLS.CertFile != "" || !slices.ContainsFunc(s.URLs, func(u string) bool { return !strings.HasPrefix(u, "ldapi://") })
	for _, way := range []struct {
		auth string
		set  bool // the keys that it needs
	}{{"simple", s.BindDN != ""}, {"gssapi", krb}, {"external", certified}, {"anonymous", true}} {
		if s.Auth == "" && way.set { // without auth, the keys decide
			s.Auth = way.auth
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
		d.warn("%s.tls.start_tls does nothing: it is for ldap://, and ldaps:// begins with TLS", at)
	}
}

// address reads the address of a server that speaks HTTP.
func address(text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	return u, err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}
