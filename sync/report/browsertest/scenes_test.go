package browsertest

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// stage is where runs are made as an administrator would make them: with the simulator, and
// the portraits of the demo.
type stage struct {
	t     testing.TB
	dir   string
	faces []string // files with portraits
	env   []string
	base  string // address of the simulator
}

func newStage(t testing.TB) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir()}
	s.env = append(os.Environ(), "TMPDIR="+s.dir)
	s.photosync(0, "demo")
	faces, err := filepath.Glob(filepath.Join(s.dir, "photosync-demo-*", "photos", "user*.png"))
	if err != nil || len(faces) < 30 {
		t.Fatalf("the demo drew %d portraits, %v", len(faces), err)
	}
	for _, face := range faces {
		if !strings.Contains(face, "user0005") { // it is damaged
			s.faces = append(s.faces, face)
		}
	}
	cmd := exec.Command(photosync, "simulate", "--users", "36", "--rpm", "600", "--listen", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for lines := bufio.NewScanner(out); lines.Scan() && !strings.Contains(lines.Text(), "Ctrl-C"); {
		if base := regexp.MustCompile(`http://\S+/2\.0`).FindString(lines.Text()); base != "" {
			s.base = base
		}
		if token := regexp.MustCompile(`SMARTSHEET_ACCESS_TOKEN=\S+`).FindString(lines.Text()); token != "" {
			s.env = append(s.env, token)
		}
	}
	return s
}

// photosync runs the program, which must end with an exit code.
func (s *stage) photosync(code int, args ...string) {
	s.t.Helper()
	cmd := exec.Command(photosync, args...)
	cmd.Dir, cmd.Env = s.dir, s.env
	out, err := cmd.CombinedOutput()
	if e, ok := errors.AsType[*exec.ExitError](err); (err != nil && !ok) || cmd.ProcessState.ExitCode() != code {
		s.t.Fatalf("photosync %q: %v, %v, want exit %d\n%s", args, err, e, code, out)
	}
}

// dress gives everybody in the folder a portrait, turned further by some.
func (s *stage) dress(by int) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Join(s.dir, "photos"), 0o700); err != nil {
		s.t.Fatal(err)
	}
	for i := range 36 {
		face, err := os.ReadFile(s.faces[(i+by)%len(s.faces)])
		if err == nil {
			err = os.WriteFile(filepath.Join(s.dir, "photos", fmt.Sprintf("user%04d@example.com.png", i+1)), face, 0o600)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// page runs photosync with the photos in a folder and returns the page of the report.
func (s *stage) page(code int, command, folder string) string {
	s.t.Helper()
	conf := fmt.Sprintf("smartsheet: {base_url: %q, requests_per_minute: 600}\nsources: [{name: hr, type: folder, path: %s}]\n"+
		"state: {path: %[2]s.db}\nreport: {dir: reports-%[2]s, before: true}\n", s.base, folder)
	if err := os.WriteFile(filepath.Join(s.dir, "config.yaml"), []byte(conf), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.photosync(code, command)
	pages, err := filepath.Glob(filepath.Join(s.dir, "reports-"+folder, "2*.html"))
	if err != nil || len(pages) == 0 {
		s.t.Fatalf("no page: %v", err)
	}
	var last string
	for _, p := range pages {
		if fi, err := os.Stat(p); err == nil {
			if old, err := os.Stat(last); err != nil || fi.ModTime().After(old.ModTime()) {
				last = p
			}
		}
	}
	return last
}

// scenes are pages of what administrators meet: by name, and made by real runs.
func scenes(t testing.TB) map[string]string {
	t.Helper()
	s := newStage(t)
	s.dress(0)
	green := s.page(0, "sync", "photos")
	s.dress(1)
	plan := s.page(10, "plan", "photos")
	held := s.page(4, "sync", "photos")
	if err := os.Mkdir(filepath.Join(s.dir, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"green": green, "plan": plan, "held": held, "nobody": s.page(3, "sync", "empty")}
}
