package ldap

import (
	"cmp"
	"fmt"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// Options describe a directory.
type Options struct {
	URLs []string // ldap://, ldaps:// or ldapi://, tried in order

	Auth     string // how to bind: Simple, External, GSSAPI or Anonymous
	BindDN   string
	Password string
	Kerberos Kerberos

	BaseDN        string
	Filter        string
	ExcludeFilter string // entries that it matches are left out; empty: none
	MemberOf      string // DN of a group: only its members, also through groups in it; empty: everyone

	EmailAttributes []string // in order of preference
	PhotoAttributes []string
	PhotoChoice     string            // "first" of PhotoAttributes that is there (also when empty), or the "largest" picture
	IsPicture       func([]byte) bool // by the first bytes; of several values such a one is taken; nil: any

	TLS             TLS
	AllowPlaintext  bool          // to other hosts, too, though nothing then proves who answers
	Paging          string        // PagingAuto, PagingRequired or PagingOff
	PageSize        int           // entries a page of the listing; 0: as many as the server is known to give
	Deref           bool          // follow aliases: list the entries that they name
	ChangeDetection string        // "auto", or "content": no change marks, read every photo
	IdleTimeout     time.Duration // how long a server may be silent when asked
	ListTimeout     time.Duration // how long a listing may take
}

// TLS is how the server is verified; the zero value is the system's authorities.
type TLS struct {
	CAFile     string
	StartTLS   bool
	ServerName string // empty: the host of the URL
	CertFile   string // of a client certificate
	KeyFile    string
}

// Paging: whether a listing is asked for page by page (RFC 2696).
const (
	PagingAuto     = "auto"     // where the server can; else in one piece
	PagingRequired = "required" // or the listing fails
	PagingOff      = "off"      // in one piece
)

// Fault is a mistake in Options.
type Fault struct {
	Key     string // of the configuration: what is wrong
	Message string
	Instead string // what to write instead
}

// Faults are the mistakes that New found, one at least.
type Faults []Fault

// Error describes the first one.
func (f Faults) Error() string {
	return fmt.Sprintf("ldap: %s: %s (%s)", f[0].Key, f[0].Message, f[0].Instead)
}

func (f *Faults) add(key, message, instead string) { *f = append(*f, Fault{key, message, instead}) }

// addresses reads and checks the URLs.
func (f *Faults) addresses(o Options) (as []address) {
	const encrypt = "use ldaps://, or tls.start_tls: true"
	for i, raw := range o.URLs {
		key := fmt.Sprintf("urls[%d]", i)
		at, err := parseAddress(raw)
		open := !at.tls && !o.TLS.StartTLS && at.network == "tcp"
		switch {
		case err != nil:
			f.add(key, "is no LDAP address", err.Error())
		case open && o.Auth == External:
			f.add(key, "without TLS nobody sees the certificate of auth: external", encrypt)
		case open && !o.AllowPlaintext && !at.local() && o.Auth == Simple:
			f.add(key, "would send the password in clear", encrypt+", or allow_plaintext: true")
		case open && !o.AllowPlaintext && !at.local():
			f.add(key, "without TLS anybody on the way can answer, and replace everyone's picture", encrypt+", or allow_plaintext: true")
		}
		as = append(as, at)
	}
	return as
}

// others checks the other options, except TLS.
func (f *Faults) others(o Options) {
	list := func(key string, values []string) {
		if len(values) == 0 {
			f.add(key, "is empty", "give one at least")
		}
	}
	filter := func(key, text string) {
		if _, err := ldap.CompileFilter(text); err != nil {
			f.add(key, fmt.Sprintf("%q is no LDAP filter: %v", text, plain(err)), "like (&(objectClass=person)(mail=*))")
		}
	}
	dn := func(key, text string) {
		if _, err := ldap.ParseDN(text); err != nil {
			f.add(key, fmt.Sprintf("%q is no distinguished name: %v", text, plain(err)), "like OU=People,DC=example,DC=com")
		}
	}
	list("urls", o.URLs)
	list("email_attributes", o.EmailAttributes)
	list("photo_attributes", o.PhotoAttributes)
	if o.Auth == GSSAPI && o.Kerberos.Keytab == "" && currentUser == nil {
		f.add("kerberos", "auth: gssapi needs principal and keytab; only on Windows the current user will do",
			"like {principal: photosync@EXAMPLE.COM, keytab: /etc/photosync/photosync.keytab}")
	}
	filter("filter", o.Filter)
	filter("exclude_filter", cmp.Or(o.ExcludeFilter, anything))
	dn("base_dn", o.BaseDN)
	dn("member_of", o.MemberOf)
}
