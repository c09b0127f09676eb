package folder

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"photosync/sources"
)

// BenchmarkNight lists a tree in which nothing changed and prints the time as a
// multiple of what find takes for the same tree in the same round ("x-find"):
//
//	FILES=1000000 go test -run '^$' -bench Night -benchtime 5x ./sources/folder
func BenchmarkNight(b *testing.B) {
	files := 20_000
	if s := os.Getenv("FILES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			b.Fatal(err)
		}
		files = n
	}
	dir := b.TempDir()
	for i := range files {
		sub := filepath.Join(dir, strconv.Itoa(i/1000))
		if i%1000 == 0 {
			if err := os.Mkdir(sub, 0o700); err != nil {
				b.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("person%07d@example.com.jpg", i)), []byte("x"), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	s := New(Options{Path: dir, Recursive: true})
	var ours, finds time.Duration
	for b.Loop() {
		start := time.Now()
		n := 0
		if _, err := s.List(b.Context(), func(sources.Person) error { n++; return nil }); err != nil || n != files {
			b.Fatalf("listed %d of %d files, error %v", n, files, err)
		}
		ours += time.Since(start)
		start = time.Now()
		if err := exec.Command("find", dir, "-type", "f", "-printf", `%s %T@\n`).Run(); err != nil {
			b.Fatal(err)
		}
		finds += time.Since(start)
	}
	b.ReportMetric(ours.Seconds()/finds.Seconds(), "x-find")
}
