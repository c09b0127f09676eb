package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"photosync/cmd/internal/config"
)

var deployFolder = filepath.Join("..", "..", "deploy")

func deployFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(deployFolder, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// commandLines finds the arguments that photosync is given, in lists of a manifest
// or in lines that a shell, cron or systemd reads.
func commandLines(text string) [][]string {
	var lines [][]string
	for _, m := range regexp.MustCompile(`args\w* ?[:=] \[(.*)\]`).FindAllStringSubmatch(text, -1) {
		lines = append(lines, regexp.MustCompile(`[^\s",]+`).FindAllString(m[1], -1))
	}
	for _, m := range regexp.MustCompile(`args:\n((?: +- .*\n)+)`).FindAllStringSubmatch(text, -1) {
		lines = append(lines, strings.Fields(strings.ReplaceAll(m[1], " - ", " ")))
	}
	command := regexp.MustCompile("(?m)(?:^ *|[`/=])photosync ((?:sync|plan|check|explain|report|init|config)\\b[^`&\n]*)")
	for _, m := range command.FindAllStringSubmatch(text, -1) {
		lines = append(lines, strings.Fields(m[1]))
	}
	return lines
}

// Every command and flag that deploy/ uses exists, and takes the value given.
func TestDeployFlags(t *testing.T) {
	for file, want := range map[string]int{
		"kubernetes/cronjob.yaml": 1, "kubernetes/README.md": 5, "kubernetes/report.yaml": 1, "kubernetes-backfill/job.yaml": 1,
		"systemd/photosync.service": 1, "systemd/README.md": 3,
	} {
		lines := commandLines(deployFile(t, file))
		if len(lines) != want {
			t.Errorf("%s: found the command lines %q, want %d", file, lines, want)
		}
		for _, args := range lines {
			cmd, rest, err := (&app{env: os.Getenv}).root().Find(args)
			if err == nil {
				err = cmd.ParseFlags(rest)
			}
			if err != nil || !cmd.HasParent() || !cmd.Runnable() {
				t.Errorf("%s: photosync %q: %v", file, args, err)
			}
		}
	}
}

// Every exit code that deploy/ decides about exists, and each is decided about.
func TestDeployExitCodes(t *testing.T) {
	sync := []int{exitDone, exitFailed, exitUsage, exitAttention, exitHeld, exitLocked, exitInterrupted}
	fatal := sync[2:]
	for _, tt := range []struct {
		file, pattern string
		want          []int
	}{
		{"kubernetes/cronjob.yaml", `values: \[(.*)\]`, fatal},
		{"kubernetes-backfill/job.yaml", `values: \[(.*)\]`, fatal},
		{"systemd/photosync.service", `ExitStatus=(.*)`, fatal},
		{"kubernetes/README.md", `(?m)^\| ([\d, ]+) \|`, sync},
		{"systemd/README.md", `(?m)^\| ([\d, ]+) \|`, sync},
	} {
		var got []int
		for _, m := range regexp.MustCompile(tt.pattern).FindAllStringSubmatch(deployFile(t, tt.file), -1) {
			for _, n := range regexp.MustCompile(`\d+`).FindAllString(m[1], -1) {
				code, err := strconv.Atoi(n)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, code)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: exit codes %v, want %v", tt.file, got, tt.want)
		}
	}
}

// systemd ends a run only where it did not end by itself.
func TestUnitDeadlines(t *testing.T) {
	unit := deployFile(t, "systemd/photosync.service")
	of := func(pattern string) time.Duration {
		m := regexp.MustCompile(pattern).FindStringSubmatch(unit)
		if m == nil {
			t.Fatalf("no %s", pattern)
		}
		d, err := time.ParseDuration(strings.ReplaceAll(m[1], "min", "m"))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	limit, start, stop := of(`--max-duration=(\S+)`), of(`TimeoutStartSec=(\S+)`), of(`TimeoutStopSec=(\S+)`)
	if start < limit+grace || start > limit+time.Hour || stop < grace {
		t.Errorf("--max-duration %v, TimeoutStartSec %v, TimeoutStopSec %v; the grace is %v", limit, start, stop, grace)
	}
}

func TestDeployConfig(t *testing.T) {
	secret := func(name string) string {
		return map[string]string{"SMARTSHEET_ACCESS_TOKEN": "x", "LDAP_BIND_PASSWORD": "x"}[name]
	}
	if _, err := config.Load(filepath.Join(deployFolder, "kubernetes", "config.yaml"), secret); err != nil {
		t.Error(err)
	}
}
