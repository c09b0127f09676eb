package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/report"
	"photosync/sync/smartsheet/simulator"
)

// stateCommands are all that open the state.
var stateCommands = []string{
	"sync", "plan", "explain p00001@example.com", "state list", "state show p00001@example.com", "state forget --yes p00001@example.com",
	"state export", "state compact", "state adopt --yes",
}

// What can be wrong with a state: every command says so, with what to do about it,
// and leaves the file as it is. The remedy works as it is printed.
func TestSpoiledStates(t *testing.T) {
	for name, c := range map[string]struct {
		spoil  func(t *testing.T, path string)
		alone  bool // there is no backup
		words  string
		remedy string // the command in the hint
		next   int    // uploads that the run after it repeats
	}{
		"a record":          {flip("p00001@example.com", 10), false, `is damaged: `, "restore", 0},
		"a page":            {flipPage(2), false, "is damaged: ", "restore", 0},
		"a record, alone":   {flip("p00001@example.com", 10), true, "there is no good backup beside it", "mv", 3},
		"the backup, too":   {flipBoth, false, "there is no good backup beside it", "mv", 3},
		"cut short":         {cutTo(3), false, "is damaged: ", "restore", 0},
		"cut to its head":   {cutTo(0), false, "is damaged: ", "restore", 0},
		"empty":             {rewrite(""), false, "is damaged: it is empty", "restore", 0},
		"a text":            {rewrite(strings.Repeat("no state\n", 5000)), false, "is damaged: it is not a state", "restore", 0},
		"another program's": {database(map[string]string{}), false, "is damaged: it is a database of another program", "restore", 0},
		"newer":             {database(map[string]string{"schema_version": "99"}), false, "written by a newer photosync (schema 99", "", 0},
		"a folder":          {aFolder, false, "state.db\": is a directory", "", 0},
		"a link to nowhere": {danglingLink, false, "state.db\": is a link to a file that does not exist", "", 0},
		"a pipe":            {aPipe, false, "state.db\": is not a regular file", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, users(3), "")
			for i := range 3 {
				s.put(email(i), picture(i))
			}
			s.run(exitDone, "sync")
			path := filepath.Join(s.dir, "state.db")
			if c.alone {
				if err := os.Remove(path + ".backup"); err != nil {
					t.Fatal(err)
				}
			}
			c.spoil(t, path)
			before := contents(path)
			var errs string
			for i, line := range stateCommands {
				if name != "a record" && i > 1 && i < len(stateCommands)-2 { // they all begin alike
					continue
				}
				if errs = s.fails(exitFailed, line); !strings.Contains(errs, c.words) || !strings.Contains(errs, path) {
					t.Errorf("photosync %s: stderr does not say %q:\n%s", line, c.words, errs)
				}
			}
			if !bytes.Equal(before, contents(path)) {
				t.Error("the file was changed")
			}
			if c.remedy == "" {
				return
			}
			if c.remedy == "restore" {
				if !strings.Contains(errs, "photosync state restore") {
					t.Fatalf("the remedy is not named:\n%s", errs)
				}
				if out, err := command(t, "state", "restore", "--yes", "--config", s.conf).CombinedOutput(); err != nil {
					t.Fatalf("state restore: %v\n%s", err, out)
				}
			} else {
				remedy := regexp.MustCompile(`(mv \S+ \S+)`).FindString(strings.ReplaceAll(errs, ";", ""))
				if !strings.HasPrefix(remedy, c.remedy) {
					t.Fatalf("the remedy is %q, want %s", remedy, c.remedy)
				}
				if out, err := exec.Command("sh", "-c", remedy).CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", remedy, err, out)
				}
				os.Remove(path + ".backup") // to begin anew
			}
			if r := s.run(exitDone, "sync"); r.Totals.Uploaded != c.next || r.Totals.Unchanged != 3-c.next {
				t.Errorf("after the remedy: %+v", r.Totals)
			}
		})
	}
}

// contents of a file; none of anything else.
func contents(path string) []byte {
	if fi, err := os.Stat(path); err != nil || !fi.Mode().IsRegular() {
		return nil
	}
	data, _ := os.ReadFile(path) // what cannot be read is not compared
	return data
}

