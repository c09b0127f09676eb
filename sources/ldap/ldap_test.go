package ldap

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
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

func newPlace(t *testing.T) sourcetest.Place { return edit(t, slapdtest.Start(t, slapdtest.Config{})) }

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

func (p *place) Settle()                {}
func (p *place) Source() sources.Source { return open(p.t, options(p.s)) }

func TestContract(t *testing.T) { sourcetest.Run(t, newPlace) }

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
		if _, twice := people[p.Emails[0]]; !twice || p.DisplayName != "again" {
			people[p.Emails[0]] = p
		}
		n++
		return nil
	})
	if err != nil || !l.Complete || l.Entries != 11 || l.Pages < 6 || n != 8 || len(people) != 7 {
		t.Fatalf("listing %+v of %d people, error %v", l, len(people), err)
	}
	for _, want := range []string{
		`1 entries left out: no email address (first: "uid=nomail`, `1 entries left out: no valid email address (first: "uid=badmail`,
		`1 entries left out: a referral to another server, which is not followed (first: "ou=elsewhere`,
	} {
		if !strings.Contains(strings.Join(l.Warnings, "\n"), want) {
			t.Errorf("warnings %q, want %q in them", l.Warnings, want)
		}
	}
	if got := fmt.Sprint(people["first.multi@example.com"].Emails); got != "[first.multi@example.com third@example.com second@example.com]" {
		t.Errorf("emails %s", got)
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

// Every way in which a listing can fail is an error with a hint, and never a
// short list.
func TestFailures(t *testing.T) {
	var ldif strings.Builder
	for i := range 60 {
		ldif.WriteString(slapdtest.Entry(fmt.Sprintf("u%02d", i), fmt.Sprintf("u%02d@example.com", i), []byte{1}))
	}
	ldif.WriteString("dn: ou=away," + slapdtest.BaseDN + "\nobjectClass: referral\nobjectClass: extensibleObject\nou: away\nref: ldap://127.0.0.1:1/ou=x\n\n")
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: ldif.String(), SizeLimit: 30})
	expired := slapdtest.Start(t, slapdtest.Config{Expired: true})
	other := slapdtest.Start(t, slapdtest.Config{})
	plain := slapdtest.Start(t, slapdtest.Config{NoTLS: true})
	cases := map[string]struct {
		change func(*Options)
		text   string
		hint   string
	}{
		"wrong password":   {func(o *Options) { o.Password = "hunter2" }, "bind ldap://127", "bind_password_file"},
		"nobody there":     {func(o *Options) { o.URLs = []string{"ldap://127.0.0.1:1"} }, "connect ldap://127.0.0.1:1", "check that the server runs, its address and port"},
		"size limit":       {func(o *Options) { o.BindDN = slapdtest.ReaderDN }, "Size Limit", "prtotal"},
		"no TLS there":     {func(o *Options) { o.URLs = []string{"ldaps://" + strings.TrimPrefix(srv.URL, "ldap://")} }, "connect ldaps://", "hung up instead of speaking TLS"},
		"only TLS there":   {func(o *Options) { o.URLs = []string{"ldap://" + strings.TrimPrefix(srv.LDAPSURL, "ldaps://")} }, "bind ldap://", "whether TLS is meant"},
		"no TLS to start":  {func(o *Options) { o.URLs, o.TLS.StartTLS = []string{plain.URL}, true }, "start TLS ldap://", "does not start TLS"},
		"no socket there":  {func(o *Options) { o.URLs = []string{"ldapi:///nowhere/ldapi"} }, "connect ldapi:///nowhere/ldapi", "check the path in urls"},
		"no such base":     {func(o *Options) { o.BaseDN = "ou=nowhere," + slapdtest.Suffix }, "No Such Object", "base_dn"},
		"base is referral": {func(o *Options) { o.BaseDN = "ou=x,ou=away," + slapdtest.BaseDN }, "Referral", "another server"},
		"wrong CA":         {func(o *Options) { o.URLs, o.TLS.CAFile = []string{srv.LDAPSURL}, other.CAFile }, "connect ldaps", `issued by "CN=slapdtest CA 001", and trusted is only "CN=slapdtest CA 003"`},
		"wrong name": {func(o *Options) {
			o.URLs, o.TLS.CAFile, o.TLS.ServerName = []string{srv.LDAPSURL}, srv.CAFile, "dc1.example.com"
		}, "connect ldaps", `the certificate is for "127.0.0.1"`},
		"expired": {func(o *Options) { o.URLs, o.TLS.CAFile = []string{expired.LDAPSURL}, expired.CAFile }, "connect ldaps", "not valid now"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := options(srv)
			c.change(&o)
			l, err := open(t, o).List(t.Context(), func(sources.Person) error { return nil })
			if err == nil || l.Complete {
				t.Fatalf("complete %v, error %v; want an error", l.Complete, err)
			}
			e, ok := errors.AsType[*Error](err)
			if !ok || !strings.Contains(err.Error(), c.text) || !strings.Contains(e.Hint(), c.hint) {
				t.Errorf("error %v, hint %q; want %q and %q", err, e.Hint(), c.text, c.hint)
			}
			if strings.Contains(err.Error(), o.Password) || strings.HasSuffix(err.Error(), ":") {
				t.Errorf("error %q has the password in it, or ends in nothing", err)
			}
		})
	}
}

