//go:build directories

package ldap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"photosync/sources"
	"photosync/sources/sourcetest"
)

// Servers that take long to set up, as Debian has them: .ci/directories installs them
// and runs these tests, as root.

const rootPassword = "Correct-Horse7"

// directory is a running server with a user who may do everything.
type directory struct {
	t       *testing.T
	c       *ldap.Conn
	o       Options // that list it
	classes []string
	rdn     string // of people
	id      string // attribute that must be unique
	coarse  bool   // change marks count whole seconds
	places  int
	sam     string // Samba's database
}

// connect logs in, once the server listens.
func (d *directory) connect() {
	d.t.Helper()
	addr := strings.TrimPrefix(d.o.URLs[0], "ldap://")
	for range 1500 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			break
		}
		time.Sleep(20 * time.Millisecond) // another process: its start cannot be waited for otherwise
	}
	c, err := ldap.DialURL(d.o.URLs[0])
	if err == nil {
		d.t.Cleanup(func() { c.Close() })
		err = c.Bind(d.o.BindDN, d.o.Password)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	d.c = c
}

func (d *directory) add(dn string, attributes map[string][]string) {
	d.t.Helper()
	a := ldap.NewAddRequest(dn, nil)
	for name, values := range attributes {
		a.Attribute(name, values)
	}
	if err := d.c.Add(a); err != nil {
		d.t.Fatalf("add %s: %v", dn, err)
	}
}

func (d *directory) modify(dn, attribute string, values ...string) error {
	m := ldap.NewModifyRequest(dn, nil)
	m.Replace(attribute, values)
	return d.c.Modify(m)
}

func (d *directory) set(dn, attribute string, values ...string) {
	d.t.Helper()
	if err := d.modify(dn, attribute, values...); err != nil {
		d.t.Fatalf("modify %s: %v", dn, err)
	}
}

// organisation is a new part of a directory: a place for the contract.
type organisation struct {
	*directory
	t *testing.T
	o Options
	n int
}

func (d *directory) organisation(t *testing.T) *organisation {
	d.places++
	g := &organisation{directory: d, t: t, o: d.o, n: d.places}
	ou := fmt.Sprintf("place%d", g.n)
	g.o.BaseDN = "OU=" + ou + "," + d.o.BaseDN
	d.add(g.o.BaseDN, map[string][]string{"objectClass": {"organizationalUnit"}, "ou": {ou}})
	return g
}

func (g *organisation) name(email string) string {
	name, _, _ := strings.Cut(email, "@")
	return fmt.Sprintf("%s-%d", name, g.n)
}

func (g *organisation) dn(email string) string { return g.rdn + "=" + g.name(email) + "," + g.o.BaseDN }

func (g *organisation) Put(email string, photo []byte) {
	err := g.modify(g.dn(email), "jpegPhoto", string(photo))
	if ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
		g.add(g.dn(email), map[string][]string{
			"objectClass": g.classes, "cn": {g.name(email)}, "sn": {"x"}, g.id: {g.name(email)}, "mail": {email}, "jpegPhoto": {string(photo)},
		})
	} else if err != nil {
		g.t.Fatal(err)
	}
}

func (g *organisation) Remove(email string) {
	if err := g.c.Del(ldap.NewDelRequest(g.dn(email), nil)); err != nil {
		g.t.Fatal(err)
	}
}

func (g *organisation) Age() {
	if g.coarse {
		time.Sleep(1100 * time.Millisecond) // the server's clock
	}
}

func (g *organisation) Source() sources.Source { return g.source(g.o) }

func (g *organisation) source(o Options) *Source {
	s := open(g.t, o)
	if g.coarse {
		s.now = func() time.Time { return time.Now().Add(2 * timeGranularity) }
	}
	return s
}

// list lists with other options.
func (g *organisation) list(change func(*Options)) (emails []string, l sources.Listing, err error) {
	o := g.o
	change(&o)
	l, err = g.source(o).List(g.t.Context(), func(p sources.Person) error {
		emails = append(emails, p.Own[0])
		return nil
	})
	slices.Sort(emails)
	return emails, l, err
}

