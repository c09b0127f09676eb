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

// BenchmarkNight is what a night without changes asks of the state: look up
// everyone in order. Per person.
func BenchmarkNight(b *testing.B) {
	const people = 100_000
	path := filepath.Join(b.TempDir(), "state.db")
	s := open(b, path)
	var records []Record
	emails := make([]string, people)
	for i := range people {
		records = append(records, sample(i))
		emails[i] = records[i].Email
	}
	put(b, s, records...)
	shut(b, s)
	s = open(b, path)
	b.ReportAllocs()
	err := s.View(func(v *Snapshot) error {
		for i := 0; b.Loop(); i++ {
			if _, found, err := v.Lookup(emails[i%people]); !found || err != nil {
				b.Fatal(found, err)
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkMillion is what a state of 1,000,000 people costs: opening it, a walk over
// everyone as a quiet night does it, export, import and compaction, each with the most
// memory that is resident meanwhile, the pages of the state among it:
//
//	go test -run '^$' -bench Million -benchtime 1x -timeout 5m ./state
func BenchmarkMillion(b *testing.B) {
	dir := b.TempDir()
	path, file := filepath.Join(dir, "state.db"), filepath.Join(dir, "state.jsonl")
	const people, batch = 1_000_000, 5000
	s := open(b, path)
	s.db.NoSync = true
	for i := 0; i < people; i += batch {
		records := make([]Record, batch)
		for j := range records {
			records[j] = sample(i + j)
		}
		put(b, s, records...)
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
		{"walk", func(b *testing.B) {
			s := open(b, path)
			n := 0
			err := s.View(func(v *Snapshot) error {
				for _, err := range v.Entries() {
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
			if n, err := Import(filepath.Join(b.TempDir(), "new.db"), f, ImportOptions{}); n != people || err != nil {
				b.Fatal(n, err)
			}
		}},
		{"compact", func(b *testing.B) {
			if _, _, err := open(b, path).Compact(); err != nil {
				b.Fatal(err)
			}
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
