package ldap

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// inChain is the rule by which Active Directory follows groups in groups ([MS-ADTS], section 3.1.1.3.4.4.3).
const inChain = "1.2.840.113556.1.4.1941"

// groupFilter finds all groups (RFC 4519, sections 3.5 and 3.6; RFC 2307).
const groupFilter = "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=groupOfMembers)(objectClass=group)(objectClass=groupOfURLs)(objectClass=posixGroup))"

// group has the members of the group MemberOf, also through groups in it.
type group struct {
	filter string          // for Active Directory, which follows the groups itself; empty: dns and uids count
	dns    map[string]bool // folded
	uids   map[string]bool // in lower case
}

// has reports whether an entry is a member. Without a group, everybody is.
func (g *group) has(e *entry) bool {
	return g == nil || g.filter != "" || g.dns[foldDN(e.dn)] ||
		slices.ContainsFunc(e.texts("uid"), func(uid string) bool { return g.uids[strings.ToLower(uid)] })
}

// resolveGroup finds out who is in MemberOf. It does not use memberOf in people's entries: OpenLDAP has it
// only with an overlay, and only for direct members.
func (l *lister) resolveGroup(ctx context.Context, c *conn) error {
	if l.o.MemberOf == "" {
		return nil
	}
	root, err := c.read(ctx, l.o.MemberOf, anything, "objectSid")
	switch {
	case err != nil:
	case root.dn == "":
		err = final("check member_of, and that the bind user may see that entry", "there is no group %q", l.o.MemberOf)
	case c.server.ad:
		l.group, err = l.chain(ctx, c, root)
	default:
		l.group, err = l.members(ctx, c)
	}
	return err
}

// chain makes the filter for members on Active Directory. A group does not list members whose primary
// group it is: their entries have its number, which is the end of the group's objectSid ([MS-ADTS],
// section 3.1.1.4.5.11).
func (s *Source) chain(ctx context.Context, c *conn, root *entry) (*group, error) {
	inside := "(memberOf:" + inChain + ":=" + ldap.EscapeFilter(s.o.MemberOf) + ")"
	filter := "(|" + inside
	add := func(e *entry) {
		if sid := e.text("objectSid"); len(sid) >= 4 {
			filter += fmt.Sprintf("(primaryGroupID=%d)", binary.LittleEndian.Uint32([]byte(sid[len(sid)-4:])))
		}
	}
	add(root)
	err := s.groups(ctx, c, "(&(objectClass=group)"+inside+")", "objectSid", add)
	return &group{filter: filter + ")"}, err
}

// members finds the members by following the groups.
func (s *Source) members(ctx context.Context, c *conn) (*group, error) {
	known := map[string]bool{} // groups
	if err := s.groups(ctx, c, groupFilter, "1.1", func(e *entry) { known[foldDN(e.dn)] = true }); err != nil {
		return nil, err
	}
	g := &group{dns: map[string]bool{}, uids: map[string]bool{}}
	for queue := []string{s.o.MemberOf}; len(queue) > 0; queue = queue[1:] {
		e, err := c.read(ctx, queue[0], anything, "member", "uniqueMember", "memberUid", "memberURL")
		if err != nil {
			return nil, err
		}
		dns, uids := append(e.texts("member"), e.texts("uniqueMember")...), e.texts("memberUid")
		if len(dns)+len(uids) == 0 && e.text("memberURL") != "" {
			return nil, final("take its base and filter for base_dn and filter, or let the server list the members (slapd's dynlist)",
				"the group %q names members by a search (memberURL), which is not followed", e.dn)
		}
		for _, dn := range dns {
			folded := foldDN(dn)
			if !g.dns[folded] && known[folded] {
				queue = append(queue, dn)
			}
			g.dns[folded] = true
		}
		for _, uid := range uids {
			g.uids[strings.ToLower(uid)] = true
		}
	}
	return g, nil
}

// groups searches for groups in all naming contexts of the server.
func (s *Source) groups(ctx context.Context, c *conn, filter, attribute string, each func(*entry)) error {
	for _, base := range c.server.texts("namingContexts") {
		req := request(base, ldap.ScopeWholeSubtree, filter, []string{attribute})
		_, _, err := s.paged(ctx, c, req, func(e *entry) error {
			each(e)
			return nil
		})
		if err != nil && !ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
			return err
		}
	}
	return nil
}

// foldDN gives all spellings of a DN the same form, whatever their case and escapes (RFC 4514).
func foldDN(dn string) string {
	d, err := ldap.ParseDN(dn)
	if err != nil {
		return strings.ToLower(dn)
	}
	return strings.ToLower(d.String())
}
