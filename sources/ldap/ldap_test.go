package ldap

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"go.uber.org/goleak"

	"photosync/sources"
	"photosync/sources/ldap/slapdtest"
	"photosync/sources/sourcetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func options(s *slapdtest.Server) Options {
	return Options{
		URLs: []string{s.URL}, BindDN: slapdtest.BindDN, Password: slapdtest.Password, BaseDN: slapdtest.BaseDN,
		Filter: "(objectClass=inetOrgPerson)", EmailAttributes: []string{"mail"}, PhotoAttributes: []string{"thumbnailPhoto", "jpegPhoto"},
		PageSize: 7, ChangeDetection: "auto",
	}
}

func open(t *testing.T, o Options) *Source {
	t.Helper()
	if o.Auth == "" && o.BindDN != "" {
		o.Auth = Simple
	}
	o.Auth, o.Paging = cmp.Or(o.Auth, Anonymous), cmp.Or(o.Paging, PagingAuto)
	o.IdleTimeout, o.ListTimeout = cmp.Or(o.IdleTimeout, time.Minute), cmp.Or(o.ListTimeout, time.Hour)
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.pause = time.Millisecond
	t.Cleanup(func() { s.Close() })
	return s
}

// place is a slapd as a place for the contract.
type place struct {
	t  *testing.T
	s  *slapdtest.Server
	ad *ldap.Conn
}

func edit(t *testing.T, s *slapdtest.Server) *place {
	c, err := ldap.DialURL(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Bind(slapdtest.BindDN, slapdtest.Password); err != nil {
		t.Fatal(err)
	}
	return &place{t, s, c}
}

func dn(email string) string {
	uid, _, _ := strings.Cut(email, "@")
	return "uid=" + uid + "," + slapdtest.BaseDN
}

func (p *place) Put(email string, photo []byte) {
	m := ldap.NewModifyRequest(dn(email), nil)
	m.Replace("jpegPhoto", []string{string(photo)})
	err := p.ad.Modify(m)
	if ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
		a := ldap.NewAddRequest(dn(email), nil)
		a.Attribute("objectClass", []string{"inetOrgPerson"})
		a.Attribute("cn", []string{"x"})
		a.Attribute("sn", []string{"x"})
		a.Attribute("mail", []string{email})
		a.Attribute("jpegPhoto", []string{string(photo)})
		err = p.ad.Add(a)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) Remove(email string) {
	if err := p.ad.Del(ldap.NewDelRequest(dn(email), nil)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) Age() {}

func (p *place) Source() sources.Source { return open(p.t, options(p.s)) }

// The contract, over back ends that know pages and that do not.
func TestContract(t *testing.T) {
	for _, backend := range []string{"mdb", "ldif", "meta"} {
		t.Run(backend, func(t *testing.T) {
			sourcetest.Run(t, func(t *testing.T) sourcetest.Place {
				return edit(t, slapdtest.Start(t, slapdtest.Config{Backend: backend}))
			})
		})
	}
}

func TestEdges(t *testing.T) {
	big := sourcetest.Picture(3, 9_000_000)
	ldif := "dn: uid=multi," + slapdtest.BaseDN + "\nobjectClass: inetOrgPerson\nobjectClass: adPhoto\nuid: multi\ncn: Multi\nsn: M\nmail: First.Multi@Example.com\nproxyAddresses: Smtp:second@example.com\nproxyAddresses: SMTP:third@example.com\nproxyAddresses: X500:/o=x\n" +
		"jpegPhoto:: " + b64(sourcetest.Picture(1, 100)) + "\njpegPhoto:: " + b64(sourcetest.Picture(2, 300)) + "\n\n" +
		slapdtest.Entry("nophoto", "nophoto@example.com", nil) +
		slapdtest.Entry("nomail", "", sourcetest.Picture(4, 100)) +
		slapdtest.Entry("badmail", "not an address", sourcetest.Picture(4, 100)) +
		slapdtest.Entry("big", "big@example.com", big) +
		slapdtest.Entry("again", "BIG@example.com", nil) +
		slapdtest.Entry("p1", "p1@example.com", []byte{0}) +
		slapdtest.Entry("p3", "p3@example.com", []byte("\xff\xd8\xff")) +
		"dn: uid=thumb," + slapdtest.BaseDN + "\nobjectClass: inetOrgPerson\nobjectClass: adPhoto\nuid: thumb\ncn: T\nsn: T\nmail: thumb@example.com\nthumbnailPhoto:: " + b64([]byte("thumb")) + "\njpegPhoto:: " + b64(sourcetest.Picture(5, 900)) + "\n\n" +
		"dn: ou=elsewhere," + slapdtest.BaseDN + "\nobjectClass: referral\nobjectClass: extensibleObject\nou: elsewhere\nref: ldap://127.0.0.1:1/ou=x\n\n"
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: ldif})
	edit(t, srv).Put("p0@example.com", []byte{}) // LDIF has no way to write it
	o := options(srv)
	o.EmailAttributes = []string{"MAIL", "proxyaddresses"}
	o.PhotoAttributes = []string{"THUMBNAILPHOTO", "jpegphoto"}
	o.PageSize = 2
	s := open(t, o)

	var l sources.Listing
	people, n := map[string]sources.Person{}, 0
	l, err := s.List(t.Context(), func(p sources.Person) error {
		if _, twice := people[p.Own[0]]; !twice || p.DisplayName != "again" {
			people[p.Own[0]] = p
		}
		n++
		return nil
	})
	if err != nil || !l.Complete || l.Entries != 11 || l.Pages < 6 || n != 8 || len(people) != 7 {
		t.Fatalf("listing %+v of %d people, error %v", l, len(people), err)
	}
	if len(l.NotRemoved) != 3 || slices.Contains(l.NotRemoved, "") { // their photos were not removed
		t.Errorf("keys of the entries left out: %q", l.NotRemoved)
	}
	for _, want := range []string{
		`1 entry left out: no email address (first: "uid=nomail`, `1 entry left out: no valid email address (first: "uid=badmail`,
		`1 entry left out: a referral to another server, which is not followed (first: "ou=elsewhere`,
	} {
		if !strings.Contains(strings.Join(l.Warnings, "\n"), want) {
			t.Errorf("warnings %q, want %q in them", l.Warnings, want)
		}
	}
	if p := people["first.multi@example.com"]; fmt.Sprint(p.Own, p.Aliases) != "[first.multi@example.com] [second@example.com third@example.com]" {
		t.Errorf("own addresses %q, aliases %q", p.Own, p.Aliases)
	}
	for email, want := range map[string][]byte{
		"first.multi@example.com": sourcetest.Picture(2, 300), "big@example.com": big, "thumb@example.com": []byte("thumb"),
		"p0@example.com": {}, "p1@example.com": {0}, "p3@example.com": []byte("\xff\xd8\xff"),
	} {
		if p := sourcetest.Read(t, s, people[email].Ref); p.Err != nil || !bytes.Equal(p.Data, want) {
			t.Errorf("photo of %s: %d bytes, error %v; want %d bytes", email, len(p.Data), p.Err, len(want))
		}
	}
	if p := sourcetest.Read(t, s, people["nophoto@example.com"].Ref); !errors.Is(p.Err, sources.ErrNoPhoto) {
		t.Errorf("photo of a person without one: %v", p.Err)
	}
}

