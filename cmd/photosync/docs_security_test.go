package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// source is a file of the source, by its path from the top.
func source(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// tests reads the test files of a room.
func tests(t *testing.T, room string) []byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(room), "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no tests (%v)", room, err)
	}
	var all []byte
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	return all
}

// Every test that the threat model names exists, in the room that it names, and each thing
// that somebody cannot do has one.
func TestDocsThreatModel(t *testing.T) {
	n, claims := 0, false
	for line := range strings.Lines(pageOf(t, ".github/SECURITY.md")) {
		named := 0
		claims = line == "| can | cannot | shown by |\n" || claims && strings.HasPrefix(line, "|")
		for part := range strings.SplitSeq(line, ";") {
			names, room, _ := strings.Cut(part, "` in `")
			room, _, _ = strings.Cut(room, "`")
			for _, test := range regexp.MustCompile(`(?:Test|Fuzz)\w+`).FindAllString(names, -1) {
				named++
				if !bytes.Contains(tests(t, room), []byte("func "+test+"(")) {
					t.Errorf("%s has no %s", room, test)
				}
			}
		}
		n += named
		if claims && named == 0 && !strings.Contains(line, "shown by") && !strings.HasPrefix(line, "|---") {
			t.Errorf("no test shows: %s", line)
		}
	}
	if n < 20 {
		t.Errorf("found only %d tests", n)
	}
}

// Every test that the promises name exists, and every campaign runs one: go test takes a
// name that nobody has for a success.
func TestDocsPromises(t *testing.T) {
	var everywhere []byte
	for _, room := range []string{"cmd/photosync", "cmd/internal/config", "sync/job", "sync/upload", "sync/smartsheet", "sources/ldap", "sources/folder", "state", "sources"} {
		everywhere = append(everywhere, tests(t, room)...)
	}
	names := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(pageOf(t, "docs/promises.md"), -1)
	for _, m := range names {
		if !bytes.Contains(everywhere, []byte("func "+m[1]+"(")) {
			t.Errorf("there is no %s", m[1])
		}
	}
	campaigns := regexp.MustCompile(`campaign '(.*)' \./(\S+) '(.*)'`).FindAllStringSubmatch(source(t, ".ci/campaign"), -1)
	for _, m := range campaigns {
		for alternative := range strings.SplitSeq(m[3], "|") {
			named := regexp.MustCompile(`func (Test\w*` + strings.TrimSuffix(alternative, "$") + `\w*)\(`)
			if strings.HasSuffix(alternative, "$") {
				named = regexp.MustCompile(`func (` + strings.TrimSuffix(alternative, "$") + `)\(`)
			}
			if !named.Match(tests(t, m[2])) {
				t.Errorf("campaign %q: %s has no %s", m[1], m[2], alternative)
			}
		}
	}
	if len(names) < 5 || len(campaigns) < 10 {
		t.Errorf("found only %d tests and %d campaigns", len(names), len(campaigns))
	}
}

// No page shows a command that puts a secret where the history of a shell or the list of
// processes shows it. What the simulator takes is no secret.
func TestDocsShowNoSecretInACommand(t *testing.T) {
	n := 0
	all := pages(t)
	for _, name := range []string{"deploy/kubernetes/README.md", "deploy/systemd/README.md", "deploy/windows/README.md", "cmd/photosync/help.txt"} {
		all = append(all, page{name, source(t, name)})
	}
	shown := regexp.MustCompile(`(?i)(TOKEN|SECRET|PASSWORD)[A-Z_]*=[^\s$"'` + "`" + `]|--from-literal|\bcurl\b.*(-u|-H|-d)\b|\b(echo|printf) [^|]*>+ *\S*(token|secret|password)|ldapsearch.* -w |Authorization: Bearer`)
	for _, p := range all {
		for line := range strings.Lines(p.text) {
			n++
			if shown.MatchString(line) && !strings.Contains(line, "trial") {
				t.Errorf("%s: %s", p.name, line)
			}
		}
	}
	if n < 500 {
		t.Errorf("found only %d lines", n)
	}
	for _, line := range []string{"export SMARTSHEET_ACCESS_TOKEN=abc", "kubectl create secret generic x --from-literal a=b", "echo abc > smartsheet-token", "curl -d code=x https://api", "ldapsearch -D x -w y"} {
		if !shown.MatchString(line) {
			t.Errorf("this would pass: %s", line)
		}
	}
}

// What deploy/ promises to keep out, and what it leaves to choose.
func TestDeployHardening(t *testing.T) {
	for name, texts := range map[string][]string{
		"deploy/kubernetes/networkpolicy.yaml": {
			"policyTypes: [Ingress, Egress]", "{port: 636, protocol: TCP}", "# - {port: 389, protocol: TCP}", "# - {port: 3269, protocol: TCP}",
			"# - {port: 88, protocol: TCP}", "# - {port: 88, protocol: UDP}", "# - {port: 9091, protocol: TCP}  # Pushgateway",
		},
		"deploy/kubernetes/cronjob.yaml":      {"# No limit on the CPU: ", "readOnlyRootFilesystem: true", "drop: [ALL]"},
		"deploy/systemd/photosync.service":    {"PrivateMounts=yes", "# No limit on the CPU: ", "ProtectSystem=strict", "UMask=0077"},
		"deploy/systemd/photosync@.service":   {"PrivateMounts=yes", "ProtectSystem=strict", "UMask=0077"},
		"deploy/systemd/network.conf":         {"\nIPAddressDeny=any\n", "\nIPAddressAllow=localhost\n", "# systemd knows addresses and no host names."},
		"deploy/helm/photosync/values.yaml":   {"digest:"},
		".github/workflows/release.yml":       {"BUILDER=golang:1.26-bookworm@$builder"},
		".ci/lint":                            {"golangci-lint", "govulncheck", "golang.org/x/vulndb@v0.0.0-", "go mod tidy -diff", "actionlint@v"},
		".ci/tools/browser/package-lock.json": {`"integrity": "sha512-`},
		".ci/tools/prose/package-lock.json":   {`"integrity": "sha512-`},
	} {
		for _, text := range texts {
			if !strings.Contains(source(t, name), text) {
				t.Errorf("%s lacks %q", name, text)
			}
		}
	}
	for _, name := range []string{"release.yml", "scheduled.yml", "test.yml"} {
		for _, m := range regexp.MustCompile(`uses: (\S+)`).FindAllStringSubmatch(source(t, ".github/workflows/"+name), -1) {
			if !strings.HasPrefix(m[1], "./") && !regexp.MustCompile(`@[0-9a-f]{40}$`).MatchString(m[1]) {
				t.Errorf("%s: %s is not pinned", name, m[1])
			}
		}
	}
}
