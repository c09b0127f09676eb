package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"photosync/sources/ldap/slapdtest"
	"photosync/state"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

const token = "test-token"

// site is a folder with everything a run needs, and a Smartsheet.
type site struct {
	t      testing.TB
	dir    string
	photos string
	conf   string
	sim    *simulator.Server
}

func newSite(t testing.TB, users []smartsheet.User, moreSources string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	s.photos, s.conf = filepath.Join(s.dir, "photos"), filepath.Join(s.dir, "config.yaml")
	s.sim = simulator.New(simulator.Options{Token: token, Users: users})
	l, err := s.sim.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := os.Mkdir(s.photos, 0o700); err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf("smartsheet: {base_url: %q, requests_per_minute: 100000, timeout: 30s}\nsources:\n  - {name: hr, type: folder, path: %q, may_be_empty: true}\n%sstate: {path: %q}\nreport: {dir: %q}\n",
		l.URL(), s.photos, moreSources, filepath.Join(s.dir, "state.db"), filepath.Join(s.dir, "reports"))
	if err := os.WriteFile(s.conf, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// put writes a person's photo.
func (s *site) put(email string, photo []byte) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.photos, email+".png"), photo, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// run runs photosync in this process and returns its report.
func (s *site) run(want int, args ...string) *report.Report {
	s.t.Helper()
	var out, errs bytes.Buffer
	env := func(name string) string {
		return map[string]string{"SMARTSHEET_ACCESS_TOKEN": token, "LDAP_BIND_PASSWORD": slapdtest.Password}[name]
	}
	args = append(args, "--config", s.conf, "--output", "json")
	if code := run(context.Background(), args, env, &out, &errs); code != want {
		s.t.Fatalf("photosync %q: exit %d, want %d\n%s\n%s", args, code, want, out.String(), errs.String())
	}
	return summary(s.t, out.Bytes())
}

// latest is the report that the last run wrote.
func (s *site) latest() *report.Report {
	s.t.Helper()
	r, err := report.Read(newest(s.t, filepath.Join(s.dir, "reports")))
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *site) latestPath() string { return newest(s.t, filepath.Join(s.dir, "reports")) }

// newest is the newest report of a run in a folder.
func newest(t testing.TB, folder string) (file string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "2*Z-??????.json"))
	if err != nil {
		t.Fatal(err)
	}
	var last time.Time
	for _, f := range files {
		if fi, err := os.Stat(f); err == nil && !fi.ModTime().Before(last) {
			file, last = f, fi.ModTime()
		}
	}
	return file
}

// summary is the report in what --output json printed: its last line.
func summary(t testing.TB, out []byte) *report.Report {
	t.Helper()
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	last := struct {
		MessageType string `json:"message_type"`
		report.Report
	}{}
	if err := json.Unmarshal(lines[len(lines)-1], &last); err != nil || last.MessageType != "summary" {
		t.Fatalf("the last line is no summary: %v\n%s", err, out)
	}
	return &last.Report
}

