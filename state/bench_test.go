package state

import (
	"path/filepath"
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
