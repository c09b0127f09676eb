package job

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"photosync/sources"
	"photosync/sources/folder"
	"photosync/sync/plan"
)

// BenchmarkFirstHashing reads and hashes a folder of photos that the state does not
// know, and prints the speed as a multiple of that of openssl for the same files in
// the same round: with as many processes as there are processors ("x-openssl-all",
// at least 0.9 is the aim) and with one ("x-openssl-one"):
//
//	FILES=100000 BYTES=20000 go test -run '^$' -bench FirstHashing -benchtime 5x ./sync/job
func BenchmarkFirstHashing(b *testing.B) {
	files, size := number(b, "FILES", 5_000), number(b, "BYTES", 20_000)
	dir := b.TempDir()
	photos(b, dir, files, size)
	r := &run{o: Options{Sources: []sources.Named{{Name: "hr", Source: folder.New(folder.Options{Path: dir, Recursive: true})}}}}
	for _, p := range listed(b, r.o.Sources[0]) {
		r.subjects = append(r.subjects, plan.About(sources.Joined{Emails: p.Emails, Candidates: []sources.Candidate{{Person: p}}}))
	}
	openssl := func(processes int) time.Duration {
		per := min((files+processes-1)/processes, 1000)
		start := time.Now()
		cmd := exec.Command("sh", "-c", `find "$1" -type f -print0 | xargs -0 -P "$2" -n "$3" openssl dgst -sha256 >/dev/null`, "sh",
			dir, strconv.Itoa(processes), strconv.Itoa(per))
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		return time.Since(start)
	}
	var ours, all, one time.Duration
	for b.Loop() {
		for i := range r.subjects {
			r.subjects[i].Look = nil
		}
		start := time.Now()
		if err := r.look(b.Context()); err != nil {
			b.Fatal(err)
		}
		ours += time.Since(start)
		all += openssl(runtime.GOMAXPROCS(0))
		one += openssl(1)
	}
	for _, s := range r.subjects {
		if s.Look == nil || len(s.Look.Sum) != 32 || s.Look.Err != nil {
			b.Fatalf("%s: look %+v", s.Key(), s.Look)
		}
	}
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(all.Seconds()/ours.Seconds(), "x-openssl-all")
	b.ReportMetric(one.Seconds()/ours.Seconds(), "x-openssl-one")
	b.ReportMetric(float64(files)*float64(size)*float64(b.N)/1e6/ours.Seconds(), "MB/s-read")
	b.ReportMetric(float64(use.Maxrss)/1024, "MB-peak")
}

func number(b *testing.B, env string, otherwise int) int {
	if os.Getenv(env) == "" {
		return otherwise
	}
	n, err := strconv.Atoi(os.Getenv(env))
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// photos writes files of that size, each different.
func photos(b *testing.B, dir string, files, size int) {
	data := make([]byte, size)
	for i, r := 0, rand.New(rand.NewPCG(1, 2)); i < size; i++ {
		data[i] = byte(r.Uint32())
	}
	for i := range files {
		sub := filepath.Join(dir, strconv.Itoa(i/1000))
		if i%1000 == 0 {
			if err := os.Mkdir(sub, 0o700); err != nil {
				b.Fatal(err)
			}
		}
		binary.BigEndian.PutUint64(data, uint64(i))
		if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("person%07d@example.com.jpg", i)), data, 0o600); err != nil {
			b.Fatal(err)
		}
	}
}

func listed(b *testing.B, s sources.Source) []sources.Person {
	var people []sources.Person
	if _, err := s.List(b.Context(), func(p sources.Person) error {
		people = append(people, p)
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	return people
}
