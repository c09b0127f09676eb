// Package slapdtest starts a throw-away OpenLDAP server (slapd) on loopback for tests, with its own
// folder, port and certificate authority. It is stopped by its process, never by name.
package slapdtest

import (
	"bytes"
	"cmp"
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
	mrand "math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
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
	Backend string   // mdb, ldif, or meta: a proxy of a server with mdb, which has no TLS; empty: mdb
	Policy  string   // attributes of the password policy of everybody, as LDIF; empty: there is none
	Reader  string   // more attributes of ReaderDN's entry, as LDIF
	Expired bool     // the certificate is no longer valid
	Access  string   // rules of slapd.access(5) before those that let users read everything
	Env     []string // more environment of slapd, such as where its Kerberos keytab is
}

// Server is a running slapd.
type Server struct {
	URL, LDAPSURL, SocketURL, CAFile string

	t       testing.TB
	dir     string
	config  Config
	proxied string // URL of the server behind a proxy
	cmd     *exec.Cmd
}

// Entry is the LDIF of a person; photo may be nil. Two servers that load it are replicas.
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
	s := &Server{t: t, dir: t.TempDir(), config: c, URL: "ldap://" + FreeAddr(), LDAPSURL: "ldaps://" + FreeAddr()}
	s.SocketURL, s.CAFile = "ldapi://"+url.PathEscape(s.File("ldapi")), s.File("ca.pem")
	s.certificates()
	if c.Backend == "meta" {
		c.Backend = ""
		s.proxied = Start(t, c).URL
	}
	s.write("photo.schema", s.fill("photo.schema"))
	s.write("slapd.conf", s.fill("slapd.conf"))
	if s.proxied == "" {
		s.check(os.Mkdir(s.File("db"), 0o700))
		s.do(s.fill("base.ldif")+c.LDIF, "/usr/sbin/slapadd", "-q", "-f", s.File("slapd.conf"), "-b", Suffix)
	}
	s.Run()
	t.Cleanup(s.Stop)
	return s
}

func (s *Server) do(input, tool string, args ...string) {
	s.t.Helper()
	cmd := exec.Command(tool, args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s\n.ci/test installs it", tool, err, out)
	}
}

// templates are photo.schema, slapd.conf and base.ldif: what is there before LDIF.
//
//go:embed templates
var templates embed.FS

func (s *Server) fill(name string) string {
	var text strings.Builder
	s.check(template.Must(template.ParseFS(templates, "templates/"+name)).Execute(&text, map[string]any{
		"Config": s.config, "Dir": s.dir, "Proxied": s.proxied,
		"Suffix": Suffix, "BaseDN": BaseDN, "BindDN": BindDN, "ReaderDN": ReaderDN, "Password": Password,
	}))
	return text.String()
}

// FreeAddr finds a port that neither another caller nor the system takes before slapd listens.
func FreeAddr() string {
	for {
		first := reserved().Addr().(*net.TCPAddr).Port
		if l, err := listen(first + 1 + int(given.Add(1))%999); err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
}

var given atomic.Uint32 // how many ports FreeAddr tried

// reserved listens on the first of a thousand ports as long as this process lives, to reserve them all.
var reserved = sync.OnceValue(func() net.Listener {
	for {
		if l, err := listen(1000 * (10 + mrand.IntN(20))); err == nil {
			return l
		}
	}
})

func listen(port int) (net.Listener, error) { return net.Listen("tcp", fmt.Sprint("127.0.0.1:", port)) }

// Run starts the server, again after Stop.
func (s *Server) Run() {
	var log bytes.Buffer
	// With -d slapd stays in the foreground: the process is ours to stop.
	s.cmd = exec.Command("/usr/sbin/slapd", "-d", "0", "-f", s.File("slapd.conf"), "-h", s.URL+" "+s.LDAPSURL+" "+s.SocketURL)
	s.cmd.Env = append(os.Environ(), s.config.Env...)
	s.cmd.Stderr = &log
	s.check(s.cmd.Start())
	for range 1500 {
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
	s.cmd.Process.Kill()
	s.cmd.Wait() // it was killed, perhaps before: the errors say no more
}

// Modify replaces an attribute of the person uid.
func (s *Server) Modify(uid, attribute string, value []byte) {
	s.t.Helper()
	line := attribute + ":: " + base64.StdEncoding.EncodeToString(value)
	if len(value) == 0 { // ldapmodify takes no base64 of 0 bytes
		line = attribute + ":"
	}
	s.do(fmt.Sprintf("dn: uid=%s,%s\nchangetype: modify\nreplace: %s\n%s\n", uid, BaseDN, attribute, line),
		"ldapmodify", "-x", "-H", s.URL, "-D", BindDN, "-w", Password)
}

// File is the path of a file of the server: the certificates server.pem and client.pem, and their keys
// server-key.pem and client-key.pem. The user of client.pem, and everybody who comes through the socket,
// has the rights of ReaderDN.
func (s *Server) File(name string) string { return filepath.Join(s.dir, name) }

func (s *Server) write(name, text string) { s.check(os.WriteFile(s.File(name), []byte(text), 0o600)) }

func (s *Server) check(errs ...error) {
	s.t.Helper()
	if err := errors.Join(errs...); err != nil {
		s.t.Fatal(err)
	}
}

// certificates makes an authority, a server certificate for 127.0.0.1, and a client certificate.
func (s *Server) certificates() {
	end := time.Now().Add(24 * time.Hour)
	serverEnd := end
	if s.config.Expired {
		serverEnd = time.Now().Add(-time.Hour)
	}
	ca := &x509.Certificate{Subject: pkix.Name{CommonName: "slapdtest CA " + filepath.Base(s.dir)}, NotAfter: end, IsCA: true, BasicConstraintsValid: true}
	caKey := s.certificate("ca", ca, ca, nil)
	s.certificate("client", &x509.Certificate{Subject: pkix.Name{CommonName: "photosync"}, NotAfter: end}, ca, caKey)
	s.certificate("server", &x509.Certificate{Subject: pkix.Name{CommonName: "slapdtest"}, NotAfter: serverEnd, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, ca, caKey)
}

// certificate signs c by parent, with c's own key where parentKey is nil, and writes it and its key:
// name.pem and name-key.pem.
func (s *Server) certificate(name string, c, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	c.NotBefore = time.Now().Add(-48 * time.Hour)
	der, err2 := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), cmp.Or(parentKey, key))
	keyDER, err3 := x509.MarshalPKCS8PrivateKey(key)
	s.check(err, err2, err3)
	s.write(name+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	s.write(name+"-key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	return key
}
