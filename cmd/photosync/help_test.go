package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// commands are all that there are, but for cobra's own.
func commands(t *testing.T) (all []*cobra.Command) {
	t.Helper()
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if sub.Name() != "help" && sub.Name() != "completion" {
				addEndings(sub)
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
