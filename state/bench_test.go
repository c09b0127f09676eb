package state

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkLookup looks up people in order. Per person.
func BenchmarkLookup(b *testing.B) {
	const people = 100_000
	path := filepath.Join(b.TempDir(), "state.db")
	s := open(b, path)
	c := both(0, people)
	write(b, s, c)
	shut(b, s)
	s = open(b, path)
	b.ReportAllocs()
	err := s.View(func(v *Snapshot) error {
		for i := 0; b.Loop(); i++ {
			if _, found, err := v.Person(c.People[i%people].Email); !found || err != nil {
				b.Fatal(found, err)
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkMillion is what a state of 1,000,000 people, or of PEOPLE, and as many users
// costs: opening it, a pass over the people as a quiet night makes it, one over the
// users, export, import, compaction and backup, each with the most memory that is
// resident meanwhile, the pages of the state among it. Export and import are compared
// with those of the same lines by sqlite3, where that is installed.
//
//	go test -run '^$' -bench Million -benchtime 1x -timeout 5m ./state
func BenchmarkMillion(b *testing.B) {
	dir := b.TempDir()
	path, file := filepath.Join(dir, "state.db"), filepath.Join(dir, "state.jsonl")
	people, batch := 1_000_000, 5000
	if text := os.Getenv("PEOPLE"); text != "" {
		var err error
		if people, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	s := open(b, path)
	s.db.NoSync = true
	for i := 0; i < people; i += batch {
		write(b, s, both(i, min(i+batch, people)))
	}
	if err := s.db.Sync(); err != nil {
		b.Fatal(err)
	}
	shut(b, s)
	sqlite3, _ := exec.LookPath("sqlite3")
	table := filepath.Join(dir, "table.db")
	imports := []string{"DROP TABLE IF EXISTS lines;", "CREATE TABLE lines (line TEXT);", ".mode ascii", `.separator "\037" "\n"`, ".import " + file + " lines"}
	selects := []string{".output " + filepath.Join(dir, "lines"), "SELECT line FROM lines;"}
	for _, c := range []struct {
		name   string
		do     func(b *testing.B)
		sqlite []string // commands that do the same to the table "lines"
	}{
		{"open", func(b *testing.B) { shut(b, open(b, path)) }, nil},
		{"people", func(b *testing.B) {
			s := open(b, path)
			n := 0
			err := s.View(func(v *Snapshot) error {
				for r, err := range v.People() {
					if err != nil {
						return err
					}
					if r.Fingerprint != (Fingerprint{}) {
						n++
					}
				}
				return nil
			})
			if n != people || err != nil {
				b.Fatal(n, err)
			}
			shut(b, s)
		}, nil},
		{"users", func(b *testing.B) {
			s := open(b, path)
			n := 0
			err := s.View(func(v *Snapshot) error {
				for _, err := range v.Users() {
					if n++; err != nil {
						return err
					}
				}
				return nil
			})
			if n != people || err != nil {
				b.Fatal(n, err)
			}
			shut(b, s)
		}, nil},
		{"export", func(b *testing.B) {
			s := open(b, path)
			f, err := os.Create(file)
			if err == nil {
				err = errors.Join(s.Export(f), f.Close())
			}
			if err != nil {
				b.Fatal(err)
			}
			shut(b, s)
		}, selects},
		{"import", func(b *testing.B) {
			f, err := os.Open(file)
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			if n, err := Import(filepath.Join(b.TempDir(), "new.db"), f, false); n != people || err != nil {
				b.Fatal(n, err)
			}
		}, imports},
		{"compact", func(b *testing.B) {
			before, after, err := open(b, path).Compact()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(before)/1e6, "MB-before")
			b.ReportMetric(float64(after)/1e6, "MB-after")
		}, nil},
		{"backup", func(b *testing.B) {
			s := open(b, path)
			write(b, s, both(0, 1))
			if err := s.Backup(); err != nil {
				b.Fatal(err)
			}
			shut(b, s)
		}, nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			debug.FreeOSMemory()
			os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // forget the peak: proc(5), on Linux
			var ours, theirs time.Duration
			for b.Loop() {
				start := time.Now()
				c.do(b)
				ours += time.Since(start)
				if c.sqlite == nil || sqlite3 == "" {
					continue
				}
				if _, err := os.Stat(table); err != nil { // the first time
					runSQLite(b, sqlite3, table, imports)
				}
				start = time.Now()
				runSQLite(b, sqlite3, table, c.sqlite)
				theirs += time.Since(start)
			}
			b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N*people), "ns/person")
			if theirs > 0 {
				b.ReportMetric(ours.Seconds()/theirs.Seconds(), "x-sqlite3")
			}
			if status, err := os.ReadFile("/proc/self/status"); err == nil {
				if _, after, ok := strings.Cut(string(status), "VmHWM:"); ok {
					kB, _ := strconv.Atoi(strings.Fields(after)[0])
					b.ReportMetric(float64(kB)/1024, "MB-peak")
				}
			}
		})
	}
}

// runSQLite lets sqlite3 execute commands on a database.
func runSQLite(b *testing.B, sqlite3, database string, commands []string) {
	cmd := exec.Command(sqlite3, "-bail", database)
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n"))
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("sqlite3: %v\n%s", err, out)
	}
}
