package ldap

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
	"github.com/go-ldap/ldap/v3/gssapi"
	"github.com/jcmturner/gokrb5/v8/client"
)

// Ways to bind.
const (
	Anonymous = "anonymous"
	Simple    = "simple"   // DN and password
	External  = "external" // SASL EXTERNAL: the client certificate, or the user at the other end of a socket
	GSSAPI    = "gssapi"   // SASL GSSAPI: Kerberos with a keytab, or on Windows as the current user
)

// Kerberos says who binds with GSSAPI. Without a Keytab, on Windows, it is the current user.
type Kerberos struct {
	Principal string // like photosync@EXAMPLE.COM; without a realm: the default one of Config
	Keytab    string // file with the principal's key
	Config    string // krb5.conf
	Service   string // the server's principal; empty: ldap/ and the host of the URL
}

func (s *Source) bind(c *conn) error {
	switch s.o.Auth {
	case Simple:
		policy := ldap.NewControlBeheraPasswordPolicy() // a server that knows this control says what is wrong with the account
		res, err := c.SimpleBind(ldap.NewSimpleBindRequest(s.o.BindDN, s.o.Password, []ldap.Control{policy}))
		return accountProblem(res, err)
	case External:
		return c.ExternalBind()
	case GSSAPI:
		return s.bindKerberos(c)
	}
	return nil
}

// accountHints are for the errors of the password policy that are about the account.
var accountHints = map[int8]string{0: expiredHint, 1: lockedHint, 2: mustChangeHint}

// accountProblem returns what the server says about the account under its password policy
// (draft-behera-ldap-password-policy, section 6.2), or err. An account with a problem may be able
// to bind, and do nothing else.
func accountProblem(res *ldap.SimpleBindResult, err error) error {
	if res == nil || ldap.IsErrorWithCode(err, ldap.LDAPResultUnwillingToPerform) {
		return err // 389 Directory Server also calls a disabled account locked
	}
	policy, _ := ldap.FindControl(res.Controls, ldap.ControlTypeBeheraPasswordPolicy).(*ldap.ControlBeheraPasswordPolicy)
	if policy == nil || accountHints[policy.Error] == "" {
		return err
	}
	says := errors.New(strings.ToLower(policy.ErrorString))
	if err != nil {
		says = fmt.Errorf("%w: %w", says, err)
	}
	return &problem{says, accountHints[policy.Error], true}
}

// currentUser makes a client for the user that runs photosync; nil except on Windows.
var currentUser func(*conn) (kerberos, error)

// kerberos is a client for one bind.
type kerberos interface {
	ldap.GSSAPIClient
	Close() error
}

func (s *Source) bindKerberos(c *conn) error {
	client, who := currentUser, "the current user"
	if s.o.Kerberos.Keytab != "" {
		client, who = s.keytab, s.o.Kerberos.Principal
	}
	service := cmp.Or(s.o.Kerberos.Service, "ldap/"+c.at.host)
	krb, err := client(c)
	if err == nil {
		defer krb.Close()
		err = c.GSSAPIBind(krb, service, "")
	}
	if _, answered := resultCode(err); err == nil || answered {
		return err
	}
	return &problem{error: fmt.Errorf("kerberos: %s for %s: %w", who, service, err),
		hint: "check kerberos.principal, keytab and config, that the clocks agree, and that the server is called by the name in its service principal"}
}

// keytab makes a client that uses the keytab.
func (s *Source) keytab(*conn) (kerberos, error) {
	k := s.o.Kerberos
	name, realm, _ := strings.Cut(k.Principal, "@")
	// The client does not understand how Active Directory answers FAST.
	krb, err := gssapi.NewClientWithKeytab(name, realm, k.Keytab, k.Config, client.DisablePAFXFAST(true))
	if err != nil {
		return nil, err
	}
	if realm == "" {
		krb.Credentials.SetRealm(krb.Config.LibDefaults.DefaultRealm)
	}
	return rotated{krb}, nil
}

// rotated rotates the server's last token as Active Directory does, with the checksum first: MIT
// Kerberos does not, and go-ldap's client does not check (RFC 4121, section 4.2.5).
type rotated struct{ *gssapi.Client }

func (r rotated) NegotiateSaslAuth(token []byte, authzid string) ([]byte, error) {
	return r.Client.NegotiateSaslAuth(rotate(token), authzid)
}

// rotate rotates the data of a wrap token so that its checksum comes first: the data is rotated
// right by RRC bytes, and should be by EC bytes (RFC 4121, section 4.2.6.2).
func rotate(token []byte) []byte {
	const header = 16
	if len(token) <= header {
		return token
	}
	ec, rrc := int(binary.BigEndian.Uint16(token[4:])), int(binary.BigEndian.Uint16(token[6:]))
	data := token[header:]
	at := ((rrc-ec)%len(data) + len(data)) % len(data)
	out := slices.Concat(token[:header], data[at:], data[:at])
	binary.BigEndian.PutUint16(out[6:], uint16(ec))
	return out
}
