package ldap

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// Capabilities of Active Directory and of its lightweight form ([MS-ADTS],
// section 3.1.1.3.4.3).
const (
	activeDirectory      = "1.2.840.113556.1.4.800"
	activeDirectoryLight = "1.2.840.113556.1.4.1851"
)

// server is what a server says of itself (RFC 4512, section 5.1).
type server struct {
	ad       bool   // Active Directory, or one that behaves like it
	dc       string // which domain controller, and which life of its database; empty: not known
	controls []string
	contexts []string
	schema   string // DN of the subschema
}

func (s server) supports(control string) bool { return slices.Contains(s.controls, control) }

// describe reads the root DSE. One that may not be read describes a server of
// which nothing is known: the listing then tells what is wrong.
func (c *conn) describe(ctx context.Context) (server, error) {
	root, err := c.read(ctx, "", anything, "supportedControl", "supportedCapabilities", "namingContexts", "subschemaSubentry", "dsServiceName")
	if refused(err) || err == nil && root == nil {
		return server{}, nil
	}
	if err != nil {
		return server{}, err
	}
	s := server{controls: root.texts("supportedControl"), contexts: root.texts("namingContexts"), schema: root.text("subschemaSubentry")}
	can := root.texts("supportedCapabilities")
	s.ad = slices.Contains(can, activeDirectory) || slices.Contains(can, activeDirectoryLight)
	if name := root.text("dsServiceName"); s.ad && name != "" {
		settings, err := c.read(ctx, name, anything, "invocationId")
		if err != nil && !refused(err) {
			return server{}, err
		}
		if settings != nil && settings.text("invocationId") != "" {
			id := sha256.Sum256([]byte(strings.ToLower(name) + "\x00" + settings.text("invocationId")))
			s.dc = fmt.Sprintf("%x", id[:8])
		}
	}
	return s, nil
}

// refused reports whether a server answered and would not do it.
func refused(err error) bool {
	code, answered := resultCode(err)
	return answered && !ldap.IsErrorAnyOf(err, ldap.LDAPResultBusy, ldap.LDAPResultUnavailable) && code != ldap.LDAPResultStrongAuthRequired
}

// known returns those of the photo attributes that the server's schema has (RFC 4512,
// section 4.2.2): nothing else tells one that may not be seen from one that is not there.
func (s *Source) known(ctx context.Context, c *conn) (names []string, err error) {
	if c.schema == nil && c.server.schema != "" {
		e, err := c.read(ctx, c.server.schema, "(objectClass=subschema)", "attributeTypes")
		if err != nil && !refused(err) {
			return nil, err
		}
		text := ""
		if e != nil {
			text = strings.ToLower(strings.Join(e.texts("attributeTypes"), "\n"))
		}
		c.schema = &text
	}
	for _, a := range s.o.PhotoAttributes {
		if c.schema != nil && strings.Contains(*c.schema, "'"+strings.ToLower(a)+"'") {
			names = append(names, a)
		}
	}
	return names, nil
}
