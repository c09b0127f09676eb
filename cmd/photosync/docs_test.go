package main

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"photosync/cmd/internal/config"
	"photosync/sync/report"
)

// page is a page of the documentation.
type page struct {
	name string // from the top of the source
	text string
}

// pages are the README and everything below docs.
func pages(t *testing.T) (all []page) {
	t.Helper()
	top := os.DirFS(filepath.Join("..", ".."))
	names := []string{"README.md", ".github/CONTRIBUTING.md", ".github/SECURITY.md"}
	err := fs.WalkDir(top, "docs", func(name string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(name, ".md") {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := fs.ReadFile(top, name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page{name, string(data)})
	}
	return all
}

func pageOf(t *testing.T, name string) string {
	t.Helper()
	for _, p := range pages(t) {
		if p.name == name {
			return p.text
		}
	}
	t.Fatalf("there is no page %s", name)
	return ""
}

var fence = regexp.MustCompile("(?ms)^( *)```([^\n]*)\n(.*?)^ *```$")

// fences are the blocks of a page with the given info string, without their indent.
func (p page) fences(info string) (all []string) {
	for _, m := range fence.FindAllStringSubmatch(p.text, -1) {
		if m[2] == info {
			all = append(all, strings.TrimPrefix(strings.ReplaceAll("\n"+m[3], "\n"+m[1], "\n"), "\n"))
		}
	}
	return all
}

// Each block says what it is, so that each is tried:
//
//	sh       is run, line by line, see TestDocsCommands
//	yaml     is a piece of configuration, see TestDocsConfiguration
//	json     is a report, see TestDocsReports
//	console  is for another machine (systemctl, kubectl, a domain controller, Windows) or
//	         shows what is printed; its calls of photosync are parsed
//	text     is neither
func TestDocsFences(t *testing.T) {
	for _, p := range pages(t) {
		for _, m := range fence.FindAllStringSubmatch(p.text, -1) {
			if !slices.Contains([]string{"sh", "yaml", "json", "console", "text"}, m[2]) {
				t.Errorf("%s: a block of kind %q", p.name, m[2])
			}
		}
		lines := p.fences("console")
		for _, m := range regexp.MustCompile("`(photosync [a-z][^`]*)`").FindAllStringSubmatch(p.text, -1) {
			lines = append(lines, strings.ReplaceAll(m[1], "\n", " "))
		}
		for _, block := range lines {
			block = strings.ReplaceAll(block, "\\\n", " ")
			for line := range strings.Lines(block) {
				if m := regexp.MustCompile(`(?:^|[/ ])(photosync [a-z]+ .*)`).FindStringSubmatch(strings.TrimPrefix(strings.TrimRight(line, "\n'"), "sudo -u photosync ")); m != nil && !strings.HasPrefix(line, "#") && !notOurs.MatchString(line) {
					checkCommandLine(t, p.name, m[1])
				}
			}
		}
	}
}

// notOurs are lines in which photosync is the name of something else.
var notOurs = regexp.MustCompile(`kubectl|useradd|groupadd|schtasks|docker|icacls|New-Item`)

// Every piece of configuration is valid.
func TestDocsConfiguration(t *testing.T) {
	secrets := func(name string) string { // instead of the files that are named
		return map[string]string{
			"SMARTSHEET_ACCESS_TOKEN": "x", "LDAP_BIND_PASSWORD": "x", "SMARTSHEET_CLIENT_SECRET": "x", "PHOTOSYNC_SMTP_PASSWORD": "x",
			"PHOTOSYNC_WEBHOOK": "https://example.com", "PHOTOSYNC_HEALTHCHECK": "https://example.com",
		}[name]
	}
	n := 0
	for _, p := range pages(t) {
		for _, text := range p.fences("yaml") {
			n++
			if !strings.Contains(text, "sources:") {
				text += "sources: [{name: hr, type: folder, path: photos}]\n"
			}
			file := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := config.Load(file, secrets)
			faults, ok := errors.AsType[*config.Error](err)
			if err != nil && !ok {
				t.Fatal(err)
			}
			for i := 0; ok && i < len(faults.Faults); i++ {
				// Its refresh token is in a file in every case, and there is no token beside it.
				// The authorities are in files of the reader's machine.
				if f := faults.Faults[i]; !strings.HasPrefix(f.Key, "smartsheet.oauth2") && !(strings.HasSuffix(f.Key, "ca_file") && strings.Contains(f.Message, "no such file")) {
					t.Errorf("%s: %s: %s\n%s", p.name, f.Key, f.Message, text)
				}
			}
		}
	}
	if n < 12 {
		t.Errorf("found only %d pieces of configuration", n)
	}
}

// Every piece of JSON is a report that can be read.
func TestDocsReports(t *testing.T) {
	n := 0
	for _, p := range pages(t) {
		for _, text := range p.fences("json") {
			n++
			file := filepath.Join(t.TempDir(), "report.json")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := report.Read(file); err != nil {
				t.Errorf("%s: %v", p.name, err)
			}
		}
	}
	if n == 0 {
		t.Error("found no JSON")
	}
}

// Every link leads to a file, and to a heading in it.
func TestDocsLinks(t *testing.T) {
	top := filepath.Join("..", "..")
	headings := func(text string) (all []string) {
		for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
			plain := regexp.MustCompile(`[^\p{L}0-9_ -]`).ReplaceAllString(strings.ToLower(m[1]), "")
			all = append(all, strings.ReplaceAll(plain, " ", "-"))
		}
		return all
	}
	for _, p := range pages(t) {
		for _, m := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(p.text, -1) {
			u, err := url.Parse(m[1])
			if err != nil || u.Scheme != "" {
				continue
			}
			text := p.text
			if u.Path != "" {
				name := filepath.Join(top, filepath.Dir(p.name), u.Path)
				if _, err := os.Stat(name); err != nil {
					t.Errorf("%s: the link %s leads nowhere", p.name, m[1])
					continue
				}
				if data, err := os.ReadFile(name); err == nil {
					text = string(data)
				}
			}
			if u.Fragment != "" && !slices.Contains(headings(text), u.Fragment) {
				t.Errorf("%s: the link %s leads to no heading", p.name, m[1])
			}
		}
	}
}

// The exit codes of the reference are those of the help, in the same words.
func TestDocsExitCodes(t *testing.T) {
	text, _, _ := strings.Cut(pageOf(t, "docs/reference/exit-codes.md"), "\n## ")
	meanings := map[int]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \| (.*) \|$`).FindAllStringSubmatch(text, -1) {
		code, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		meanings[code] = strings.TrimPrefix(strings.ReplaceAll(m[2], "`", ""), "plan only: ")
	}
	for _, e := range endings {
		if meanings[e.code] != e.meaning {
			t.Errorf("exit code %d: %q, want %q", e.code, meanings[e.code], e.meaning)
		}
	}
}

