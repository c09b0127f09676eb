//go:build !windows

package ldap

import "errors"

const hasCurrentUser = false

func (s *Source) currentUser(*conn) (kerberos, error) {
	return nil, errors.New("there is no keytab")
}
