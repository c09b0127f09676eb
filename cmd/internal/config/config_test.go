package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const secret = "hunter2-swordfish"

// minimal is the shortest file that works, given a token.
const minimal = "sources: [{name: hr, type: folder, path: /photos}]\n"

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

var both = env("SMARTSHEET_ACCESS_TOKEN", secret, "LDAP_BIND_PASSWORD", secret)

func write(t testing.TB, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func load(t testing.TB, text string, env func(string) string) (*Config, error) {
	t.Helper()
	return Load(write(t, "config.yaml", text), env)
}

func TestExample(t *testing.T) {
	c, err := load(t, Example, both)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) > 0 || len(c.Sources) != 2 || c.Sources[1].BindPassword.Reveal() != secret {
		t.Errorf("unexpected: %+v", c)
	}
	root, err := os.ReadFile("../../../config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if string(root) != Example {
		t.Error("config.example.yaml at the root differs: cp cmd/internal/config/example.yaml config.example.yaml")
	}
}

// What the example says about a key that it does not call an example must be the
// default.
func TestExampleShowsDefaults(t *testing.T) {
	lines := strings.Split(Example, "\n")
	var kept []string
	for _, l := range lines {
		if !strings.Contains(l, "example") || strings.Contains(l, "sources:") {
			kept = append(kept, l)
		}
	}
	text := strings.Join(kept, "\n")
	// The sources of the example are examples as a whole.
	text = regexp.MustCompile(`(?s)\nsources:.*?\nstate:`).ReplaceAllString(text, "\n"+minimal+"state:")
	got, err := load(t, text, both)
	if err != nil {
		t.Fatal(err)
	}
	want, err := load(t, minimal, both)
	if err != nil {
		t.Fatal(err)
	}
	want.File = got.File
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the example differs from the defaults (-default +example):\n%s", d)
	}
}

// Every key that there is stands in the example, if only behind a #.
func TestExampleIsComplete(t *testing.T) {
	var walk func(reflect.Type)
	walk = func(ty reflect.Type) {
		for ty.Kind() == reflect.Slice {
			ty = ty.Elem()
		}
		if ty.Kind() != reflect.Struct {
			return
		}
		for i := range ty.NumField() {
			name := ty.Field(i).Tag.Get("yaml")
			if name == "-" {
				continue
			}
			if !regexp.MustCompile(`(?m)^[ #-]*` + name + `:`).MatchString(Example) {
				t.Errorf("%s of %s does not stand in the example", name, ty)
			}
			walk(ty.Field(i).Type)
		}
	}
	walk(reflect.TypeFor[Config]())
}

func TestDefaults(t *testing.T) {
	c, err := load(t, "sources: [{name: ad, type: ldap, urls: [ldaps://dc], bind_dn: cn=x, base_dn: dc=x}]", both)
	if err != nil {
		t.Fatal(err)
	}
	want := Smartsheet{
		Region: "us", RequestsPerMinute: 300, UploadWeight: 1, Concurrency: 4, Timeout: Duration(30 * time.Second),
		Token: secret,
	}
	want.Retry.MaxAttempts, want.Retry.MaxWait = 6, Duration(5*time.Minute)
	if c.Smartsheet != want {
		t.Errorf("smartsheet: got %+v", c.Smartsheet)
	}
	if s := c.Sources[0]; s.Paging != "auto" || s.Filter == "" || s.ChangeDetection != "auto" || len(s.EmailAttributes) == 0 {
		t.Errorf("source: got %+v", s)
	}
}

// What is there says how to bind.
func TestDefaultAuth(t *testing.T) {
	for keys, want := range map[string]string{
		"urls: [ldaps://x]": "anonymous", "urls: [ldaps://x], bind_dn: cn=x": "simple", "urls: ['ldapi:///run/ldapi']": "external",
		"urls: ['ldapi://%2Frun%2Fldapi']":                                     "external",
		"urls: [ldaps://x], tls: {cert_file: c, key_file: k}":                  "external",
		"urls: [ldaps://x], bind_dn: cn=x, tls: {cert_file: c, key_file: k}":   "simple",
		"urls: [ldaps://x], kerberos: {principal: a@B, keytab: k}":             "gssapi",
		"urls: [ldaps://x], auth: anonymous, tls: {cert_file: c, key_file: k}": "anonymous",
	} {
		c, err := load(t, ldapStart+keys+"}]", both)
		if err != nil {
			t.Errorf("%s: %v", keys, err)
		} else if got := c.Sources[0].Auth; got != want {
			t.Errorf("%s: auth %s, want %s", keys, got, want)
		}
	}
}

