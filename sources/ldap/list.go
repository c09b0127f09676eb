package ldap

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"photosync/sources"
)

// List implements sources.Source.
func (s *Source) List(ctx context.Context, each func(sources.Person) error) (sources.Listing, error) {
	limit := &problem{error: fmt.Errorf("the listing took longer than %s", s.o.ListTimeout), hint: "raise list_timeout, or find out why the server is slow"}
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.ListTimeout, limit)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	l := &lister{Source: s, each: each, stop: stop, seen: map[[16]byte]struct{}{}, leftOut: map[string][]string{}}
	err := s.withServer(ctx, "list", func(c *conn) (err error) {
		for _, why := range c.failed {
			l.warn("%v: %s was asked instead", why, c.at.raw)
		}
		for _, step := range []func(context.Context, *conn) error{l.resolveGroup, l.listPeople, l.reserve, l.anyPhoto} {
			if err = step(ctx, c); err != nil {
				break
			}
		}
		if err != nil && ctx.Err() == nil && lost(err) {
			l.warn("%s was lost after %d entries: %v", c.at.raw, l.result.Entries, err)
		}
		return err
	})
	if errors.Is(err, limit) {
		err = &Error{"list", s.addresses[s.first.Load()].raw, err}
	}
	for _, why := range slices.Sorted(maps.Keys(l.leftOut)) {
		entries := "entries"
		if len(l.leftOut[why]) == 1 {
			entries = "entry"
		}
		l.warn("%d %s left out: %s (first: %q)", len(l.leftOut[why]), entries, why, l.leftOut[why][0])
	}
	l.result.Unnamed = slices.Concat(l.leftOut[noAddress], l.leftOut[noValidAddress])
	slices.Sort(l.result.Unnamed)
	l.result.Complete = err == nil
	return l.result, err
}

// lister makes one listing, over as many connections as it needs.
type lister struct {
	*Source
	each    func(sources.Person) error
	stop    func(error) // ends the listing with an error of each
	result  sources.Listing
	leftOut map[string][]string // DNs of entries that were left out, by the reason
	group   *group              // MemberOf; nil: there is none
	inGroup int                 // entries in the group; without a group, all
	people  int

	// seen are the entries so far. A cookie is valid for its connection only: the next connection
	// begins with the first page.
	seen map[[16]byte]struct{}
}

// listPeople asks for all people, page by page. As a referral ends a listing, the server is asked not to
// send any, if it has a control for that. Active Directory's referrals lead to partitions without
// people; others are listed as entries (RFC 3296, section 3) and reported.
func (l *lister) listPeople(ctx context.Context, c *conn) error {
	attributes := slices.Concat(l.o.EmailAttributes, []string{"displayName", "cn"}, keyAttributes, l.stamps.attributes)
	if l.group != nil && len(l.group.uids) > 0 {
		attributes = append(attributes, "uid")
	}
	req, controls := l.peopleRequest(l.filter(l.excluded()), attributes), c.server.texts("supportedControl")
	if !c.server.ad {
		req.Attributes = append(req.Attributes, "ref") // only a referral has one (RFC 3296, section 2.2)
		if slices.Contains(controls, ldap.ControlTypeManageDsaIT) {
			req.Controls = append(req.Controls, ldap.NewControlManageDsaIT(false))
			req.Filter = "(|" + req.Filter + "(objectClass=referral))"
		}
	}
	if slices.Contains(controls, ldap.ControlTypeMicrosoftDomainScope) {
		req.Controls = append(req.Controls, ldap.NewControlString(ldap.ControlTypeMicrosoftDomainScope, false, ""))
	}
	pages, referrals, err := l.paged(ctx, c, req, func(e *entry) error { return l.entry(e, c) })
	if err == nil && len(referrals) > 0 {
		err = final("set base_dn to an organisational unit below the domain, or add a source for each server that is referred to",
			"the server refers to others for a part of the entries, which are not followed: %s", strings.Join(referrals, ", "))
	}
	l.result.Pages = pages
	return err
}

// reserve lists the addresses of entries that exclude_filter leaves out, so that no other entry can claim them.
func (l *lister) reserve(ctx context.Context, c *conn) error {
	if l.o.ExcludeFilter == "" {
		return nil
	}
	l.result.Reserved = nil // what a lost connection gave
	req := l.peopleRequest("(&"+l.o.Filter+l.o.ExcludeFilter+")", l.o.EmailAttributes)
	_, _, err := l.paged(ctx, c, req, func(e *entry) error {
		own, aliases, _ := l.emails(e)
		l.result.Reserved = append(append(l.result.Reserved, own...), aliases...)
		return nil
	})
	return err
}

