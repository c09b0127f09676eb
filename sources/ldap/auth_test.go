package ldap

import (
	"crypto/tls"
	"errors"
	"strings"
	"sync"
	"testing"

	"photosync/sources"
	"photosync/sources/ldap/slapdtest"
	"photosync/sources/sourcetest"
)

// Every way to bind, against servers that let only users read.
func TestAuth(t *testing.T) {
	kdc := startKDC(t)
	srv := slapdtest.Start(t, slapdtest.Config{LDIF: many(3), Env: kdc.env()})
	krb := Kerberos{Principal: "photosync@" + kdc.realm, Keytab: kdc.keytab, Config: kdc.config}
	certificate := TLS{CAs: authority(t, srv), CertFile: srv.File("client.pem"), KeyFile: srv.File("client-key.pem")}
	for name, o := range map[string]Options{
		"simple":                    {URLs: []string{srv.URL}, BindDN: slapdtest.BindDN, Password: slapdtest.Password},
		"certificate over ldaps":    {URLs: []string{srv.LDAPSURL}, Auth: External, TLS: certificate},
		"certificate over StartTLS": {URLs: []string{srv.URL}, Auth: External, TLS: TLS{CAs: authority(t, srv), CertFile: srv.File("client.pem"), KeyFile: srv.File("client-key.pem"), StartTLS: true}},
		"socket":                    {URLs: []string{srv.SocketURL}, Auth: External},
		"keytab":                    {URLs: []string{srv.URL}, Auth: GSSAPI, Kerberos: krb},
		"keytab over ldaps":         {URLs: []string{srv.LDAPSURL}, Auth: GSSAPI, Kerberos: krb, TLS: TLS{CAs: authority(t, srv)}},
		"keytab over a socket": {URLs: []string{srv.SocketURL}, Auth: GSSAPI, Kerberos: Kerberos{
			Principal: "photosync", Keytab: kdc.keytab, Config: kdc.config, Service: "ldap/127.0.0.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			if people := sourcetest.List(t, open(t, listing(o))); len(people) != 3 {
				t.Errorf("listed %d people", len(people))
			}
		})
	}
	wrong := krb
	wrong.Principal = "nobody@" + kdc.realm
	nowhere := krb
	nowhere.Service = "ldap/nowhere"
	for name, c := range map[string]struct {
		o          Options
		text, hint string
	}{
		"anonymous":            {Options{URLs: []string{srv.URL}}, "list", "base_dn"},
		"no certificate":       {Options{URLs: []string{srv.LDAPSURL}, Auth: External, TLS: TLS{CAs: authority(t, srv)}}, "bind", "check auth"},
		"a user without a key": {Options{URLs: []string{srv.URL}, Auth: GSSAPI, Kerberos: wrong}, "bind", "keytab"},
		"an unknown service":   {Options{URLs: []string{srv.URL}, Auth: GSSAPI, Kerberos: nowhere}, "for ldap/nowhere", "service principal"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, listing(c.o)).List(t.Context(), func(sources.Person) error { return nil })
			e, ok := errors.AsType[*Error](err)
			if !ok || !strings.Contains(err.Error(), c.text) || !strings.Contains(e.Hint(), c.hint) {
				t.Errorf("error %v, want %q, and the hint %q", err, c.text, c.hint)
			}
		})
	}
}

// listing completes options that say only how to bind.
func listing(o Options) Options {
	o.BaseDN, o.Filter, o.EmailAttributes, o.PhotoAttributes, o.PageSize = slapdtest.BaseDN, "(objectClass=inetOrgPerson)", []string{"mail"}, []string{"jpegPhoto"}, 7
	return o
}

func TestAddresses(t *testing.T) {
	for raw, want := range map[string]string{
		"ldap://dc1": "tcp dc1:389", "ldaps://dc1.example.com": "tcp dc1.example.com:636", "ldap://[::1]:3890": "tcp [::1]:3890",
		"ldapi:///run/slapd/ldapi": "unix /run/slapd/ldapi", "ldapi://%2Frun%2Fldapi": "unix /run/ldapi", "ldapi://": "unix /var/run/slapd/ldapi",
		"http://x": "", "ldap://": "", "ldap://u:p@x": "", "ldap://x y": "",
	} {
		at, err := parseAddress(raw)
		if got := at.network + " " + at.addr; (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%q: %q, %v; want %q", raw, got, err, want)
		}
	}
}

// The last token is read however the server rotates it, and whatever it holds.
func FuzzRotate(f *testing.F) {
	f.Add([]byte("\x05\x04\x01\xff\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00dataSUM!"))
	f.Add([]byte("\x05\x04\x01\xff\x00\x04\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00SUM!data"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, token []byte) {
		out := rotate(token)
		if len(out) != len(token) {
			t.Errorf("%d bytes of %d", len(out), len(token))
		}
		if again := rotate(out); string(again) != string(out) {
			t.Errorf("%q, and of that %q", out, again)
		}
	})
}

func TestRotate(t *testing.T) {
	header := func(ec, rrc byte) string {
		return "\x05\x04\x01\xff\x00" + string(ec) + "\x00" + string(rrc) + strings.Repeat("\x00", 8)
	}
	for _, token := range []string{header(4, 0) + "dataSUM!", header(4, 4) + "SUM!data", header(4, 2) + "M!dataSU", header(4, 12) + "SUM!data"} {
		if got := string(rotate([]byte(token))); got != header(4, 4)+"SUM!data" {
			t.Errorf("%q became %q", token, got)
		}
	}
}

// A server that speaks nothing newer than TLS 1.1 is refused.
func TestOldTLSIsRefused(t *testing.T) {
	srv := slapdtest.Start(t, slapdtest.Config{})
	cert, err := tls.LoadX509KeyPair(srv.File("server.pem"), srv.File("server-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer l.Close()
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.(*tls.Conn).Handshake() // fails: what the client says is what counts
			c.Close()
		}
	})
	o := options(srv)
	o.URLs, o.TLS.CAs = []string{"ldaps://" + l.Addr().String()}, authority(t, srv)
	_, err = open(t, o).List(t.Context(), func(sources.Person) error { return nil })
	e, ok := errors.AsType[*Error](err)
	if !ok || !strings.Contains(err.Error(), "protocol version") || !strings.Contains(e.Hint(), "TLS 1.2") {
		t.Errorf("error %v, hint %q", err, e.Hint())
	}
}
