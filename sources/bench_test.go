package sources

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
)

// crowd is a source of many people in no order: files named after their addresses,
// or, with aliases, entries of a directory.
type crowd struct {
	n       int
	aliases bool
}

func (c crowd) List(_ context.Context, each func(Person) error) (Listing, error) {
	for _, i := range rand.New(rand.NewPCG(1, 1)).Perm(c.n) {
		name := fmt.Sprintf("first%x.last%04x", i%5000, i)
		p := Person{
			Emails: []string{name + "@example.com"}, HasPhoto: Present,
			Ref:   Ref{Name: fmt.Sprintf("%03d/%s@example.com.jpg", i%1000, name)},
			Stamp: fmt.Sprintf("%d-%x-%x-%x", 20_000+i, 1_790_000_000_000_000_000+i*1000, 1_790_000_000_000_000_000+i*1001, 1000+i),
		}
		if c.aliases {
			p.Emails = append(p.Emails, fmt.Sprintf("f%x@example.com", i), fmt.Sprintf("u%06d@corp.example.com", i))
			p.DisplayName = fmt.Sprintf("First%x Last%04x", i%5000, i)
			p.Ref = Ref{Name: "CN=" + p.DisplayName + ",OU=People,DC=example,DC=com", Key: fmt.Sprintf("%08x-1111-4222-8333-%012x", i, i*7)}
			p.Stamp = fmt.Sprintf("entryCSN=20261124021559.%06dZ#000000#000#000000", i%1_000_000)
		}
		if err := each(p); err != nil {
			return Listing{}, err
		}
	}
	return Listing{Entries: c.n, Complete: true}, nil
}

func (crowd) Photos(context.Context, []Ref, func(Photo) error) error { return nil }

// BenchmarkJoin lists and joins a million people. Making them is a large part of
// the time.
//
//	go test -run '^$' -bench Join -benchtime 1x ./sources
func BenchmarkJoin(b *testing.B) {
	for name, src := range map[string]crowd{"folder": {1_000_000, false}, "directory": {1_000_000, true}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				people, _, err := Join(b.Context(), []Named{{Name: "a", Source: src}})
				if err != nil {
					b.Fatal(err)
				}
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				b.ReportMetric(float64(m.HeapAlloc)/float64(src.n), "B/person")
				n := 0
				for range people.All() {
					n++
				}
				if n != src.n {
					b.Fatalf("%d people of %d", n, src.n)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*src.n), "ns/person")
		})
	}
}
