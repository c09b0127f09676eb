package sources

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
)

// crowd is a source of many people in no order: files named after their addresses,
// or entries of a directory, with or without aliases.
type crowd struct {
	n                  int
	directory, aliases bool
}

func (c crowd) List(_ context.Context, each func(Person) error) (Listing, error) {
	for _, i := range rand.New(rand.NewPCG(1, 1)).Perm(c.n) {
		name := fmt.Sprintf("first%x.last%04x", i%5000, i)
		p := Person{
			Own: []string{name + "@example.com"}, HasPhoto: Present,
			Ref:   Ref{Name: fmt.Sprintf("%03d/%s@example.com.jpg", i%1000, name)},
			Stamp: base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%012x", i*7919)[:12]),
		}
		if c.aliases {
			p.Aliases = []string{fmt.Sprintf("f%x@example.com", i), fmt.Sprintf("u%06d@corp.example.com", i)}
		}
		if c.directory {
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
	folder, directory, aliases := crowd{1_000_000, false, false}, crowd{1_000_000, true, false}, crowd{1_000_000, true, true}
	for name, srcs := range map[string][]Named{
		"folder": {{Source: folder}}, "directory": {{Source: directory}}, "aliases": {{Source: aliases}}, "both": {{Source: folder}, {Source: directory}},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				people, _, err := Join(b.Context(), srcs)
				if err != nil {
					b.Fatal(err)
				}
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				b.ReportMetric(float64(m.HeapAlloc)/float64(folder.n), "B/person")
				n := 0
				for range people.All() {
					n++
				}
				if n != folder.n {
					b.Fatalf("%d people of %d", n, folder.n)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*folder.n), "ns/person")
		})
	}
}
