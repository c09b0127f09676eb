// Package slapdtest starts a throw-away OpenLDAP server (slapd) on loopback for
// tests: its own folder, its own port, its own certificate authority. It is
// stopped by the process that was started, never by name.
package slapdtest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"embed"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	mrand "math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"
)

// The directory's names.
const (
	Suffix   = "dc=example,dc=test"
	BaseDN   = "ou=people," + Suffix
	BindDN   = "cn=admin," + Suffix // no limits
	ReaderDN = "cn=reader," + Suffix
	Password = "correct horse" // of all of them
)

// Config describes a server.
type Config struct {
	LDIF    string   // entries below BaseDN
	Limits  string   // of ReaderDN, as slapd.conf(5) has them; empty: none
	Backend string   // mdb, ldif, or meta: a proxy of a server with mdb; empty: mdb
	Policy  string   // attributes of the password policy of everybody, as LDIF; empty: there is none
	Reader  string   // more attributes of ReaderDN's entry, as LDIF
	Expired bool     // the certificate is no longer valid
	NoTLS   bool     // there is only URL and SocketURL
	Access  string   // rules of slapd.access(5) before those that let users read everything
	Env     []string // more environment of slapd, such as where its Kerberos keytab is
}

// Server is a running slapd.
type Server struct {
	URL, LDAPSURL, SocketURL string
	CAFile                   string
	ServerCert, ServerKey    string
	ClientCert, ClientKey    string // of a user with the rights of ReaderDN, as has who comes through the socket

	t      testing.TB
	dir    string
	config Config
	cmd    *exec.Cmd
}

// Entry is the LDIF of a person; photo may be nil. Two servers that load it are
// replicas of each other: entryUUID is the same, and so is entryCSN if the rest is.
func Entry(uid, mail string, photo []byte) string {
	id := sha256.Sum256([]byte(uid))
	change := sha256.Sum256([]byte(uid + "\n" + mail + "\n" + string(photo)))
	s := fmt.Sprintf("dn: uid=%[1]s,%[2]s\nobjectClass: inetOrgPerson\nobjectClass: adPhoto\nuid: %[1]s\ncn: %[1]s\nsn: %[1]s\n", uid, BaseDN) +
		fmt.Sprintf("entryUUID: %x-%x-%x-%x-%x\nentryCSN: 20260101000000.000000Z#%x#000#000000\n", id[:4], id[4:6], id[6:8], id[8:10], id[10:16], change[:3])
	if mail != "" {
		s += "mail: " + mail + "\n"
	}
	if photo != nil {
		s += "jpegPhoto:: " + base64.StdEncoding.EncodeToString(photo) + "\n"
	}
	return s + "\n"
}

// Start loads the data and starts slapd. It fails the test when it cannot.
func Start(t testing.TB, c Config) *Server {
	t.Helper()
	s := &Server{t: t, dir: t.TempDir(), config: c}
	s.URL, s.LDAPSURL, s.SocketURL = "ldap://"+FreeAddr(t), "ldaps://"+FreeAddr(t), "ldapi://"+url.PathEscape(s.file("ldapi"))
	if c.NoTLS {
		s.LDAPSURL = ""
	}
	s.certificates(c.Expired)
	s.CAFile, s.ClientCert, s.ClientKey = s.file("ca.pem"), s.file("client.pem"), s.file("client-key.pem")
	s.ServerCert, s.ServerKey = s.file("server.pem"), s.file("server-key.pem")
	proxied := ""
	if c.Backend == "meta" {
		behind := c
		behind.Backend = ""
		proxied = Start(t, behind).URL
	}
	s.write("photo.schema", s.fill("photo.schema", proxied))
	s.write("slapd.conf", s.fill("slapd.conf", proxied))
	if proxied == "" {
		s.load()
	}
	s.Run()
	t.Cleanup(s.Stop)
	return s
}

// load fills the database.
func (s *Server) load() {
	s.t.Helper()
	if err := os.Mkdir(s.file("db"), 0o700); err != nil {
		s.t.Fatal(err)
	}
	add := exec.Command(path("slapadd"), "-q", "-f", s.file("slapd.conf"), "-b", Suffix)
	add.Stdin = strings.NewReader(s.fill("base.ldif", "") + s.config.LDIF)
	if out, err := add.CombinedOutput(); err != nil {
		s.t.Fatalf("slapadd: %v\n%s\n.ci/test installs it", err, out)
	}
}

