package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// allowed says which packages of this project each package may import. Arrows
// never run back up: adapters know neither the plan nor Smartsheet nor each other.
var allowed = map[string][]string{
	"cmd/photosync":       {"*"},
	"cmd/internal/config": {"sync/foreign"},
	"cmd/internal/notify": {"cmd/internal/config", "sync/foreign", "sync/outcome", "sync/report", "sync/safefile"},
	// The explanation and the records of the state are printed as job and state have them:
	// twins of these types would only copy fields.
	"cmd/internal/console":      {"sync/report", "sync/outcome", "sync/foreign", "sync/job", "sync/smartsheet", "state"},
	"cmd/internal/checkup":      {"cmd/internal/config", "cmd/internal/console", "sources", "state", "sync/job", "sync/match", "sync/outcome", "sync/photo", "sync/plan", "sync/report", "sync/safefile", "sync/smartsheet"},
	"sync/job":                  {"sources", "state", "sync/match", "sync/outcome", "sync/photo", "sync/plan", "sync/upload", "sync/report", "sync/smartsheet"},
	"sync/match":                {"sources", "state", "sync/plan", "sync/smartsheet"},
	"sync/plan":                 {"sources", "state", "sync/outcome"},
	"sync/upload":               {"sources", "state", "sync/outcome", "sync/plan", "sync/photo", "sync/report", "sync/smartsheet"},
	"sync/photo":                {},
	"sync/smartsheet":           {"sync/foreign", "sync/safefile"},
	"sync/smartsheet/simulator": {"sync/smartsheet"},
	"sync/foreign":              {}, // imported by whoever takes in or shows text from outside
	"sync/outcome":              {},
	"sync/safefile":             {}, // imported by whoever writes a file
	"sync/report":               {"sync/foreign", "sync/outcome", "sync/safefile"},
	"sources":                   {"sync/foreign"},
	"sources/folder":            {"sources", "sync/foreign"},
	"sources/ldap":              {"sources", "sync/foreign"},
	"sources/ldap/slapdtest":    {},
	"sources/sourcetest":        {"sources"},
	"state":                     {"sync/safefile"},
}

func TestImportDirections(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,GoFiles", "./...")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); seen++ {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, "photosync/")
		may, known := allowed[name]
		if !known {
			t.Errorf("%s is a room that the layout does not know", name)
		}
		for _, imp := range p.Imports {
			own, isOwn := strings.CutPrefix(imp, "photosync/")
			if isOwn && !slices.Contains(may, own) && !slices.Contains(may, "*") {
				t.Errorf("%s may not import %s", name, own)
			}
			if imp == "github.com/go-ldap/ldap/v3" && name != "sources/ldap" {
				t.Errorf("%s imports go-ldap: only sources/ldap may", name)
			}
		}
	}
	if seen != len(allowed) {
		t.Errorf("%d packages, the layout knows %d", seen, len(allowed))
	}
}

// The top level is fixed, and the folders of rooms hold no Go files themselves.
func TestTopLevel(t *testing.T) {
	want := []string{"CHANGELOG.md", "Dockerfile", "LICENSE", "README.md", "cmd", "config.example.yaml", "deploy", "docs", "go.mod", "go.sum", "sources", "state", "sync"}
	cmd := exec.Command("git", "ls-files")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for f := range strings.Lines(string(out)) {
		f = strings.TrimSpace(f)
		top, _, _ := strings.Cut(f, "/")
		if !strings.HasPrefix(top, ".") && !slices.Contains(want, top) {
			t.Errorf("%q at the top level", top)
		}
		if dir := filepath.Dir(f); strings.HasSuffix(f, ".go") && (dir == "cmd" || dir == "sync") {
			t.Errorf("%q: this folder holds rooms only", f)
		}
	}
}

// Whatever writes, owns or renames a file does so by sync/safefile, which is safe from
// links, kills and full disks. TestLinkAttack names the files.
func TestFilesAreWrittenSafely(t *testing.T) {
	list := exec.Command("git", "ls-files", "*.go")
	list.Dir = filepath.Join("..", "..")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	unsafe := regexp.MustCompile(`\b(os|syscall|unix|ioutil)\.(OpenFile|Open|Creat|Create|CreateTemp|TempFile|WriteFile|Rename|Link|Symlink|L?[Cc]hown|Fchownat|Chmod|Truncate)\([^)\n]*`)
	looked := 0
	for f := range strings.Lines(string(out)) {
		f = strings.TrimSpace(f)
		if strings.HasSuffix(f, "_test.go") || strings.HasPrefix(f, "sync/safefile/") || strings.HasPrefix(f, "sources/ldap/slapdtest/") {
			continue
		}
		text, err := os.ReadFile(filepath.Join("..", "..", f))
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range unsafe.FindAllString(string(text), -1) {
			if !strings.HasPrefix(call, "os.Open(") { // which only reads
				t.Errorf("%s: %s…: let sync/safefile do that", f, call)
			}
		}
		looked++
	}
	if looked < 100 {
		t.Errorf("%d files were looked at", looked)
	}
}
