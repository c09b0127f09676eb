package ldap

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"photosync/sources"
	"photosync/sources/ldap/slapdtest"
	"photosync/sources/sourcetest"
	"photosync/sync/photo"
)

// Which of several values is the photo, and what is no photo at all.
func TestChoose(t *testing.T) {
	jpg, small, junk := string(sourcetest.Picture(1, 500)), string(sourcetest.Picture(1, 100)), strings.Repeat("junk", 500)
	b64 := base64.StdEncoding.EncodeToString([]byte(small))
	for name, c := range map[string]struct {
		choice string
		pairs  []string
		want   string
	}{
		"the first attribute":         {"first", []string{"jpegPhoto", jpg, "thumbnailPhoto", small}, small},
		"the first, though it is bad": {"first", []string{"jpegPhoto", jpg, "thumbnailPhoto", junk}, junk},
		"an empty one is none":        {"first", []string{"jpegPhoto", jpg, "thumbnailPhoto", ""}, jpg},
		"only an empty one":           {"first", []string{"thumbnailPhoto", ""}, ""},
		"the largest of all":          {"largest", []string{"jpegPhoto", jpg, "thumbnailPhoto", small}, jpg},
		"the largest picture":         {"largest", []string{"jpegPhoto", jpg, "thumbnailPhoto", junk}, jpg},
		"the largest value":           {"first", []string{"jpegPhoto", small, "jpegPhoto;lang-de", jpg, "jpegPhoto", junk}, jpg},
		"base64":                      {"first", []string{"jpegPhoto", junk, "jpegPhoto", b64}, b64},
		"only junk":                   {"first", []string{"jpegPhoto", "a", "jpegPhoto", "bb"}, "bb"},
	} {
		s := &Source{o: Options{PhotoAttributes: []string{"thumbnailPhoto", "jpegPhoto"}, PhotoChoice: c.choice, IsPicture: photo.IsPicture}}
		if got := s.choose(made("cn=x", c.pairs...)); string(got) != c.want {
			t.Errorf("%s: %.20q, want %.20q", name, got, c.want)
		}
	}
}

// A photo that may not be read is told from one that is not there, also where a
// server does not know one of the attributes at all.
func TestDeniedOnSlapd(t *testing.T) {
	srv := slapdtest.Start(t, slapdtest.Config{
		LDIF:   many(3) + slapdtest.Entry("nophoto", "nophoto@example.com", nil),
		Access: "access to dn.exact=\"uid=u01," + slapdtest.BaseDN + "\" attrs=jpegPhoto by * none\n",
	})
	o := options(srv)
	o.BindDN, o.PhotoAttributes = slapdtest.ReaderDN, []string{"badgePhoto", "jpegPhoto"}
	s := open(t, o)
	people := sourcetest.List(t, s)
	for email, want := range map[string]error{"u00@example.com": nil, "u01@example.com": sources.ErrDenied, "nophoto@example.com": sources.ErrNoPhoto} {
		if p := sourcetest.Read(t, s, people[email].Ref); !errors.Is(p.Err, want) {
			t.Errorf("photo of %s: %v, want %v", email, p.Err, want)
		}
	}
}

// When nobody's photo may be seen, that fails the listing, though there is another
// attribute that may be seen and that nobody has.
func TestNobodysPhotoMayBeRead(t *testing.T) {
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: many(3), Access: "access to attrs=jpegPhoto by * none\n"})
	o := options(srv)
	o.BindDN = slapdtest.ReaderDN
	l, err := open(t, o).List(t.Context(), func(sources.Person) error { return nil })
	if e, ok := errors.AsType[*Error](err); !ok || l.Complete || !strings.HasSuffix(err.Error(), "nobody's photo (jpegPhoto)") || !strings.Contains(e.Hint(), "right to read") {
		t.Errorf("listing %+v, error %v", l, err)
	}
}

