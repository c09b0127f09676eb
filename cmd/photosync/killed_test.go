package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"photosync/state"
	"photosync/sync/report"
)

const (
	kills    = 200
	mortals  = 12 // people of a run that is killed
	atOnce   = 4  // smartsheet.concurrency
	oneByOne = "user%04d@example.com"
)

// A run that is killed, wherever in its life, loses nothing that was recorded, and leaves
// nothing to be repeated but what was on the wire. Real files, real processes: photosync, and
// a simulator that outlives it.
func TestKilledAnywhere(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	m := newMortal(t)
	life := m.life()
	killed, runs, repeated := 0, 0, 0
	for killed < kills {
		runs++
		cmd := m.command("sync", "--config", m.conf)
		var errs strings.Builder
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		death := time.AfterFunc(time.Duration(rng.Int64N(int64(life))), func() { cmd.Process.Kill() })
		err := cmd.Wait()
		if death.Stop() { // it was quicker
			life -= life / 10
			if err != nil {
				t.Fatalf("run %d, which was not killed: %v\n%s", runs, err, errs.String())
			}
			m.whole()
			m.newPhotos()
			continue
		}
		killed++
		life += life / 40 // with the above, four of five runs are killed, wherever they are
		repeated += m.agree()
	}
	half := m.age()
	if out, err := m.command("sync", "--config", m.conf).CombinedOutput(); err != nil {
		t.Fatalf("the last run: %v\n%s", err, out)
	}
	m.whole()
	uploads := m.look().Uploads
	if most := m.generation*mortals + repeated; uploads > most {
		t.Errorf("%d uploads of %d pictures, %d of which were on the wire in a kill", uploads, m.generation*mortals, repeated)
	}
	t.Logf("%d kills in %d runs, %d populations, %d uploads repeated, %d files half-written", killed, runs, m.generation, uploads-m.generation*mortals, half)
	m.noLitter()
}

// mortal is a site whose runs are killed.
type mortal struct {
	t          *testing.T
	dir, conf  string
	bin        string
	root       string // of the simulator
	generation int    // of everybody's photos
	sums       map[string]string
	open       map[string]bool // whose upload kills before the last one left unrecorded
}

func newMortal(t *testing.T) *mortal {
	t.Helper()
	m := &mortal{t: t, dir: t.TempDir(), sums: map[string]string{}}
	m.bin, m.conf = filepath.Join(m.dir, "photosync.exe"), filepath.Join(m.dir, "config.yaml")
	// The test binary starts slowly, and slower under the race detector.
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", m.bin, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build photosync: %v\n%s", err, out)
	}
	m.root = strings.TrimSuffix(startSimulator(t, m.command("simulate", "--listen", "127.0.0.1:0", "--token", token, "--rpm", "0", "--users", fmt.Sprint(mortals))), "2.0")
	conf := fmt.Sprintf("smartsheet: {base_url: %q, requests_per_minute: 100000, concurrency: %d}\nsources: [{name: hr, type: folder, path: %q}]\nstate: {path: %q}\nreport: {dir: %q, keep: 5}\nguard: {min_people: 1000}\n",
		m.root+"2.0", atOnce, filepath.Join(m.dir, "photos"), m.state(), m.reports())
	if err := errors.Join(os.WriteFile(m.conf, []byte(conf), 0o600), os.Mkdir(filepath.Join(m.dir, "photos"), 0o700)); err != nil {
		t.Fatal(err)
	}
	m.newPhotos()
	return m
}

func (m *mortal) state() string   { return filepath.Join(m.dir, "data", "state.db") }
func (m *mortal) reports() string { return filepath.Join(m.dir, "reports") }

func (m *mortal) command(args ...string) *exec.Cmd {
	cmd := exec.Command(m.bin, args...)
	cmd.Env = append(os.Environ(), "SMARTSHEET_ACCESS_TOKEN="+token)
	return cmd
}

// startSimulator starts cmd, which is photosync simulate, and returns its address.
func startSimulator(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait() // it was killed
	})
	r := bufio.NewReader(out)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("the simulator does not start: %v", err)
		}
		if url, ok := strings.CutPrefix(strings.TrimSpace(line), "base_url: "); ok {
			go io.Copy(io.Discard, r)
			return url
		}
	}
}