func TestEncryptedConnectionsAndFailover(t *testing.T) {
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: slapdtest.Entry("a", "a@example.com", []byte{1})})
	for name, change := range map[string]func(*Options){
		"ldaps":    func(o *Options) { o.URLs = []string{srv.LDAPSURL} },
		"StartTLS": func(o *Options) { o.TLS.StartTLS = true },
		"failover": func(o *Options) { o.URLs = []string{"ldap://127.0.0.1:1", srv.URL} },
	} {
		t.Run(name, func(t *testing.T) {
			o := options(srv)
			o.TLS.CAFile = srv.CAFile
			change(&o)
			if got := sourcetest.List(t, open(t, o)); len(got) != 1 {
				t.Errorf("listed %d people", len(got))
			}
		})
	}
}

func many(n int) string {
	var ldif strings.Builder
	for i := range n {
		ldif.WriteString(slapdtest.Entry(fmt.Sprintf("u%02d", i), fmt.Sprintf("u%02d@example.com", i), sourcetest.Picture(i, 100)))
	}
	return ldif.String()
}

// A server that goes away in the middle of a listing.
func TestServerGoesAway(t *testing.T) {
	first, second := slapdtest.Start(t, slapdtest.Config{LDIF: many(50)}), slapdtest.Start(t, slapdtest.Config{LDIF: many(50)})
	const nobody = "ldap://127.0.0.1:1"
	lost := first.URL + " was lost after "
	for name, c := range map[string]struct {
		urls     []string
		then     func()
		complete bool
		warning  string
	}{
		"for good":                                {[]string{first.URL}, func() {}, false, lost},
		"and is restarted":                        {[]string{first.URL}, first.Run, true, lost},
		"and the second is there":                 {[]string{first.URL, second.URL}, func() {}, true, lost},
		"and the second is not":                   {[]string{first.URL, nobody}, func() {}, false, lost},
		"though another was away":                 {[]string{nobody, first.URL, second.URL}, func() {}, true, lost},
		"no: another was away from the beginning": {[]string{nobody, second.URL}, func() {}, true, "connect " + nobody + ": dial tcp 127.0.0.1:1: connect: connection refused: " + second.URL + " was asked instead"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(first)
			o.URLs = c.urls
			s := open(t, o)
			times := map[string]int{}
			l, err := s.List(t.Context(), func(p sources.Person) error {
				if times[p.Emails[0]]++; len(times) == 10 {
					first.Stop()
					c.then()
				}
				return nil
			})
			first.Stop()
			first.Run()
			if c.complete != (err == nil) || c.complete != l.Complete {
				t.Fatalf("listing %+v of %d people, error %v", l, len(times), err)
			}
			if c.complete && (len(times) != 50 || l.Entries != 50) {
				t.Errorf("%d people, %d entries; want 50", len(times), l.Entries)
			}
			if !strings.Contains(strings.Join(l.Warnings, "\n"), c.warning) {
				t.Errorf("warnings %q, want %q among them", l.Warnings, c.warning)
			}
			for e, n := range times {
				if n != 1 {
					t.Errorf("%s was listed %d times", e, n)
				}
			}
		})
	}
}

