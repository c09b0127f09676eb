package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"photosync/sources/ldap/slapdtest"
	"photosync/sync/report"
)

// directory starts an LDAP server with the given people, whose pictures are made
// from seeds.
func directory(t *testing.T, people int, seed func(int) int) *slapdtest.Server {
	var ldif strings.Builder
	for i := range people {
		ldif.WriteString(slapdtest.Entry(fmt.Sprintf("p%05d", i), email(i), picture(seed(i))))
	}
	return slapdtest.Start(t, slapdtest.Config{LDIF: ldif.String()})
}

// turnTo makes the configuration name another server.
func (s *site) turnTo(from, to *slapdtest.Server) {
	s.t.Helper()
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.conf, bytes.ReplaceAll(conf, []byte(from.URL), []byte(to.URL)), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// held runs, and demands that these guards hold it and nothing is written but a
// report and the plan beside it.
func (s *site) held(guards ...string) *report.Report {
	s.t.Helper()
	before, uploads := s.stateFile(), s.sim.Counts().ByOp["upload"]
	r := s.run(exitHeld, "sync")
	var broken []string
	for _, g := range r.Guards {
		broken = append(broken, g.Guard)
	}
	if fmt.Sprint(broken) != fmt.Sprint(guards) {
		s.t.Errorf("held by %v, want %v", r.Guards, guards)
	}
	if s.sim.Counts().ByOp["upload"] != uploads || !bytes.Equal(before, s.stateFile()) {
		s.t.Error("a held run wrote")
	}
	if _, err := readPlan(r.PlanFile); err != nil || r.PlanFile != filepath.Join(s.dir, "reports", r.RunID+".plan.json") {
		s.t.Errorf("the plan: %q, %v", r.PlanFile, err)
	}
	return r
}

func (s *site) stateFile() []byte {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.dir, "state.db"))
	if err != nil {
		s.t.Fatal(err)
	}
	return data
}

// approved runs the very command that a held run names, twice: it does what was
// planned, once.
func (s *site) approved(r *report.Report, uploads int) {
	s.t.Helper()
	command := strings.Fields(r.Approve)
	if len(command) != 6 || command[0] != "photosync" || command[5] != r.PlanID {
		s.t.Fatalf("the command to approve plan %s is %q", r.PlanID, r.Approve)
	}
	args := append([]string{command[1]}, command[4:]...) // run names the configuration itself
	if done := s.run(exitDone, args...); done.Totals.Uploaded != uploads {
		s.t.Errorf("approved: %+v, want %d uploads", done.Totals, uploads)
	}
	if again := s.run(exitDone, args...); again.Totals.Uploaded != 0 {
		s.t.Errorf("approved once more: %+v", again.Totals)
	}
	if quiet := s.run(exitDone, "sync"); quiet.Result != report.NothingToDo {
		s.t.Errorf("the run after: %+v", quiet.Totals)
	}
}

func itself(i int) int { return 5000 + i }

// A directory that suddenly lists 3 % of its people: a replica that is being built,
// or a service account that lost its rights.
func TestDirectoryShrinks(t *testing.T) {
	whole, rest := directory(t, 100, itself), directory(t, 3, itself)
	s := newSite(t, users(100), ldapSource(whole))
	if r := s.run(exitDone, "sync"); r.Totals.Uploaded != 100 { // a first run is not held
		t.Fatalf("first run: %+v", r.Totals)
	}
	s.turnTo(whole, rest)
	r := s.held("max_removed", "min_listed")
	if again := s.held("max_removed", "min_listed"); again.PlanID != r.PlanID {
		t.Errorf("the same plan is %s, then %s", r.PlanID, again.PlanID)
	}
	s.turnTo(rest, whole) // it was a mistake
	if quiet := s.run(exitDone, "sync"); quiet.Result != report.NothingToDo {
		t.Errorf("the run after: %+v", quiet.Totals)
	}
	s.turnTo(whole, rest) // it was not
	s.approved(s.held("max_removed", "min_listed"), 0)
}

// A directory that shows everyone the same silhouette.
func TestDirectoryOfSilhouettes(t *testing.T) {
	faces, silhouettes := directory(t, 60, itself), directory(t, 60, func(int) int { return 1 })
	s := newSite(t, users(60), ldapSource(silhouettes))
	r := s.run(exitAttention, "sync") // nobody gets one in the first run
	if r.Totals.Uploaded != 0 || r.Totals.Held != 60 || r.Items[0].Reason != "shared_image" {
		t.Fatalf("first run: %+v", r.Totals)
	}
	s.turnTo(silhouettes, faces)
	if r := s.run(exitDone, "sync"); r.Totals.Uploaded != 60 {
		t.Fatalf("with faces: %+v", r.Totals)
	}
	s.turnTo(faces, silhouettes)
	r = s.held("max_replaced")
	if r.Items[0].Reason != "shared_image" || r.Items[0].Outcome != "held" {
		t.Errorf("item %+v", r.Items[0])
	}
	s.approved(r, 60)
}

// An export of HR that replaces all pictures.
func TestExportReplacesAll(t *testing.T) {
	s := newSite(t, users(60), "")
	for i := range 60 {
		s.put(email(i), picture(i))
	}
	s.run(exitDone, "sync")
	for i := range 60 {
		s.put(email(i), picture(1000+i))
	}
	r := s.held("max_replaced")
	for i := range 60 {
		if img, _ := s.sim.Image(email(i)); !bytes.Equal(img.Data, picture(i)) {
			t.Fatalf("%s has another picture", email(i))
		}
	}
	s.approved(r, 60)
	for i := range 60 { // and by the plan that the held run left
		s.put(email(i), picture(2000+i))
	}
	r = s.held("max_replaced")
	if done := s.run(exitDone, "apply", r.PlanFile, "--strict"); done.Totals.Uploaded != 60 {
		t.Errorf("applied: %+v", done.Totals)
	}
	s.run(exitHeld, "apply", r.PlanFile)
}
