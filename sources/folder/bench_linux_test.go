package folder

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"photosync/sources"
)

// BenchmarkNight lists a tree in which nothing changed and prints the time as a
// multiple of what find takes for the same tree in the same round ("x-find"), and
// the most memory that the process has had ("MB-peak"):
//
//	FILES=1000000 go test -run '^$' -bench Night -benchtime 5x ./sources/folder
//
// The tree has folders of a thousand files, or all files in one.
func BenchmarkNight(b *testing.B) {
	files := 20_000
	if s := os.Getenv("FILES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			b.Fatal(err)
		}
		files = n
	}
	for name, per := range map[string]int{"nested": 1000, "flat": files} {
		b.Run(name, func(b *testing.B) { night(b, files, per) })
	}
}

func night(b *testing.B, files, per int) {
	dir := b.TempDir()
	for i := range files {
		sub := filepath.Join(dir, strconv.Itoa(i/per))
		if i%per == 0 {
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
		if err := exec.Command("find", dir, "-printf", `%s %T@\n`).Run(); err != nil {
			b.Fatal(err)
		}
		finds += time.Since(start)
	}
	b.ReportMetric(ours.Seconds()/finds.Seconds(), "x-find")
	b.ReportMetric(float64(ours.Nanoseconds())/float64(files*b.N), "ns/file")
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(use.Maxrss)/1024, "MB-peak")
}
