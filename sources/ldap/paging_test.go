package ldap

import (
	"errors"
	"strings"
	"testing"

	"photosync/sources"
	"photosync/sources/ldap/slapdtest"
	"photosync/sources/sourcetest"
)

// A listing is complete or an error that says what to do, whatever a server does about
// paged results: that it knows them, ignores them, refuses them, or allows only few
// entries a page.
func TestPaging(t *testing.T) {
	const all = 60
	server := map[string]*slapdtest.Server{}
	for name, c := range map[string]slapdtest.Config{
		"mdb": {}, "ldif": {Backend: "ldif"}, "meta": {Backend: "meta"},
		"disabled":         {Limits: "size.prtotal=disabled size=unlimited"},
		"disabled and few": {Limits: "size.prtotal=disabled size.soft=30 size.hard=30"},
		"few a page":       {Limits: "size.pr=10 size.prtotal=unlimited"},
		"few in one piece": {Limits: "size.soft=30 size.hard=30 size.prtotal=unlimited"},
	} {
		c.LDIF = many(all)
		server[name] = slapdtest.Start(t, c)
	}
	for _, c := range []struct {
		server, paging string
		size           int
		pages          int    // 0: an error
		hint           string // of the error
	}{
		{"mdb", PagingAuto, 0, 1, ""},
		{"mdb", PagingRequired, 7, 9, ""},
		{"mdb", PagingOff, 7, 1, ""},
		{"ldif", PagingAuto, 7, 1, ""},
		{"ldif", PagingRequired, 7, 0, "set paging: auto"},
		{"ldif", PagingOff, 0, 1, ""},
		{"meta", PagingAuto, 7, 1, ""},
		{"meta", PagingRequired, 0, 0, "set paging: auto"},
		{"disabled", PagingAuto, 0, 1, ""},
		{"disabled", PagingRequired, 0, 0, "size.prtotal=disabled"},
		{"disabled and few", PagingAuto, 0, 0, "let it list pages"},
		{"few a page", PagingAuto, 0, 12, ""},
		{"few a page", PagingRequired, 0, 12, ""},
		{"few a page", PagingAuto, 100, 6, ""},
		{"few in one piece", PagingAuto, 0, 1, ""},
		{"few in one piece", PagingOff, 0, 0, "let it list pages"},
	} {
		t.Run(strings.Join([]string{c.server, c.paging}, ", "), func(t *testing.T) {
			o := options(server[c.server])
			o.BindDN, o.Paging, o.PageSize = slapdtest.ReaderDN, c.paging, c.size
			n := 0
			l, err := open(t, o).List(t.Context(), func(sources.Person) error { n++; return nil })
			if c.pages > 0 {
				if err != nil || !l.Complete || n != all || l.Pages != c.pages {
					t.Errorf("%d people, listing %+v, error %v; want %d pages", n, l, err, c.pages)
				}
				return
			}
			if e, ok := errors.AsType[*Error](err); !ok || l.Complete || !strings.Contains(e.Hint(), c.hint) {
				t.Errorf("%d people, listing %+v, error %v; want the hint %q", n, l, err, c.hint)
			}
		})
	}
}

// A referral in a listing that comes in one piece makes it an error, too.
func TestReferralInOnePiece(t *testing.T) {
	d := newDomain(t)
	d.unscoped = true
	for paging, want := range map[string]string{PagingOff: "refers to others", PagingAuto: ""} {
		o := adOptions(d)
		o.Paging = paging
		l, err := open(t, o).List(t.Context(), func(sources.Person) error { return nil })
		if (err == nil) != (want == "") || l.Complete != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("paging %s: listing %+v, error %v, want %q", paging, l, err, want)
		}
	}
}

// Active Directory is asked for 1000 entries a page, which is what it gives at most;
// others for more.
func TestPageSize(t *testing.T) {
	for _, c := range []struct {
		o    Options
		srv  server
		want int
	}{
		{Options{}, server{ad: true}, 1000}, {Options{}, server{}, 5000}, {Options{PageSize: 500}, server{ad: true}, 500},
		{Options{Paging: PagingOff, PageSize: 500}, server{}, 0},
	} {
		s := &Source{o: c.o}
		if got := s.pageSize(c.srv); got != c.want {
			t.Errorf("%+v, %+v: %d, want %d", c.o, c.srv, got, c.want)
		}
	}
}

// An alias is followed when that is wanted, and the entry it names is listed once.
func TestAliases(t *testing.T) {
	alias := func(cn, of string) string {
		return "dn: cn=" + cn + "," + slapdtest.BaseDN + "\nobjectClass: alias\nobjectClass: extensibleObject\ncn: " + cn + "\naliasedObjectName: " + of + "\n\n"
	}
	elsewhere := strings.ReplaceAll(slapdtest.Entry("away", "away@example.com", sourcetest.Picture(1, 100)), slapdtest.BaseDN, slapdtest.Suffix)
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: many(2) + elsewhere + alias("here", "uid=u00,"+slapdtest.BaseDN) + alias("there", "uid=away,"+slapdtest.Suffix)})
	for deref, want := range map[bool]int{false: 2, true: 3} {
		o := options(srv)
		o.Deref = deref
		s := open(t, o)
		people := sourcetest.List(t, s)
		if len(people) != want {
			t.Errorf("deref %v: %d people, want %d", deref, len(people), want)
		}
		for email, p := range people {
			if photo := sourcetest.Read(t, s, p.Ref); photo.Err != nil || len(photo.Data) == 0 {
				t.Errorf("deref %v: photo of %s: %v", deref, email, photo.Err)
			}
		}
	}
}
