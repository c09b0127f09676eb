package main

import (
	"os"
	"path/filepath"
	"testing"
)

// Somebody else owns a folder that root's photosync writes to, and lays links where it
// would write: nothing that they lead to is changed, given away or removed.
func TestLinkAttack(t *testing.T) {
	for name, c := range map[string]struct {
		link string // in the folder of the site
		run  []string
	}{
		"state":         {"state.db.backup", []string{"sync"}},
		"holder":        {"state.db.holder", []string{"sync"}},
		"latest report": {"reports/latest.json", []string{"sync"}},
		"latest page":   {"reports/latest.html", []string{"sync"}},
		"report -o":     {"out.html", []string{"report", "saved.json", "--html", "-o", "out.html"}},
		"export -o":     {"out.jsonl", []string{"state", "export", "-o", "out.jsonl"}},
		"plan -o":       {"plan.json", []string{"plan", "-o", "plan.json"}},
		"metrics":       {"photosync.prom", []string{"sync"}},
		"oauth secret":  {"secrets/client-secret", []string{"simulate", "--listen", "127.0.0.1:0", "--oauth", "secrets", "--users", "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, users(2), "")
			s.put(email(0), picture(0))
			s.run(exitDone, "sync")
			for from, to := range map[string]string{s.latestPath(): "saved.json"} {
				data, err := os.ReadFile(from)
				if err == nil {
					err = os.WriteFile(filepath.Join(s.dir, to), data, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			edit(t, s.conf, func(c []byte) []byte {
				return append(c, "metrics: {textfile: "+filepath.Join(s.dir, "photosync.prom")+"}\n"...)
			})
			victim := filepath.Join(t.TempDir(), "shadow")
			if err := os.WriteFile(victim, []byte("root's own"), 0o600); err != nil {
				t.Fatal(err)
			}
			link := filepath.Join(s.dir, c.link)
			if err := os.MkdirAll(filepath.Dir(link), 0o700); err != nil {
				t.Fatal(err)
			}
			os.Remove(link)
			if err := os.Symlink(victim, link); err != nil {
				t.Fatal(err)
			}
			s.put(email(1), picture(1))
			args := c.run
			if args[0] != "simulate" && args[0] != "report" {
				args = append(args, "--config", s.conf)
			}
			cmd := command(t, args...)
			cmd.Dir = s.dir
			out, _ := cmd.CombinedOutput() // some of these are refused
			fi, err := os.Lstat(victim)
			if err != nil || fi.Mode().Perm() != 0o600 || string(contents(victim)) != "root's own" {
				t.Errorf("what the link leads to was touched: %v, %q\n%s", err, contents(victim), out)
			}
		})
	}
}
