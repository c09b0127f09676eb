package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"photosync/state"
	"photosync/sync/smartsheet/simulator"
)

// callsFile is where the processes of scripts note what they were called for and
// how they ended.
const callsFile = "PHOTOSYNC_TEST_CALLS"

// recorded notes a call, and returns its exit code.
func recorded(code int) int {
	cmd, _, err := (&app{env: os.Getenv}).root().Find(os.Args[1:])
	f, ferr := os.OpenFile(os.Getenv(callsFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil && ferr == nil {
		fmt.Fprintf(f, "%s: %d\n", cmd.CommandPath(), code) // one write: processes may come at the same moment
		f.Close()
	}
	return code
}

// scripts runs those of a folder, each with a Smartsheet of its own with n users.
func scripts(t *testing.T, folder string, n int, calls string, setup func(*testscript.Env)) {
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", folder),
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"normal": normal, "exits": exits, "hold": hold, "photos": photos, "configure": configure, "agree": agree,
		},
		Setup: func(e *testscript.Env) error {
			sim := simulator.New(simulator.Options{Token: token, Users: users(n)})
			l, err := sim.Listen("127.0.0.1:0")
			if err != nil {
				return err
			}
			e.Defer(func() { l.Close() })
			e.Setenv("SMARTSHEET", l.URL())
			e.Setenv("SMARTSHEET_ACCESS_TOKEN", token)
			e.Setenv(callsFile, calls)
			setup(e)
			return nil
		},
	})
}

// TestScripts runs photosync as people do. UPDATE_SCRIPTS=1 takes what it prints now
// for right: look at the difference.
func TestScripts(t *testing.T) {
	calls := filepath.Join(t.TempDir(), "calls")
	var ran atomic.Int32
	scripts(t, "script", 5, calls, func(e *testscript.Env) {
		ran.Add(1)
		if err := os.WriteFile(filepath.Join(e.WorkDir, "p00001@example.com.png"), picture(1), 0o600); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { // when all have run
		all, err := filepath.Glob(filepath.Join("testdata", "script", "*.txtar"))
		if err == nil && !t.Failed() && int(ran.Load()) == len(all) { // -run may choose
			checkCalls(t, calls)
		}
	})
}

// exits runs a command that has to end with an exit code: exits CODE COMMAND...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		e, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = e.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d\n%s%s", got, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// hold keeps a state open, as a run does, until the script ends: hold STATE
func hold(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hold STATE")
	}
	st, err := state.Open(ts.MkAbs(args[0]), state.Options{})
	ts.Check(err)
	ts.Defer(func() { st.Close() })
}

// volatile is what differs between runs and machines, and what stands for it.
var volatile = []struct{ pattern, name string }{
	{`20\d{6}T\d{6}Z-[a-z2-7]{6}`, "RUN"},
	{`20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| UTC)`, "TIME"},
	{`[0-9a-f]{64}`, "SHA256"},
	{`\b[0-9a-f]{12}\b`, "PLAN"},
	{`\bsim[a-z0-9]{6,}`, "REFID"},
	{`http://127\.0\.0\.1:\d+`, "http://SMARTSHEET"},
	{`(in|about) \d+(\.\d+)? ?(ms|µs|s)\b`, "$1 DURATION"},
	{`("(?:duration_ms|quota_wait_ms|eta|generation)": )\d+`, "${1}0"},
	{`(?s)"timeline": \[.*?\]`, `"timeline": []`}, // a minute may end in the run
	// A file that was written less than two seconds ago has no stamp yet, and its person no
	// fingerprint.
	{`("stamp_moved": )\w+`, "${1}BOOL"},
	{`\n +"stamp": .*|,\n +"fingerprint": .*|\n +stamp +.*|\n +age .*`, ""},
	{`(?s),\s+{\s+"name": "age".*?}`, ""},
	{`(inode +|"inode",\s+"value": ")\d+`, "${1}0"},
}

// normal writes a file, or what the last command printed, without what is volatile
// and with lines of JSON set out, for cmp: normal FILE|stdout|stderr TO
func normal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: normal FROM TO")
	}
	var out bytes.Buffer
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		if !strings.HasPrefix(line, "{") || json.Indent(&out, []byte(line), "", "  ") != nil {
			out.WriteString(line)
		}
	}
	text := strings.ReplaceAll(out.String(), ts.MkAbs("."), "$WORK")
	for _, v := range volatile {
		text = regexp.MustCompile(v.pattern).ReplaceAllString(text, v.name)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

// checkCalls finds the commands and exit codes that no script shows.
func checkCalls(t *testing.T, calls string) {
	data, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for call := range strings.Lines(string(data)) {
		seen[strings.TrimSpace(call)] = true
	}
	for _, c := range commands(t) {
		if c.HasSubCommands() || c.CommandPath() == "photosync oauth login" { // it takes a browser: see TestOAuthLogin
			continue
		}
		for _, e := range endingsOf(c) {
			if call := fmt.Sprintf("%s: %d", c.CommandPath(), e.code); !seen[call] {
				t.Errorf("no script shows %q", call)
			}
		}
	}
}
