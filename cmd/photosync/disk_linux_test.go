package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"photosync/state"
	"photosync/sync/report"
	"photosync/sync/smartsheet/simulator"
)

// What a disk does to the state and to the reports: full and read-only on a real
// small one, failing by system calls that fail. The run ends with exit code 1 and
// says why, and the next one, on a sound disk, is right.
func TestBrokenDisks(t *testing.T) {
	for name, c := range map[string]struct {
		part    string                          // of the site that is on the small disk: "data" or "reports"
		spoil   func(t *testing.T, disk string) // before the run
		fails   string                          // CALL=ERRNO from the tenth upload on
		uploads bool                            // whether the run gets as far
		words   []string                        // on stderr
	}{
		"state, full":      {"data", fill, "", true, []string{"data/state.db\": no space left on device", "hint: make room on that disk"}},
		"state, read-only": {"data", readOnly, "", false, []string{"data/state.db\": read-only file system", "hint: the disk is mounted read-only"}},
		"state, fails to write": {"data", nil, "pwrite64=EIO", true, []string{
			"data/state.db\": input/output error", "hint: the disk is failing: see the system's log"}},
		"state, fails to sync": {"data", nil, "fdatasync=EIO", true, []string{
			"data/state.db\": input/output error", "hint: the disk is failing: see the system's log"}},
		"state, read-only after an error": {"data", nil, "pwrite64=EROFS", true, []string{
			"data/state.db\": read-only file system", "hint: the disk is mounted read-only"}},
		"reports, full": {"reports", fill, "", true, []string{
			"write report", "no space left on device", "hint: make room on that disk", "what was uploaded is recorded"}},
		"reports, read-only":     {"reports", readOnly, "", false, []string{"write report", "read-only file system", "hint: the disk is mounted read-only"}},
		"reports, fails to sync": {"reports", nil, "fsync=EIO", true, []string{"write report", "input/output error", "hint: the disk is failing", "what was uploaded is recorded"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, users(45), "")
			disk := s.onSmallDisk(c.part)
			for i := range 5 {
				s.put(email(i), picture(i))
			}
			s.run(exitDone, "sync")
			for i := range 45 {
				s.put(email(i), picture(i))
			}
			if c.spoil != nil {
				c.spoil(t, disk)
			}
			code, out, errs := s.runFailing(c.fails)
			if code != exitFailed || strings.Contains(errs, "goroutine") {
				t.Fatalf("exit %d, want %d\n%s\n%s", code, exitFailed, out, errs)
			}
			for _, w := range c.words {
				if !strings.Contains(errs, w) {
					t.Errorf("stderr does not say %q:\n%s", w, errs)
				}
			}
			done := s.sim.Counts().Accepted
			if (done > 5) != c.uploads {
				t.Errorf("%d uploads before the disk broke, want some: %v", done-5, c.uploads)
			}
			if c.part == "data" && c.uploads {
				s.confessed(done)
			}
			mend(t, disk)
			s.run(exitDone, "sync")
			s.allArrived(45, 45+atOnce)
			s.run(exitDone, "sync")
			s.allArrived(45, 45+atOnce)
		})
	}
}

// onSmallDisk mounts a small disk where a part of the site goes.
func (s *site) onSmallDisk(part string) string {
	s.t.Helper()
	disk := filepath.Join(s.dir, part)
	if err := os.Mkdir(disk, 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=4m"); err != nil {
		s.t.Fatalf("a small disk cannot be mounted (%v): run these tests as root, where mounting is allowed", err)
	}
	s.t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			s.t.Error(err)
		}
	})
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		s.t.Fatal(err)
	}
	conf = bytes.ReplaceAll(conf, []byte(filepath.Join(s.dir, "state.db")), []byte(filepath.Join(s.dir, "data", "state.db")))
	conf = append(conf, "guard: {min_people: 1000}\n"...)
	if err := os.WriteFile(s.conf, conf, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return disk
}

// fill leaves eight pages of room: enough for the rows of the new people, too little for all uploads.
func fill(t *testing.T, disk string) {
	t.Helper()
	f, err := os.Create(filepath.Join(disk, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size := int64(0)
	for {
		n, err := f.Write(make([]byte, 4096))
		size += int64(n)
		if errors.Is(err, syscall.ENOSPC) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(size - 8*4096); err != nil {
		t.Fatal(err)
	}
}

func readOnly(t *testing.T, disk string) {
	t.Helper()
	if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
}

// mend undoes fill and readOnly.
func mend(t *testing.T, disk string) {
	t.Helper()
	if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(disk, "ballast")); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

// runFailing runs sync in a process of its own, in which a system call fails after
// the tenth upload.
func (s *site) runFailing(fails string) (code int, out, errs string) {
	s.t.Helper()
	cmd := command(s.t, "sync", "--config", s.conf)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if fails == "" {
		cmd.Run() // the exit code is looked at below
		return cmd.ProcessState.ExitCode(), o.String(), e.String()
	}
	now := filepath.Join(s.dir, "now")
	cmd.Env = append(cmd.Env, failing+"="+fails+","+now)
	at := s.sim.Counts().Accepted + 10
	// What follows those ten takes so long that it is still under way when the calls fail.
	s.sim.AddFault(simulator.Fault{Kind: "slow", Skip: 10, Delay: time.Second})
	defer s.sim.ClearFaults()
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait() // the exit code is looked at below
		close(ended)
	}()
	until := func(reached func() bool) {
		s.t.Helper()
		for !reached() {
			select {
			case <-ended:
				s.t.Fatalf("ended before: %s", e.String())
			case <-time.After(time.Millisecond): // another process makes the progress
			}
		}
	}
	until(func() bool { return s.sim.Counts().Accepted >= at })
	if err := os.WriteFile(now, nil, 0o600); err != nil {
		s.t.Fatal(err)
	}
	until(func() bool { _, err := os.Stat(now); return err != nil }) // it removes the file when they fail
	s.sim.ClearFaults()
	<-ended
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// confessed checks that the report of a run that could not record says which of
// its uploads are not recorded.
func (s *site) confessed(accepted int) {
	s.t.Helper()
	r, err := report.Read(newest(s.t, filepath.Join(s.dir, "reports")))
	if err != nil {
		s.t.Fatal(err)
	}
	st, err := state.Open(filepath.Join(s.dir, "data", "state.db"), state.Options{ReadOnly: true})
	if err != nil {
		s.t.Fatal(err)
	}
	defer st.Close()
	silent, unrecorded := 0, 0
	for _, it := range r.Items {
		if it.Outcome != "uploaded" {
			continue
		}
		said := strings.Contains(it.Message, "not recorded")
		if u := onRecord(s.t, st, it.Email); u.Sent == nil {
			unrecorded++
			if !said {
				silent++
			}
		}
	}
	if silent > 0 || unrecorded > atOnce || r.Totals.Uploaded != accepted-5 || r.Result != report.Failed || r.Error == nil {
		s.t.Errorf("%d of %d uploads are not recorded, %d of them unsaid; report %+v %+v", unrecorded, accepted-5, silent, r.Totals, r.Error)
	}
}

// allArrived checks that n people have their pictures, after at most so many
// uploads.
func (s *site) allArrived(n, most int) {
	s.t.Helper()
	for i := range n {
		if img, ok := s.sim.Image(email(i)); !ok || !bytes.Equal(img.Data, picture(i)) {
			s.t.Fatalf("%s did not arrive", email(i))
		}
	}
	if got := s.sim.Counts().Accepted; got > most {
		s.t.Errorf("%d uploads, want at most %d", got, most)
	}
}
