package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"photosync/sync/report"
	"photosync/sync/smartsheet"
)

// BenchmarkFolderNight runs whole syncs, as processes of their own, over a folder in
// which nothing changed, beside find over the same files.
//
//	FILES=100000 go test -run '^$' -bench FolderNight -benchtime 3x ./cmd/photosync
func BenchmarkFolderNight(b *testing.B) {
	n := number(b, "FILES", 20_000)
	s := folderOf(b, n, 1)
	process(b, s, "state", "adopt", "--yes")
	process(b, s, "sync") // from then on it is known who is who
	find := reference{"find", []string{"find", s.photos, "-printf", `%s %T@\n`}}
	per(b, n, "file", measure(b, find, func(int) *site { return s }))
	quiet(b, s, n)
}

// quiet fails unless the last run had nothing to do for any of n people.
func quiet(b *testing.B, s *site, n int) {
	b.Helper()
	if r := s.latest(); r.Result != report.NothingToDo || r.Totals.Unchanged != n || r.Totals.Requests != 1 {
		b.Fatalf("no quiet night: %s, %+v", r.Result, r.Totals)
	}
}

// BenchmarkFolderFirst runs first syncs, which read and hash every photo and upload one,
// beside as many processes of openssl as there are processors. Without FILES, the photos
// are 200 MB together.
//
//	KB=1000 go test -run '^$' -bench FolderFirst -benchtime 3x ./cmd/photosync
func BenchmarkFolderFirst(b *testing.B) {
	kB := number(b, "KB", 60)
	n := number(b, "FILES", max(1, 200_000/kB))
	s := folderOf(b, n, kB)
	openssl := reference{"openssl", []string{"sh", "-c", `find "$0" -type f -print0 | xargs -0 -n 100 -P "$1" openssl dgst -sha256`, s.photos, strconv.Itoa(runtime.GOMAXPROCS(0))}}
	took := measure(b, openssl, func(int) *site {
		for _, name := range []string{"state.db", "state.db.backup"} {
			if err := os.RemoveAll(filepath.Join(s.dir, name)); err != nil {
				b.Fatal(err)
			}
		}
		return s
	}, "--limit", "1")
	per(b, n, "file", took)
	per(b, n*kB/1000, "MB", took)
}

// folderOf is a site whose n people have photos of so many KB.
func folderOf(b *testing.B, n, kB int) *site {
	b.Helper()
	s := newSite(b, pictured(n), "")
	for i := range n {
		s.put(email(i), largePhoto(i, kB))
	}
	time.Sleep(3 * time.Second) // a younger file may still be being written, and is read in every run
	return s
}

// pictured are n users who have a picture in Smartsheet.
func pictured(n int) []smartsheet.User {
	us := users(n)
	for i := range us {
		us[i].ImageID = "i" + strconv.Itoa(i)
	}
	return us
}

// reference is a program that photosync is compared with.
type reference struct {
	name    string
	command []string
}

// per reports the time for one of the n of a run, when all rounds together took so long.
func per(b *testing.B, n int, one string, took time.Duration) {
	b.ReportMetric(float64(took.Nanoseconds())/float64(b.N*n), "ns/"+one)
}

// measure lets photosync sync the site of each round, and then the reference run.
// It reports photosync's time as a multiple of the reference's, and the peak memory.
func measure(b *testing.B, with reference, at func(round int) *site, flags ...string) (ours time.Duration) {
	var theirs time.Duration
	peak, round := 0, 0
	for b.Loop() {
		s := at(round)
		round++
		start := time.Now()
		peak = max(peak, process(b, s, append([]string{"sync", "--log-level", "error", "--progress", "never"}, flags...)...))
		ours += time.Since(start)
		cmd := exec.Command(with.command[0], with.command[1:]...) // what it prints goes nowhere
		start = time.Now()
		if err := cmd.Run(); err != nil {
			b.Fatalf("%s: %v", with.name, err)
		}
		theirs += time.Since(start)
	}
	b.ReportMetric(ours.Seconds()/theirs.Seconds(), "x-"+with.name)
	b.ReportMetric(float64(peak), "MB-peak")
	return ours
}

// process runs the whole program and returns its peak memory.
func process(b *testing.B, s *site, args ...string) (mb int) {
	cmd := command(b, append(args, "--config", s.conf)...)
	status := filepath.Join(s.dir, "status")
	cmd.Env = append(cmd.Env, statusFile+"="+status)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("photosync %q: %v\n%s", args, err, out)
	}
	return peakMB(b, status)
}

// number is the whole number in a variable of the environment.
func number(b *testing.B, variable string, otherwise int) int {
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	return n
}