// newPhotos gives everybody another photo.
func (m *mortal) newPhotos() {
	m.t.Helper()
	m.generation++
	for i := range mortals {
		name := filepath.Join(m.dir, "photos", fmt.Sprintf(oneByOne, i+1)+".png")
		if err := os.WriteFile(name, m.photo(i), 0o600); err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *mortal) photo(i int) []byte { return picture(m.generation*1000 + i) }

// life measures how long a run takes that is not killed.
func (m *mortal) life() time.Duration {
	m.t.Helper()
	start := time.Now()
	if out, err := m.command("sync", "--config", m.conf).CombinedOutput(); err != nil {
		m.t.Fatalf("first run: %v\n%s", err, out)
	}
	took := time.Since(start)
	m.whole()
	m.newPhotos()
	return took
}

// seen is what the simulator's page tells.
type seen struct {
	Uploads int
	Users   []struct{ Email, Image string }
}

func (m *mortal) look() (s seen) {
	m.t.Helper()
	if err := json.Unmarshal(m.get("users.json"), &s); err != nil {
		m.t.Fatal(err)
	}
	return s
}

func (m *mortal) get(path string) []byte {
	m.t.Helper()
	resp, err := http.Get(m.root + path)
	if err != nil {
		m.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		m.t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return b
}

// pictures returns the SHA-256 of everybody's picture in Smartsheet.
func (m *mortal) pictures() map[string]string {
	m.t.Helper()
	all := map[string]string{}
	for _, u := range m.look().Users {
		if u.Image == "" {
			continue
		}
		if m.sums[u.Image] == "" {
			m.sums[u.Image] = sum(m.get("images/" + u.Image))
		}
		all[u.Email] = m.sums[u.Image]
	}
	return all
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// recorded opens the state, as it is after a kill, and returns the SHA-256 of
// everybody's picture as the state has it.
func (m *mortal) recorded() map[string]string {
	m.t.Helper()
	all := map[string]string{}
	for _, path := range []string{m.state() + ".backup", m.state()} {
		st, err := state.Open(path, state.Options{ReadOnly: true})
		if err != nil {
			m.t.Fatalf("after a kill: %v", err)
		}
		clear(all)
		for _, u := range usersOnRecord(m.t, st) {
			if u.Sent != nil {
				all[u.Email] = u.Sent.UploadSHA256
			}
		}
		st.Close()
	}
	return all
}

// agree checks that what the state calls uploaded is in Smartsheet, and returns
// how many pictures are there that it does not know of: those that were on the
// wire. Whatever was half-written has another name than what is read.
func (m *mortal) agree() (onTheWire int) {
	m.t.Helper()
	pictures, recorded := m.pictures(), m.recorded()
	before, fresh := m.open, 0 // whoever was left open before comes last, and may still be
	m.open = map[string]bool{}
	for i := range mortals {
		e := fmt.Sprintf(oneByOne, i+1)
		switch have, known := pictures[e], recorded[e]; {
		case have == known:
		case have == sum(m.photo(i)):
			onTheWire++
			if m.open[e] = true; !before[e] {
				fresh++
			}
		default:
			m.t.Fatalf("%s: the state says %.8q is uploaded, Smartsheet has %.8q", e, known, have)
		}
	}
	if fresh > atOnce {
		m.t.Errorf("%d uploads are not recorded, of %d at once", fresh, atOnce)
	}
	files, err := filepath.Glob(filepath.Join(m.reports(), "*.json"))
	if err != nil {
		m.t.Fatal(err)
	}
	for _, f := range files {
		if _, err := report.Read(f); err != nil {
			m.t.Errorf("after a kill: %v", err)
		}
	}
	return onTheWire
}

// whole checks that everything came out right in the end.
func (m *mortal) whole() {
	m.t.Helper()
	pictures, recorded := m.pictures(), m.recorded()
	for i := range mortals {
		e, want := fmt.Sprintf(oneByOne, i+1), sum(m.photo(i))
		if pictures[e] != want || recorded[e] != want {
			m.t.Fatalf("%s: picture %.8q, state %.8q, want %.8q", e, pictures[e], recorded[e], want)
		}
	}
}

// age makes what the killed runs left as old as it must be to be
// taken for left over: until then it could be a run's that is still going on. It
// returns how many there are.
func (m *mortal) age() int {
	m.t.Helper()
	left, err := filepath.Glob(filepath.Join(m.dir, "*", ".photosync-*"))
	if err != nil {
		m.t.Fatal(err)
	}
	for _, f := range left {
		if err := os.Chtimes(f, time.Time{}, time.Now().Add(-2*time.Hour)); err != nil {
			m.t.Fatal(err)
		}
	}
	return len(left)
}

// expected are the files that may be there after a run.
var expected = regexp.MustCompile(`^(data/state\.db(\.backup)?|reports/(latest|\d{8}T\d{6}Z-\w+)\.(json|html|csv)|photos/.*|config\.yaml|photosync\.exe)$`)

// noLitter checks that what killed runs left half-written is gone.
func (m *mortal) noLitter() {
	m.t.Helper()
	err := filepath.WalkDir(m.dir, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(m.dir, path)
		if err == nil && !d.IsDir() && !expected.MatchString(filepath.ToSlash(rel)) {
			m.t.Errorf("%s is left over", rel)
		}
		return err
	})
	if err != nil {
		m.t.Error(err)
	}
}
