package config

import (
	"fmt"
	"strings"
	"testing"
)

// misplaced are files in which a secret, %s, stands where none may stand.
var misplaced = []string{
	// where a path is wanted
	minimal + "smartsheet: {token_file: '%s'}", minimal + "smartsheet:\n  token_file: %s", minimal + "smartsheet: {ca_file: ['%s']}",
	minimal + "smartsheet: {oauth2: {client_id: a, client_secret_file: '%s', refresh_token_file: '%[1]s'}}",
	ldapStart + "urls: [ldaps://x], bind_dn: cn=x, bind_password_file: '%s'}]",
	minimal + "notify: {webhook_file: '%s'}", minimal + "notify: {healthcheck_file: '%s'}",
	minimal + "notify: {smtp: {host: x, username: u, from: a@b.c, to: [a@b.c], password_file: '%s'}}",
	"sources: [{name: a, type: folder, path: ['%s']}]", minimal + "state: {path: {'%s': x}}", minimal + "report: {dir: ['%s'], keep: -1}",
	minimal + "metrics: {textfile: [%s]}",
	// as a key
	minimal + "'%s': x", minimal + "smartsheet: {'%s': x}", minimal + "smartsheet:\n  '%s':\n", minimal + "smartsheet:\n  token: '%s'", minimal + "smartsheet: {token_file: {'%s': x}}",
	ldapStart + "urls: [ldaps://x], bind_password: '%s'}]", ldapStart + "urls: [ldaps://x], '%s': x}]", minimal + "match: {domains: {'%s': [x]}}", minimal + "'%s': a\n'%[1]s': b\n",
	// in an address and its query
	minimal + "smartsheet: {base_url: 'ftp://example.com/2.0?token=%s'}", minimal + "smartsheet: {base_url: 'ftp://u:%s@example.com/2.0'}",
	minimal + "smartsheet: {base_url: 'http://example.com/%s'}", ldapStart + "urls: ['https://x?pw=%s']}]", ldapStart + "urls: ['ldaps://u:%s@x']}]",
	minimal + "notify: {webhook: 'hooks.example.com/%s'}", minimal + "notify: {healthcheck: 'ftp://x/%s'}", minimal + "metrics: {pushgateway: 'u:%s@gw:9091'}",
	minimal + "notify: {webhook: ['https://x/%s']}",
	// in place of another value
	minimal + "smartsheet: '%s'", minimal + "smartsheet: {concurrency: '%s'}", minimal + "smartsheet: {timeout: '%s'}", minimal + "smartsheet: {integration_source: '%s'}",
	minimal + "log: {level: '%s'}", minimal + "image: {max_bytes: '%s'}", minimal + "guard: {max_replaced: '%s'}", minimal + "report: {thumbnails: '%s'}",
	minimal + "report: {formats: '%s'}", minimal + "success_on: '%s'", "sources: '%s'", "'%s'", minimal + "match: {ignore_pictures: ['%s']}",
	// in what is no YAML
	minimal + "smartsheet:\n  token = %s\n", minimal + "smartsheet:\n\ttoken_file: %s\n", minimal + "smartsheet:\n  token_file: @%s\n", minimal + "smartsheet: {token_file: '%s}\n",
	minimal + "smartsheet:\n  token_file: \"%s\\q\"\n", minimal + "smartsheet:\n  token_file: x: %s: y\n", minimal + "smartsheet:\n  %s\n", minimal + "%s\n", minimal + "smartsheet: {token: %s, [\n",
	minimal + "smartsheet:\n  token_file: %s\n region: us\n", minimal + "x: *%s\n", minimal + "x: &%s\n", minimal + "x: !%s\n",
}

// A secret shows itself in no fault and no excerpt, wherever it was put.
func TestMisplacedSecrets(t *testing.T) {
	if len(misplaced) < 36 {
		t.Errorf("only %d files", len(misplaced))
	}
	for _, s := range []string{secret, "llk5V9XcF7yq2nB0aZt8", "dGhpcyBpcw/c2VjcmV0+QQ==", "eyJhbGci.eyJzdWIi.c2lnbmF0", "/Zm9vYmFy/Zm9v3FyQmF6", "P4ss.w0rd", "correcthorsebatterystapler"} {
		for _, text := range misplaced {
			if strings.Contains(text, "%s") {
				text = fmt.Sprintf(text, s)
			}
			_, err := load(t, text, env())
			if err == nil {
				t.Errorf("%s: accepted", text)
				continue
			}
			out := err.Error()
			for _, piece := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune("/+=.-", r) }) {
				if len(piece) > 3 && strings.Contains(out, piece) {
					t.Errorf("%s\nshows %q:\n%s", text, piece, out)
				}
			}
		}
	}
}