const ldapStart = "sources: [{name: ad, type: ldap, base_dn: dc=x, "

func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       string // "line:column: what it says", with the fault's own words
	}{
		{"unknown key", minimal + "smartsheet:\n  requests_per_minut: 3\n", `3:3: smartsheet.requests_per_minut: unknown key (did you mean "requests_per_minute"?)`},
		{"unknown section", minimal + "smartsheets: {}\n", `2:1: smartsheets: unknown key (did you mean "smartsheet"?)`},
		{"token inline", minimal + "smartsheet:\n  token: " + secret, "3:3: smartsheet.token: unknown key (put the token into a file"},
		{"password inline", ldapStart + "urls: [ldaps://x], bind_password: " + secret + "}]", "bind_password: unknown key (put the password into a file"},
		{"twice", minimal + "log: {level: info}\nlog: {level: warn}\n", "is here twice"},
		{"no number", minimal + "smartsheet: {concurrency: many}", `2:14: smartsheet.concurrency: "many" is not a whole number`},
		{"fraction", minimal + "smartsheet: {concurrency: 1.5}", "is not a whole number"},
		{"no bool", minimal + "smartsheet: {assume_user: 'yes'}", "want true or false"},
		{"bool as text", minimal + "state: {path: true}", "want a text"},
		{"list as text", minimal + "state: {path: [a]}", "want one value"},
		{"text as list", minimal + "report: {formats: json}", "want a list"},
		{"text as keys", minimal + "report: json", "want keys with values"},
		{"duration without unit", minimal + "smartsheet: {timeout: 30}", "write it like 30s"},
		{"days without unit", minimal + "match: {refresh: 7}", "write it like 30s, 5m, 1h30m or 1d"},
		{"metrics over something else", minimal + "metrics: {textfile: state.db}", `"state.db" does not end in .prom`},
		{"negative duration", minimal + "smartsheet: {timeout: -1s}", "write it like 30s"},
		{"no time", minimal + "smartsheet: {timeout: 0s}", "must be above 0"},
		{"size", minimal + "image: {max_bytes: 1XB}", "write it like 800kB"},
		{"endless size", minimal + "image: {max_bytes: NaN}", "write it like 800kB"},
		{"size too small", minimal + "image: {max_bytes: 5}", "is out of range"},
		{"edge too small", minimal + "image: {max_edge: 9}", "16 to 100000"},
		{"pixels", minimal + "image: {max_pixels: 5GP}", "write it like 50MP"},
		{"quality", minimal + "image: {quality: 101}", "0 to 100"},
		{"crop", minimal + "image: {crop: middle}", "none, center, top"},
		{"background", minimal + "image: {background: white}", "write it like '#ffffff', in quotes"},
		{"concurrency", minimal + "smartsheet: {concurrency: 65}", "1 to 64"},
		{"no quota", minimal + "smartsheet: {requests_per_minute: 0}", "out of range"},
		{"region", minimal + "smartsheet: {region: mars}", "us, eu, au, gov"},
		{"region and address", minimal + "smartsheet: {region: us, base_url: 'https://x/2.0'}", "keep one of the two"},
		{"plain http", minimal + "smartsheet: {base_url: 'http://example.com/2.0'}", "plain http"},
		{"other scheme", minimal + "smartsheet: {base_url: 'ftp://example.com'}", "not an address"},
		{"integration source", minimal + "smartsheet: {integration_source: photosync}", "TYPE,Organisation,Name"},
		{"no sources", "log: {level: info}", "there is no source of photos"},
		{"empty file", "", "there is no source of photos"},
		{"no name", "sources: [{type: folder, path: x}]", "a source needs a name"},
		{"same name", "sources: [{name: a, type: folder, path: x}, {name: a, type: folder, path: y}]", `another source is called "a"`},
		{"source type", "sources: [{name: a, type: ftp}]", `sources[0].type: "ftp" is not possible (folder, ldap)`},
		{"no type", "sources: [{name: a}]", "folder or ldap"},
		{"no path", "sources: [{name: a, type: folder}]", "needs a path"},
		{"min_age without unit", "sources: [{name: a, type: folder, path: x, min_age: 5}]", "write it like 30s"},
		{"mapping file in ldap", ldapStart + "urls: [ldaps://x], mapping_file: x.csv}]", "a source of type ldap has no such key"},
		{"key of the other type", "sources: [{name: a, type: folder, path: x, base_dn: dc=x}]", "a source of type folder has no such key"},
		{"folder key in ldap", ldapStart + "urls: [ldaps://x], recursive: true}]", "a source of type ldap has no such key"},
		{"no urls", ldapStart + "}]", "needs an address"},
		{"external without certificate", ldapStart + "urls: ['ldaps://x'], auth: external}]", "needs a client certificate"},
		{"simple without user", ldapStart + "urls: ['ldaps://x'], auth: simple}]", "bind_dn: auth: simple needs it"},
		{"user that is not used", ldapStart + "urls: ['ldaps://x'], auth: anonymous, bind_dn: cn=x}]", "does not use it"},
		{"half of Kerberos", ldapStart + "urls: ['ldaps://x'], kerberos: {principal: a@B}}]", "a principal needs it"},
		{"Kerberos that is not used", ldapStart + "urls: ['ldaps://x'], auth: anonymous, kerberos: {keytab: k}}]", "does not use it"},
		{"auth", ldapStart + "urls: ['ldaps://x'], auth: ntlm}]", "is not possible (simple, external, gssapi, anonymous)"},
		{"photo choice", ldapStart + "urls: ['ldaps://x'], photo_choice: best}]", "is not possible (first, largest)"},
		{"idle timeout", ldapStart + "urls: ['ldaps://x'], idle_timeout: -1s}]", "idle_timeout"},
		{"page size", ldapStart + "urls: [ldaps://x], page_size: -1}]", "out of range"},
		{"token in the address", minimal + "smartsheet: {base_url: 'ftp://u:" + secret + "@x'}", "not an address"},
		{"half a certificate", ldapStart + "urls: [ldaps://x], tls: {cert_file: x}}]", "a certificate needs its key"},
		{"pattern", minimal + "match: {exclude: ['[']}", "is not a pattern"},
		{"pattern with a space", minimal + "match: {exclude: [' ann@example.com']}", "is not a pattern"},
		{"two addresses", minimal + "match: {exclude: ['ann@example.com,bob@example.com']}", "is not a pattern"},
		{"half an address", minimal + "match: {exclude: [ann]}", "is not a pattern"},
		{"a domain", minimal + "match: {include: [example.com]}", "is not a pattern"},
		{"a domain with its @", minimal + "match: {include: ['@example.com']}", "is not a pattern"},
		{"empty pattern", minimal + "match: {exclude: ['']}", "is not a pattern"},
		{"empty exclude_filter", ldapStart + "urls: [ldaps://x], exclude_filter: ''}]", "exclude_filter: there is no value (give it one, or remove the line)"},
		{"exclude_filter of nothing", ldapStart + "urls: [ldaps://x], exclude_filter: }]", "exclude_filter: there is no value"},
		{"member_of that is null", ldapStart + "urls: [ldaps://x], member_of: ~}]", "member_of: there is no value"},
		{"empty attribute", ldapStart + "urls: [ldaps://x], email_attributes: ['']}]", "email_attributes[0]: there is no value"},
		{"blank exclude_filter", ldapStart + "urls: [ldaps://x], exclude_filter: ' '}]", "exclude_filter: there is no value"},
		{"pattern of a rewritten domain", minimal + "match: {domains: {corp.local: example.com}, exclude: [ann@Corp.local]}", "match.exclude[0]: match.domains rewrites corp.local first (write ann@example.com)"},
		{"a domain in two spellings", minimal + "match: {domains: {corp.local: example.com, CORP.Local: example.org}}", `"corp.local" is the same domain as CORP.Local`},
		{"a domain in two forms", minimal + "match: {domains: {zürich.local: example.com, xn--zrich-kva.local: example.org}}", "is the same domain as xn--zrich-kva.local"},
		{"a domain that is none", minimal + "match: {domains: {'*.local': example.com}}", "is not a domain"},
		{"a domain with an @", minimal + "match: {domains: {corp.local: '@example.com'}}", "is not a domain"},
		{"policy", minimal + "policy: {existing: always}", "is not possible"},
		{"log level", minimal + "log: {level: loud}", "debug, info, warn, error"},
		{"no YAML", minimal + "log: {level: [", "not valid YAML"},
		{"two documents", minimal + "---\nlog: {}\n", "more than one YAML document"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := load(t, tt.text, both)
			e, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("got %v, %v", c, err)
			}
			if len(e.Faults) != 1 {
				t.Errorf("got %d faults, want 1", len(e.Faults))
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %s\nwant %s", err, tt.want)
			}
			if strings.Contains(err.Error(), secret) {
				t.Error("shows the secret")
			}
		})
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	_, err := load(t, "log: {level: loud}\nsmartsheet: {concurrency: x, regoin: us}\nsources: [{name: a, type: folder}]\n", env())
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatal(err)
	}
	var got []string
	for _, f := range e.Faults {
		got = append(got, fmt.Sprintf("%d %s", f.Line, f.Key))
	}
	want := []string{"1 log.level", "2 smartsheet.concurrency", "2 smartsheet.regoin", "2 smartsheet.token_file", "3 sources[0].path"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// An excerpt shows where the fault is, and of the values only what the fault quotes
// itself.
func TestExcerpts(t *testing.T) {
	text := "smartsheet: {concurrency: many, token: " + secret + "}  # " + secret + "\n" +
		"sources:\n  - nmae: 'hr'\n    name: hr\n    type: folder\n    path: [ä, b]\n    größe: \"x\"\nconcurrency: 4\n"
	_, err := load(t, text, both)
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, f := range e.Faults {
		got.WriteString(f.Instead + "\n" + f.Excerpt)
	}
	want := `
     1 | smartsheet: {concurrency: …, token: …}
       |              ^
put the token into a file and name it with token_file, or set SMARTSHEET_ACCESS_TOKEN
     1 | smartsheet: {concurrency: …, token: …}
       |                              ^
did you mean "name"?
     3 |   - nmae: '…'
       |     ^
 write |   - name: '…'

     6 |     path: […, …]
       |     ^
known here: allow_plaintext, auth, base_dn, bind_dn, bind_password_file, change_detection, deref, domains, email_attributes, exclude_filter, filter, idle_timeout, kerberos, list_timeout, mapping_file, may_be_empty, member_of, min_age, name, page_size, paging, path, photo_attributes, photo_choice, recursive, tls, type, urls
     7 |     …: "…"
       |     ^
its place is smartsheet.concurrency
     8 | concurrency: 4
       | ^
`
	if d := cmp.Diff(want, got.String()); d != "" {
		t.Error(d)
	}
}

// The corrected line has no comment. It is left out if it shows nothing that the line does not show.
func TestCorrectedLine(t *testing.T) {
	for text, want := range map[string]string{
		"- pth: /srv/photos   # where they are":        "     2 |   - pth: …\n       |     ^\n write |   - path: …\n",
		"- {name: hr, type: foldr, path: /srv/photos}": "     2 |   - {name: …, type: …, path: …}\n       |               ^\n",
	} {
		_, err := load(t, "sources:\n  "+text+"\n", both)
		if e, _ := errors.AsType[*Error](err); e == nil || e.Faults[0].Excerpt != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// What does nothing is warned of.
func TestStartTLSWarning(t *testing.T) {
	for url, want := range map[string]int{"ldaps://x": 1, "ldap://x": 0} {
		c, err := load(t, ldapStart+"urls: ['"+url+"'], tls: {start_tls: true}}]", both)
		if err != nil || len(c.Warnings) != want {
			t.Errorf("%s: %v, %v", url, c, err)
		}
	}
}

// Values are taken as they are, and who expects otherwise is told.
func TestVariables(t *testing.T) {
	t.Setenv("PHOTOS", "/srv/photos")
	c, err := load(t, "sources: [{name: hr, type: folder, path: '${PHOTOS}/a', mapping_file: $b.csv}]\n", env("SMARTSHEET_ACCESS_TOKEN", "x"))
	if err != nil || c.Sources[0].Path != "${PHOTOS}/a" {
		t.Fatal(c, err)
	}
	want := []string{`sources[0].path: ${…} is taken as it stands: write the value itself, as variables are not replaced`}
	if diff := cmp.Diff(want, c.Warnings); diff != "" {
		t.Error(diff)
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "1h30m": 90 * time.Minute, "1.5h": 90 * time.Minute, "1 h 30 m": 90 * time.Minute, "1d": 24 * time.Hour,
		"2d12h": 60 * time.Hour, "0.5d": 12 * time.Hour, "250ms": 250 * time.Millisecond, "0": 0,
	} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || time.Duration(d) != want {
			t.Errorf("%q: %v, %v", text, time.Duration(d), err)
		}
	}
	for _, text := range []string{"", "30", "-1s", "1 fortnight", "2 minutes", "d", "1d1d1d-1h", "soon", "1e400d", "1s 2", "9999999999d"} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: %v", text, time.Duration(d))
		}
	}
}

