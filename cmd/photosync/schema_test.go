package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"photosync/cmd/internal/config"
)

const (
	hr = "sources: [{name: hr, type: folder, path: photos}]\n"
	ad = "sources: [{name: ad, type: ldap, urls: ['ldaps://dc.example.com'], base_dn: 'dc=x', "
)

// wrong are files that neither the program nor the schema accepts.
var wrong = []string{
	"{}", "sources: []", "sources: ~", "sources: {name: hr}", "sources: hr", "sources: [hr]",
	hr + "smartsheets: {}", hr + "smartsheet: {token: x}", hr + "smartsheet: us", hr + "smartsheet: [us]",
	hr + "smartsheet: {region: mars}", hr + "smartsheet: {region: us, base_url: 'https://example.com/2.0'}",
	hr + "smartsheet: {base_url: 'ftp://example.com'}", hr + "smartsheet: {base_url: 'http://example.com/2.0'}", hr + "smartsheet: {base_url: example.com}",
	hr + "smartsheet: {integration_source: photosync}", hr + "smartsheet: {requests_per_minute: 0}", hr + "smartsheet: {requests_per_minute: many}",
	hr + "smartsheet: {concurrency: 65}", hr + "smartsheet: {concurrency: 1.5}", hr + "smartsheet: {timeout: 30}", hr + "smartsheet: {timeout: 0s}",
	hr + "smartsheet: {timeout: -1s}", hr + "smartsheet: {retry: {max_attempts: 0}}", hr + "smartsheet: {assume_user: 'yes'}",
	hr + "smartsheet: {oauth2: {client_id: app}}", hr + "smartsheet: {token_file: t, oauth2: {client_id: app, refresh_token_file: t}}",
	"sources: [{type: folder, path: x}]", "sources: [{name: a, path: x}]", "sources: [{name: a, type: ftp}]", "sources: [{name: a, type: folder}]",
	"sources: [{name: a, type: folder, path: ''}]", "sources: [{name: a, type: folder, path: x, base_dn: 'dc=x'}]", "sources: [{name: a, type: folder, path: x, min_age: 5}]",
	"sources: [{name: a, type: folder, path: x, domains: ['a@example.com']}]", "sources: [{name: a, type: folder, path: x, may_be_empty: maybe}]",
	"sources: [{name: a, type: ldap, base_dn: 'dc=x'}]", "sources: [{name: a, type: ldap, urls: ['ldaps://x']}]",
	"sources: [{name: a, type: ldap, base_dn: 'dc=x', urls: 'ldaps://x'}]", "sources: [{name: a, type: ldap, base_dn: 'dc=x', urls: ['https://x']}]",
	"sources: [{name: a, type: ldap, base_dn: 'dc=x', urls: ['ldap://dc.example.com'], bind_dn: 'cn=x'}]",
	"sources: [{name: a, type: ldap, base_dn: 'dc=x', urls: ['ldaps://u:p@dc.example.com']}]",
	ad + "auth: ntlm}]", ad + "auth: simple}]", ad + "auth: anonymous, bind_dn: 'cn=x'}]", ad + "auth: external}]",
	ad + "auth: anonymous, kerberos: {principal: a@B, keytab: k}}]", ad + "kerberos: {principal: a@B}}]", ad + "tls: {cert_file: c}}]",
	ad + "recursive: true}]", ad + "page_size: 10001}]", ad + "photo_choice: best}]", ad + "idle_timeout: 0s}]",
	hr + "state: {path: ''}", hr + "state: x.db", hr + "match: {domains: [a, b]}", hr + "match: {refresh: 0d}", hr + "match: {refresh: weekly}",
	hr + "match: {include: '*@example.com'}", hr + "match: {ignore_pictures: [abc]}",
	hr + "image: {max_edge: 9}", hr + "image: {max_bytes: 1XB}", hr + "image: {max_bytes: 100}", hr + "image: {max_pixels: 5GP}", hr + "image: {crop: middle}",
	hr + "image: {quality: 101}", hr + "image: {background: white}", hr + "policy: {existing: always}", hr + "policy: {removed_after: 0}",
	hr + "guard: {max_replaced: 120%}", hr + "guard: {max_replaced: -1}", hr + "guard: {min_people: -1}",
	hr + "report: {formats: []}", hr + "report: {formats: [pdf]}", hr + "report: {formats: json}", hr + "report: {keep: -1}", hr + "report: {dir: ''}",
	hr + "metrics: {pushgateway: 'gw:9091'}", hr + "notify: {webhook: hooks.example.com}", hr + "notify: {webhook: 'https://x', webhook_file: x}",
	hr + "notify: {when: sometimes}", hr + "notify: {webhook_format: irc}", hr + "notify: {smtp: {port: 25}}", hr + "notify: {smtp: {host: x, from: a@b.c}}",
	hr + "notify: {smtp: {host: x, from: a, to: [b@b.c]}}", hr + "notify: {smtp: {host: x, from: a@b.c, to: [b@b.c], port: 99999}}",
	hr + "success_on: [0]", hr + "success_on: 3", hr + "success_on: [1]", hr + "log: {level: loud}", hr + "log: {format: xml}",
}

