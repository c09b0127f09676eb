package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"photosync/sources/ldap/slapdtest"
)

// asMain makes the test binary behave as photosync: tests that need a process
// (signals, memory) start it like that. Those of scripts know it by its name.
const asMain = "PHOTOSYNC_TEST_AS_MAIN"

// statusFile is where such a process leaves /proc/self/status at its end. The
// resource usage that the parent sees counts the parent's own memory before exec.
const statusFile = "PHOTOSYNC_TEST_STATUS"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		code := asProcess()
		if file := os.Getenv(statusFile); file != "" {
			status, _ := os.ReadFile("/proc/self/status")
			os.WriteFile(file, status, 0o600)
		}
		os.Exit(code)
	}
	testscript.Main(withProcesses{m}, map[string]func(){"photosync": func() { os.Exit(recorded(asProcess())) }})
}

// withProcesses runs the tests with photosync in the PATH: this test binary or, under the
// race detector, one without it. There are more than a thousand processes, and with the
// detector each would take 60 ms to start. Those of RACE_PROCESSES=1 have it; a scheduled
// job sets that. What runs in the tests' own process has it in any case.
type withProcesses struct{ tests *testing.M }

func (w withProcesses) Run() int {
	// Else the processes would ignore it where the tests run under nohup.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	if !raceEnabled || os.Getenv("RACE_PROCESSES") != "" {
		return w.tests.Run()
	}
	dir, err := os.MkdirTemp("", "photosync-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if out, err := exec.Command("go", "test", "-race=false", "-c", "-o", filepath.Join(dir, "photosync"), ".").CombinedOutput(); err != nil {
		panic(fmt.Sprintf("build what the tests start: %v\n%s", err, out))
	}
	os.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return w.tests.Run()
}

// asProcess is main but for its end.
func asProcess() int {
	frugal()
	return run(context.Background(), os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
}

func command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("photosync", args...)
	cmd.Env = append(os.Environ(), asMain+"=1", "SMARTSHEET_ACCESS_TOKEN="+token, "LDAP_BIND_PASSWORD="+slapdtest.Password)
	return cmd
}
