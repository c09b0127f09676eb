package ldap

import (
	"errors"
	"fmt"
	"testing"

	"github.com/go-ldap/ldap/v3"
	"pgregory.net/rapid"

	"photosync/sources"
	"photosync/sources/ldap/slapdtest"
	"photosync/sources/sourcetest"
)

// Whatever is done to a person in OpenLDAP, an unchanged mark means an unchanged
// photo: also one that was there before, and of an entry that was made anew.
func TestNoEditIsMissedOnSlapd(t *testing.T) {
	ed := edit(t, slapdtest.Start(t, slapdtest.Config{}))
	s := open(t, options(ed.s))
	remembered := map[string]string{} // what was read under a mark
	rapid.Check(t, func(t *rapid.T) {
		at, there, photo := dn("ann@"), false, ""
		do := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		modify := func(attribute string, values ...string) {
			m := ldap.NewModifyRequest(at, nil)
			m.Replace(attribute, values)
			do(ed.ad.Modify(m))
		}
		remove := func() {
			if there {
				do(ed.ad.Del(ldap.NewDelRequest(at, nil)))
			}
			there, photo = false, ""
		}
		defer remove()
		for step := range rapid.IntRange(2, 12).Draw(t, "steps") {
			what := rapid.SampledFrom([]string{"set", "set", "take away", "rename", "phone", "remove"}).Draw(t, "what")
			picture := string(sourcetest.Picture(rapid.IntRange(0, 2).Draw(t, "picture"), 100))
			switch {
			case what == "remove":
				remove()
			case !there:
				at, there, photo = dn("ann@"), true, picture
				a := ldap.NewAddRequest(at, nil)
				for name, value := range map[string]string{"objectClass": "inetOrgPerson", "cn": "x", "sn": "x", "mail": "ann@example.com", "jpegPhoto": picture} {
					a.Attribute(name, []string{value})
				}
				do(ed.ad.Add(a))
			case what == "set":
				modify("jpegPhoto", picture)
				photo = picture
			case what == "take away":
				modify("jpegPhoto")
				photo = ""
			case what == "rename":
				rdn := fmt.Sprintf("uid=ann%d", step)
				do(ed.ad.ModifyDN(ldap.NewModifyDNRequest(at, rdn, true, "")))
				at = rdn + "," + slapdtest.BaseDN
			default:
				modify("telephoneNumber", fmt.Sprint(step+1))
			}
			listed := false
			_, err := s.List(t.Context(), func(p sources.Person) error {
				listed = true
				if before, known := remembered[p.Stamp]; p.Stamp == "" || known && before != photo {
					t.Fatalf("mark %q stands for %.20q and %.20q", p.Stamp, before, photo)
				}
				remembered[p.Stamp] = photo
				return s.Photos(t.Context(), []sources.Ref{p.Ref}, func(ph sources.Photo) error {
					if string(ph.Data) != photo || ph.Moved || errors.Is(ph.Err, sources.ErrNoPhoto) != (photo == "") {
						t.Fatalf("photo of %d bytes, moved %v, error %v; want %d bytes", len(ph.Data), ph.Moved, ph.Err, len(photo))
					}
					return nil
				})
			})
			if err != nil || listed != there {
				t.Fatalf("listed %v, want %v; error %v", listed, there, err)
			}
		}
	})
}
