package job

import (
	"crypto/sha256"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"photosync/sources"
	"photosync/sources/folder"
	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/photo"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

// The benchmarks need no set-up: they make a folder of photos, and measure the run
// against a plain program over the same files. The metric "x-…" is how many times longer
// the run takes.

// photoFolder makes a folder with a photo of so many bytes for each of so many people,
// and a job over it for a Smartsheet where all of them are users.
func photoFolder(b *testing.B, people, size int) (j Job, dir string) {
	b.Helper()
	dir = memoryDir(b)
	photos, err := os.OpenRoot(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer photos.Close()
	var o simulator.Options
	data := make([]byte, max(size, len(picture(0))))
	for i := range people {
		copy(data, picture(i))
		if err := photos.WriteFile(email(i)+".png", data, 0o600); err != nil {
			b.Fatal(err)
		}
		o.Users = append(o.Users, smartsheet.User{ID: int64(1000 + i), Email: email(i), ImageID: "i"})
	}
	time.Sleep(3 * time.Second) // a younger file may still be being written, and is read in every run
	st, err := state.Open(filepath.Join(memoryDir(b), "state.db"), state.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { st.Close() })
	return Job{
		Parts: Parts{
			State: st, Smartsheet: client(b, simulator.New(o), 1_000_000), Root: "https://api.example.test/2.0",
			Photos: photo.Options{MaxBytes: 1_000_000}, Sources: []sources.Named{{Name: "hr", Type: "folder", Source: folder.New(folder.Options{Path: dir})}},
		},
		How: How{Mode: Sync, RunID: "r", Concurrency: 4},
	}, dir
}

// walk is what the listing of a folder cannot do without.
func walk(b *testing.B, dir string, each func(path string, info fs.FileInfo)) {
	b.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			each(path, info)
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

// recorded records that everybody in the plan has the picture already.
func recorded(b *testing.B, j Job) {
	b.Helper()
	p, err := j.prepare(b.Context(), report.New(Sync, "r", "", time.Now()))
	if err != nil {
		b.Fatal(err)
	}
	var c state.Change
	for _, s := range p.plan.Uploads() {
		o, _ := p.plan.Origin(s)
		c.Users = append(c.Users, state.User{ID: s.To.ID, Email: s.To.Email, Sent: &state.Sent{
			Origin: o, SourceSHA256: s.SHA256(), UploadSHA256: s.SHA256(), Rendering: j.Photos.Fingerprint(), ImageID: s.To.ImageID, At: time.Now(),
		}})
		p.plan.ResultRow(&c, s, outcome.Unchanged)
	}
	if err := j.State.Write(c); err != nil {
		b.Fatal(err)
	}
}

// A night without changes, of a hundred thousand people, against a walk over their files.
func BenchmarkQuietNight(b *testing.B) {
	people := number(b, "PEOPLE", 100_000)
	j, dir := photoFolder(b, people, 0)
	recorded(b, j)
	if _, err := Run(b.Context(), j); err != nil { // everybody was matched
		b.Fatal(err)
	}
	var night, plain time.Duration
	for b.Loop() {
		start := time.Now()
		r, err := Run(b.Context(), j)
		if night += time.Since(start); err != nil || r.Totals.Unchanged != people || r.Result != report.NothingToDo {
			b.Fatalf("%v, %s, %+v", err, r.Result, r.Totals)
		}
		start = time.Now()
		files := 0
		walk(b, dir, func(string, fs.FileInfo) { files++ })
		if plain += time.Since(start); files != people {
			b.Fatalf("%d files", files)
		}
	}
	b.ReportMetric(float64(night.Nanoseconds())/float64(b.N*people), "ns/one")
	b.ReportMetric(float64(night)/float64(plain), "x-walk")
}

// A first run up to its plan, which reads and hashes every photo, against SHA-256 of the
// same files by as many processors.
func BenchmarkFirstHashing(b *testing.B) {
	const size = 60_000
	people := number(b, "PEOPLE", 5_000)
	j, dir := photoFolder(b, people, size)
	var first, plain time.Duration
	for b.Loop() {
		start := time.Now()
		p, err := j.prepare(b.Context(), report.New(Sync, "r", "", time.Now()))
		if first += time.Since(start); err != nil || len(p.plan.Uploads()) != people {
			b.Fatalf("%v, %d uploads", err, len(p.plan.Uploads()))
		}
		start = time.Now()
		var g errgroup.Group
		g.SetLimit(runtime.GOMAXPROCS(0))
		walk(b, dir, func(path string, _ fs.FileInfo) {
			g.Go(func() error {
				data, err := os.ReadFile(path)
				sha256.Sum256(data)
				return err
			})
		})
		if err := g.Wait(); err != nil {
			b.Fatal(err)
		}
		plain += time.Since(start)
	}
	b.SetBytes(int64(people) * size)
	b.ReportMetric(float64(first.Nanoseconds())/float64(b.N*people), "ns/one")
	b.ReportMetric(float64(first)/float64(plain), "x-sha256")
}
