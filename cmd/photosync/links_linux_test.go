package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"photosync/sync/smartsheet/simulator"
)

// attacker is a user of this machine who owns the folders that root's photosync writes to.
const attacker = 65534

// Somebody else owns a folder that root's photosync writes to, and lays links where it
// would write: nothing that they lead to is changed, given away or removed. The table has
// every name of a file that photosync writes and that can be known before; those of runs
// and of files before they are whole have random parts, and must be free.
func TestLinkAttack(t *testing.T) {
	oauth := filepath.Join("secrets", "refresh-token")
	next := fmt.Sprintf("%s.%.16x.new", oauth, sha256.Sum256([]byte("refresh")))
	simulate := "simulate --listen 127.0.0.1:0 --users 1 --oauth secrets"
	for name, c := range map[string]struct {
		link string // in the folder of the site
		hard bool   // it is one more name of the file
		run  string
		says string // shows that it came to that file, and what it did
	}{
		"state":                    {"state.db", false, "sync", "is not followed"},
		"state, compacted":         {"state.db", false, "state compact", "is not followed"},
		"state, restored":          {"state.db", false, "state restore --yes", "is not followed"},
		"state, imported":          {"state.db", false, "state import --replace saved.jsonl", "is not followed"},
		"backup":                   {"state.db.backup", false, "sync", "1 uploaded"},
		"backup, restored":         {"state.db.backup", false, "state restore --yes", "has no backup beside it"},
		"holder":                   {"state.db.holder", false, "sync", "1 uploaded"},
		"holder, of a reader":      {"state.db.holder", false, "plan", "1 planned"},
		"latest report":            {"reports/latest.json", false, "sync", "is not a regular file"},
		"latest page":              {"reports/latest.html", false, "sync", "is not a regular file"},
		"latest plan":              {"reports/latest-plan.json", false, "plan", "is not a regular file"},
		"report -o":                {"out.html", false, "report saved.json --html -o out.html", "is not a regular file"},
		"export -o":                {"out.jsonl", false, "state export -o out.jsonl", "is not a regular file"},
		"plan -o":                  {"plan.json", false, "plan -o plan.json", "is not a regular file"},
		"metrics":                  {"photosync.prom", false, "sync", "is not a regular file"},
		"hard metrics":             {"photosync.prom", true, "sync", "1 uploaded"},
		"configuration":            {"new.yaml", false, "init new.yaml", "is already there"},
		"simulated secret":         {"secrets/client-secret", false, simulate, "is already there"},
		"simulated token":          {oauth, false, simulate, "is already there"},
		"simulated over a secret":  {"secrets/client-secret", true, simulate, "is already there"},
		"simulated over a token":   {oauth, true, simulate, "is already there"},
		"refresh token":            {oauth, false, "plan --config oauth.yaml", "is not followed"},
		"refresh token, logged in": {oauth, false, "oauth login --replace --config oauth.yaml", "is not followed"},
		"new refresh token":        {oauth, false, "oauth login --config oauth.yaml", "is already there"},
		"its login":                {oauth + ".login", false, "oauth login --replace --config oauth.yaml", "is already there"},
		"its lock":                 {oauth + ".lock", false, "plan --config oauth.yaml", "too many levels of symbolic links"},
		"its hard lock":            {oauth + ".lock", true, "plan --config oauth.yaml", "is not given away"},
		"next refresh token":       {next, false, "plan --config oauth.yaml", "2 planned"},
		"hard next refresh token":  {next, true, "plan --config oauth.yaml", "2 planned"},
		"access token":             {oauth + ".access", false, "plan --config oauth.yaml", "2 planned"},
		"next access token":        {oauth + ".access.tmp", false, "plan --config oauth.yaml", "2 planned"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := attackedSite(t)
			victim := filepath.Join(t.TempDir(), "shadow")
			link := filepath.Join(s.dir, c.link)
			os.Remove(link)
			err := errors.Join(os.WriteFile(victim, []byte("root's own"), 0o600), os.MkdirAll(filepath.Dir(link), 0o700))
			if c.hard {
				err = errors.Join(err, os.Link(victim, link))
			} else {
				err = errors.Join(err, os.Symlink(victim, link), os.Lchown(link, attacker, attacker))
			}
			if err != nil {
				t.Fatal(err)
			}
			cmd := command(t, strings.Fields(c.run)...)
			cmd.Dir = s.dir
			cmd.Env = append(cmd.Env, "PHOTOSYNC_CONFIG="+s.conf)
			if strings.Contains(c.run, "oauth.yaml") {
				cmd.Env = append(cmd.Env, "SMARTSHEET_ACCESS_TOKEN=", "SMARTSHEET_CLIENT_SECRET=app-secret")
			}
			defer time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() }).Stop() // what should be refused waits
			out, _ := cmd.CombinedOutput()                                             // some of these are refused
			fi, err := os.Lstat(victim)
			if err != nil || fi.Mode().Perm() != 0o600 || fi.Sys().(*syscall.Stat_t).Uid != 0 || string(contents(victim)) != "root's own" {
				t.Errorf("what the link leads to was touched: %v, %v, %q\n%s", fi, err, contents(victim), out)
			}
			if beside, _ := filepath.Glob(filepath.Join(filepath.Dir(victim), "*")); len(beside) != 1 {
				t.Errorf("something was written beside what the link leads to: %q\n%s", beside, out)
			}
			if !bytes.Contains(out, []byte(c.says)) {
				t.Errorf("it does not say %q:\n%s", c.says, out)
			}
		})
	}
}