// fails wants an error with a hint.
func (g *organisation) fails(t *testing.T, hint string, change func(*Options)) {
	t.Helper()
	emails, l, err := g.list(change)
	if e, ok := errors.AsType[*Error](err); !ok || l.Complete || !strings.Contains(e.Hint(), hint) {
		h := ""
		if ok {
			h = e.Hint()
		}
		t.Errorf("%d people, complete %v, error %v, hint %q; want the hint %q", len(emails), l.Complete, err, h, hint)
	}
}

// start runs a server that stays in the foreground until the end of the test.
func start(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait() // it was killed: the error says no more
	})
}

func run(t *testing.T, env, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// samba is a domain controller of Active Directory. It listens on port 389, which cannot be
// changed, of an address of its own.
func samba(t *testing.T) *directory {
	const addr = "127.0.53.1"
	dir := t.TempDir()
	run(t, "", "samba-tool", "domain", "provision", "--targetdir="+dir+"/dc", "--realm=AD.TEST", "--domain=AD", "--adminpass="+rootPassword,
		"--server-role=dc", "--dns-backend=NONE", "--host-name=dc1", "--host-ip="+addr, "--option=posix:eadb="+dir+"/eadb.tdb", "--quiet")
	write(t, dir+"/smb.conf", strings.ReplaceAll(`[global]
realm = AD.TEST
workgroup = AD
netbios name = DC1
server role = active directory domain controller
server services = ldap
interfaces = `+addr+`/8
bind interfaces only = yes
tls enabled = no
ldap server require strong auth = no
private dir = DIR/dc/private
lock directory = DIR/dc
state directory = DIR/dc/state
cache directory = DIR/dc/cache
pid directory = DIR
ncalrpc dir = DIR/ncalrpc
log file = DIR/log
posix:eadb = DIR/eadb.tdb
`, "DIR", dir))
	start(t, "/usr/sbin/samba", "-i", "-M", "single", "-s", dir+"/smb.conf")
	d := &directory{t: t, classes: []string{"user"}, rdn: "CN", id: "sAMAccountName", sam: dir + "/dc/private/sam.ldb", o: Options{
		URLs: []string{"ldap://" + addr + ":389"}, BindDN: "Administrator@ad.test", Password: rootPassword, BaseDN: "DC=ad,DC=test",
		Filter: "(&(objectCategory=person)(objectClass=user)(mail=*))", EmailAttributes: []string{"mail"}, PhotoAttributes: []string{"jpegPhoto"},
	}}
	d.connect()
	return d
}

func TestSamba(t *testing.T) {
	d := samba(t)
	t.Run("contract", func(t *testing.T) {
		sourcetest.Run(t, func(t *testing.T) sourcetest.Place { return d.organisation(t) })
	})
	t.Run("the whole domain", func(t *testing.T) { // with referrals to other partitions
		g := d.organisation(t)
		emails, l, err := g.list(func(o *Options) { o.BaseDN = d.o.BaseDN })
		if err != nil || !l.Complete || len(emails) < 60 {
			t.Errorf("%d people, listing %+v, error %v", len(emails), l, err)
		}
	})
	t.Run("groups", func(t *testing.T) {
		g := d.organisation(t)
		for i := range 5 {
			g.Put(fmt.Sprintf("p%d@ad.test", i), sourcetest.Picture(i, 100))
		}
		group := func(name string, members ...string) string {
			dn := "CN=" + name + "," + g.o.BaseDN
			g.add(dn, map[string][]string{"objectClass": {"group"}, "sAMAccountName": {name}})
			if len(members) > 0 {
				g.set(dn, "member", members...)
			}
			return dn
		}
		inner := group("inner", g.dn("p1@"), g.dn("p3@"))
		outer := group("outer", inner, g.dn("p0@"))
		g.set(g.dn("p3@"), "primaryGroupID", g.number(inner)) // which takes p3 out of member
		for dn, want := range map[string]string{
			outer: "[p0@ad.test p1@ad.test p3@ad.test]", inner: "[p1@ad.test p3@ad.test]", group("nobody"): "[]",
			"CN=Domain Users,CN=Users,DC=ad,DC=test": "[p0@ad.test p1@ad.test p2@ad.test p3@ad.test p4@ad.test]",
		} {
			emails, l, err := g.list(func(o *Options) { o.MemberOf = dn })
			if fmt.Sprint(emails) != want || err != nil || (want == "[]") != strings.Contains(fmt.Sprint(l.Warnings), "no member of") {
				t.Errorf("%s: %v, want %s; error %v, warnings %q", dn, emails, want, err, l.Warnings)
			}
		}
	})
	t.Run("a photo that may not be seen", func(t *testing.T) {
		g := d.organisation(t)
		for i := range 3 {
			g.Put(fmt.Sprintf("p%d@ad.test", i), sourcetest.Picture(i, 100))
		}
		g.set(g.dn("p2@"), "jpegPhoto")
		d.samtool(t, "user", "create", "reader", rootPassword)
		const jpegPhoto = "bac80572-09c4-4fa9-9ae6-7628d7adbe0e"
		d.samtool(t, "dsacl", "set", "--action=deny", "--objectdn="+g.dn("p1@"), "--trusteedn=CN=reader,CN=Users,DC=ad,DC=test", "--sddl=(OD;;RP;"+jpegPhoto+";;"+g.sid("CN=reader,CN=Users,DC=ad,DC=test")+")")
		g.o.BindDN = "reader@ad.test"
		s := g.source(g.o)
		people := sourcetest.List(t, s)
		for email, want := range map[string]error{"p0@ad.test": nil, "p1@ad.test": sources.ErrDenied, "p2@ad.test": sources.ErrNoPhoto} {
			if p := sourcetest.Read(t, s, people[email].Ref); !errors.Is(p.Err, want) {
				t.Errorf("photo of %s: %v, want %v; listed %+v", email, p.Err, want, people[email])
			}
		}
	})
	t.Run("accounts", func(t *testing.T) {
		g := d.organisation(t)
		g.Put("a@ad.test", sourcetest.Picture(1, 100))
		// Over LDAP a password is set with TLS only.
		for name, c := range map[string]struct {
			attribute, value string
			hint             string
		}{
			"must-change": {"pwdLastSet", "0", "must change its password"}, "disabled": {"userAccountControl", "514", "is disabled"},
			"expired": {"accountExpires", "116444736000000000", "account has expired"},
		} {
			d.samtool(t, "user", "create", name, rootPassword)
			g.set("CN="+name+",CN=Users,DC=ad,DC=test", c.attribute, c.value)
			g.fails(t, c.hint, func(o *Options) { o.BindDN = name + "@ad.test" })
		}
	})
}

// samtool runs samba-tool on Samba's database.
func (d *directory) samtool(t *testing.T, args ...string) {
	t.Helper()
	run(t, "", "samba-tool", append(args, "-H", d.sam, "-s", filepath.Dir(d.sam)+"/../../smb.conf")...)
}

// number is the last part of a group's identifier.
func (d *directory) number(dn string) string {
	res, err := d.c.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{"primaryGroupToken"}, nil))
	if err != nil || len(res.Entries) != 1 {
		d.t.Fatal(err)
	}
	return res.Entries[0].GetAttributeValue("primaryGroupToken")
}

