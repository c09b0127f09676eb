package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"photosync/sources/ldap/slapdtest"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

var update = flag.Bool("update", false, "write docs/reference/commands.md anew")

// The commands of a page are run in their order, in a folder of their own. There are a
// Smartsheet, a configuration that leads to it, a folder of photos, and a run that was.
// The README's begin with nothing but the binary.
func TestDocsCommands(t *testing.T) {
	photosync, err := exec.LookPath("photosync")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages(t) {
		blocks := p.fences("sh")
		if len(blocks) == 0 {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			script := strings.Join(blocks, "\n")
			if p.name == "README.md" {
				if err := os.Symlink(photosync, filepath.Join(dir, "photosync")); err != nil {
					t.Fatal(err)
				}
				script = strings.ReplaceAll(script, "127.0.0.1:8080", slapdtest.FreeAddr())
				script = strings.Replace(script, "& sleep 1\n", "& until grep -q Ctrl-C simulate.txt; do sleep 0.05; done\n", 1)
				script = "set -e; trap 'kill $!' EXIT\n" + regexp.MustCompile(`(?m)^\./photosync (check|plan|sync).*`).ReplaceAllString(script, "$0 || test $$? -eq 3 -o $$? -eq 10")
				runScript(t, dir, script, nil)
				checkArrived(t, dir)
				return
			}
			world(t, dir)
			// 3 and 10 are no faults: somebody is needed, and there are changes.
			runScript(t, dir, `set -e; photosync() { command photosync "$@" || test $? -eq 3 -o $? -eq 10; }`+"\n"+script,
				[]string{"SMARTSHEET_ACCESS_TOKEN=" + token})
		})
	}
}

func runScript(t *testing.T, dir, script string, env []string) {
	t.Helper()
	cmd := exec.Command("sh", "-x")
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(script)
	cmd.Env = append(os.Environ(), append(env, "HOME="+dir)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// checkArrived reports whether the README's first minutes end with pictures.
func checkArrived(t *testing.T, dir string) {
	t.Helper()
	r, err := report.Read(filepath.Join(dir, "reports", "latest.json"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Totals.Uploaded+r.Totals.Unchanged < 8 {
		t.Errorf("%d uploaded, %d unchanged", r.Totals.Uploaded, r.Totals.Unchanged)
	}
}

// world makes the folder that the commands of the docs are run in.
func world(t *testing.T, dir string) {
	t.Helper()
	var us []smartsheet.User
	for i, name := range []string{"ann", "bob", "you"} {
		us = append(us, smartsheet.User{ID: int64(i + 1), Email: name + "@example.com", Name: name, Status: "ACTIVE"})
	}
	l, err := simulator.New(simulator.Options{Token: token, Users: us}).Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	photos := filepath.Join(dir, "photos")
	if err := os.Mkdir(photos, 0o700); err != nil {
		t.Fatal(err)
	}
	for i, u := range us {
		if err := os.WriteFile(filepath.Join(photos, u.Email+".png"), picture(i), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := fmt.Sprintf("smartsheet: {base_url: %q}\nsources: [{name: hr, type: folder, path: photos}]\nstate: {path: state.db}\nreport: {dir: reports}\n", l.URL())
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	runScript(t, dir, "photosync sync", []string{"SMARTSHEET_ACCESS_TOKEN=" + token})
}

// The reference of commands is what the commands' own help says.
func TestDocsCommandReference(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(`# Commands

<!-- Made by "go test ./cmd/photosync -run TestDocsCommandReference -update"; do not edit.
The texts are those of --help. -->

Every command has ` + "`--help`" + `. [Exit codes](exit-codes.md) have a page of their own.
`)
	for _, c := range commands(t) {
		if c.HasSubCommands() || c.Hidden {
			continue
		}
		writeCommand(&b, c)
	}
	file := filepath.Join("..", "..", "docs", "reference", "commands.md")
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := pageOf(t, "docs/reference/commands.md"); got != b.String() {
		t.Error("docs/reference/commands.md is not what the commands say; write it with -update")
	}
}

func writeCommand(b *bytes.Buffer, c *cobra.Command) {
	long, _, _ := strings.Cut(c.Long, "Exit codes:")
	fmt.Fprintf(b, "\n## %s\n\n```text\n%s\n\n%s\n```\n", c.CommandPath(), c.UseLine(), strings.TrimSpace(long))
	if c.Example != "" {
		fmt.Fprintf(b, "\n```console\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(c.Example, "  "), "\n  ", "\n"))
	}
	c.InitDefaultHelpFlag()
	flags := 0
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		if flags++; flags == 1 {
			b.WriteString("\n| flag | meaning |\n|---|---|\n")
		}
		value, meaning := pflag.UnquoteUsage(f)
		name := strings.TrimSpace("--" + f.Name + " " + value)
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		fmt.Fprintf(b, "| `%s` | %s |\n", name, strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`).Replace(meaning))
	})
}