// right are files that both accept.
var right = []string{
	hr, config.Example, hr + "smartsheet:\nlog: {level: }", hr + "smartsheet: {timeout: 1h 30m, retry: {max_wait: 0}}",
	hr + "smartsheet: {base_url: 'http://127.0.0.1:8080/2.0'}", hr + "smartsheet: {base_url: 'http://example.com/2.0', allow_http: true}",
	hr + "image: {max_edge: 0, max_bytes: 800 kB, max_pixels: 12000000, background: '#00ff00'}", hr + "guard: {max_replaced: 100, max_removed: 2.5%}",
	hr + "match: {domains: {a.local: a.com}, refresh: 36h, include: ['*']}", hr + "success_on: [3, 10]", hr + "state: {path: 12}",
	ad + "}]", ad + "bind_dn: 'cn=x', page_size: 100}]", ad + "kerberos: {principal: a@B, keytab: k}}]", ad + "auth: simple, bind_dn: 'cn=x', tls: {ca_file: ''}}]",
	"sources: [{name: a, type: ldap, urls: ['ldapi:///run/ldapi'], base_dn: 'dc=x'}]", "sources: [{name: a, type: ldap, urls: ['ldap://127.0.0.1:389'], base_dn: 'dc=x', bind_dn: 'cn=x'}]",
	"sources: [{name: a, type: ldap, urls: ['ldap://dc.example.com'], base_dn: 'dc=x', bind_dn: 'cn=x', tls: {start_tls: true}}]",
	hr + "notify: {when: always, smtp: {host: x, from: 'Photosync <a@b.c>', to: [b@b.c], port: 465}}", hr + "notify: {webhook: 'https://hooks.example.com/x', webhook_format: teams}",
}