// sid is an identifier as SDDL writes it.
func (d *directory) sid(dn string) string {
	res, err := d.c.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{"objectSid"}, nil))
	if err != nil || len(res.Entries) != 1 {
		d.t.Fatal(err)
	}
	raw := res.Entries[0].GetRawAttributeValue("objectSid")
	text := fmt.Sprintf("S-%d-%d", raw[0], raw[7])
	for part := range slices.Chunk(raw[8:], 4) {
		text += fmt.Sprintf("-%d", binary.LittleEndian.Uint32(part))
	}
	return text
}

// ds389 is a 389 Directory Server. Its tools find all files by the one that lists their
// places, and start the server with systemd unless that says otherwise.
func ds389(t *testing.T) *directory {
	dir := t.TempDir()
	run(t, "", "chmod", "-R", "a+rx", filepath.Dir(dir))
	text, err := os.ReadFile("/usr/share/dirsrv/inf/defaults.inf")
	if err != nil {
		t.Fatal(err)
	}
	places := strings.NewReplacer("with_systemd = 1", "with_systemd = 0", "= /etc/", "= "+dir+"/etc/", "= /run/", "= "+dir+"/run/",
		"= /var/l", "= "+dir+"/var/l", "= /dev/shm/", "= "+dir+"/shm/").Replace(string(text))
	for _, sub := range []string{"share/dirsrv/inf", "etc/dirsrv", "etc/default", "etc/tmpfiles.d", "run/dirsrv", "run/lock/dirsrv", "var/lib/dirsrv", "var/log/dirsrv", "shm"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir+"/share/dirsrv/inf/defaults.inf", places)
	run(t, "", "cp", "-r", "/etc/dirsrv/config", "/etc/dirsrv/schema", dir+"/etc/dirsrv")
	run(t, "", "chown", "-R", "dirsrv:", dir)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := strings.Cut(addr, ":")
	write(t, dir+"/new.inf", `[general]
config_version = 2
full_machine_name = localhost
selinux = False
start = False
strict_host_checking = False
[slapd]
instance_name = test
port = `+port+`
root_password = `+rootPassword+`
self_sign_cert = False
[backend-userroot]
suffix = dc=example,dc=test
create_suffix_entry = True
sample_entries = no
`)
	run(t, "PREFIX="+dir, "dscreate", "from-file", dir+"/new.inf")
	config := dir + "/etc/dirsrv/slapd-test"
	dse, err := os.ReadFile(config + "/dse.ldif")
	if err != nil {
		t.Fatal(err)
	}
	write(t, config+"/dse.ldif", strings.Replace(string(dse), "\nnsslapd-port:", "\nnsslapd-listenhost: 127.0.0.1\nnsslapd-port:", 1))
	start(t, "/usr/sbin/ns-slapd", "-D", config, "-i", dir+"/run/test.pid", "-d", "0")
	d := &directory{t: t, classes: []string{"inetOrgPerson"}, rdn: "uid", id: "uid", coarse: true, o: Options{
		URLs: []string{"ldap://" + addr}, BindDN: "cn=Directory Manager", Password: rootPassword, BaseDN: "dc=example,dc=test",
		Filter: "(objectClass=inetOrgPerson)", EmailAttributes: []string{"mail"}, PhotoAttributes: []string{"jpegPhoto"},
	}}
	d.connect()
	return d
}