// filter combines the filter for people and the group with more conditions.
func (l *lister) filter(more ...string) string {
	filter := "(&" + l.o.Filter + strings.Join(more, "")
	if l.group != nil {
		filter += l.group.filter
	}
	return filter + ")"
}

// excluded is the condition that exclude_filter makes. If the server cannot evaluate exclude_filter,
// because an attribute may not be seen, its negation is not true either (RFC 4511, section 4.5.1.7):
// nobody is included by mistake.
func (l *lister) excluded() string {
	if l.o.ExcludeFilter == "" {
		return ""
	}
	return "(!" + l.o.ExcludeFilter + ")"
}

// entry passes e on, if it is a person who was not seen before.
func (l *lister) entry(e *entry, c *conn) error {
	sum := sha256.Sum256([]byte(cmp.Or(key(e), e.dn)))
	id := [16]byte(sum[:])
	if _, again := l.seen[id]; again {
		return nil
	}
	l.seen[id] = struct{}{}
	l.result.Entries++
	refs := e.texts("ref")
	switch {
	case len(refs) > 0 && foldDN(e.dn) == foldDN(l.o.BaseDN):
		return final("name that server in urls, and the base DN that it has there", "base_dn is a referral to another server: %s", strings.Join(refs, ", "))
	case len(refs) == 0 && !l.group.has(e):
		return nil
	case len(refs) == 0:
		l.inGroup++
	}
	p, why := l.person(e, c.server, l.now())
	if why != "" {
		l.leftOut[why] = append(l.leftOut[why], e.dn)
		l.result.NotRemoved = append(l.result.NotRemoved, cmp.Or(key(e), e.dn))
		return nil
	}
	l.people++
	err := l.each(p)
	if err != nil {
		l.stop(err)
	}
	return err
}

// whyNobody says why nobody is listed, and what to check.
func (l *lister) whyNobody(ctx context.Context, c *conn) (string, error) {
	if l.o.ExcludeFilter != "" && l.result.Entries == 0 {
		found, err := l.matches(ctx, c, l.filter())
		if found || err != nil {
			return "exclude_filter leaves out every entry that matches filter: does the server know the attributes in it, and may the bind user see them?", err
		}
	}
	switch g := l.group; {
	case l.inGroup > 0:
		return "no entry below base_dn that matches filter has an address: check email_attributes", nil
	case g == nil:
		return "no entry below base_dn matches filter and may be seen: check both, and the rights of the bind user", nil
	case g.filter == "" && len(g.dns)+len(g.uids) == 0:
		return fmt.Sprintf("%q has no members that may be seen, in member, uniqueMember or memberUid: check member_of, and the rights of the bind user", l.o.MemberOf), nil
	}
	return fmt.Sprintf("no member of %q is below base_dn and matches filter: check all three", l.o.MemberOf), nil
}

// anyPhoto warns if nobody has a photo, and fails if nobody's photo may be seen. An attribute that the
// bind user may not see seems to be absent; but the server does not list the entry as one without the
// attribute either.
func (l *lister) anyPhoto(ctx context.Context, c *conn) error {
	if l.people == 0 {
		why, err := l.whyNobody(ctx, c)
		if err == nil {
			l.warn("nobody is listed: %s", why)
		}
		return err
	}
	attributes := l.o.PhotoAttributes
	found, err := l.matches(ctx, c, l.filter(l.excluded(), "(|("+strings.Join(attributes, "=*)(")+"=*))"))
	if err != nil || found {
		return err
	}
	known, err := l.inSchema(ctx, c)
	if err != nil {
		return err
	}
	for _, a := range known {
		if found, err = l.matches(ctx, c, l.filter(l.excluded(), noneOf([]string{a}))); err != nil {
			return err
		}
		if !found {
			return final("give the bind user the right to read it, or correct photo_attributes; "+catalogueHint, "the bind user may read nobody's photo (%s)", a)
		}
	}
	l.result.NoPhotos = true
	l.warn("nobody has a photo in %s: check photo_attributes and the right to read them; %s", strings.Join(attributes, " or "), catalogueHint)
	return nil
}