// The references name every reason, finding and metric, and no other.
func TestDocsNames(t *testing.T) {
	reasons := pageOf(t, "docs/reference/reasons.md")
	source, err := os.ReadFile(filepath.Join("..", "..", "sync", "outcome", "outcome.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := all(`Reason = "(\w+)"`, string(source))
	if len(names) < 20 {
		t.Fatalf("%d reasons", len(names))
	}
	for _, name := range names {
		if !strings.Contains(reasons, "`"+name+"`") {
			t.Errorf("the reason %s is missing", name)
		}
	}
	_, findings, _ := strings.Cut(string(source), "// Codes of findings.")
	findings, _, _ = strings.Cut(findings, "\n)")
	_, table, _ := strings.Cut(reasons, "\n## Findings")
	equal(t, "findings", all("(?m)^\\| `(\\w+)`", table), all(`= "(\w+)"`, findings))
	metrics := pageOf(t, "docs/reference/metrics.md")
	r := report.New("sync", "run", "v1", time.Unix(0, 0))
	r.Result = report.Success
	equal(t, "metrics", all("(?m)^\\| `(\\w+)`", metrics), all(`(?m)^# HELP (\w+)`, string(report.Metrics(r))))
}

// all are the first groups of all matches in text.
func all(pattern, text string) (found []string) {
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	return found
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	slices.Sort(want)
	slices.Sort(got)
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("%s %q, want %q", what, got, want)
	}
}

// Every function that the contributor's guide names in a file is there.
func TestDocsWayOfAPhoto(t *testing.T) {
	n := 0
	for _, m := range regexp.MustCompile("(?m)\\| `([\\w.]+)` \\| `([\\w/]+\\.go)` \\|$").FindAllStringSubmatch(pageOf(t, ".github/CONTRIBUTING.md"), -1) {
		n++
		data, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(m[2])))
		name := m[1][strings.LastIndexByte(m[1], '.')+1:]
		if err != nil || !regexp.MustCompile(`(?m)^func (\(\w+ \*?\w+\) )?`+name+`[\[(]`).Match(data) {
			t.Errorf("%s has no %s (%v)", m[2], m[1], err)
		}
	}
	if n < 15 {
		t.Errorf("found only %d functions", n)
	}
}
