package ldap

import (
	"slices"
	"strings"
	"testing"

	"photosync/sources"
	"photosync/sources/ldap/slapdtest"
	"photosync/sources/sourcetest"
)

var _ sources.Describer = (*Source)(nil)

// described is what a source says of a person, a line for each fact.
func described(t *testing.T, s *Source, ref sources.Ref) []string {
	t.Helper()
	facts, err := s.Describe(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range facts {
		lines = append(lines, f.Name+": "+f.Value)
	}
	return lines
}

func wantAmong(t *testing.T, lines []string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, w) }) {
			t.Errorf("described as %q, want %q among it", lines, w)
		}
	}
}

func TestDescribe(t *testing.T) {
	ldif := strings.TrimSuffix(slapdtest.Entry("a", "Ann@example.com", sourcetest.Picture(1, 300)), "\n") +
		"jpegPhoto:: " + b64(sourcetest.Picture(2, 4000)) + "\ndisplayName: Ann \x1b[31m\nuserPassword: secret\n\n"
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: strings.ReplaceAll(ldif, "displayName: Ann \x1b[31m", "displayName:: "+b64([]byte("Ann \x1b[31m")))})
	o := options(srv)
	o.Filter, o.ExcludeFilter = "(&(objectClass=inetOrgPerson)(userPassword=*))", "(telephoneNumber=0)"
	s := open(t, o)
	p := sourcetest.List(t, s)["ann@example.com"]
	lines := described(t, s, p.Ref)
	wantAmong(t, lines, "server: "+srv.URL, "dn: uid=a,"+slapdtest.BaseDN, "key: entryUUID=", "mail: Ann@example.com", "displayName: Ann [31m",
		"mark: csn=20260101000000.000000Z#", "thumbnailPhoto: none, or none that may be read", "jpegPhoto: ")
	if text := strings.Join(lines, "\n"); strings.Contains(text, "secret") || strings.Count(text, ", taken") != 1 || strings.Count(text, "jpegPhoto: ") != 2 {
		t.Errorf("described as %q, want two photos of which one is taken, and no password", lines)
	}
	wantAmong(t, described(t, s, sources.Ref{Name: "uid=none," + slapdtest.BaseDN}), "entry: no longer there")
	o.ChangeDetection = "content"
	wantAmong(t, described(t, open(t, o), p.Ref), "mark: none that can be trusted")
}

func TestDescribeOnActiveDirectory(t *testing.T) {
	d := newDomain(t)
	s := open(t, adOptions(d))
	p := sourcetest.List(t, s)["a@ad.test"]
	wantAmong(t, described(t, s, p.Ref), "dn: CN=a,", "key: objectGUID=6161616161", "mark: repl=3e9.1", "mail: a@ad.test", "thumbnailPhoto: ")
}