// catalogueHint is for administrators who use a global catalogue by mistake.
const catalogueHint = "Active Directory's ports 3268 and 3269 are those of the global catalogue, which lacks photos"

// matches reports whether any entry matches. A refusal counts as yes: this only decides about a warning.
func (l *lister) matches(ctx context.Context, c *conn, filter string) (bool, error) {
	req := l.peopleRequest(filter, []string{"1.1"})
	req.SizeLimit = 1
	found := false
	_, err := c.search(ctx, req, func(*entry) error {
		found = true
		return nil
	})
	if refused(err) {
		return true, nil
	}
	return found, err
}

func (l *lister) warn(format string, args ...any) {
	l.result.Warnings = append(l.result.Warnings, fmt.Sprintf(format, args...))
}

// pageSize is how many entries to ask this server for on a page; 0: all in one piece.
func (s *Source) pageSize(srv server) int {
	switch {
	case s.o.Paging == PagingOff:
		return 0
	case s.o.PageSize > 0:
		return s.o.PageSize
	case srv.ad:
		return 1000 // the most that it gives, unless MaxPageSize was changed ([MS-ADTS], section 3.1.1.3.4.6)
	}
	return 5000 // longer pages are not faster
}

// paged searches page by page, or else in one piece. It returns how many pages there were, and the referrals.
func (s *Source) paged(ctx context.Context, c *conn, req *ldap.SearchRequest, each func(*entry) error) (pages int, referrals []string, err error) {
	for cookie := []byte(nil); ; {
		r := *req
		if c.page > 0 {
			paging := ldap.NewControlPaging(uint32(c.page))
			paging.SetCookie(cookie)
			r.Controls = append(slices.Clip(req.Controls), paging)
		}
		res, err := c.search(ctx, &r, each)
		switch {
		case err == nil:
		case len(cookie) == 0 && s.shrink(c, err):
			continue
		case len(cookie) > 0 && ldap.IsErrorAnyOf(err, cookieErrors...):
			return pages, nil, &problem{error: errors.New("the server does not know how far the listing has come: " + err.Error())}
		case c.page == 0 && ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded):
			return pages, nil, &problem{error: err, hint: "the server lists nothing page by page for the bind DN, and in one piece it gives no more: let it list pages (on slapd size.prtotal=unlimited), or raise the size limit for the bind DN"}
		default:
			return pages, nil, err
		}
		pages++
		referrals = append(referrals, res.Referrals...)
		answer, ok := ldap.FindControl(res.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
		switch {
		case !ok && len(cookie) > 0: // RFC 2696, section 3: each answer has it
			return pages, nil, &problem{error: errors.New("a page in the middle of the listing does not say whether more follow")}
		case !ok && c.page > 0 && (s.o.Paging == PagingRequired || c.server.ad):
			return pages, nil, final("the server does not know paged results: set paging: auto to take the listing in one piece; Active Directory knows them, unless something stands in between",
				"the server did not answer page by page")
		case !ok || len(answer.Cookie) == 0:
			// A server that does not know the control ignores it and sends all entries, or else answers
			// sizeLimitExceeded (RFC 4511, sections 4.1.11 and 4.5.2).
			return pages, referrals, nil
		}
		cookie = answer.Cookie
	}
}

// cookieErrors are the answers of Active Directory, Samba and slapd to a cookie that the server has
// dropped. The listing then begins anew on another connection.
var cookieErrors = []uint16{ldap.LDAPResultUnavailableCriticalExtension, ldap.LDAPResultUnwillingToPerform, ldap.LDAPResultProtocolError}

// shrink reports whether a search whose first page was refused is worth another try, and sets c.page
// to shorter pages, or to one piece. slapd answers adminLimitExceeded if pages are too long (size.pr),
// or if the bind DN may have none (size.prtotal=disabled).
func (s *Source) shrink(c *conn, err error) bool {
	next := 0
	switch {
	case c.server.ad, c.page == 0:
		return false
	case ldap.IsErrorWithCode(err, ldap.LDAPResultAdminLimitExceeded):
		next = c.page / 10
	case !ldap.IsErrorAnyOf(err, ldap.LDAPResultUnavailableCriticalExtension, ldap.LDAPResultUnwillingToPerform):
		return false
	}
	if next == 0 && s.o.Paging == PagingRequired {
		return false
	}
	c.page = next
	return true
}
