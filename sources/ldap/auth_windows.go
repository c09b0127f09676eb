package ldap

import "github.com/go-ldap/ldap/v3/gssapi"

func init() { currentUser = windowsUser }

// windowsUser is a client with the Kerberos tickets of the user whom photosync runs as, bound
// to the TLS connection (RFC 5929), which domain controllers may demand.
func windowsUser(c *conn) (kerberos, error) {
	if c.certificate != nil {
		return gssapi.NewSSPIClientWithChannelBinding(c.certificate)
	}
	return gssapi.NewSSPIClient()
}
