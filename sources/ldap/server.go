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
	entry        // its root DSE
	ad    bool   // Active Directory, or one that behaves like it
	dc    string // which domain controller, and which life of its database; empty: not known
}

func (s *server) supports(control string) bool {
	return slices.Contains(s.texts("supportedControl"), control)
}

// describe reads the root DSE. One that may not be read describes a server of
// which nothing is known: the listing then tells what is wrong.
func (c *conn) describe(ctx context.Context) (s server, err error) {
	root, err := c.readable(ctx, "", anything, "supportedControl", "supportedCapabilities", "namingContexts", "subschemaSubentry", "dsServiceName")
	if err != nil {
		return s, err
	}
	s.entry = *root
	can := root.texts("supportedCapabilities")
	s.ad = slices.Contains(can, activeDirectory) || slices.Contains(can, activeDirectoryLight)
	if name := root.text("dsServiceName"); s.ad && name != "" {
		settings, err := c.readable(ctx, name, anything, "invocationId")
		if err != nil {
			return s, err
		}
		if life := settings.text("invocationId"); life != "" {
			id := sha256.Sum256([]byte(strings.ToLower(name) + "\x00" + life))
			s.dc = fmt.Sprintf("%x", id[:8])
		}
	}
	return s, nil
}

// readable is read of an entry that may be missing, or refused: then it is an empty one.
func (c *conn) readable(ctx context.Context, dn, filter string, attributes ...string) (*entry, error) {
	e, err := c.read(ctx, dn, filter, attributes...)
	if refused(err) || err == nil && e == nil {
		return &entry{}, nil
	}
	return e, err
}

// refused reports whether a server answered and would not do it.
func refused(err error) bool {
	code, answered := resultCode(err)
	return answered && !slices.Contains([]uint16{ldap.LDAPResultBusy, ldap.LDAPResultUnavailable, ldap.LDAPResultStrongAuthRequired}, code)
}

// known returns those of the photo attributes that the server's schema has (RFC 4512,
// section 4.2.2): nothing else tells one that may not be seen from one that is not there.
func (s *Source) known(ctx context.Context, c *conn) (names []string, err error) {
	if schema := c.server.text("subschemaSubentry"); c.types == "" && schema != "" {
		e, err := c.readable(ctx, schema, "(objectClass=subschema)", "attributeTypes")
		if err != nil {
			return nil, err
		}
		c.types = strings.ToLower(strings.Join(e.texts("attributeTypes"), "\n"))
	}
	for _, a := range s.o.PhotoAttributes {
		if strings.Contains(c.types, "'"+strings.ToLower(a)+"'") {
			names = append(names, a)
		}
	}
	return names, nil
}