// When no server can be had, the error names each, in a line, and has the hints of all.
func TestNoServerCanBeHad(t *testing.T) {
	srv := slapdtest.Start(t, slapdtest.Config{})
	o := options(srv)
	o.Password, o.URLs = "wrong", []string{"ldap://127.0.0.1:1", "ldap://127.0.0.1:2", srv.URL}
	_, err := open(t, o).List(t.Context(), func(sources.Person) error { return nil })
	e, ok := errors.AsType[interface {
		error
		Hint() string
	}](err)
	if !ok || strings.Contains(err.Error(), "\n") || strings.Count(err.Error(), "127.0.0.1:") < 3 ||
		strings.Count(e.Hint(), "check that the server runs") != 1 || !strings.Contains(e.Hint(), "bind_password_file") {
		t.Errorf("error %v, hint %q", err, e.Hint())
	}
}

// Photos are read to the end although the server goes away in between, each once.
func TestServerGoesAwayBetweenPhotos(t *testing.T) {
	const n = 120
	first, second := slapdtest.Start(t, slapdtest.Config{LDIF: many(n)}), slapdtest.Start(t, slapdtest.Config{LDIF: many(n)})
	o := options(first)
	o.URLs = append(o.URLs, second.URL)
	s := open(t, o)
	var refs []sources.Ref
	for _, p := range sourcetest.List(t, s) {
		refs = append(refs, p.Ref)
	}
	times, moved := map[sources.Ref]int{}, 0
	err := s.Photos(t.Context(), refs, func(p sources.Photo) error {
		if times[p.Ref]++; len(times) == 10 {
			first.Stop()
		}
		if p.Moved || p.Err != nil {
			moved++
		}
		return nil
	})
	if err != nil || len(times) != n || moved != 0 {
		t.Errorf("%d photos, %d moved, error %v", len(times), moved, err)
	}
	first.Run()
}

// Photos are read although the only server was away for a moment after the listing.
// When it stays away, those who come later do not wait for it as long as the first.
func TestServerComesBackForPhotos(t *testing.T) {
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: many(3)})
	s := open(t, options(srv))
	s.pause = 300 * time.Millisecond
	read := func() error {
		var err error
		if e := s.Photos(t.Context(), []sources.Ref{{Name: dn("u01@")}}, func(p sources.Photo) error { err = p.Err; return nil }); e != nil {
			return e
		}
		return err
	}
	if people := sourcetest.List(t, s); len(people) != 3 {
		t.Fatalf("listed %v", people)
	}
	srv.Stop()
	done := make(chan error)
	go func() { done <- read() }()
	srv.Run()
	if err := <-done; err != nil {
		t.Fatalf("the server was restarted: %v", err)
	}

	srv.Stop()
	s.pause = time.Millisecond
	l, err := net.Listen("tcp", strings.TrimPrefix(srv.URL, "ldap://")) // hangs up, whatever it is asked
	if err != nil {
		t.Fatal(err)
	}
	tries := make(chan int, 1)
	tries <- 0
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(done)
				return
			}
			tries <- 1 + <-tries
			c.Close()
		}
	}()
	defer func() { l.Close(); <-done }()
	for _, least := range []int{restarts, 1} { // and one more, if the connection of before is not known to be lost
		if err := read(); err == nil {
			t.Error("a photo came from a server that is away")
		}
		n := <-tries
		tries <- 0
		if n != least && (least == 1 || n != least+1) {
			t.Errorf("tried %d times, want %d", n, least)
		}
	}
}

