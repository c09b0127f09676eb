package ldap

import (
	"context"
	"fmt"
	"slices"

	"github.com/go-ldap/ldap/v3"
)

const (
	// pageOfAD is the most entries that Active Directory gives in a page, unless its
	// MaxPageSize was changed ([MS-ADTS], section 3.1.1.3.4.6).
	pageOfAD = 1000
	// pageOfOthers is how many are asked of others: a longer page gains nothing.
	pageOfOthers = 5000
)

// errUnpaged is a listing in one piece that had to come page by page.
var errUnpaged = final("the server does not know paged results: set paging: auto to take the listing in one piece; Active Directory knows them, unless something stands in between",
	"the server did not answer page by page")

// pageSize is how many entries a page of this server shall have; 0: all in one piece.
func (s *Source) pageSize(srv server) int {
	switch {
	case s.o.Paging == PagingOff:
		return 0
	case s.o.PageSize > 0:
		return s.o.PageSize
	case srv.ad:
		return pageOfAD
	}
	return pageOfOthers
}

// paged searches page after page, or else in one piece, and returns how many pages there
// were, and what else than entries came.
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
		case len(cookie) > 0 && forgotten(err):
			return pages, nil, &problem{error: fmt.Errorf("the server does not know how far the listing has come: %v", err)}
		case c.page == 0 && ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded):
			return pages, nil, &problem{error: err, hint: "the server lists nothing page by page for the bind DN, and in one piece it gives no more: let it list pages (on slapd size.prtotal=unlimited), or raise the size limit for the bind DN"}
		default:
			return pages, nil, err
		}
		pages++
		referrals = append(referrals, res.Referrals...)
		answer, ok := ldap.FindControl(res.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
		if !ok && c.page > 0 && (s.o.Paging == PagingRequired || c.server.ad) {
			return pages, nil, errUnpaged
		}
		// Who does not know the control ignores it, and has given all that there is, as
		// there was no error: that would be sizeLimitExceeded (RFC 4511, sections 4.1.11
		// and 4.5.2).
		if !ok || len(answer.Cookie) == 0 {
			return pages, referrals, nil
		}
		cookie = answer.Cookie
	}
}

// forgotten reports an answer to a page's cookie that the server has dropped: Active
// Directory, Samba and slapd, in this order. Another connection begins anew.
func forgotten(err error) bool {
	return ldap.IsErrorAnyOf(err, ldap.LDAPResultUnavailableCriticalExtension, ldap.LDAPResultUnwillingToPerform, ldap.LDAPResultProtocolError)
}

// shrink reports whether a search whose first page was refused is worth another try,
// with shorter pages or in one piece, and sets c to it. slapd answers
// adminLimitExceeded to pages that are too long (size.pr), and to any page of those
// who may have none (size.prtotal=disabled).
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
