// Package slapdtest starts a throw-away OpenLDAP server (slapd) on loopback for
// tests: its own folder, its own port, its own certificate authority. It is
// stopped by the process that was started, never by name.
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
	"encoding/base64"
	"encoding/pem"
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
	LDIF    string // entries below BaseDN
	Limits  string // of ReaderDN, as slapd.conf(5) has them; empty: none
	Backend string // mdb, ldif, or meta: a proxy of a server with mdb; empty: mdb
	Policy  string // attributes of the password policy of everybody, as LDIF; empty: there is none
	Reader  string // more attributes of ReaderDN's entry, as LDIF
	Expired bool   // the certificate is no longer valid
	NoTLS   bool   // there is only URL and SocketURL
	Access  string // rules of slapd.access(5) before those that let users read everything
	KDC     *KDC   // that vouches for users of SASL GSSAPI; nil: none
}

// Server is a running slapd.
type Server struct {
	URL, LDAPSURL, SocketURL string
	CAFile                   string
	ServerCert, ServerKey    string
	ClientCert, ClientKey    string // of a user with the rights of ReaderDN, as has who comes through the socket

	t   testing.TB
	dir string
	kdc *KDC
	cmd *exec.Cmd
	log *bytes.Buffer
}

// Entry is the LDIF of a person; photo may be nil. Two servers that load it are
// replicas of each other: entryUUID is the same, and so is entryCSN if the rest is.
func Entry(uid, mail string, photo []byte) string {
	id := sha256.Sum256([]byte(uid))
	change := sha256.Sum256([]byte(uid + "\n" + mail + "\n" + string(photo)))
	s := fmt.Sprintf("dn: uid=%s,%s\nobjectClass: inetOrgPerson\nobjectClass: adPhoto\nuid: %s\ncn: %s\nsn: %s\n", uid, BaseDN, uid, uid, uid) +
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
	for _, tool := range []string{"slapd", "slapadd"} {
		if _, err := exec.LookPath(path(tool)); err != nil {
			t.Fatalf("%s is missing: run .ci/test, which installs it", tool)
		}
	}
	s := &Server{t: t, dir: t.TempDir(), kdc: c.KDC}
	s.certificates(c.Expired)
	s.CAFile, s.ClientCert, s.ClientKey = s.file("ca.pem"), s.file("client.pem"), s.file("client-key.pem")
	s.ServerCert, s.ServerKey = s.file("cert.pem"), s.file("key.pem")
	s.write("photo.schema", schema)
	if c.Backend == "meta" {
		c.Backend = ""
		s.write("slapd.conf", s.proxy(Start(t, c)))
		s.listen(c)
		return s
	}
	s.write("slapd.conf", s.conf(c))
	if err := os.Mkdir(filepath.Join(s.dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	ldif := fmt.Sprintf("dn: %s\nobjectClass: dcObject\nobjectClass: organization\no: x\ndc: example\n\ndn: %s\nobjectClass: organizationalUnit\nou: people\n\n"+
		"dn: %s\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: reader\nuserPassword: %s\n\n", Suffix, BaseDN, ReaderDN, Password)
	if c.Reader != "" {
		ldif = strings.TrimSuffix(ldif, "\n") + c.Reader + "\n"
	}
	if c.Policy != "" {
		ldif += "dn: cn=policy," + Suffix + "\nobjectClass: device\nobjectClass: pwdPolicy\ncn: policy\npwdAttribute: userPassword\n" + c.Policy + "\n"
	}
	add := exec.Command(path("slapadd"), "-q", "-f", filepath.Join(s.dir, "slapd.conf"), "-b", Suffix)
	add.Stdin = strings.NewReader(ldif + c.LDIF)
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v\n%s", err, out)
	}
	s.listen(c)
	return s
}

// listen runs the server on ports of its own.
func (s *Server) listen(c Config) {
	t := s.t
	s.URL, s.LDAPSURL, s.SocketURL = "ldap://"+freeAddr(t), "ldaps://"+freeAddr(t), "ldapi://"+url.PathEscape(s.file("ldapi"))
	if c.NoTLS {
		s.LDAPSURL = ""
	}
	s.Run()
	t.Cleanup(s.Stop)
}

// path finds Debian's slapd also where /usr/sbin is not on the PATH.
func path(tool string) string {
	if _, err := exec.LookPath(tool); err != nil {
		return "/usr/sbin/" + tool
	}
	return tool
}

// freeAddr finds a free port below those that the system hands out for outgoing
// connections: one of them could be taken before slapd listens, even by the very
// connection that asks whether it does.
func freeAddr(t testing.TB) string {
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
	s.log = &bytes.Buffer{}
	// With -d slapd stays in the foreground: the process is ours to stop.
	s.cmd = exec.Command(path("slapd"), "-d", "0", "-f", filepath.Join(s.dir, "slapd.conf"), "-h", strings.Join([]string{s.URL, s.LDAPSURL, s.SocketURL}, " "))
	if s.kdc != nil {
		s.cmd.Env = append(os.Environ(), s.kdc.env()...)
	}
	s.cmd.Stderr = s.log
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
	s.t.Fatalf("slapd does not listen on %s: %s", s.URL, s.log)
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

// schema gives people Active Directory's thumbnailPhoto.
const schema = `attributetype ( 2.16.840.1.113730.3.1.35 NAME 'thumbnailPhoto'
  EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40{102400} SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.2.210 NAME 'proxyAddresses'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
objectclass ( 1.3.6.1.4.1.99999.1.1 NAME 'adPhoto' SUP top AUXILIARY MAY ( thumbnailPhoto $ proxyAddresses ) )
`

func (s *Server) conf(c Config) string {
	limits := fmt.Sprintf("limits dn.exact=%q %s\n", ReaderDN, cmp.Or(c.Limits, "size=unlimited"))
	backend, own := cmp.Or(c.Backend, "mdb"), ""
	if backend == "mdb" {
		own = "maxsize 4294967296\ndbnosync\nindex objectClass,uid,mail,entryUUID eq\n"
	}
	policy := ""
	if c.Policy != "" {
		policy = "overlay ppolicy\nppolicy_default \"cn=policy," + Suffix + "\"\nppolicy_use_lockout\n"
	}
	secure := fmt.Sprintf("TLSCACertificateFile %[1]s/ca.pem\nTLSCertificateFile %[1]s/cert.pem\nTLSCertificateKeyFile %[1]s/key.pem\nTLSVerifyClient try\n", s.dir)
	if c.NoTLS {
		secure = ""
	}
	return s.common() + secure + `sasl-host 127.0.0.1
authz-regexp "^cn=photosync$" "` + ReaderDN + `"
authz-regexp "^gidNumber=[^,]*,cn=peercred,cn=external,cn=auth$" "` + ReaderDN + `"
authz-regexp "^uid=photosync(,cn=[^,]*)?,cn=gssapi,cn=auth$" "` + ReaderDN + `"
database ` + backend + `
suffix "` + Suffix + `"
rootdn "` + BindDN + `"
rootpw "` + Password + `"
directory ` + s.dir + `/db
` + own + limits + `access to attrs=userPassword by anonymous auth by * none
` + c.Access + `access to * by users read by * none
` + policy
}

// common is what every configuration begins with.
func (s *Server) common() string {
	return `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/dyngroup.schema
include ` + s.dir + `/photo.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload back_meta
moduleload back_ldap
moduleload ppolicy
loglevel none
`
}

// proxy is the configuration of a server that asks another one for everything.
func (s *Server) proxy(to *Server) string {
	return s.common() + `database meta
suffix "` + Suffix + `"
rootdn "` + BindDN + `"
rootpw "` + Password + `"
uri ` + to.URL + `/` + Suffix + `
idassert-bind bindmethod=simple binddn="` + BindDN + `" credentials="` + Password + `" mode=none
idassert-authzFrom "*"
`
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
	s.certificate("", server, ca, caKey)
	s.certificate("client", &x509.Certificate{
		Subject: pkix.Name{CommonName: "photosync"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca, caKey)
}

// certificate signs c by parent, or by itself, and writes it and its key: name.pem
// and name-key.pem, those of the server cert.pem and key.pem.
func (s *Server) certificate(name string, c, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*ecdsa.PrivateKey, *x509.Certificate) {
	must := func(err error) {
		if err != nil {
			s.t.Helper()
			s.t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	if parent == nil {
		parent, parentKey = c, key
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), parentKey)
	must(err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	certFile, keyFile := name+".pem", name+"-key.pem"
	if name == "" {
		certFile, keyFile = "cert.pem", "key.pem"
	}
	s.write(certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	s.write(keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	return key, c
}