// A server that takes the connection and never answers must not outlast the run.
func TestCancelledWhileBinding(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := Options{
		URLs: []string{"ldap://" + l.Addr().String()}, BindDN: "cn=x", Password: "x", Filter: "(a=b)", PageSize: 1,
		EmailAttributes: []string{"mail"}, PhotoAttributes: []string{"jpegPhoto"},
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		if c, err := l.Accept(); err == nil {
			defer c.Close()
			io.ReadFull(c, make([]byte, 1)) // the bind has been sent
			cancel()
			<-t.Context().Done()
		}
	}()
	if _, err := open(t, o).List(ctx, func(sources.Person) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}

func TestPasswordInClearIsRefused(t *testing.T) {
	o := Options{
		URLs: []string{"ldap://dc1.example.com"}, BindDN: "cn=x", Password: "hunter2", Filter: "(a=b)", PageSize: 1,
		EmailAttributes: []string{"mail"}, PhotoAttributes: []string{"jpegPhoto"},
	}
	if _, err := New(o); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("New: %v", err)
	}
	o.AllowPlaintext = true
	if _, err := New(o); err != nil {
		t.Errorf("New with allow_plaintext: %v", err)
	}
}

// Everything that is wrong with the options is told, by the key that it stands under.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	faulty := Options{
		URLs: []string{"ldaps://dc1", "ldap://dc1.example.com", "ldap://u:hunter2@x"}, BindDN: "cn=x", Password: "hunter2", BaseDN: "People",
		Filter: "", ExcludeFilter: "(uid=x", MemberOf: "Photo Users", TLS: TLS{CAFile: file("empty.pem", ""), CertFile: file("cert.pem", "x"), KeyFile: "none"},
	}
	var keys []string
	for _, f := range Check(faulty) {
		keys = append(keys, f.Key)
		if f.Message == "" || f.Instead == "" || strings.Contains(f.Error(), "hunter2") || strings.Contains(f.Error(), "LDAP Result Code") {
			t.Errorf("fault %q", f)
		}
	}
	want := "[urls[1] urls[2] email_attributes photo_attributes page_size filter exclude_filter base_dn member_of tls.ca_file tls.cert_file]"
	if got := fmt.Sprint(keys); got != want {
		t.Errorf("faults of %s, want %s", got, want)
	}
	if _, err := New(faulty); err == nil || !strings.Contains(err.Error(), "urls[1]: would send the password in clear") {
		t.Errorf("New: %v", err)
	}
	unreadable := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("\x30\x03\x02\x01\xff")})
	for text, why := range map[string]string{"": "no PEM certificate", string(unreadable): "x509: "} {
		fs := Check(Options{TLS: TLS{CAFile: file("ca.pem", text)}})
		if f := fs[len(fs)-1]; f.Key != "tls.ca_file" || !strings.Contains(f.Message, why) || strings.Contains(f.Message, "no PEM") != (text == "") {
			t.Errorf("fault %q, want %q", f, why)
		}
	}
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
		if (len(p.Emails) == 0) != (why != "") {
			t.Errorf("emails %q, left out because %q", p.Emails, why)
		}
		for _, a := range p.Emails {
			if c, err := sources.Email(a); err != nil || c != a {
				t.Errorf("email %q is not canonical", a)
			}
		}
		if k, _ := splitKey(p.Ref); k != "" {
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
		name, options, _ := strings.Cut(pair[0], ";")
		e.attrs = append(e.attrs, attribute{name: name, options: options, values: [][]byte{[]byte(pair[1])}})
	}
	return e
}

// Active Directory explains a refused password in a line that ends with a NUL.
func TestActiveDirectoryErrors(t *testing.T) {
	for data, hint := range map[string]string{
		"52e": "bind_password_file", "525": "does not exist", "532": "expired", "533": "disabled", "775": "locked out",
		"80090346": "channel binding",
	} {
		e := &Error{"bind", "ldaps://dc1.example.com", ldap.NewError(ldap.LDAPResultInvalidCredentials,
			errors.New("80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data "+data+", v4563\x00"))}
		if !strings.Contains(e.Hint(), hint) || strings.ContainsRune(e.Error(), 0) || !strings.HasSuffix(e.Error(), "v4563") {
			t.Errorf("error %q, hint %q; want %q", e, e.Hint(), hint)
		}
	}
}

