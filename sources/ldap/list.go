package ldap

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"photosync/sources"
)

// List implements sources.Source.
func (s *Source) List(ctx context.Context, each func(sources.Person) error) (sources.Listing, error) {
	limit := &limitError{s.o.ListTimeout}
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.ListTimeout, limit)
	defer cancel()
	w := &walk{Source: s, each: each, seen: map[[16]byte]struct{}{}, skipped: skips{}}
	err := s.withServer(ctx, "list", func(ctx context.Context, c *conn) (bool, error) {
		for _, why := range c.passed {
			w.warn(fmt.Sprintf("%v: %s was asked instead", why, c.at.raw))
		}
		err := w.over(ctx, c)
		if err != nil && ctx.Err() == nil && lost(err) {
			w.warn(fmt.Sprintf("%s was lost after %d entries: %v", c.at.raw, w.listing.Entries, err))
		}
		return false, err
	})
	if errors.Is(err, limit) {
		err = &Error{"list", s.addresses[s.first.Load()].raw, err}
	}
	w.listing.Warnings = append(w.listing.Warnings, w.skipped.warnings()...)
	w.listing.Complete = err == nil
	s.listed.Store(int64(w.listing.Entries))
	return w.listing, err
}

// walk is one listing, over as many connections as it takes.
type walk struct {
	*Source
	each    func(sources.Person) error
	listing sources.Listing
	skipped skips
	people  int

	// seen are the entries so far: a page's cookie dies with its connection, so
	// another one begins at the first page.
	seen map[[16]byte]struct{}
}

