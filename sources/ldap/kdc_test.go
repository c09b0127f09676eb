package ldap

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"photosync/sources/ldap/slapdtest"
)

// keyServer is a throw-away Kerberos server (MIT krb5kdc) with two principals: a user,
// photosync, and slapd on 127.0.0.1.
type keyServer struct {
	realm  string
	config string // krb5.conf
	keytab string // of the user

	t   testing.TB
	dir string
}

// startKDC makes the database and starts the server. It fails the test when it
// cannot.
func startKDC(t testing.TB) *keyServer {
	t.Helper()
	k := &keyServer{realm: "EXAMPLE.TEST", t: t, dir: t.TempDir()}
	k.config, k.keytab = k.file("krb5.conf"), k.file("photosync.keytab")
	at := slapdtest.FreeAddr()
	k.write("krb5.conf", "[libdefaults]\n default_realm = "+k.realm+"\n dns_lookup_kdc = false\n dns_lookup_realm = false\n dns_canonicalize_hostname = false\n rdns = false\n udp_preference_limit = 1\n"+
		"[realms]\n "+k.realm+" = {\n  kdc = "+at+"\n }\n[domain_realm]\n 127.0.0.1 = "+k.realm+"\n")
	k.write("kdc.conf", fmt.Sprintf("[kdcdefaults]\n kdc_listen = \"\"\n kdc_tcp_listen = %s\n[realms]\n %s = {\n  database_name = %s\n  key_stash_file = %s\n }\n[logging]\n kdc = FILE:%s\n",
		at, k.realm, k.file("db"), k.file("stash"), k.file("log")))
	k.run("kdb5_util", "create", "-s", "-P", "master")
	k.run("kadmin.local", "-q", "addprinc -randkey photosync")
	k.run("kadmin.local", "-q", "addprinc -randkey ldap/127.0.0.1")
	k.run("kadmin.local", "-q", "ktadd -k "+k.keytab+" photosync")
	k.run("kadmin.local", "-q", "ktadd -k "+k.file("slapd.keytab")+" ldap/127.0.0.1")
	kdc := k.command("krb5kdc", "-n")
	if err := kdc.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		kdc.Process.Kill()
		kdc.Wait() // it was killed: the error says no more
	})
	for range 1500 {
		if c, err := net.Dial("tcp", at); err == nil {
			c.Close()
			return k
		}
		time.Sleep(20 * time.Millisecond) // another process: its start cannot be waited for otherwise
	}
	t.Fatalf("krb5kdc does not listen on %s", at)
	return nil
}

func (k *keyServer) file(name string) string { return filepath.Join(k.dir, name) }

func (k *keyServer) write(name, text string) {
	if err := os.WriteFile(k.file(name), []byte(text), 0o600); err != nil {
		k.t.Fatal(err)
	}
}

// env is what programs that use Kerberos find its files by.
func (k *keyServer) env() []string {
	return []string{"KRB5_CONFIG=" + k.config, "KRB5_KDC_PROFILE=" + k.file("kdc.conf"), "KRB5_KTNAME=" + k.file("slapd.keytab")}
}

func (k *keyServer) command(tool string, args ...string) *exec.Cmd {
	if _, err := exec.LookPath(tool); err != nil {
		tool = "/usr/sbin/" + tool // where Debian has it, which may not be on the PATH
	}
	cmd := exec.Command(tool, args...)
	cmd.Env = append(os.Environ(), k.env()...)
	return cmd
}

func (k *keyServer) run(tool string, args ...string) {
	k.t.Helper()
	if out, err := k.command(tool, args...).CombinedOutput(); err != nil {
		k.t.Fatalf("%s %s: %v\n%s\n.ci/test installs it", tool, strings.Join(args, " "), err, out)
	}
}