// picture is a small PNG that differs by seed.
func picture(seed int) []byte {
	img := image.NewRGBA(image.Rect(0, 0, 4, 4))
	for i := range 16 {
		img.SetRGBA(i%4, i/4, color.RGBA{uint8(seed), uint8(seed >> 8), uint8(seed>>16 + i), 255})
	}
	var b bytes.Buffer
	if err := pngs.Encode(&b, img); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// pngs keeps its buffer, which is a megabyte.
var pngs = png.Encoder{BufferPool: new(buffer)}

type buffer struct {
	kept atomic.Pointer[png.EncoderBuffer]
}

func (b *buffer) Get() *png.EncoderBuffer     { return b.kept.Swap(nil) }
func (b *buffer) Put(used *png.EncoderBuffer) { b.kept.Store(used) }

func users(n int) []smartsheet.User {
	us := make([]smartsheet.User, n)
	for i := range us {
		us[i].Email = email(i)
	}
	return us
}

func email(i int) string { return fmt.Sprintf("p%05d@example.com", i) }

func ldapSource(srv *slapdtest.Server) string {
	return fmt.Sprintf("  - {name: ad, type: ldap, urls: [%q], bind_dn: %q, base_dn: %q, filter: (objectClass=inetOrgPerson)}\n", srv.URL, slapdtest.BindDN, slapdtest.BaseDN)
}

// The main job: two sources that overlap, a first run, a quiet one, one after a
// few edits, and one after a touch.
func TestFolderAndDirectory(t *testing.T) {
	const inFolder, first, all = 300, 150, 450 // from the first on, they are in the directory
	var ldif strings.Builder
	for i := first; i < all; i++ {
		ldif.WriteString(slapdtest.Entry(fmt.Sprintf("p%05d", i), email(i), picture(100_000+i)))
	}
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: ldif.String()})
	s := newSite(t, users(all), ldapSource(srv))
	want := map[string][]byte{}
	for i := range all {
		want[email(i)] = picture(100_000 + i)
	}
	for i := range inFolder {
		want[email(i)] = picture(i)
		s.put(email(i), want[email(i)])
	}
	check := func(uploads int) {
		t.Helper()
		total := 0
		for e, b := range want {
			img, ok := s.sim.Image(e)
			if !ok || !bytes.Equal(img.Data, b) {
				t.Fatalf("%s: the picture in Smartsheet is not the source's", e)
			}
			total += img.Uploads
		}
		if total != uploads {
			t.Fatalf("%d uploads so far, want %d", total, uploads)
		}
	}
	if r := s.run(exitDone, "sync"); r.Totals.Uploaded != all || r.Sources[1].WithPhoto != all-inFolder || r.Sources[0].WithPhoto != inFolder {
		t.Fatalf("first run: %+v %+v", r.Totals, r.Sources)
	}
	check(all)

	if r := s.run(exitDone, "sync"); r.Totals.Uploaded != 0 || r.Totals.Unchanged != all || r.Totals.Requests > 10 {
		t.Fatalf("second run: %+v", r.Totals)
	}
	for i := range 7 {
		want[email(i)] = picture(200_000 + i)
		s.put(email(i), want[email(i)])
	}
	for i := all - 100; i < all-95; i++ {
		want[email(i)] = picture(200_000 + i)
		srv.Modify(fmt.Sprintf("p%05d", i), "jpegPhoto", want[email(i)])
	}
	// A touch, and an LDAP edit that leaves the photo alone.
	now := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(s.photos, email(50)+".png"), now, now); err != nil {
		t.Fatal(err)
	}
	srv.Modify("p00400", "telephoneNumber", []byte("+1 555 0100"))
	if r := s.run(exitChanges, "plan"); r.Totals.Planned != 12 || len(r.Items) != 12 {
		t.Fatalf("plan: %+v", r.Totals)
	}
	if got := s.sim.Counts().Accepted; got != all {
		t.Fatalf("the plan uploaded %d pictures", got-all)
	}
	if r := s.run(exitDone, "sync"); r.Totals.Uploaded != 12 {
		t.Fatalf("after 12 edits: %+v", r.Totals)
	}
	check(all + 12)
	if c := s.sim.Counts(); c.MaxPerUser != 1 {
		t.Errorf("%d uploads for one user at the same moment", c.MaxPerUser)
	}
}

// What went wrong is in the report, all of it and nothing else.
func TestReportOfTroubles(t *testing.T) {
	s := newSite(t, users(20), "")
	for i := range 20 {
		s.put(email(i), picture(i))
	}
	s.put(email(3), picture(3)[:40])
	s.put("stranger@example.com", picture(99))
	if err := os.WriteFile(filepath.Join(s.photos, email(8)+".jpg"), picture(8), 0o600); err != nil {
		t.Fatal(err) // a second file for the same person
	}
	s.sim.AddFault(simulator.Fault{Kind: "partial", User: email(5)})
	s.sim.AddFault(simulator.Fault{Kind: "status", Status: 403, Code: 1188, User: email(6)})
	s.sim.AddFault(simulator.Fault{Kind: "status", Status: 500, Code: 4004, User: email(7), Count: 1})
	r := s.run(exitAttention, "sync")
	got := map[string]string{}
	for _, it := range r.Items {
		if it.Outcome == "uploaded" {
			continue
		}
		text := string(it.Reason) + " " + string(it.Outcome) + " " + it.Code
		if it.ErrorCode != nil {
			text += fmt.Sprint(" ", *it.ErrorCode, " ", *it.RefID != "")
		}
		for _, f := range it.FailedItems {
			text += fmt.Sprint(" ", *f.ErrorCode, " ", f.RefID != nil && *f.RefID == *it.RefID)
		}
		if it.Outcome != "skipped" && it.Hint == "" {
			t.Errorf("%s has no hint", it.Email)
		}
		got[it.Email] = text
	}
	want := map[string]string{
		email(3): "invalid_image failed truncated", email(5): "new partial_success  1074 true 1074 true",
		email(6): "new failed  1188 true", email(8): "ambiguous skipped ", "stranger@example.com": "not_in_smartsheet skipped ",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("items\n%v, want\n%v", got, want)
	}
	for _, it := range r.Items {
		if it.Email == email(7) && (it.Outcome != "uploaded" || it.Attempts != 2 || len(it.EarlierErrors) != 1 || it.EarlierErrors[0].RefID == "") {
			t.Errorf("the upload that went well at the second attempt: %+v", it)
		}
		if it.Email == email(8) && len(it.Candidates) != 2 {
			t.Errorf("candidates %q, want both", it.Candidates)
		}
	}
	// The same troubles again: those that cannot change by themselves are known.
	r = s.run(exitAttention, "sync")
	if r.SkippedByReason["known_bad"] != 2 || r.Totals.Failed != 1 || r.Totals.Uploaded != 0 {
		t.Errorf("second run: %+v %v", r.Totals, r.SkippedByReason)
	}
}