// templates are photo.schema, slapd.conf and base.ldif: what is there before LDIF.
//
//go:embed templates
var templates embed.FS

// fill fills in a template. proxied is the URL of the server behind a proxy.
func (s *Server) fill(name, proxied string) string {
	var text strings.Builder
	err := template.Must(template.ParseFS(templates, "templates/"+name)).Execute(&text, map[string]any{
		"Config": s.config, "Dir": s.dir, "Proxied": proxied,
		"Suffix": Suffix, "BaseDN": BaseDN, "BindDN": BindDN, "ReaderDN": ReaderDN, "Password": Password,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return text.String()
}

// path finds Debian's slapd also where /usr/sbin is not on the PATH.
func path(tool string) string {
	if _, err := exec.LookPath(tool); err != nil {
		return "/usr/sbin/" + tool
	}
	return tool
}

// FreeAddr finds a free port below those that the system hands out for outgoing
// connections: one of them could be taken before slapd listens, even by the very
// connection that asks whether it does.
func FreeAddr(t testing.TB) string {
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+mrand.IntN(20_000)))
		if err != nil {
			continue
		}
		defer l.Close()
		return l.Addr().String()
	}
	t.Fatal("no free port on loopback")
	return ""
}

// Run starts the server, again after Stop.
func (s *Server) Run() {
	s.t.Helper()
	var log bytes.Buffer
	// With -d slapd stays in the foreground: the process is ours to stop.
	s.cmd = exec.Command(path("slapd"), "-d", "0", "-f", s.file("slapd.conf"), "-h", strings.Join([]string{s.URL, s.LDAPSURL, s.SocketURL}, " "))
	s.cmd.Env = append(os.Environ(), s.config.Env...)
	s.cmd.Stderr = &log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for range 500 {
		if c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "ldap://")); err == nil {
			c.Close()
			return
		}
		time.Sleep(20 * time.Millisecond) // another process: its start cannot be waited for otherwise
	}
	s.Stop()
	s.t.Fatalf("slapd does not listen on %s: %s", s.URL, &log)
}

// Stop ends the server; it may be started again with Run.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Kill()
	s.cmd.Wait() // it was killed: the error says no more
	s.cmd = nil
}

// Modify replaces an attribute of the person uid.
func (s *Server) Modify(uid, attribute string, value []byte) {
	s.t.Helper()
	line := attribute + ":" // a value of 0 bytes
	if len(value) > 0 {
		line += ": " + base64.StdEncoding.EncodeToString(value)
	}
	m := exec.Command("ldapmodify", "-x", "-H", s.URL, "-D", BindDN, "-w", Password)
	m.Stdin = strings.NewReader(fmt.Sprintf("dn: uid=%s,%s\nchangetype: modify\nreplace: %s\n%s\n",
		uid, BaseDN, attribute, line))
	if out, err := m.CombinedOutput(); err != nil {
		s.t.Fatalf("ldapmodify: %v\n%s", err, out)
	}
}

func (s *Server) file(name string) string { return filepath.Join(s.dir, name) }

func (s *Server) write(name, text string) {
	if err := os.WriteFile(s.file(name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// certificates makes an authority, a server certificate for 127.0.0.1, and a
// client certificate.
func (s *Server) certificates(expired bool) {
	now := time.Now()
	caKey, ca := s.certificate("ca", &x509.Certificate{
		Subject: pkix.Name{CommonName: "slapdtest CA " + filepath.Base(s.dir)}, NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	server := &x509.Certificate{
		Subject: pkix.Name{CommonName: "slapdtest"}, NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if expired {
		server.NotAfter = now.Add(-time.Hour)
	}
	s.certificate("server", server, ca, caKey)
	s.certificate("client", &x509.Certificate{
		Subject: pkix.Name{CommonName: "photosync"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca, caKey)
}

// certificate signs c by parent, or by itself, and writes it and its key: name.pem
// and name-key.pem.
func (s *Server) certificate(name string, c, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*ecdsa.PrivateKey, *x509.Certificate) {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if parent == nil {
		parent, parentKey = c, key
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	der, err2 := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), parentKey)
	keyDER, err3 := x509.MarshalPKCS8PrivateKey(key)
	if err := errors.Join(err, err2, err3); err != nil {
		s.t.Fatal(err)
	}
	s.write(name+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	s.write(name+"-key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	return key, c
}
