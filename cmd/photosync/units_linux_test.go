package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// systemd understands the units, and finds little that the services could be denied.
func TestUnits(t *testing.T) {
	self, err := os.Executable() // a command that exists
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var files []string
	for _, name := range []string{"photosync.service", "photosync@.service", "photosync.timer"} {
		text := strings.ReplaceAll(deployFile(t, "systemd/"+name), "=photosync ", "="+self+" ")
		files = append(files, filepath.Join(dir, name))
		if err := os.WriteFile(files[len(files)-1], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		append([]string{"verify", "--man=no"}, files...),
		append([]string{"security", "--offline=yes", "--threshold=15", "--no-pager"}, files[:2]...), // in tenths: 1.5 of 10
	} {
		out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
		if err != nil || args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
	}
}

// A command by hand runs as the nightly run does: the units differ only in what they run.
func TestUnitsAgree(t *testing.T) {
	shared := func(name string) string {
		_, lines, found := strings.Cut(deployFile(t, "systemd/"+name), "has the same lines.\n")
		if !found || !strings.Contains(lines, "User=photosync") {
			t.Fatalf("%s: no shared lines", name)
		}
		return lines
	}
	if diff := cmp.Diff(shared("photosync.service"), shared("photosync@.service")); diff != "" {
		t.Error(diff)
	}
}