// over walks over one connection to the end. Entries are taken while the server
// sends the next ones, at most a page ahead.
func (w *walk) over(ctx context.Context, c *conn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	members, err := w.members(ctx, c)
	if err != nil {
		return err
	}
	entries, done := make(chan *entry, w.o.PageSize), make(chan error, 1)
	pages := 0
	go func() {
		done <- w.pages(ctx, c, w.attributes(c.server), &pages, func(e *entry) error {
			select {
			case entries <- e:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	}()
	for open := true; open; {
		select {
		case e := <-entries:
			err = w.take(e, c, members)
		case err = <-done:
			open = false
			for len(entries) > 0 && err == nil {
				err = w.take(<-entries, c, members)
			}
		}
		if err != nil && open {
			cancel() // ends the search, and with it the connection
			<-done
			return err
		}
	}
	w.listing.Pages = pages
	if err != nil {
		return err
	}
	return w.anyPhoto(ctx, c)
}

// pages asks for the attributes of all people, page after page.
func (s *Source) pages(ctx context.Context, c *conn, attributes []string, n *int, each func(*entry) error) error {
	filter, controls := s.filter(c.server)
	search := func(paging ldap.Control) *ldap.SearchRequest {
		return request(s.o.BaseDN, ldap.ScopeWholeSubtree, filter, attributes, append([]ldap.Control{paging}, controls...)...)
	}
	return s.paged(ctx, c, search, each, func(res *ldap.SearchResult) error {
		if len(res.Referrals) > 0 {
			return &referralError{res.Referrals}
		}
		*n++
		return nil
	})
}

// paged searches page after page: servers limit what they give otherwise. The rest of
// each page goes to page.
func (s *Source) paged(ctx context.Context, c *conn, search func(paging ldap.Control) *ldap.SearchRequest, each func(*entry) error, page func(*ldap.SearchResult) error) error {
	var cookie []byte
	for {
		paging := ldap.NewControlPaging(uint32(s.o.PageSize))
		paging.SetCookie(cookie)
		res, err := c.search(ctx, search(paging), each)
		if err == nil {
			err = page(res)
		}
		if err != nil {
			return err
		}
		answer, ok := ldap.FindControl(res.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
		if !ok {
			return errUnpaged
		}
		if cookie = answer.Cookie; len(cookie) == 0 {
			return nil
		}
	}
}

// attributes are those of which people are made.
func (w *walk) attributes(srv server) []string {
	names := slices.Concat(w.o.EmailAttributes, []string{"displayName", "cn"}, keyAttributes(srv), w.marks.attributes(srv))
	if !srv.ad {
		names = append(names, "ref") // only a referral has one (RFC 3296, section 2.2)
	}
	return names
}

// filter returns the filter of people, and the controls that keep referrals from
// ending the listing, where the server says that it knows them. Those of
// Active Directory lead to partitions without people. Others are asked for as the
// entries that they are (RFC 3296, section 3), so that they can be reported.
func (s *Source) filter(srv server) (filter string, controls []ldap.Control) {
	filter = s.peopleFilter(srv)
	if srv.supports(ldap.ControlTypeManageDsaIT) && !srv.ad {
		controls = append(controls, ldap.NewControlManageDsaIT(false))
		filter = "(|" + filter + "(objectClass=referral))"
	}
	if srv.supports(ldap.ControlTypeMicrosoftDomainScope) {
		controls = append(controls, ldap.NewControlString(ldap.ControlTypeMicrosoftDomainScope, false, ""))
	}
	return filter, controls
}

// peopleFilter narrows the filter down. Where exclude_filter cannot be decided,
// because of an attribute that may not be seen, the negation is not true either
// (RFC 4511, section 4.5.1.7): nobody is let in by mistake.
func (s *Source) peopleFilter(srv server) string {
	parts := s.o.Filter
	if s.o.ExcludeFilter != "" {
		parts += "(!" + s.o.ExcludeFilter + ")"
	}
	if s.o.MemberOf != "" && srv.ad {
		parts += "(memberOf:" + inChain + ":=" + ldap.EscapeFilter(s.o.MemberOf) + ")"
	}
	if parts == s.o.Filter {
		return parts
	}
	return "(&" + parts + ")"
}

// take hands an entry on, if it is a person who was not seen before.
func (w *walk) take(e *entry, c *conn, members map[string]bool) error {
	id := sha256.Sum256([]byte(cmp.Or(key(e), e.dn)))
	if _, again := w.seen[[16]byte(id[:16])]; again {
		return nil
	}
	if a, ok := e.ranged(); ok {
		return &rangeError{a.name + ";" + a.options, e.dn}
	}
	w.seen[[16]byte(id[:16])] = struct{}{}
	w.listing.Entries++
	if members != nil && !members[foldDN(e.dn)] && len(e.values("ref")) == 0 {
		return nil
	}
	p, why := w.person(e, c.server, time.Now())
	if why != "" {
		w.skipped.add(why, e.dn)
		return nil
	}
	w.people++
	if err := w.each(p); err != nil {
		return stop{err}
	}
	return nil
}

// anyPhoto warns when nobody has a photo, and fails when an attribute of photos may
// be seen of nobody: to a reader without the right to see it, it looks as if it were
// not there. Asked for those without it, a server answers with nobody then, because
// it may not tell that either.
func (w *walk) anyPhoto(ctx context.Context, c *conn) error {
	if w.people == 0 {
		w.warn("nobody is listed: check base_dn, filter, member_of and email_attributes")
		return nil
	}
	attributes := w.o.PhotoAttributes
	people := w.peopleFilter(c.server)
	found, err := w.matches(ctx, c, "(&"+people+"(|("+strings.Join(attributes, "=*)(")+"=*)))")
	if err != nil || found {
		return err
	}
	known, err := w.known(ctx, c)
	if err != nil {
		return err
	}
	var hidden []string
	for _, a := range known {
		seen, err := w.matches(ctx, c, "(&"+people+"(!("+a+"=*)))")
		if err != nil {
			return err
		}
		if !seen {
			hidden = append(hidden, a)
		}
	}
	if len(hidden) > 0 {
		return &hiddenError{hidden}
	}
	check := "check photo_attributes and the right to read them"
	if isCatalogue(c.at.raw) {
		check = catalogueHint
	}
	w.warn("nobody has a photo in " + strings.Join(w.o.PhotoAttributes, " or ") + ": " + check)
	return nil
}

func (w *walk) warn(s string) {
	w.listing.Warnings = append(w.listing.Warnings, s)
}

// known returns those of the photo attributes that the server's schema has.
func (s *Source) known(ctx context.Context, c *conn) (names []string, err error) {
	for _, a := range s.o.PhotoAttributes {
		ok, err := c.knows(ctx, a)
		if err != nil {
			return nil, err
		}
		if ok {
			names = append(names, a)
		}
	}
	return names, nil
}

// matches reports whether any entry matches. A server that will not say is taken
// for yes: this only decides about a warning.
func (w *walk) matches(ctx context.Context, c *conn, filter string) (bool, error) {
	req := request(w.o.BaseDN, ldap.ScopeWholeSubtree, filter, []string{"1.1"})
	req.SizeLimit = 1
	found := false
	_, err := c.search(ctx, req, func(*entry) error { found = true; return nil })
	if refused(err) {
		return true, nil
	}
	return found, err
}

// skips counts entries that are no people, by why.
type skips map[string]*skip

type skip struct {
	n     int
	first string
}

func (s skips) add(why, dn string) {
	if s[why] == nil {
		s[why] = &skip{first: dn}
	}
	s[why].n++
}

func (s skips) warnings() []string {
	var lines []string
	for why, c := range s {
		lines = append(lines, fmt.Sprintf("%d entries left out: %s (first: %q)", c.n, why, c.first))
	}
	slices.Sort(lines)
	return lines
}