// fails runs photosync in this process and returns what it says on stderr.
func (s *site) fails(want int, line string) string {
	s.t.Helper()
	args := append(strings.Fields(line), "--config", s.conf)
	cmd := command(s.t, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	cmd.Run() // the exit code is looked at below
	if code := cmd.ProcessState.ExitCode(); code != want {
		s.t.Errorf("photosync %s: exit %d, want %d\n%s", line, code, want, errs.String())
	}
	if e := errs.String(); !strings.Contains(e, "  hint: ") || strings.Contains(e, "goroutine") {
		s.t.Errorf("photosync %s: no hint, or a crash:\n%s", line, e)
	}
	return errs.String()
}

// flip turns a bit of each page that holds text, behind it.
func flip(text string, behind int) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		edit(t, path, func(data []byte) []byte {
			for at := 0; ; {
				i := bytes.Index(data[at:], []byte(text))
				if i < 0 || at+i+len(text)+behind >= len(data) {
					return data
				}
				at += i + len(text)
				data[at+behind] ^= 4
			}
		})
	}
}

func flipBoth(t *testing.T, path string) {
	for _, p := range []string{path, path + ".backup"} {
		flip("p00001@example.com", 10)(t, p)
	}
}

// flipPage turns a bit in the number of records that every page from one on holds.
func flipPage(first int) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		edit(t, path, func(data []byte) []byte {
			for at := first * os.Getpagesize(); at < len(data); at += os.Getpagesize() {
				if data[at+10] > 1 {
					data[at+10] ^= 1
				}
			}
			return data
		})
	}
}

func cutTo(pages int) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		edit(t, path, func(data []byte) []byte { return data[:max(pages*os.Getpagesize(), 100)] })
	}
}

func rewrite(text string) func(*testing.T, string) {
	return func(t *testing.T, path string) { edit(t, path, func([]byte) []byte { return []byte(text) }) }
}