// verdicts are those of an editor with the schema, and of the program, about a file.
func verdicts(t *testing.T, schema *jsonschema.Schema, file, text string) (editor, program error) {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &app{env: func(name string) string {
		return map[string]string{"SMARTSHEET_ACCESS_TOKEN": "x", "LDAP_BIND_PASSWORD": "x", "SMARTSHEET_CLIENT_SECRET": "x"}[name]
	}}
	_, err = a.load(file, "")
	return schema.Validate(v), err
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(config.Schema)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("photosync.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	return c.MustCompile("photosync.schema.json")
}

// An editor with the schema and the program say the same about a file.
func TestSchemaAndProgramAgree(t *testing.T) {
	schema, file := compiled(t), filepath.Join(t.TempDir(), "config.yaml")
	for i, text := range append(wrong, right...) {
		editor, program := verdicts(t, schema, file, text)
		if bad := i < len(wrong); (program != nil) != bad || (editor != nil) != bad {
			t.Errorf("%s\nwrong: %v\nprogram: %v\nschema: %v", text, bad, program, editor)
		}
	}
	if len(wrong) < 60 {
		t.Errorf("only %d wrong files", len(wrong))
	}
}

// They also agree about every key with values of every kind, but for a file that is not
// there, and the bounds of what has a unit and stands in quotes.
func TestSchemaAndProgramAgreeAboutEveryKey(t *testing.T) {
	t.Parallel()
	schema, file := compiled(t), filepath.Join(t.TempDir(), "config.yaml")
	var root map[string]any
	if err := json.Unmarshal([]byte(config.Schema), &root); err != nil {
		t.Fatal(err)
	}
	values := []string{"~", "''", "x", "0", "-1", "1.5", "true", "[]", "[x]", "['']", "{a: b}", "30s", "0s", "1MB", "20%", "'20'", "https://x/y", "a@b.c", "5000"}
	tried := 0
	try := func(key, value, text string) {
		if tried++; testing.Short() && tried%5 != 0 {
			return
		}
		editor, program := verdicts(t, schema, file, text)
		quoted := value == "'20'" && strings.HasPrefix(key, "image.max_")
		if (editor != nil) != (program != nil) && !quoted && (program == nil || !strings.Contains(program.Error(), "no such file")) {
			t.Errorf("%s\nprogram: %v\nschema: %v", text, program, editor)
		}
	}
	var walk func(s map[string]any, keys []string)
	walk = func(s map[string]any, keys []string) {
		properties, _ := s["properties"].(map[string]any)
		for name, p := range properties {
			keys := append(slices.Clone(keys), name)
			for _, value := range values {
				nested, outer := value, 1
				if keys[0] == "sources" {
					outer = 2
				}
				for i := len(keys) - 1; i >= outer; i-- {
					nested = "{" + keys[i] + ": " + nested + "}"
				}
				switch key := strings.Join(keys, "."); {
				case key == "sources":
					try(key, value, "sources: "+value)
				case outer == 1:
					try(key, value, hr+keys[0]+": "+nested)
				default:
					for _, base := range []string{"name: hr, type: folder, path: photos", "name: ad, type: ldap, urls: ['ldaps://x'], base_dn: 'dc=x'"} {
						if !strings.Contains(", "+base, ", "+keys[1]+":") {
							try(key, value, "sources: [{"+base+", "+keys[1]+": "+nested+"}]")
						}
					}
				}
			}
			walk(p.(map[string]any), keys)
			if items, ok := p.(map[string]any)["items"].(map[string]any); ok {
				walk(items, keys)
			}
		}
	}
	walk(root, nil)
	if tried < 2000 {
		t.Errorf("only %d files", tried)
	}
}

// What sources/ldap says of a source shows no secret that was put there.
func TestSourceFaultsShowNoSecret(t *testing.T) {
	const secret = "hunter2-swordfish"
	a := &app{env: func(name string) string {
		return map[string]string{"SMARTSHEET_ACCESS_TOKEN": "x", "LDAP_BIND_PASSWORD": "x"}[name]
	}}
	for _, keys := range []string{
		"urls: ['ldaps://u:" + secret + "@x'], base_dn: 'dc=x'", "urls: ['http://x?" + secret + "'], base_dn: 'dc=x'", "urls: ['ldapi://%zz" + secret + "'], base_dn: 'dc=x'",
		"urls: ['ldaps://x'], base_dn: " + secret, "urls: ['ldaps://x'], base_dn: 'dc=x', filter: '(x=" + secret + "'",
		"urls: ['ldaps://x'], base_dn: 'dc=x', tls: {ca_file: " + secret + "}", "urls: ['ldaps://x'], base_dn: 'dc=x', tls: {cert_file: " + secret + ", key_file: " + secret + "}",
		"urls: ['ldaps://x'], base_dn: 'dc=x', member_of: " + secret,
	} {
		file := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(file, []byte("sources: [{name: ad, type: ldap, "+keys+"}]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := a.load(file, "")
		faults, ok := errors.AsType[*config.Error](err)
		if !ok {
			t.Errorf("%s: %v", keys, err)
		} else if out := faults.Error(); strings.Contains(out, "hunter2") || strings.Contains(out, "swordfish") {
			t.Errorf("%s:\n%s", keys, out)
		}
	}
}