// attackedSite is a site in folders that the attacker owns. One picture has been uploaded,
// another one is new. With oauth.yaml, another Smartsheet is asked, with a refresh token.
func attackedSite(t *testing.T) *site {
	t.Helper()
	s := newSite(t, users(2), "")
	s.put(email(0), picture(0))
	edit(t, s.conf, func(c []byte) []byte {
		return fmt.Appendf(c, "metrics: {textfile: %q}\n", filepath.Join(s.dir, "photosync.prom"))
	})
	s.run(exitDone, "sync")
	if code := run(t.Context(), []string{"state", "export", "--config", s.conf, "-o", filepath.Join(s.dir, "saved.jsonl")}, os.Getenv, io.Discard, io.Discard); code != exitDone {
		t.Fatal("export: exit", code)
	}
	s.put(email(1), picture(1))
	sim := simulator.New(simulator.Options{Users: users(2), OAuth: &simulator.OAuth{ClientID: "app", ClientSecret: "app-secret", RefreshToken: "refresh"}})
	l, err := sim.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	token := filepath.Join(s.dir, "secrets", "refresh-token")
	_, rest, _ := bytes.Cut(contents(s.conf), []byte("\n"))
	rest = bytes.ReplaceAll(rest, []byte("state.db"), []byte("other.db"))
	conf := fmt.Appendf(nil, "smartsheet: {base_url: %q, oauth2: {client_id: app, refresh_token_file: %q}}\n%s", l.URL(), token, rest)
	err = errors.Join(os.Mkdir(filepath.Dir(token), 0o700), os.WriteFile(token, []byte("refresh\n"), 0o600),
		os.WriteFile(filepath.Join(s.dir, "oauth.yaml"), conf, 0o600), os.WriteFile(filepath.Join(s.dir, "saved.json"), contents(s.latestPath()), 0o600))
	for _, name := range []string{".", "secrets", "secrets/refresh-token", "state.db", "state.db.backup", "reports", "reports/latest.json"} {
		err = errors.Join(err, os.Chown(filepath.Join(s.dir, name), attacker, attacker))
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What root writes by hand in the place of another user's file, or beside it, belongs to
// that user: the nightly run must be able to read it.
func TestOwnerStays(t *testing.T) {
	s := attackedSite(t)
	for _, line := range []string{
		"plan", "sync", "state compact", "plan --config oauth.yaml", "sync --config oauth.yaml",
		"state import --replace saved.jsonl",
	} {
		cmd := command(t, strings.Fields(line)...)
		cmd.Dir = s.dir
		cmd.Env = append(cmd.Env, "PHOTOSYNC_CONFIG="+s.conf)
		if strings.Contains(line, "oauth.yaml") {
			cmd.Env = append(cmd.Env, "SMARTSHEET_ACCESS_TOKEN=", "SMARTSHEET_CLIENT_SECRET=app-secret")
		}
		out, _ := cmd.CombinedOutput() // the files are looked at below
		for _, name := range []string{"state.db", "state.db.backup", "secrets/*"} {
			files, _ := filepath.Glob(filepath.Join(s.dir, name))
			for _, file := range files {
				if fi, err := os.Lstat(file); err != nil || fi.Sys().(*syscall.Stat_t).Uid != attacker || fi.Mode().Perm() != 0o600 {
					t.Errorf("after %s, %s is %v (%v)\n%s", line, file, fi.Mode(), err, out)
				}
			}
			if len(files) == 0 {
				t.Errorf("after %s, there is no %s\n%s", line, name, out)
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, "secrets", "*")); len(left) != 3 { // token, lock, access token
		t.Errorf("the secrets are %q", left)
	}
}