func TestSecrets(t *testing.T) {
	file := write(t, "token", secret+"\r\n")
	conf := minimal + "smartsheet: {token_file: " + file + "}\n"
	c, err := load(t, conf, env())
	if err != nil || c.Smartsheet.Token.Reveal() != secret || len(c.Warnings) > 0 {
		t.Fatalf("got %+v, %v", c, err)
	}
	if c, err = load(t, conf, env("SMARTSHEET_ACCESS_TOKEN", "from-env")); err != nil || c.Smartsheet.Token.Reveal() != "from-env" {
		t.Errorf("the environment does not win: %v", err)
	}
	for mode, warnings := range map[os.FileMode]int{0o440: 0, 0o640: 0, 0o604: 1, 0o644: 1} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		if c, err = load(t, conf, env()); err != nil || len(c.Warnings) != warnings || warnings > 0 && !strings.Contains(c.Warnings[0], file) {
			t.Errorf("mode %#o: warnings %q, %v", mode, c.Warnings, err)
		}
	}
	for name, tt := range map[string]struct{ conf, want string }{
		"missing": {minimal + "smartsheet: {token_file: /nonexistent/token}", "no such file"},
		"itself":  {minimal + "smartsheet: {token_file: " + secret + "}", "read the file named here"},
		"none":    {minimal, "there is no Smartsheet token"},
		"empty":   {minimal + "smartsheet: {token_file: " + write(t, "empty", " \n") + "}", "is empty"},
		"two":     {minimal + "smartsheet: {token_file: " + write(t, "two", secret+"\n"+secret) + "}", "more than one line"},
	} {
		_, err := load(t, tt.conf, env())
		if e, ok := errors.AsType[*Error](err); !ok || len(e.Faults) != 1 || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// What Windows and Kubernetes put around a secret is no part of it.
func TestWrappedSecrets(t *testing.T) {
	for name, text := range map[string]string{"BOM": "\ufeff" + secret + "\r\n", "line end": secret + "\n", "Windows line end": secret + "\r\n"} {
		token, password := write(t, "token", text), write(t, "password", text)
		conf := "sources: [{name: a, type: ldap, urls: [ldaps://x], bind_dn: cn=x, base_dn: dc=x%s}]\nnotify: {smtp: {host: x, starttls: true, username: u, from: a@b.c, to: [a@b.c]%s}}\nsmartsheet: {%s}"
		files := fmt.Sprintf(conf, ", bind_password_file: "+password, ", password_file: "+password, "token_file: "+token)
		variables := env("SMARTSHEET_ACCESS_TOKEN", text, "LDAP_BIND_PASSWORD", text, "PHOTOSYNC_SMTP_PASSWORD", text)
		for _, load := range []func() (*Config, error){
			func() (*Config, error) { return load(t, files, env()) },
			func() (*Config, error) { return load(t, fmt.Sprintf(conf, "", "", ""), variables) },
		} {
			c, err := load()
			if err != nil || c.Smartsheet.Token.Reveal() != secret || c.Sources[0].BindPassword.Reveal() != secret || c.Notify.SMTP.Password.Reveal() != secret {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for _, mark := range []string{"\xff\xfe", "\xfe\xff", ""} {
		file := write(t, "token", mark+strings.Join(strings.Split(secret, ""), "\x00")+"\x00\r\x00\n\x00")
		_, err := load(t, minimal+"smartsheet: {token_file: "+file+"}", env())
		if err == nil || !strings.Contains(err.Error(), "the file named here is in UTF-16") || !strings.Contains(err.Error(), "UTF-8") {
			t.Errorf("%q: %v", mark, err)
		}
	}
}

func TestOAuth2(t *testing.T) {
	file := write(t, "secret", secret+"\n")
	full := "client_id: app, client_secret_file: " + file + ", refresh_token_file: " + file
	c, err := load(t, minimal+"smartsheet: {oauth2: {"+full+"}}", env())
	if err != nil || c.Smartsheet.OAuth2.ClientSecret.Reveal() != secret || c.Smartsheet.Token != "" {
		t.Fatalf("got %+v, %v", c, err)
	}
	c, err = load(t, minimal+"smartsheet: {oauth2: {"+full+"}}", env("SMARTSHEET_CLIENT_SECRET", "from-env"))
	if err != nil || c.Smartsheet.OAuth2.ClientSecret.Reveal() != "from-env" {
		t.Errorf("the environment does not win: %v", err)
	}
	for name, tt := range map[string]struct{ conf, token, want string }{
		"with token_file":  {"token_file: " + file + ", oauth2: {" + full + "}", "", "smartsheet.oauth2: does not go together with token_file"},
		"with a token":     {"oauth2: {" + full + "}", secret, "does not go together with SMARTSHEET_ACCESS_TOKEN"},
		"no id":            {"oauth2: {client_secret_file: " + file + ", refresh_token_file: " + file + "}", "", "oauth2.client_id: there is no client id"},
		"no secret":        {"oauth2: {client_id: a, refresh_token_file: " + file + "}", "", "client_secret_file: there is no client secret"},
		"no refresh token": {"oauth2: {client_id: a, client_secret_file: " + file + "}", "", "refresh_token_file: there is no refresh token"},
		"missing file":     {"oauth2: {client_id: a, client_secret_file: " + file + ", refresh_token_file: /nonexistent/t}", "", "refresh_token_file: there is no file"},
		"inline":           {"oauth2: {" + full + ", client_secret: " + secret + "}", "", "unknown key (put the secret into a file"},
		"inline token":     {"oauth2: {" + full + ", refresh_token: " + secret + "}", "", "unknown key (put the token into a file"},
		"empty":            {"oauth2: {}", "", "there is no Smartsheet token"},
	} {
		_, err := load(t, minimal+"smartsheet: {"+tt.conf+"}", env("SMARTSHEET_ACCESS_TOKEN", tt.token))
		if e, ok := errors.AsType[*Error](err); !ok || len(e.Faults) != 1 || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestBindPassword(t *testing.T) {
	conf := "sources: [{name: ad-1.x, type: ldap, urls: [ldaps://x], bind_dn: cn=x, base_dn: dc=x}]"
	c, err := load(t, conf, env("SMARTSHEET_ACCESS_TOKEN", "t", "LDAP_BIND_PASSWORD", "general", "LDAP_BIND_PASSWORD_AD_1_X", secret))
	if err != nil || c.Sources[0].BindPassword.Reveal() != secret {
		t.Errorf("got %+v, %v", c, err)
	}
	if _, err := load(t, conf, env("SMARTSHEET_ACCESS_TOKEN", "t")); err == nil || !strings.Contains(err.Error(), "LDAP_BIND_PASSWORD_AD_1_X") {
		t.Errorf("got %v", err)
	}
}

// A variable that would be the password of two directories is refused; without it, their files count.
func TestBindPasswordOfTwoSources(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("pw"), 0o600); err != nil {
		t.Fatal(err)
	}
	source := "{name: %s, type: ldap, urls: [ldaps://x], bind_dn: cn=x, base_dn: dc=x, bind_password_file: " + file + "}"
	conf := fmt.Sprintf("sources: ["+source+", "+source+"]", "ad-eu", "ad_EU")
	_, err := load(t, conf, env("SMARTSHEET_ACCESS_TOKEN", "t", "LDAP_BIND_PASSWORD_AD_EU", secret))
	if err == nil || !strings.Contains(err.Error(), `LDAP_BIND_PASSWORD_AD_EU would be the password of source "ad-eu", too`) {
		t.Errorf("error %v", err)
	}
	if c, err := load(t, conf, env("SMARTSHEET_ACCESS_TOKEN", "t")); err != nil || c.Sources[1].BindPassword.Reveal() != "pw" {
		t.Errorf("error %v", err)
	}
}

func TestSecretShowsNowhere(t *testing.T) {
	c := &Config{Smartsheet: Smartsheet{Token: secret, OAuth2: OAuth2{ClientSecret: secret}}, Sources: []Source{{BindPassword: secret}}}
	out := fmt.Sprintf("%v %+v %#v %s %q %x %d", c, c, *c, c.Smartsheet.Token, c.Smartsheet.Token, c.Smartsheet.Token, c.Smartsheet.Token)
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	out += string(b)
	if strings.Contains(out, secret) || strings.Contains(out, fmt.Sprintf("%x", secret)) {
		t.Error(out)
	}
}

func TestUnits(t *testing.T) {
	c, err := load(t, minimal+"image: {max_bytes: 1.5 MiB, max_pixels: 12MP}\nsmartsheet: {timeout: 1m30s}", both)
	if err != nil || c.Image.MaxBytes != 3<<19 || c.Image.MaxPixels != 12_000_000 || time.Duration(c.Smartsheet.Timeout) != 90*time.Second {
		t.Errorf("got %+v, %v", c, err)
	}
}

// A limit without end would be a guard that never holds.
func TestEndlessLimit(t *testing.T) {
	for _, text := range []string{"Inf", "+infinity", "Inf%", "NaN"} {
		if _, err := load(t, minimal+"guard: {max_replaced: "+text+"}", both); err == nil || !strings.Contains(err.Error(), "is not a limit") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestFind(t *testing.T) {
	t.Chdir(t.TempDir())
	if p, err := find("a", env("PHOTOSYNC_CONFIG", "b")); p != "a" || err != nil {
		t.Errorf("got %q, %v", p, err)
	}
	if p, err := find("", env("PHOTOSYNC_CONFIG", "b")); p != "b" || err != nil {
		t.Errorf("got %q, %v", p, err)
	}
	if _, err := find("", env()); err == nil || !strings.Contains(err.Error(), "/etc/photosync/config.yaml") {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile("config.yaml", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := find("", env()); p != "config.yaml" || err != nil {
		t.Errorf("got %q, %v", p, err)
	}
}

func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	for _, p := range []string{filepath.Join(dir, "none.yaml"), dir} {
		_, err := Load(p, both)
		if e, ok := errors.AsType[*Error](err); !ok || e.Hint() == "" || strings.Count(err.Error(), p) != 1 {
			t.Errorf("got %v", err)
		}
	}
}

// Load never panics and never shows a secret, whatever the file holds.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(Example))
	for _, s := range []string{"", "a: &a [*a]", "? [a]\n: b", "<<: {a: b}", "a: !!binary x", "sources:\n- - -", "match: {domains: {1: [2]}}", "sources: [~]", "- a", "a: |\n  b", "smartsheet: {token: " + secret + "}", "smartsheet: {token: " + secret} {
		f.Add([]byte(s))
	}
	file := filepath.Join(f.TempDir(), "config.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		// Secrets come from the environment only: the file may name other files.
		if bytes.Contains(data, []byte("_file")) || bytes.Contains(data, []byte(secret)) && !bytes.Contains(data, []byte("token: "+secret)) {
			return
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(file, both)
		out := fmt.Sprintf("%+v %v", c, err)
		if strings.Contains(out, secret) {
			t.Errorf("shows the secret: %s", out)
		}
	})
}

// The commands about the state read nothing else, and no misspelt key that may be
// meant for it is passed over.
func TestLoadSection(t *testing.T) {
	for text, want := range map[string]string{
		"state: {path: a.db}":                        "a.db",
		"state: {path: a.db}\nsources: nonsense":     "a.db",
		"state: {path: a.db}\nsmartsheet: {tokn: x}": "a.db",
		"smartsheet: {region: us}":                   "/var/lib/photosync/state.db",
		"stat: {path: a.db}":                         "",
		"state: {paht: a.db}":                        "",
		"state: {path: [a.db]}":                      "",
		"state: {path: ''}":                          "",
		"state: a.db":                                "",
		"just text":                                  "",
		"state: {path: a.db}\nstate: {path: b.db}":   "",
		"sources: [\n":                               "",
	} {
		file := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := LoadSection(file, "state", env())
		if want == "" && err == nil || want != "" && (err != nil || c.State.Path != want) {
			t.Errorf("%q: %+v, %v; want %q", text, c, err, want)
		}
	}
}

func TestNewKeys(t *testing.T) {
	c, err := load(t, `sources: [{name: hr, type: folder, path: /photos, may_be_empty: true, domains: [example.com]}]
match: {refresh: 1d, ignore_pictures: [2C26B46B68FFC68FF99B453C1D30413413422D706483BFA0F98A5E886266E7AE]}
report: {before: true}
success_on: [3, 6]
notify: {webhook_format: teams, smtp: {host: mail.example.com, from: Photosync <a@example.com>, to: [b@example.com]}}
`, both)
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Sources[0]; !s.MayBeEmpty || len(s.Domains) != 1 {
		t.Errorf("source %+v", s)
	}
	if c.Match.Refresh != Duration(24*time.Hour) || c.Match.IgnorePictures[0] != "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae" {
		t.Errorf("match %+v", c.Match)
	}
	if !c.Report.Before || len(c.SuccessOn) != 2 || c.Notify.WebhookFormat != "teams" {
		t.Errorf("%+v", c)
	}
	if m := c.Notify.SMTP; m.Port != 587 || !m.StartTLS || m.Host == "" || len(m.To) != 1 {
		t.Errorf("smtp %+v", m)
	}
}

// A pattern matches however its domain is written.
func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, email string
		want           bool
	}{
		{"SVC-*@Example.com", "svc-backup@example.com", true}, {"svc-*@example.com", "ann@example.com", false},
		{"*@m\u00fcnchen.example", "ann@xn--mnchen-3ya.example", true}, {"*@*.M\u00fcnchen.example", "ann@a.xn--mnchen-3ya.example", true},
		{"*@xn--mnchen-3ya.example", "ann@xn--mnchen-3ya.example", true}, {"Stra\u00dfe*", "strasse1@example.com", true},
		{"*@example.com", "a/b@example.com", true}, {"svc-*@example.com", "svc-hr/it@example.com", true}, {"a/b@example.com", "a/b@example.com", true},
		{"STRASSE?@example.com", "stra\u00dfe1@example.com", true}, {"\u0130lk@example.com", "\u0130lk@example.com", true},
	} {
		if got := Glob(c.pattern, c.email); got != c.want {
			t.Errorf("Glob(%q, %q) = %v", c.pattern, c.email, got)
		}
	}
}

// One typo is one fault, at its place, whichever key it is in; the same for a value that
// became a list, or one that has no end.
func TestOneTypoIsOneFault(t *testing.T) {
	lines := strings.Split(Example, "\n")
	for i, line := range lines {
		m := regexp.MustCompile(`^( *(?:- )?)([a-z_]+):(.*)$`).FindStringSubmatch(line)
		if m == nil || testing.Short() && i%5 != 0 {
			continue
		}
		name := m[2]
		swapped := name[:1] + name[2:3] + name[1:2] + name[3:]
		mutations := map[string]string{"letter lost": m[1] + name[:len(name)-1] + ":" + m[3], "letter twice": m[1] + name + name[len(name)-1:] + ":" + m[3]}
		if swapped != name {
			mutations["letters swapped"] = m[1] + swapped + ":" + m[3]
		}
		value, comment, _ := strings.Cut(strings.TrimSpace(m[3]), " #")
		value = strings.TrimSpace(value)
		if strings.HasPrefix(value, "[") {
			mutations["no list"] = m[1] + name + ": " + strings.Trim(strings.ReplaceAll(value, ", ", ","), "[]") + " #" + comment
		} else if value != "" && value[0] != '#' {
			mutations["a list"] = m[1] + name + ": [" + strings.Trim(value, "'") + ", '']"
			mutations["a tag"] = m[1] + name + ": !" + value
			mutations["no end"] = m[1] + name + ": '" + value
			mutations["no colon"] = m[1] + name + " " + value
		}
		mutations["tab"] = "\t" + line
		for kind, mutation := range mutations {
			text := slices.Clone(lines)
			text[i] = mutation
			_, err := load(t, strings.Join(text, "\n"), both)
			e, ok := errors.AsType[*Error](err)
			switch {
			case !ok:
				t.Errorf("%s in line %d, %s: %v", kind, i+1, mutation, err)
			case len(e.Faults) != 1 || e.Faults[0].Line != i+1:
				t.Errorf("%s in line %d, %s: want one fault there:\n%s", kind, i+1, mutation, err)
			}
		}
	}
}
