package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// systemd understands the units, and finds little that the service could be denied.
func TestUnits(t *testing.T) {
	self, err := os.Executable() // a command that exists
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	service, timer := filepath.Join(dir, "photosync.service"), filepath.Join(dir, "photosync.timer")
	text := strings.ReplaceAll(deployFile(t, "systemd/photosync.service"), "/usr/local/bin/photosync", self)
	for file, text := range map[string]string{service: text, timer: deployFile(t, "systemd/photosync.timer")} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"verify", "--man=no", service, timer},
		{"security", "--offline=yes", "--threshold=15", "--no-pager", service}, // in tenths: 1.5 of 10
	} {
		out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
		if err != nil || args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
	}
}
