package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

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
	n := number(b, "ENTRIES", 20_000)
	srv := slapdtest.Start(b, slapdtest.Config{LDIF: large(n)})
	marks := []string{"mail", "displayName", "cn", "entryUUID", "entryCSN", "modifyTimestamp"}
	search := func(attributes []string) reference {
		return reference{"ldapsearch", slices.Concat([]string{"ldapsearch", "-x", "-LLL", "-H", srv.URL, "-D", slapdtest.BindDN, "-w", slapdtest.Password,
			"-b", slapdtest.BaseDN, "-E", "pr=500/noprompt", "(objectClass=inetOrgPerson)"}, attributes)}
	}
	b.Run("first", func(b *testing.B) {
		full := slices.Concat(marks, []string{"jpegPhoto"})
		per(b, n, "entry", measure(b, search(full), func(int) *site { return newSite(b, users(n), ldapSource(srv)) }, "--limit", "1"))
	})
	b.Run("absent", func(b *testing.B) {
		per(b, n, "entry", measure(b, search(marks), func(int) *site { return newSite(b, nil, ldapSource(srv)) }, "--success-on", "3"))
	})
	s := newSite(b, pictured(n), ldapSource(srv))
	process(b, s, "state", "adopt", "--yes")
	process(b, s, "sync") // from then on it is known who is who
	b.Run("night", func(b *testing.B) {
		per(b, n, "entry", measure(b, search(marks), func(int) *site { return s }))
		quiet(b, s, n)
	})
	b.Run("1%", func(b *testing.B) {
		per(b, n, "entry", measure(b, search(marks), func(round int) *site { change(b, srv, n/100, round); return s }))
	})
}

// large is a directory of n people.
func large(n int) string {
	var ldif strings.Builder
	ldif.Grow(n * 27_300) // doubling would take twice as much
	for i := range n {
		ldif.WriteString(slapdtest.Entry(fmt.Sprintf("p%05d", i), email(i), largePhoto(i, 20)))
	}
	return ldif.String()
}

// largePhoto is a picture of so many KB (1000 bytes) that differs by seed. What
// follows the picture is no part of it.
func largePhoto(seed, kB int) []byte {
	photo := make([]byte, 1000*kB)
	copy(photo[copy(photo, picture(seed)):], fmt.Sprint(seed))
	return photo
}

// change gives some people other photos.
func change(b *testing.B, srv *slapdtest.Server, people, round int) {
	for i := range people {
		srv.Modify(fmt.Sprintf("p%05d", i), "jpegPhoto", largePhoto(1_000_000*(round+1)+i, 20))
	}
}
