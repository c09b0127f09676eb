package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"photosync/sources/ldap/slapdtest"
)

// BenchmarkDirectory runs whole syncs, as processes of their own, over a directory
// whose people have photos of 20 KB: the first one, which reads and hashes
// everything, and uploads one; nights in which nobody is in Smartsheet, in which
// nothing changed, and in which 1 % of the photos did.
// Each time is a multiple of what ldapsearch takes in the same round ("x-ldapsearch"):
// for everything with the photos, and for the others for the attributes that a
// listing asks for. "MB-peak" is the most memory that the process had.
//
//	ENTRIES=100000 go test -run '^$' -bench Directory -benchtime 3x ./cmd/photosync
func BenchmarkDirectory(b *testing.B) {
	n := 20_000
	if s := os.Getenv("ENTRIES"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	srv := slapdtest.Start(b, slapdtest.Config{LDIF: large(n)})
	marks := []string{"mail", "displayName", "cn", "entryUUID", "entryCSN", "modifyTimestamp"}
	full := slices.Concat(marks, []string{"jpegPhoto"})
	b.Run("first", func(b *testing.B) {
		measure(b, srv, full, func() *site { return newSite(b, users(n), ldapSource(srv)) }, func(int) {}, "--limit", "1")
	})
	b.Run("absent", func(b *testing.B) {
		measure(b, srv, marks, func() *site { return newSite(b, nil, ldapSource(srv)) }, func(int) {})
	})
	s := newSite(b, users(n), ldapSource(srv))
	syncOnce(b, s)
	b.Run("night", func(b *testing.B) {
		measure(b, srv, marks, func() *site { return s }, func(int) {})
	})
	b.Run("1%", func(b *testing.B) {
		measure(b, srv, marks, func() *site { return s }, func(round int) { change(b, srv, n/100, round) })
	})
}

// large is a directory of n people.
func large(n int) string {
	var ldif strings.Builder
	ldif.Grow(n * 27_300) // doubling would take twice as much
	for i := range n {
		ldif.WriteString(slapdtest.Entry(fmt.Sprintf("p%05d", i), email(i), largePhoto(i)))
	}
	return ldif.String()
}

// largePhoto is 20 KB that differ by seed. What follows the picture is no part of it.
func largePhoto(seed int) []byte {
	photo := make([]byte, 20_000)
	copy(photo[copy(photo, picture(seed)):], fmt.Sprint(seed))
	return photo
}

// change gives some people other photos.
func change(b *testing.B, srv *slapdtest.Server, people, round int) {
	for i := range people {
		srv.Modify(fmt.Sprintf("p%05d", i), "jpegPhoto", largePhoto(1_000_000*(round+1)+i))
	}
}

// syncOnce runs the whole program and returns its peak memory.
func syncOnce(b *testing.B, s *site, flags ...string) (mb int) {
	cmd := command(b, append([]string{"sync", "--config", s.conf, "--log-level", "error", "--progress", "never"}, flags...)...)
	status := filepath.Join(s.dir, "status")
	cmd.Env = append(cmd.Env, statusFile+"="+status)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return peakMB(b, status)
}

func measure(b *testing.B, srv *slapdtest.Server, attributes []string, at func() *site, prepare func(round int), flags ...string) {
	var ours, theirs time.Duration
	peak, round := 0, 0
	for b.Loop() {
		s := at()
		prepare(round)
		round++
		start := time.Now()
		peak = max(peak, syncOnce(b, s, flags...))
		ours += time.Since(start)
		search := exec.Command("ldapsearch", slices.Concat([]string{"-x", "-LLL", "-H", srv.URL, "-D", slapdtest.BindDN, "-w", slapdtest.Password,
			"-b", slapdtest.BaseDN, "-E", "pr=500/noprompt", "(objectClass=inetOrgPerson)"}, attributes)...)
		start = time.Now()
		if err := search.Run(); err != nil { // what it prints goes nowhere
			b.Fatal(err)
		}
		theirs += time.Since(start)
	}
	b.ReportMetric(ours.Seconds()/theirs.Seconds(), "x-ldapsearch")
	b.ReportMetric(float64(peak), "MB-peak")
}
