package main

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Each command that writes is killed, or told to stop, at random moments of its life.
// The state is that of before or that of after, and the next run puts everything right.
// KILLS is how many times each command is killed, and told to stop.
func TestKilledCommands(t *testing.T) {
	kills := 2
	if s := os.Getenv("KILLS"); s != "" {
		var err error
		if kills, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	m := newMortal(t)
	m.life()
	m.do("sync")
	plan, export := filepath.Join(m.dir, "plan.json"), filepath.Join(m.dir, "export.jsonl")
	for _, c := range []struct {
		name    string
		prepare func()
		args    []string
		check   func(recorded int)
	}{
		{"sync", m.newPhotos, []string{"sync"}, nil},
		{"apply", func() { m.newPhotos(); m.do("plan", "-o", plan) }, []string{"apply", plan}, nil},
		{"import", func() { m.do("state", "export", "-o", export) }, []string{"state", "import", "--replace", export}, m.all},
		{"compact", nil, []string{"state", "compact"}, m.all},
		{"forget", nil, []string{"state", "forget", "--yes", "user0001@example.com"}, func(n int) {
			if n != mortals && n != mortals-1 {
				t.Errorf("%d people of %d are on record", n, mortals)
			}
		}},
		{"adopt", func() { m.lose(".backup"); m.lose("") }, []string{"state", "adopt", "--yes"}, m.allOrNobody},
		{"restore", func() { m.lose("") }, []string{"state", "restore", "--yes"}, func(n int) {
			if m.allOrNobody(n); n == 0 {
				m.do("state", "restore", "--yes")
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m.t = t
			life := 200 * time.Millisecond
			for i := range 2 * kills {
				if c.prepare != nil {
					c.prepare()
				}
				signal := []os.Signal{os.Kill, syscall.SIGTERM}[i%2]
				cmd := m.command(append(c.args, "--config", m.conf)...)
				var errs strings.Builder
				cmd.Stderr = &errs
				start := time.Now()
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				death := time.AfterFunc(time.Duration(rng.Int64N(int64(life))), func() { cmd.Process.Signal(signal) })
				err := cmd.Wait() // whatever it says
				if death.Stop() {
					if life = time.Since(start); err != nil {
						t.Fatalf("not stopped: %v\n%s", err, errs.String())
					}
				}
				if recorded := m.onRecord(); c.check != nil {
					c.check(recorded)
				} else {
					m.agree()
				}
				m.do("sync")
				m.whole()
			}
		})
	}
	m.t = t
	t.Logf("7 commands, %d kills and %d SIGTERMs each", kills, kills)
}

// do runs a command that must end well; plan has something to do.
func (m *mortal) do(args ...string) {
	m.t.Helper()
	out, err := m.command(append(args, "--config", m.conf)...).CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && args[0] == "plan" && exit.ExitCode() == 10 {
		return
	}
	if err != nil {
		m.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// lose removes the state, or its backup.
func (m *mortal) lose(suffix string) {
	m.t.Helper()
	if err := os.Remove(m.state() + suffix); err != nil {
		m.t.Fatal(err)
	}
}

// onRecord is how many people's pictures the state has, each of them the right one; 0
// if there is no state.
func (m *mortal) onRecord() int {
	m.t.Helper()
	if _, err := os.Stat(m.state()); errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	return len(m.recorded())
}

func (m *mortal) all(recorded int) {
	m.t.Helper()
	if recorded != mortals {
		m.t.Errorf("%d people of %d are on record", recorded, mortals)
	}
}

func (m *mortal) allOrNobody(recorded int) {
	m.t.Helper()
	if recorded != 0 && recorded != mortals {
		m.t.Errorf("%d people of %d are on record", recorded, mortals)
	}
}
