package ldap

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// inChain makes Active Directory follow groups in groups (LDAP_MATCHING_RULE_IN_CHAIN,
// [MS-ADTS], section 3.1.1.3.4.4.3).
const inChain = "1.2.840.113556.1.4.1941"

// groupFilter finds what may be a group in a group (RFC 4519, sections 3.5 and 3.6;
// RFC 2307; memberURL of groupOfURLs is Netscape's).
const groupFilter = "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=groupOfMembers)(objectClass=group)(objectClass=groupOfURLs)(objectClass=posixGroup))"

// group is who is in the group MemberOf, also through groups in it.
type group struct {
	filter string          // on Active Directory, which follows the groups itself; empty: dns and uids say it
	dns    map[string]bool // folded
	uids   map[string]bool // in lower case
}

// has reports whether an entry is a member. Without a group everybody is.
func (g *group) has(e *entry) bool {
	if g == nil || g.filter != "" || g.dns[foldDN(e.dn)] {
		return true
	}
	for _, uid := range e.texts("uid") {
		if g.uids[strings.ToLower(uid)] {
			return true
		}
	}
	return false
}

// resolve finds out who is in MemberOf. It does not rely on memberOf in people's
// entries: OpenLDAP has it with an overlay only, and there only direct membership.
func (s *Source) resolve(ctx context.Context, c *conn) error {
	if s.o.MemberOf == "" {
		return nil
	}
	root, err := c.read(ctx, s.o.MemberOf, "objectSid")
	if err == nil && root == nil {
		err = final("check member_of, and that the bind user may see that entry", "there is no group %q", s.o.MemberOf)
	}
	if err == nil && c.server.ad {
		c.group, err = s.chain(ctx, c, root)
	} else if err == nil {
		c.group, err = s.members(ctx, c)
	}
	return err
}

// chain has the filter of Active Directory's members. Nobody is listed as a member of
// the primary group: its number is in the person's entry, and the last part of the
// group's own identifier ([MS-ADTS], section 3.1.1.4.5.11).
func (s *Source) chain(ctx context.Context, c *conn, root *entry) (*group, error) {
	inside := "(memberOf:" + inChain + ":=" + ldap.EscapeFilter(s.o.MemberOf) + ")"
	g := &group{filter: "(|" + inside}
	add := func(e *entry) error {
		if sid := e.text("objectSid"); len(sid) >= 4 {
			g.filter += fmt.Sprintf("(primaryGroupID=%d)", binary.LittleEndian.Uint32([]byte(sid[len(sid)-4:])))
		}
		return nil
	}
	add(root)
	for _, base := range c.server.contexts {
		if !strings.HasSuffix(foldDN(s.o.BaseDN), foldDN(base)) {
			continue // the numbers are those of the people's domain
		}
		if err := s.groups(ctx, c, base, "(&(objectClass=group)"+inside+")", add, "objectSid"); err != nil {
			return nil, err
		}
	}
	g.filter += ")"
	return g, nil
}

// members follows the groups itself.
func (s *Source) members(ctx context.Context, c *conn) (*group, error) {
	known := map[string]bool{} // groups
	for _, base := range c.server.contexts {
		found := func(e *entry) error { known[foldDN(e.dn)] = true; return nil }
		if err := s.groups(ctx, c, base, groupFilter, found, "1.1"); err != nil {
			return nil, err
		}
	}
	g := &group{dns: map[string]bool{}, uids: map[string]bool{}}
	queue := []string{s.o.MemberOf}
	add := func(dn string) {
		folded := foldDN(dn)
		if !g.dns[folded] && known[folded] {
			queue = append(queue, dn)
		}
		g.dns[folded] = true
	}
	for ; len(queue) > 0; queue = queue[1:] {
		e, err := c.read(ctx, queue[0], "member", "uniqueMember", "memberUid", "memberURL")
		if err != nil {
			return nil, err
		}
		if e == nil {
			continue // it was deleted since
		}
		for _, dn := range append(e.texts("member"), e.texts("uniqueMember")...) {
			add(dn)
		}
		for _, uid := range e.texts("memberUid") {
			g.uids[strings.ToLower(uid)] = true
		}
		for _, raw := range e.texts("memberURL") {
			if err := s.dynamic(ctx, c, raw, func(e *entry) error { add(e.dn); return nil }); err != nil {
				return nil, err
			}
		}
	}
	return g, nil
}

// dynamic finds the members that a group names by a search: the base, scope and
// filter of an LDAP URL (RFC 4516).
func (s *Source) dynamic(ctx context.Context, c *conn, raw string, add func(*entry) error) error {
	unsearchable := final("take that group out of member_of", "the group %q names members by %q, which cannot be searched", s.o.MemberOf, raw)
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "ldap" || u.Host != "" {
		return unsearchable
	}
	parts := append(strings.Split(u.RawQuery, "?"), "", "", "")
	scope, known := map[string]int{"": ldap.ScopeBaseObject, "base": ldap.ScopeBaseObject, "one": ldap.ScopeSingleLevel, "sub": ldap.ScopeWholeSubtree}[strings.ToLower(parts[1])]
	filter, err := url.PathUnescape(parts[2])
	if filter == "" {
		filter = "(objectClass=*)"
	}
	if _, invalid := ldap.CompileFilter(filter); err != nil || invalid != nil || !known {
		return unsearchable
	}
	search := func(paging ...ldap.Control) *ldap.SearchRequest {
		return request(strings.TrimPrefix(u.Path, "/"), scope, filter, []string{"1.1"}, paging...)
	}
	return s.paged(ctx, c, search, add, func(*ldap.SearchResult) error { return nil })
}

// groups searches below a base, which need not be there.
func (s *Source) groups(ctx context.Context, c *conn, base, filter string, each func(*entry) error, attribute string) error {
	search := func(paging ...ldap.Control) *ldap.SearchRequest {
		return request(base, ldap.ScopeWholeSubtree, filter, []string{attribute}, paging...)
	}
	err := s.paged(ctx, c, search, each, func(*ldap.SearchResult) error { return nil })
	if ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
		return nil
	}
	return err
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
