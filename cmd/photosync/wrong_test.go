package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"photosync/cmd/internal/console"
	"photosync/sources/ldap/slapdtest"
	"photosync/sync/report"
)

// TestWrongSetups runs a script for each way to set photosync up wrongly. check and a run
// say the same of it, name the cause, and do not end with 0. After the correction both do.
func TestWrongSetups(t *testing.T) {
	srv := slapdtest.Start(t, slapdtest.Config{
		LDIF:   slapdtest.Entry("p00000", email(0), picture(0)) + slapdtest.Entry("p00001", email(1), picture(1)),
		Access: "access to attrs=jpegPhoto by * none\n", // does not hold for the first account
	})
	scripts(t, "wrong", 20, os.DevNull, func(e *testscript.Env) {
		for name, value := range map[string]string{
			"LDAP": srv.URL, "LDAPS": srv.LDAPSURL, "CA": srv.CAFile, "BASE_DN": slapdtest.BaseDN,
			"BIND_DN": slapdtest.BindDN, "READER_DN": slapdtest.ReaderDN, "LDAP_BIND_PASSWORD": slapdtest.Password,
			"LDAP_SOURCE": fmt.Sprintf("type: ldap, urls: [%q], bind_dn: %q, base_dn: %q", srv.URL, slapdtest.BindDN, slapdtest.BaseDN),
		} {
			e.Setenv(name, value)
		}
	})
}

// photos writes pictures that differ: photos FILE...
func photos(ts *testscript.TestScript, _ bool, files []string) {
	for i, file := range files {
		file = ts.MkAbs(file)
		ts.Check(os.MkdirAll(filepath.Dir(file), 0o700))
		ts.Check(os.WriteFile(file, picture(i), 0o600))
	}
}

// configure writes config.yaml with one source, and the section match. Environment
// variables stand for their values: configure SOURCE [MATCH]
func configure(ts *testscript.TestScript, _ bool, args []string) {
	const text = "smartsheet: {base_url: $SMARTSHEET, requests_per_minute: 100000}\nsources: [{name: hr, %s}]\nmatch: {%s}\nstate: {path: state.db}\n"
	conf := os.Expand(fmt.Sprintf(text, args[0], strings.Join(args[1:], ", ")), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs("config.yaml"), []byte(conf), 0o600))
}

// agree runs check and sync. Both have to end with the same code, with the same findings,
// and say the same of the cause: agree CODE TEXT...
func agree(ts *testscript.TestScript, _ bool, args []string) {
	said := map[string]string{}
	for _, command := range []string{"check", "sync"} {
		exits(ts, false, []string{args[0], "photosync", command, "--output", "json"})
		said[command] = ts.ReadFile("stdout") + ts.ReadFile("stderr")
		for _, text := range args[1:] {
			if !strings.Contains(said[command], text) {
				ts.Fatalf("%s does not say %q:\n%s", command, text, said[command])
			}
		}
	}
	var checkup struct{ Findings []console.Check }
	var run struct{ report.Report }
	var inCheck, inRun []string
	last := regexp.MustCompile(`(?m)^\{"message_type":"(check|summary)".*$`)
	if err := json.Unmarshal([]byte(last.FindString(said["check"])), &checkup); err == nil {
		for _, k := range checkup.Findings {
			if k.Finding != "" {
				inCheck = append(inCheck, k.Finding+": "+k.Detail+" → "+k.Remedy)
			}
		}
	}
	if err := json.Unmarshal([]byte(last.FindString(said["sync"])), &run); err == nil {
		for _, f := range run.Findings {
			inRun = append(inRun, f.Code+": "+f.Message+" → "+f.Hint)
		}
	}
	slices.Sort(inCheck)
	slices.Sort(inRun)
	if args[0] == "3" && len(inRun) == 0 || !slices.Equal(inCheck, inRun) {
		ts.Fatalf("check finds\n%s\na run\n%s", strings.Join(inCheck, "\n"), strings.Join(inRun, "\n"))
	}
}
