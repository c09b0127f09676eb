package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"photosync/sync/smartsheet/simulator"
)

// openTerminal opens a pseudo-terminal of 80 columns: what is written to tty is read
// from screen (pty(7)).
func openTerminal(t *testing.T) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(screen.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	return screen, tty
}

// shown is what stays on a terminal of all that was written: it follows the escape
// sequences that the live line uses.
func shown(t *testing.T, written string) (lines []string) {
	t.Helper()
	lines, row, column := []string{""}, 0, 0
	for written != "" {
		if m := regexp.MustCompile(`^\x1b\[([0-9;]*)([A-Za-z])`).FindStringSubmatch(written); m != nil {
			switch m[2] {
			case "K":
				lines[row] = string([]rune(lines[row])[:column])
			case "m":
			default:
				t.Fatalf("the terminal of this test does not know %q", m[0])
			}
			written = written[len(m[0]):]
			continue
		}
		switch c := written[0]; c {
		case '\r':
			column = 0
		case '\n':
			lines, row = append(lines, ""), row+1
		default:
			if column == 0 {
				lines[row] = ""
			}
			lines[row] += string(c)
			column++
		}
		written = written[1:]
	}
	return lines
}

// On a terminal, Ctrl-C is answered with what the run waits for. The live line leaves
// nothing behind, all lines fit, and colour is there unless it is not wanted.
func TestTerminal(t *testing.T) {
	for _, noColor := range []string{"", "1"} {
		s := newSite(t, users(50), "")
		for i := range 50 {
			s.put(email(i), picture(i))
		}
		s.sim.AddFault(simulator.Fault{Kind: "slow", Skip: 5, Delay: time.Second})
		screen, tty := openTerminal(t)
		cmd := command(t, "sync", "--config", s.conf)
		cmd.Env = append(cmd.Env, "TERM=xterm", "NO_COLOR="+noColor)
		cmd.Stdout, cmd.Stderr = tty, tty
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		tty.Close()
		var written bytes.Buffer
		read := make(chan struct{})
		go func() {
			io.Copy(&written, screen) // ends with an error when the last writer is gone
			close(read)
		}()
		for s.sim.Counts().ByOp["upload"] < 9 {
			time.Sleep(time.Millisecond) // another process makes the progress
		}
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait() // the exit code is looked at below
		<-read
		screen.Close()
		lines := shown(t, written.String())
		text := strings.Join(lines, "\n")
		if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
			t.Errorf("exit %d", code)
		}
		for _, want := range []string{
			"\nStopping. Waiting up to 25 s for answers to what is on the wire. Ctrl-C again", "\nStopped early: ", " are left for the next run.\n",
			"photosync: stopped by a signal\n  hint: the next run continues",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not shown", want)
			}
		}
		if strings.Contains(text, "requests/min") || strings.Contains(text, "reading the sources") {
			t.Error("something of the live line is left")
		}
		for _, line := range lines {
			if n := len([]rune(line)); n > 80 && !strings.Contains(line, s.dir) { // a path stays whole
				t.Errorf("%d columns: %q", n, line)
			}
		}
		if coloured := regexp.MustCompile(`\x1b\[[0-9;]+m`).MatchString(written.String()); coloured != (noColor == "") {
			t.Errorf("NO_COLOR=%s: colour: %v", noColor, coloured)
		}
		if t.Failed() {
			t.Log(text)
		}
	}
}

// A line in the log is an event: a run that reaches few of 3,000 people does not log
// the others. A limit, or a guard that holds them all, does not either.
func TestQuietLog(t *testing.T) {
	people := 3000
	if testing.Short() {
		people = 600
	}
	s := newSite(t, users(people), "")
	for i := range people {
		s.put(email(i), picture(i))
	}
	log := func(code int, args ...string) string {
		t.Helper()
		cmd := command(t, append(args, "--config", s.conf)...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if code == exitInterrupted {
			for s.sim.Counts().ByOp["upload"] < 9 {
				time.Sleep(time.Millisecond) // another process makes the progress
			}
			cmd.Process.Signal(os.Interrupt)
		}
		cmd.Wait() // the exit code is looked at
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Fatalf("photosync %q: exit %d, want %d\n%s", args, got, code, errs.String())
		}
		if n := strings.Count(errs.String(), "\n"); n >= 20 {
			t.Errorf("photosync %q: %d lines in the log\n%.3000s", args, n, errs.String())
		}
		return errs.String()
	}
	s.sim.AddFault(simulator.Fault{Kind: "slow", Delay: 200 * time.Millisecond})
	text := log(exitInterrupted, "sync")
	if !regexp.MustCompile(fmt.Sprintf(`"people":%d\d\d,"first":\["p\d+@example.com",.*left for the next run`, people/100-1)).MatchString(text) {
		t.Errorf("how many are left is not logged:\n%s", text)
	}
	s.sim.ClearFaults()
	if text := log(exitDone, "sync", "--limit", "100"); !strings.Contains(text, "left for the next run") {
		t.Errorf("what the limit leaves is not logged:\n%s", text)
	}
	log(exitDone, "sync")
	for i := range people {
		s.put(email(i), picture(10_000+i))
	}
	if text := log(exitHeld, "sync"); !strings.Contains(text, fmt.Sprintf(`"people":%d,"first":["p00000@example.com",`, people)) {
		t.Errorf("how many are held is not logged:\n%s", text)
	}
}
