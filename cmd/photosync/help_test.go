package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"photosync/cmd/internal/config"
)

// commands are all that there are, but for cobra's own.
func commands(t *testing.T) (all []*cobra.Command) {
	t.Helper()
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if sub.Name() != "help" && sub.Name() != "completion" {
				all = append(all, sub)
				walk(sub)
			}
		}
	}
	walk((&app{env: os.Getenv}).root())
	return all
}

// Every command says in its help what it is for, how it ends, and shows how it is
// called; the examples can be called.
func TestHelp(t *testing.T) {
	for _, c := range commands(t) {
		if c.HasSubCommands() {
			continue
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || len(c.Short) > 90 {
			t.Errorf("%s: short text %q", c.CommandPath(), c.Short)
		}
		if !strings.Contains(c.Long, "Exit codes:\n  0 ") {
			t.Errorf("%s: the help does not name the exit codes", c.CommandPath())
		}
		for line := range strings.Lines(c.Long) {
			if len([]rune(line)) > 91 {
				t.Errorf("%s: wider than a terminal: %q", c.CommandPath(), line)
			}
		}
		if c.Example == "" && c.Name() != "version" && c.Name() != "demo" {
			t.Errorf("%s: no example", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			checkCommandLine(t, c.CommandPath(), line)
		}
	}
}

// checkCommandLine fails if line calls photosync with a command or flags that do not
// exist.
func checkCommandLine(t *testing.T, where, line string) {
	t.Helper()
	line, _, _ = strings.Cut(line, "  #")
	line, _, _ = strings.Cut(line, " #")
	_, rest, found := strings.Cut(strings.TrimSpace(line), "photosync ")
	if !found {
		return
	}
	rest, _, _ = strings.Cut(rest, "|")
	rest, _, _ = strings.Cut(rest, ">")
	args := regexp.MustCompile(`'[^']*'|\S+`).FindAllString(rest, -1)
	for i := range args {
		args[i] = strings.Trim(args[i], "'")
	}
	cmd, flags, err := (&app{env: os.Getenv}).root().Find(args)
	if err == nil {
		err = cmd.ParseFlags(flags)
	}
	if err == nil && cmd.Args != nil {
		err = cmd.Args(cmd, cmd.Flags().Args())
	}
	if err != nil || !cmd.HasParent() {
		t.Errorf("%s: photosync %q: %v", where, args, err)
	}
}

// The README's command lines exist, and its exit codes are those of the help.
func TestReadme(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, m := range regexp.MustCompile(`(?m)^(?:    |\d+ .*/)(?:go run \./cmd/)?(photosync .*)$|`+"`(photosync [a-z][^`]*)`").FindAllStringSubmatch(string(data), -1) {
		lines++
		checkCommandLine(t, "README.md", strings.ReplaceAll(m[1]+m[2], "\n", " "))
	}
	if lines < 15 {
		t.Errorf("found only %d command lines", lines)
	}
	meanings := map[int]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \| (.*) \|$`).FindAllStringSubmatch(string(data), -1) {
		code, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		meanings[code] = strings.TrimPrefix(strings.ReplaceAll(m[2], "`", ""), "plan only: ")
	}
	for code, want := range exitMeanings {
		if meanings[code] != want {
			t.Errorf("exit code %d in the README: %q, want %q", code, meanings[code], want)
		}
	}
}

// The README's pieces of configuration are valid, and its links lead somewhere.
func TestReadmeExamples(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	secrets := func(name string) string { // instead of the files that are named
		return map[string]string{
			"SMARTSHEET_ACCESS_TOKEN": "x", "LDAP_BIND_PASSWORD": "x", "SMARTSHEET_CLIENT_SECRET": "x",
			"PHOTOSYNC_WEBHOOK": "https://example.com", "PHOTOSYNC_HEALTHCHECK": "https://example.com",
		}[name]
	}
	examples := regexp.MustCompile("(?ms)^( *)```yaml\n(.*?)^ *```").FindAllStringSubmatch(string(data), -1)
	if len(examples) < 5 {
		t.Errorf("found only %d pieces of configuration", len(examples))
	}
	for _, m := range examples {
		text := strings.TrimPrefix(strings.ReplaceAll("\n"+m[2], "\n"+m[1], "\n"), "\n")
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
			if f := faults.Faults[i]; !strings.HasPrefix(f.Key, "smartsheet.oauth2") {
				t.Errorf("%s: %s\n%s", f.Key, f.Message, text)
			}
		}
	}
	headings := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(data), -1) {
		headings[regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), "")] = true
	}
	for _, m := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(string(data), -1) {
		anchor, inside := strings.CutPrefix(m[1], "#")
		_, err := os.Stat(filepath.Join("..", "..", m[1]))
		if inside && !headings[strings.ReplaceAll(anchor, "-", " ")] || !inside && err != nil {
			t.Errorf("the link %s leads nowhere", m[1])
		}
	}
}

// What the shells ask when somebody presses the tab key.
func TestCompletion(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"s"}, "sync"},
		{[]string{"sync", "--pro"}, "--progress"},
		{[]string{"sync", "--progress", ""}, "always"},
		{[]string{"plan", "--output", ""}, "json"},
		{[]string{"sync", "--config", ""}, "yaml"},
	} {
		var out, errs bytes.Buffer
		run(t.Context(), append([]string{"__complete"}, c.args...), os.Getenv, &out, &errs)
		if !regexp.MustCompile(`(?m)^` + c.want + `\b`).MatchString(out.String()) {
			t.Errorf("%q: %q has no %s", c.args, out.String(), c.want)
		}
	}
	for shell, check := range map[string][]string{"bash": {"bash", "-n"}, "zsh": nil, "fish": nil, "powershell": nil} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), []string{"completion", shell}, os.Getenv, &out, &errs); code != 0 || out.Len() < 1000 {
			t.Errorf("completion %s: exit %d, %d bytes", shell, code, out.Len())
		}
		if check != nil {
			cmd := exec.Command(check[0], check[1:]...)
			cmd.Stdin = &out
			if msg, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("completion %s: %v\n%s", shell, err, msg)
			}
		}
	}
}
