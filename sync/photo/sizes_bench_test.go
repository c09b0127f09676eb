package photo

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// BenchmarkSizes prepares JPEGs of so many KB (1000 bytes) with the limits that a
// configuration has without saying so, one after another, beside a single process of
// ImageMagick that makes the same of the same files on one processor. A picture within
// the limits is only checked here.
//
//	KB=5000 go test -run '^$' -bench Sizes -benchtime 3x ./sync/photo
func BenchmarkSizes(b *testing.B) {
	kB := 100
	if text := os.Getenv("KB"); text != "" {
		var err error
		if kB, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	data := photograph(b, 1000*kB)
	dir := b.TempDir()
	files := make([]string, max(2, 5_000_000/len(data)))
	for i := range files {
		files[i] = filepath.Join(dir, fmt.Sprintf("%d.jpg", i))
		if err := os.WriteFile(files[i], data, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	o := Options{MaxEdge: 1050, MaxBytes: 1_000_000, StripMetadata: true, Quality: 90}
	var ours, theirs time.Duration
	for b.Loop() {
		start := time.Now()
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := Prepare(b.Context(), data, o); err != nil {
				b.Fatal(err)
			}
		}
		ours += time.Since(start)
		mogrify := exec.Command("mogrify", "-limit", "thread", "1", "-path", b.TempDir(), "-auto-orient", "-resize", "1050x1050>", "-strip", "-quality", "90", filepath.Join(dir, "*.jpg"))
		start = time.Now()
		if out, err := mogrify.CombinedOutput(); err != nil {
			b.Fatalf("mogrify: %v\n%s", err, out)
		}
		theirs += time.Since(start)
	}
	b.ReportMetric(ours.Seconds()/theirs.Seconds(), "x-mogrify")
	b.ReportMetric(float64(ours.Nanoseconds())*1e6/float64(b.N*len(files)*len(data)), "ns/MB")
}

// photograph is a JPEG of about so many bytes, with the grain of a photo.
func photograph(b *testing.B, size int) (data []byte) {
	edge := 300
	for range 2 { // the second time with the edge that the first suggests
		m := portrait(edge, edge)
		for i, v := range noise(edge, edge).Pix {
			m.Pix[i] += v / 16
		}
		data = jpegOf(b, opaque(m), 90)
		edge = int(float64(edge) * math.Sqrt(float64(size)/float64(len(data))))
	}
	return data
}
