package ldap

import (
	"context"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// inChain makes Active Directory follow groups in groups (LDAP_MATCHING_RULE_IN_CHAIN,
// [MS-ADTS], section 3.1.1.3.4.4.3).
const inChain = "1.2.840.113556.1.4.1941"

// groupFilter finds what may be a group in a group (RFC 4519, sections 3.5 and 3.6).
const groupFilter = "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=groupOfMembers)(objectClass=group))"

// members returns the DNs of everyone in the group MemberOf, also through groups in
// it; nil: everyone counts, or the server itself follows the groups. It does
// not rely on memberOf in people's entries: OpenLDAP has it with an overlay only,
// and there only direct membership.
func (s *Source) members(ctx context.Context, c *conn) (map[string]bool, error) {
	if s.o.MemberOf == "" {
		return nil, nil
	}
	root, err := c.read(ctx, s.o.MemberOf, "1.1")
	if err == nil && root == nil {
		err = &groupError{s.o.MemberOf}
	}
	if err != nil || c.server.ad {
		return nil, err
	}
	groups, err := s.groups(ctx, c)
	if err != nil {
		return nil, err
	}
	members := map[string]bool{}
	for queue := []string{s.o.MemberOf}; len(queue) > 0; queue = queue[1:] {
		e, err := c.read(ctx, queue[0], "member", "uniqueMember")
		if err != nil {
			return nil, err
		}
		if e == nil {
			continue // it was deleted since
		}
		for _, dn := range append(e.texts("member"), e.texts("uniqueMember")...) {
			folded := foldDN(dn)
			if !members[folded] && groups[folded] {
				queue = append(queue, dn)
			}
			members[folded] = true
		}
	}
	return members, nil
}

// groups returns the DNs of all groups.
func (s *Source) groups(ctx context.Context, c *conn) (map[string]bool, error) {
	groups := map[string]bool{}
	for _, base := range c.server.contexts {
		search := func(paging ldap.Control) *ldap.SearchRequest {
			return request(base, ldap.ScopeWholeSubtree, groupFilter, []string{"1.1"}, paging)
		}
		found := func(e *entry) error {
			groups[foldDN(e.dn)] = true
			return nil
		}
		err := s.paged(ctx, c, search, found, func(*ldap.SearchResult) error { return nil })
		if err != nil && !ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
			return nil, err
		}
	}
	return groups, nil
}

// foldDN gives names of the same entry the same form, whatever their case and
// escapes (RFC 4514).
func foldDN(dn string) string {
	d, err := ldap.ParseDN(dn)
	if err != nil {
		return strings.ToLower(dn)
	}
	return strings.ToLower(d.String())
}