// A refused token stops everything at once.
func TestRefusedToken(t *testing.T) {
	s := newSite(t, users(50), "")
	for i := range 50 {
		s.put(email(i), picture(i))
	}
	s.sim.AddFault(simulator.Fault{Kind: "status", Status: 401, Code: 1003, Skip: 10})
	r := s.run(exitFailed, "sync")
	if r.Error == nil || r.Error.ErrorCode != 1003 || r.Error.RefID == "" || r.Totals.Uploaded != 10 || r.Totals.Failed > 4 {
		t.Errorf("error %+v, totals %+v", r.Error, r.Totals)
	}
	if n := s.sim.Counts().ByOp["upload"]; n > 14 {
		t.Errorf("%d uploads were tried, want at most 14", n)
	}
}

// Reading a large directory takes little memory: what go-ldap would need for it
// all at once is 700 MB.
func TestMemoryForALargeDirectory(t *testing.T) {
	n := 10_000
	if raceEnabled {
		n = 500 // the bound on memory means nothing there
	}
	photo := make([]byte, 20_000)
	var ldif strings.Builder
	pic := picture(1)
	for i := range n {
		copy(photo, pic)
		copy(photo[len(pic):], fmt.Sprint(i))
		ldif.WriteString(slapdtest.Entry(fmt.Sprintf("p%05d", i), email(i), photo))
	}
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: ldif.String()})
	ldif.Reset()
	s := newSite(t, users(n), ldapSource(srv))
	cmd := command(t, "sync", "--config", s.conf, "--log-level", "error", "--limit", "1")
	status := filepath.Join(s.dir, "status")
	cmd.Env = append(cmd.Env, statusFile+"="+status)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r, err := report.Read(newest(t, filepath.Join(s.dir, "reports")))
	if err != nil || r.Sources[1].WithPhoto != n || r.Totals.Unfinished != n-1 {
		t.Fatalf("%v, sources %+v, totals %+v", err, r.Sources, r.Totals)
	}
	if mb := peakMB(t, status); mb > 100 && !raceEnabled {
		t.Errorf("peak memory %d MB, want under 100", mb)
	} else {
		t.Logf("peak memory %d MB", mb)
	}
}

// peakMB reads the most memory that was resident out of a copy of
// /proc/PID/status (proc(5), VmHWM).
func peakMB(t testing.TB, file string) int {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var kB int
	_, rest, _ := strings.Cut(string(data), "VmHWM:")
	if _, err := fmt.Sscan(rest, &kB); err != nil {
		t.Fatal(err)
	}
	return kB >> 10
}

// memoryDir is a folder for a state whose test is not about the disk.
func memoryDir(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "photosync-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// usersOnRecord are the rows of users in a state.
func usersOnRecord(t testing.TB, st *state.Store) (us []state.User) {
	t.Helper()
	err := st.View(func(v *state.Snapshot) error {
		for u, err := range v.Users() {
			if err != nil {
				return err
			}
			us = append(us, u)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return us
}

// onRecord is the row of the user with an address; the zero User if there is none.
func onRecord(t testing.TB, st *state.Store, email string) state.User {
	t.Helper()
	for _, u := range usersOnRecord(t, st) {
		if u.Email == email {
			return u
		}
	}
	return state.User{}
}
