package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkStart measures how long photosync takes to begin and to end, beside a
// program in Go that does nothing at all.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	build := func(name string, from ...string) string {
		file := filepath.Join(dir, name)
		cmd := exec.Command("go", append([]string{"build", "-trimpath", "-ldflags", "-s -w", "-o", file}, from...)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		return file
	}
	nothing := filepath.Join(dir, "nothing.go")
	if err := os.WriteFile(nothing, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	programs := []string{build("photosync", "."), build("nothing", nothing)}
	fi, err := os.Stat(programs[0])
	if err != nil {
		b.Fatal(err)
	}
	var took [2]time.Duration
	for b.Loop() {
		for i, file := range programs { // in turns, so that the machine's mood is the same for both
			began := time.Now()
			if err := exec.Command(file, "version").Run(); err != nil {
				b.Fatal(err)
			}
			took[i] += time.Since(began)
		}
	}
	b.ReportMetric(took[0].Seconds()*1000/float64(b.N), "ms/start")
	b.ReportMetric(float64(took[0])/float64(took[1]), "x-nothing")
	b.ReportMetric(float64(fi.Size())/1e6, "MB")
}