// Most of the directory is read page by page, and gives what reading by key gives:
// each photo once, whoever has none, may not show it, or is gone meanwhile.
func TestSweep(t *testing.T) {
	srv := slapdtest.Start(t, slapdtest.Config{
		LDIF:   many(2*photoBatch) + slapdtest.Entry("nophoto", "nophoto@example.com", nil),
		Access: "access to dn.exact=\"uid=u01," + slapdtest.BaseDN + "\" attrs=jpegPhoto by * none\n",
	})
	o := options(srv)
	o.BindDN = slapdtest.ReaderDN
	s := open(t, o)
	people := sourcetest.List(t, s)
	var refs []sources.Ref
	for email, p := range people {
		if email != "u00@example.com" { // is not wanted
			refs = append(refs, p.Ref)
		}
	}
	ed := edit(t, srv)
	ed.Remove("u02@example.com")
	if err := ed.ad.ModifyDN(ldap.NewModifyDNRequest(dn("u03@example.com"), "uid=renamed", true, "")); err != nil {
		t.Fatal(err)
	}
	got := map[string]sources.Photo{}
	err := s.Photos(t.Context(), append(refs, refs[0]), func(p sources.Photo) error {
		if _, twice := got[p.Ref.Name]; twice {
			t.Errorf("%s came twice", p.Ref.Name)
		}
		got[p.Ref.Name] = p
		return nil
	})
	if err != nil || len(got) != 2*photoBatch {
		t.Fatalf("%d photos, error %v", len(got), err)
	}
	for name, p := range got {
		want := map[string]error{
			dn("u01@"): sources.ErrDenied, dn("u02@"): sources.ErrGone, dn("nophoto@"): sources.ErrNoPhoto,
		}[name]
		if !errors.Is(p.Err, want) || want == nil && len(p.Data) == 0 || p.Moved != (name == dn("u03@")) {
			t.Errorf("%s: %d bytes, moved %t, error %v; want %v", name, len(p.Data), p.Moved, p.Err, want)
		}
	}
}

// A photo comes with the addresses that its entry has when it is read: they may be others
// than those that were listed.
func TestPhotoHasAddresses(t *testing.T) {
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: many(3)})
	s := open(t, options(srv))
	people := sourcetest.List(t, s)
	srv.Modify("u00", "mail", []byte("Other@Example.com"))
	srv.Modify("u01", "mail", []byte("nobody"))
	for email, want := range map[string]string{"u00@example.com": "[other@example.com]", "u01@example.com": "[]", "u02@example.com": "[u02@example.com]"} {
		if p := sourcetest.Read(t, s, people[email].Ref); p.Err != nil || p.Emails == nil || fmt.Sprint(p.Emails) != want {
			t.Errorf("photo of %s with %q, error %v; want %s", email, p.Emails, p.Err, want)
		}
	}
}

// An administrator's second account with the same address and without a photo does not
// contest it, though a listing does not know who has a photo.
func TestAccountWithoutPhotoDoesNotConflict(t *testing.T) {
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: many(3) + slapdtest.Entry("adm-u01", "u01@example.com", nil) +
		slapdtest.Entry("twin", "u02@example.com", sourcetest.Picture(9, 100))})
	people, _, err := sources.Join(t.Context(), []sources.Named{{Name: "ad", Type: "ldap", Source: open(t, options(srv))}})
	if err != nil {
		t.Fatal(err)
	}
	for p := range people.All() {
		want := map[string]int{"u00@example.com": 1, "u01@example.com": 1, "u02@example.com": 2}[p.Own[0]]
		if len(p.Candidates) != want || p.Ambiguous != (want > 1) {
			t.Errorf("%v: ambiguous %v, candidates %v", p.Own, p.Ambiguous, p.Candidates)
		}
		if p.Own[0] == "u01@example.com" && !strings.HasPrefix(p.Candidates[0].Ref.Name, "uid=u01,") {
			t.Errorf("%v is %v", p.Own, p.Candidates[0].Ref)
		}
	}
}
