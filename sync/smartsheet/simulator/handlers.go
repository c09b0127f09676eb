package simulator

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"photosync/sync/smartsheet"
)

func (s *Server) routes() {
	for pattern, h := range map[string]struct {
		op     string
		answer http.HandlerFunc
	}{
		"GET /b/authorize":                    {"token", s.authorize},
		"POST /2.0/token":                     {"token", s.token},
		"GET /2.0/users":                      {"users", s.listUsers},
		"GET /2.0/users/me":                   {"me", s.me},
		"GET /2.0/users/{id}":                 {"user", s.ofUser(s.oneUser)},
		"GET /2.0/users/{id}/alternateemails": {"user", s.ofUser(s.alternateEmails)},
		"POST /2.0/users/{id}/profileimage":   {"upload", s.ofUser(s.setImage)},
		"POST /2.0/imageurls":                 {"imageurls", s.imageURLs},
		"/":                                   {"other", func(w http.ResponseWriter, r *http.Request) { s.refuse(w, http.StatusNotFound, 1006) }},
	} {
		s.mux.HandleFunc(pattern, s.serve(h.op, h.answer))
	}
}

// view shows a user as the API does.
func (s *Server) view(u *user) map[string]any {
	first, last, _ := strings.Cut(u.Name, " ")
	v := map[string]any{
		"id": u.ID, "email": u.Email, "name": u.Name, "firstName": first, "lastName": last, "status": u.Status,
		"admin": false, "licensedSheetCreator": true, "groupAdmin": false, "resourceViewer": false,
		"isInternal": u.IsInternal == nil || *u.IsInternal, "sheetCount": -1,
	}
	if id := cmp.Or(u.image.ID, u.ImageID); id != "" {
		v["profileImage"] = map[string]any{"imageId": id, "height": 1050, "width": 1050}
	}
	return v
}

// paging is the part of a list that a request asks for.
type paging struct{ page, size, pages, from, to int }

// paging reads the query of a list of n. It refuses what is no number.
func (s *Server) paging(w http.ResponseWriter, r *http.Request, n int) (p paging, ok bool) {
	q := r.URL.Query()
	page, err := strconv.Atoi(cmp.Or(q.Get("page"), "1"))
	size, err2 := strconv.Atoi(cmp.Or(q.Get("pageSize"), "100"))
	if err != nil || err2 != nil || page < 1 || size < 1 {
		s.refuse(w, http.StatusBadRequest, 1018)
		return p, false
	}
	size = min(size, s.o.PageSizeCap)
	if q.Get("includeAll") == "true" {
		page, size = 1, max(n, 1)
	}
	pages := (n + size - 1) / size
	if page > pages && s.o.RepeatLastPage {
		page = max(pages, 1)
	}
	return paging{page, size, pages, min((page-1)*size, n), min(page*size, n)}, true
}

// answerPage answers with a page of a list of n.
func answerPage(w http.ResponseWriter, p paging, n int, data []map[string]any) {
	answer(w, http.StatusOK, map[string]any{"pageNumber": p.page, "pageSize": p.size, "totalPages": p.pages, "totalCount": n, "data": data})
}

func (s *Server) listUsers(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if s.o.NoEmailFilter && q.Has("email") {
		s.refuse(w, http.StatusBadRequest, 1018)
		return
	}
	match := s.matching(q.Get("email"))
	p, ok := s.paging(w, r, len(match))
	if !ok {
		return
	}
	if s.o.DuplicateUsers && p.from > 0 && p.from < p.to {
		p.from--
	}
	data := []map[string]any{}
	for _, u := range match[p.from:p.to] {
		v := s.view(u)
		if q.Has("planId") || q.Has("seatType") {
			v["seatType"], v["seatTypeLastChangedAt"], v["provisionalExpirationDate"] = "MEMBER", "2026-01-31T09:00:00Z", "2026-12-31T09:00:00Z"
		}
		data = append(data, v)
	}
	if s.o.Churn && q.Get("email") == "" {
		s.churn()
	}
	answerPage(w, p, len(match), data)
}

// churn lets a guest come, or go again, at the head of the list.
func (s *Server) churn() {
	const guest = "guest@example.com"
	if u := s.find(guest); u != nil {
		s.leave(u)
		return
	}
	s.users = slices.Insert(s.users, 0, s.join(smartsheet.User{Email: guest, Name: "A Guest"}))
}

// matching returns the users that an email filter selects.
func (s *Server) matching(filter string) []*user {
	if filter == "" {
		return s.users
	}
	wanted := map[string]bool{}
	for e := range strings.SplitSeq(strings.ToLower(filter), ",") {
		wanted[strings.TrimSpace(e)] = true
	}
	return slices.DeleteFunc(slices.Clone(s.users), func(u *user) bool { return !wanted[strings.ToLower(u.Email)] })
}

// me answers for the token's own user, who is not in the list, or for the assumed one.
func (s *Server) me(w http.ResponseWriter, r *http.Request) {
	a := map[string]any{
		"id": s.o.FirstUserID - 1, "email": "admin@example.com", "firstName": "Ada", "lastName": "Admin", "admin": true,
		"alternateEmails": []map[string]any{{"id": s.o.FirstUserID - 2, "email": "ada@example.com", "confirmed": true}},
	}
	if u := s.assumed(r); u != nil {
		a = s.view(u)
		a["alternateEmails"] = u.alternates()
	}
	a["locale"], a["timeZone"], a["licensedSheetCreator"] = "en_US", "US/Pacific", true
	a["account"] = map[string]any{"id": s.o.AccountID, "name": s.o.AccountName}
	answer(w, http.StatusOK, a)
}

// ofUser is a handler for the user whom the path names.
func (s *Server) ofUser(h func(http.ResponseWriter, *http.Request, *user)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64) // what is no number: nobody has the id 0
		u := s.byID[id]
		if u == nil {
			s.refuse(w, http.StatusNotFound, 1020)
			return
		}
		h(w, r, u)
	}
}

// assumed is the user that the Assume-User header names; nil if it names nobody, or is
// not there.
func (s *Server) assumed(r *http.Request) *user {
	email, err := url.QueryUnescape(r.Header.Get("Assume-User"))
	if err != nil {
		return nil
	}
	return s.find(email)
}

func (s *Server) oneUser(w http.ResponseWriter, _ *http.Request, u *user) {
	v := s.view(u)
	v["alternateEmails"] = u.alternates()
	answer(w, http.StatusOK, v)
}

func (s *Server) alternateEmails(w http.ResponseWriter, r *http.Request, u *user) {
	all := u.alternates()
	if p, ok := s.paging(w, r, len(all)); ok {
		answerPage(w, p, len(all), all[p.from:p.to])
	}
}

func (u *user) alternates() []map[string]any {
	all := []map[string]any{}
	for i, e := range u.AlternateEmails {
		all = append(all, map[string]any{"id": u.ID + int64(i) + 1, "email": e.Email, "confirmed": e.Confirmed})
	}
	return all
}