func edit(t *testing.T, path string, f func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, f(data), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// database puts another database in the place of the state.
func database(meta map[string]string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		instead(t, path)
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		err = db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucket([]byte("meta"))
			for k, v := range meta {
				if err == nil {
					err = b.Put([]byte(k), []byte(v))
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func instead(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func aFolder(t *testing.T, path string) {
	instead(t, path)
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func danglingLink(t *testing.T, path string) {
	instead(t, path)
	if err := os.Symlink("/nowhere/state.db", path); err != nil {
		t.Fatal(err)
	}
}

func aPipe(t *testing.T, path string) {
	instead(t, path)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

// While one process has the state every command ends with exit code 5 and names it.
func TestLockedState(t *testing.T) {
	s := newSite(t, users(2), "")
	s.put(email(1), picture(0))
	s.run(exitDone, "sync")
	path := filepath.Join(s.dir, "state.db")
	export := filepath.Join(s.dir, "out.jsonl")
	if code, _, errs := s.runFailing(""); code != 0 {
		t.Fatal(errs)
	}
	if out, err := command(t, "state", "export", "-o", export, "--state", path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	st, err := state.Open(path, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for _, line := range append(stateCommands, "state import --replace "+export) {
		errs := s.fails(exitLocked, line)
		if want := fmt.Sprintf("held by process %d on ", os.Getpid()); !strings.Contains(errs, want) {
			t.Errorf("photosync %s: stderr does not say %q:\n%s", line, want, errs)
		}
	}
}

// A link leads to the state: it stays a link, and the backup is beside the file.
func TestLinkedState(t *testing.T) {
	s := newSite(t, users(2), "")
	s.put(email(0), picture(0))
	real := filepath.Join(s.dir, "real", "data.db")
	s.run(exitDone, "sync")
	path := filepath.Join(s.dir, "state.db")
	if err := os.Mkdir(filepath.Dir(real), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, real); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, path); err != nil {
		t.Fatal(err)
	}
	s.put(email(1), picture(1))
	if r := s.run(exitDone, "sync"); r.Totals.Uploaded != 1 {
		t.Errorf("%+v", r.Totals)
	}
	if out, err := command(t, "state", "compact", "--state", path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if fi, err := os.Lstat(path); err != nil || fi.Mode()&os.ModeSymlink == 0 {
		t.Error("the link is gone", err)
	}
	if _, err := os.Stat(real + ".backup"); err != nil {
		t.Error(err)
	}
	if r := s.run(exitDone, "sync"); r.Totals.Unchanged != 2 {
		t.Errorf("%+v", r.Totals)
	}
}

// A state of another account, or of another Smartsheet, is refused before anything
// is read or written.
func TestForeignState(t *testing.T) {
	s := newSite(t, users(1), "")
	s.put(email(0), picture(0))
	s.run(exitDone, "sync")
	path := filepath.Join(s.dir, "state.db")
	var out bytes.Buffer
	cmd := command(t, "state", "export", "--state", path)
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	header, rest, _ := bytes.Cut(out.Bytes(), []byte("\n"))
	var h struct {
		Facts struct{ Account state.Account }
	}
	if err := json.Unmarshal(header, &h); err != nil {
		t.Fatal(err)
	}
	ours := h.Facts.Account
	for _, other := range []state.Account{{Root: ours.Root, ID: ours.ID + 1, Name: "Other"}, {Root: "https://api.smartsheet.eu/2.0", ID: ours.ID, Name: ours.Name}} {
		a, err := json.Marshal(ours)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(other)
		if err != nil {
			t.Fatal(err)
		}
		cmd := command(t, "state", "import", "--replace", "-", "--state", path)
		cmd.Stdin = bytes.NewReader(append(append(bytes.Replace(header, a, b, 1), '\n'), rest...))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, line := range []string{"sync", "plan", "explain " + email(0), "state adopt --yes"} {
			errs := s.fails(exitFailed, line)
			for _, want := range []string{
				fmt.Sprintf("belongs to account %d %q at %s", other.ID, other.Name, other.Root),
				fmt.Sprintf("but the token to account %d %q at %s", ours.ID, ours.Name, ours.Root),
				"hint: use the token of that account, or another state.path for this one",
			} {
				if !strings.Contains(errs, want) {
					t.Errorf("photosync %s: stderr does not say %q:\n%s", line, want, errs)
				}
			}
		}
		if n := s.sim.Counts().Accepted; n != 1 {
			t.Errorf("%d uploads", n)
		}
	}
}

// ordinary runs photosync as a user who has no right to pass over modes.
func (s *site) ordinary(want int, line string) (out, errs string) {
	s.t.Helper()
	self := command(s.t, append(strings.Fields(line), "--config", s.conf)...)
	cmd := exec.Command("setpriv", append([]string{"--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"}, self.Args...)...)
	cmd.Env = self.Env
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	cmd.Run() // the exit code is looked at below
	if code := cmd.ProcessState.ExitCode(); code != want {
		s.t.Errorf("photosync %s: exit %d, want %d\n%s\n%s", line, code, want, o.String(), e.String())
	}
	return o.String(), e.String()
}

// A state that may not be written, or lies where nothing may be.
func TestUnwritableState(t *testing.T) {
	s := newSite(t, users(3), "")
	data := filepath.Join(s.dir, "data")
	path := filepath.Join(data, "state.db")
	edit(t, s.conf, func(c []byte) []byte {
		return bytes.ReplaceAll(c, []byte(filepath.Join(s.dir, "state.db")), []byte(path))
	})
	refused := func(line string) {
		t.Helper()
		_, errs := s.ordinary(exitFailed, line)
		if !strings.Contains(errs, "permission denied") || !strings.Contains(errs, "hint: give the user that runs photosync read and write access") {
			t.Errorf("photosync %s: stderr says\n%s", line, errs)
		}
	}
	mode := func(path string, m os.FileMode) {
		t.Helper()
		if err := os.Chmod(path, m); err != nil {
			t.Fatal(err)
		}
	}
	s.put(email(0), picture(0))
	if err := os.Mkdir(data, 0o500); err != nil {
		t.Fatal(err)
	}
	refused("sync")
	s.ordinary(exitChanges, "plan")
	mode(data, 0o700)
	s.ordinary(exitDone, "sync")

	mode(path, 0o400)
	for _, line := range []string{"sync", "state forget --yes " + email(0), "state compact"} {
		refused(line)
	}
	s.ordinary(exitDone, "plan")
	s.ordinary(exitDone, "state list")
	mode(path, 0)
	for _, line := range []string{"plan", "state list", "state export", "explain " + email(0)} {
		refused(line)
	}
	mode(path, 0o600)

	mode(data, 0o500) // what is uploaded is recorded; only the backup is not made
	backup := contents(path + ".backup")
	s.put(email(1), picture(1))
	if out, errs := s.ordinary(exitDone, "sync"); !strings.Contains(out, "1 uploaded") || !strings.Contains(errs, "the state could not be backed up") {
		t.Errorf("in a folder that is read-only: %s\n%s", out, errs)
	}
	refused("state compact")
	if !bytes.Equal(backup, contents(path+".backup")) {
		t.Error("the backup was changed")
	}
	mode(data, 0o700)
	if r := s.run(exitDone, "sync"); r.Totals.Unchanged != 2 || bytes.Equal(backup, contents(path+".backup")) {
		t.Errorf("afterwards: %+v, or no new backup", r.Totals)
	}
}

// A state that is deleted or replaced in the middle of a run: the run does not say
// success, and the next one does not begin anew.
func TestStateTakenAwayInMidRun(t *testing.T) {
	for name, c := range map[string]struct {
		take  func(path string) error
		words string
	}{
		"deleted":  {os.Remove, "was deleted while it was open"},
		"replaced": {func(path string) error { return os.Rename(path+".backup", path) }, "was replaced by another file while it was open"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, users(20), "")
			s.put(email(0), picture(0))
			s.run(exitDone, "sync")
			for i := range 20 {
				s.put(email(i), picture(i))
			}
			path := filepath.Join(s.dir, "state.db")
			s.sim.AddFault(simulator.Fault{Kind: "slow", Skip: 4, Delay: time.Second})
			taken := make(chan error)
			go func() {
				for s.sim.Counts().Accepted < 5 {
					time.Sleep(time.Millisecond)
				}
				taken <- c.take(path)
			}()
			errs := s.fails(exitFailed, "sync")
			if err := <-taken; err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(errs, c.words) || !strings.Contains(errs, "photosync state restore") {
				t.Errorf("stderr does not say %q:\n%s", c.words, errs)
			}
			r, err := report.Read(filepath.Join(s.dir, "reports", "latest.json"))
			if err != nil || r.Result != report.Failed || r.Error == nil || !strings.Contains(r.Error.Message, c.words) {
				t.Errorf("%v, the report says %q, %+v", err, r.Result, r.Error)
			}
			if name == "deleted" {
				if errs := s.fails(exitFailed, "sync"); !strings.Contains(errs, "is missing, although its backup") {
					t.Errorf("the next run says\n%s", errs)
				}
			}
		})
	}
}

// A disk with no room for the backup keeps the one before.
func TestBackupOnAFullDisk(t *testing.T) {
	s := newSite(t, users(3), "")
	disk := s.onSmallDisk("data")
	path := filepath.Join(disk, "state.db")
	s.put(email(0), picture(0))
	s.run(exitDone, "sync")
	backup := contents(path + ".backup")
	metrics := filepath.Join(s.dir, "photosync.prom")
	edit(t, s.conf, func(c []byte) []byte { return fmt.Appendf(c, "metrics: {textfile: %s}\n", metrics) })
	fill(t, disk)
	s.put(email(1), picture(1))
	code, out, errs := s.runFailing("")
	if code != exitDone || !strings.Contains(out, "1 uploaded") || !strings.Contains(errs, "the state could not be backed up") || !strings.Contains(errs, "no space left on device") {
		t.Errorf("exit %d\n%s\n%s", code, out, errs)
	}
	if !bytes.Equal(backup, contents(path+".backup")) || len(backup) == 0 {
		t.Error("the backup was changed")
	}
	check := func(want int, status string) {
		t.Helper()
		out, errs := s.ordinary(want, "check")
		if !strings.Contains(out, status) || !strings.Contains(out, "the state could not be backed up (runs in a row") {
			t.Errorf("check says nothing of the backup: %s\n%s", out, errs)
		}
	}
	check(exitDone, "the state could not be backed up (runs in a row: 1)")
	s.runFailing("")
	code, out, _ = s.runFailing("")
	if code != exitAttention || !strings.Contains(out, "the state could not be backed up (runs in a row: 3)") {
		t.Errorf("the third run without a backup: exit %d\n%s", code, out)
	}
	check(exitAttention, "runs in a row: 3")
	r, err := report.Read(filepath.Join(s.dir, "reports", "latest.json"))
	if err != nil || len(r.Findings) != 1 || r.Findings[0].Code != outcome.BackupFailing || r.Findings[0].Severity != outcome.Attention || r.Result != report.Partial {
		t.Errorf("%v, the report says %+v", err, r)
	}
	if m := contents(metrics); !bytes.Contains(m, []byte(`photosync_findings{code="backup_failing"} 1`)) {
		t.Errorf("the metrics say\n%s", m)
	}
	if litter, err := filepath.Glob(path + ".*-*"); err != nil || len(litter) > 0 {
		t.Errorf("left behind: %q, %v", litter, err)
	}
	flip("p00001@example.com", 10)(t, path)
	errs = s.fails(exitFailed, "sync")
	if !strings.Contains(errs, "photosync state restore") || !strings.Contains(errs, path+".backup") {
		t.Errorf("the older backup is not named:\n%s", errs)
	}
}
