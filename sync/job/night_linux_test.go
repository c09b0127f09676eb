package job

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/photo"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet/simulator"
)

// throng is a source of n people in an order of its own, as a folder or a directory
// has one. Nobody is asked for a photo.
type throng struct{ n int }

// person is the i-th in order of the emails.
func (c throng) person(i int) sources.Person {
	name := fmt.Sprintf("first.last%07d@example.com", i)
	return sources.Person{
		Emails: []string{name}, HasPhoto: sources.Present,
		Ref:   sources.Ref{Name: fmt.Sprintf("%03d/%s.jpg", i%1000, name)},
		Stamp: fmt.Sprintf("%d-%x-%x-%x", 20_000+i, 1_790_000_000_000_000_000+i*1000, 1_790_000_000_000_000_000+i*1001, 1000+i),
	}
}

// shuffled is the i-th person of the listing.
func (c throng) shuffled(i int) int { return i * 15_485_863 % c.n } // a prime number

func (c throng) List(_ context.Context, each func(sources.Person) error) (sources.Listing, error) {
	for i := range c.n {
		if err := each(c.person(c.shuffled(i))); err != nil {
			return sources.Listing{}, err
		}
	}
	return sources.Listing{Entries: c.n, Complete: true}, nil
}

func (throng) Photos(context.Context, []sources.Ref, func(sources.Photo) error) error {
	return fmt.Errorf("a quiet night reads no photo")
}

func (c throng) record(i int, rendering string) state.Record {
	p := c.person(i)
	return state.Record{
		Email: p.Emails[0], UserID: 48569348493401200 + int64(i), Source: "hr", Ref: p.Ref.Name, Stamp: "hr=" + p.Stamp,
		SourceSHA256: sum([]byte(p.Ref.Name)), UploadSHA256: sum([]byte(p.Stamp)), Rendering: rendering,
		ImageID: fmt.Sprintf("I!1!%08x", i), UploadedAt: time.Unix(1_790_000_000, 0), RunID: "20261125T000000Z-abcdef",
	}
}

// remembered fills a state as a first run does, in order of the emails, and as ten
// nights do that change a thousand people each: they scatter its pages over the file.
func (c throng) remembered(b *testing.B, path string, photos photo.Options) {
	st, err := state.Open(path, state.Options{})
	if err != nil {
		b.Fatal(err)
	}
	rendering := photos.Fingerprint()
	put := func(n int, person func(i int) int) {
		records := make([]state.Record, n)
		for i := range records {
			records[i] = c.record(person(i), rendering)
		}
		if err := st.Put(records...); err != nil {
			b.Fatal(err)
		}
	}
	for at := 0; at < c.n; at += 10_000 {
		put(min(10_000, c.n-at), func(i int) int { return at + i })
	}
	for night := range 10 {
		put(min(1000, c.n/10), func(i int) int { return c.shuffled(night*1000 + i) })
	}
	if err := st.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkQuietNight is a plan in which nothing changed, from opening the state to
// the report: how long it takes after the listing, with the guards, and the most
// memory that is resident on the way, the pages of the state among it:
//
//	PEOPLE=1000000 go test -run '^$' -bench QuietNight -benchtime 1x ./sync/job
func BenchmarkQuietNight(b *testing.B) {
	c := throng{number(b, "PEOPLE", 20_000)}
	photos := photo.Options{MaxBytes: 1_000_000}
	path := filepath.Join(b.TempDir(), "state.db")
	c.remembered(b, path, photos)
	sim := simulator.New(simulator.Options{})
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(64 << 20)) // as the program has it
	var planning time.Duration
	for b.Loop() {
		debug.FreeOSMemory()
		if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil { // proc(5): forget the peak
			b.Fatal(err)
		}
		st, err := state.Open(path, state.Options{ReadOnly: true})
		if err != nil {
			b.Fatal(err)
		}
		var listed time.Time
		r, err := Run(b.Context(), Options{
			Mode: Plan, RunID: "r", State: st, Smartsheet: client(b, sim, 1000), Root: "https://api.example.test/2.0",
			Sources: []sources.Named{{Name: "hr", Type: "folder", Source: c}}, Concurrency: 4, Photos: photos,
			Guards: &plan.Guards{MinPeople: 10, MaxShared: 10}, Listed: func(report.Source) { listed = time.Now() },
		})
		planning += time.Since(listed)
		if err != nil || r.Totals.Unchanged != c.n {
			b.Fatalf("%v, %+v", err, r.Totals)
		}
		if err := st.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(planning.Seconds()/float64(b.N), "s-plan")
	b.ReportMetric(peakMB(b), "MB-peak")
}

// peakMB is the most memory that was resident since the peak was forgotten.
func peakMB(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	kB, err := strconv.ParseFloat(strings.Fields(after)[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kB / 1024
}