// Samba asks for signatures over TLS, too: to use TLS is no advice then.
func TestSignaturesOverTLS(t *testing.T) {
	for text, hint := range map[string]string{"SASL:[GSSAPI]: Sign or Seal are required.": "allow_sasl_over_tls", "BindSimple: Transport encryption required.": "wants encryption"} {
		e := &Error{"bind", "ldaps://dc1.example.com", ldap.NewError(ldap.LDAPResultStrongAuthRequired, errors.New(text))}
		if !strings.Contains(e.Hint(), hint) {
			t.Errorf("%v: hint %q", e, e.Hint())
		}
	}
}

// Whose photos are looked for in the global catalogue is told so.
func TestGlobalCatalogue(t *testing.T) {
	for url, hint := range map[string]string{"ldaps://dc1:3269": "use 389 or 636", "ldap://dc1:3268": "use 389 or 636", "ldaps://dc1": "right to read"} {
		if h := (&Error{"list", url, &hiddenError{[]string{"thumbnailPhoto"}}}).Hint(); !strings.Contains(h, hint) {
			t.Errorf("%s: hint %q", url, h)
		}
	}
}

// A certificate that names no server is not mended by another name in the settings.
func TestCertificateWithoutNames(t *testing.T) {
	c := &x509.Certificate{Subject: pkix.Name{CommonName: "dc1"}}
	e := &Error{"connect", "ldaps://dc1", fmt.Errorf("tls: %w", x509.HostnameError{Certificate: c, Host: "dc1"})}
	if h := e.Hint(); !strings.Contains(h, `subject alternative name "dc1"`) || strings.Contains(h, "server_name") {
		t.Errorf("hint %q", h)
	}
}

// Members of a group, also through groups in it, but for those who do not consent;
// with more groups than a search without pages gives.
func TestGroupsAndConsent(t *testing.T) {
	group := func(name, members string) string {
		return fmt.Sprintf("dn: cn=%s,%s\nobjectClass: groupOfNames\ncn: %s\n%s\n", name, slapdtest.Suffix, name, members)
	}
	member := func(uid string) string { return "member: uid=" + uid + "," + slapdtest.BaseDN + "\n" }
	ldif := many(6) +
		group("photos", member("u00")+"member: CN=Inner,"+slapdtest.Suffix+"\n") +
		group("inner", member("U01")+member("u02")+"member: cn=photos,"+slapdtest.Suffix+"\n") + // a circle
		group("other", member("u03")) +
		strings.Replace(slapdtest.Entry("u09", "u09@example.com", nil), "\n\n", "\nemployeeType: no photo\n\n", 1)
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: ldif, Access: "access to attrs=telephoneNumber by * none\n", Unpaged: 2})
	for name, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"everyone":                    {func(*Options) {}, "[u00 u01 u02 u03 u04 u05 u09]"},
		"members":                     {func(o *Options) { o.MemberOf = "cn=Photos," + slapdtest.Suffix }, "[u00 u01 u02]"},
		"those who consent":           {func(o *Options) { o.ExcludeFilter = "(employeeType=no photo)" }, "[u00 u01 u02 u03 u04 u05]"},
		"nobody, if it can't be told": {func(o *Options) { o.ExcludeFilter = "(telephoneNumber=*)" }, "[]"},
		"a group that is not there":   {func(o *Options) { o.MemberOf = "cn=nowhere," + slapdtest.Suffix }, "there is no group"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(srv)
			o.BindDN = slapdtest.ReaderDN
			c.change(&o)
			var got []string
			l, err := open(t, o).List(t.Context(), func(p sources.Person) error {
				got = append(got, strings.TrimSuffix(p.Emails[0], "@example.com"))
				return nil
			})
			slices.Sort(got)
			if text := fmt.Sprint(got, err); !strings.Contains(text, c.want) || l.Complete != (err == nil) {
				t.Errorf("listed %s, want %s", text, c.want)
			}
			if len(got) == 0 && err == nil && !strings.Contains(fmt.Sprint(l.Warnings), "nobody is listed") {
				t.Errorf("nobody is listed, warnings %q", l.Warnings)
			}
		})
	}
}
