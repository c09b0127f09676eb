package ldap

import (
	"crypto/tls"

	"github.com/go-ldap/ldap/v3/gssapi"
)

func init() { currentUser = windowsUser }

// windowsUser makes a client with the Kerberos tickets of the current user, bound to the
// TLS connection (RFC 5929), which domain controllers may demand.
func windowsUser(c *conn) (kerberos, error) {
	if t, ok := c.wire.Conn.(*tls.Conn); ok {
		return gssapi.NewSSPIClientWithChannelBinding(t.ConnectionState().PeerCertificates[0])
	}
	return gssapi.NewSSPIClient()
}