func Test389(t *testing.T) {
	d := ds389(t)
	t.Run("contract", func(t *testing.T) {
		sourcetest.Run(t, func(t *testing.T) sourcetest.Place { return d.organisation(t) })
	})
	reader := func(name string, limits ...string) func(*Options) {
		dn := "cn=" + name + ",dc=example,dc=test"
		d.add(dn, map[string][]string{"objectClass": {"person"}, "cn": {name}, "sn": {"x"}, "userPassword": {rootPassword}})
		for pair := range slices.Chunk(limits, 2) {
			d.set(dn, pair[0], pair[1])
		}
		return func(o *Options) { o.BindDN = dn }
	}
	d.set("dc=example,dc=test", "aci", `(targetattr="*")(version 3.0; acl "read"; allow (read,search,compare) userdn="ldap:///all";)`)
	t.Run("limits", func(t *testing.T) {
		g := d.organisation(t)
		for i := range 30 {
			g.Put(fmt.Sprintf("p%02d@example.com", i), sourcetest.Picture(i, 100))
		}
		if emails, l, err := g.list(reader("unlimited")); err != nil || len(emails) != 30 {
			t.Errorf("%d people, listing %+v, error %v", len(emails), l, err)
		}
		g.fails(t, "nsslapd-sizelimit", reader("few", "nsSizeLimit", "10", "nsPagedSizeLimit", "10"))
		g.fails(t, "nsslapd-lookthroughlimit", reader("shortsighted", "nsLookThroughLimit", "10", "nsPagedLookThroughLimit", "10"))
	})
	t.Run("accounts", func(t *testing.T) {
		g := d.organisation(t)
		g.Put("a@example.com", sourcetest.Picture(1, 100))
		g.fails(t, "is disabled", reader("inactive", "nsAccountLock", "true"))
		for name, value := range map[string]string{"passwordLockout": "on", "passwordMaxFailure": "1", "passwordMustChange": "on"} {
			d.set("cn=config", name, value)
		}
		changed := reader("new", "userPassword", rootPassword+"2")
		g.fails(t, "must change its password", func(o *Options) { changed(o); o.Password += "2" })
		locked := reader("locked")
		for range 2 {
			g.list(func(o *Options) { locked(o); o.Password = "wrong" })
		}
		g.fails(t, "locked out", locked)
	})
}
