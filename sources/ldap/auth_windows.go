package ldap

import (
	"crypto/tls"

	"github.com/go-ldap/ldap/v3/gssapi"
)

func init() { currentUser = windowsUser }

// windowsUser is a client with the Kerberos tickets of the user whom photosync runs as, bound to the
// TLS connection (RFC 5929), which domain controllers may demand.
func windowsUser(c *conn) (kerberos, error) {
	if t, ok := c.wire.Conn.(*tls.Conn); ok {
		return gssapi.NewSSPIClientWithChannelBinding(t.ConnectionState().PeerCertificates[0])
	}
	return gssapi.NewSSPIClient()
}
