package state

import (
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
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

// BenchmarkMillion is what a state of 1,000,000 people and as many users costs:
// opening it, a pass over the people as a quiet night makes it, one over the users,
// export, import, compaction and backup, each with the most memory that is resident
// meanwhile, the pages of the state among it:
//
//	go test -run '^$' -bench Million -benchtime 1x -timeout 5m ./state
func BenchmarkMillion(b *testing.B) {
	dir := b.TempDir()
	path, file := filepath.Join(dir, "state.db"), filepath.Join(dir, "state.jsonl")
	const people, batch = 1_000_000, 5000
	s := open(b, path)
	s.db.NoSync = true
	for i := 0; i < people; i += batch {
		write(b, s, both(i, i+batch))
	}
	if err := s.db.Sync(); err != nil {
		b.Fatal(err)
	}
	shut(b, s)
	for _, c := range []struct {
		name string
		do   func(b *testing.B)
	}{
		{"open", func(b *testing.B) { shut(b, open(b, path)) }},
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
		}},
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
		}},
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
		}},
		{"import", func(b *testing.B) {
			f, err := os.Open(file)
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			if n, err := Import(filepath.Join(b.TempDir(), "new.db"), f, false); n != people || err != nil {
				b.Fatal(n, err)
			}
		}},
		{"compact", func(b *testing.B) {
			before, after, err := open(b, path).Compact()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(before)/1e6, "MB-before")
			b.ReportMetric(float64(after)/1e6, "MB-after")
		}},
		{"backup", func(b *testing.B) {
			s := open(b, path)
			write(b, s, both(0, 1))
			if err := s.Backup(); err != nil {
				b.Fatal(err)
			}
			shut(b, s)
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			debug.FreeOSMemory()
			os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // forget the peak: proc(5), on Linux
			for b.Loop() {
				c.do(b)
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