func b64(b []byte) string {
	e := slapdtest.Entry("x", "", b)
	_, v, _ := strings.Cut(e, "jpegPhoto:: ")
	return strings.TrimSpace(v)
}

func many(n int) string {
	var ldif strings.Builder
	for i := range n {
		ldif.WriteString(slapdtest.Entry(fmt.Sprintf("u%02d", i), fmt.Sprintf("u%02d@example.com", i), sourcetest.Picture(i, 100)))
	}
	return ldif.String()
}

// What a directory holds may be anything. A person is named by canonical
// addresses, and a key is always a filter that a server can be asked with.
func FuzzPerson(f *testing.F) {
	f.Add("a@example.com", "SMTP:b@example.com", []byte{0, '*', ')'}, "x)(uid=*", "20261124110000Z")
	f.Add("", "X500:/o=x", []byte(nil), "", "")
	f.Add("not an address", "smtp:", []byte{0xff}, `\`, "20261124110000.")
	s := &Source{o: Options{EmailAttributes: []string{"mail", "proxyAddresses"}}}
	f.Fuzz(func(t *testing.T, mail, proxy string, guid []byte, uuid, modified string) {
		e := made("cn=x", "mail;lang-de", mail, "PROXYADDRESSES", proxy, "objectGUID", string(guid), "entryUUID", uuid, "modifyTimestamp", modified)
		p, why := s.person(e, server{}, time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
		if (len(p.Own) == 0) != (why != "") {
			t.Errorf("own addresses %q, left out because %q", p.Own, why)
		}
		for _, a := range slices.Concat(p.Own, p.Aliases) {
			if c, err := sources.Email(a); err != nil || c != a {
				t.Errorf("email %q is not canonical", a)
			}
		}
		if k := p.Ref.Key; k != "" {
			if _, err := ldap.CompileFilter(keyFilter(k)); err != nil {
				t.Errorf("filter %q of key %q: %v", keyFilter(k), k, err)
			}
		}
	})
}

// made is an entry of names and values in turn.
func made(dn string, pairs ...string) *entry {
	e := &entry{dn: dn}
	for pair := range slices.Chunk(pairs, 2) {
		e.attributes = append(e.attributes, attribute(pair[0], pair[1])...)
	}
	return e
}

// authority is that of a server's certificates.
func authority(t *testing.T, srv *slapdtest.Server) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(srv.CAFile)
	cas := x509.NewCertPool()
	if err != nil || !cas.AppendCertsFromPEM(pem) {
		t.Fatalf("read %s: %v", srv.CAFile, err)
	}
	return cas
}
