package simulator

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"photosync/sync/smartsheet"
)

func (s *Server) routes() {
	s.mux = http.NewServeMux()
	s.mux.HandleFunc("GET /b/authorize", s.authorize)
	s.mux.HandleFunc("POST /2.0/token", s.token)
	s.mux.HandleFunc("GET /2.0/users", s.listUsers)
	s.mux.HandleFunc("GET /2.0/users/me", s.me)
	s.mux.HandleFunc("GET /2.0/users/{id}", s.oneUser)
	s.mux.HandleFunc("GET /2.0/users/{id}/alternateemails", s.alternateEmails)
	s.mux.HandleFunc("POST /2.0/users/{id}/profileimage", s.setImage)
	s.mux.HandleFunc("POST /2.0/imageurls", s.imageURLs)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		drain(r)
		s.refuse(w, http.StatusNotFound, 1006, "")
	})
}

// view is a user as the API writes one.
type view struct {
	ID                   int64            `json:"id"`
	Email                string           `json:"email"`
	Name                 string           `json:"name"`
	FirstName            string           `json:"firstName"`
	LastName             string           `json:"lastName"`
	Status               string           `json:"status"`
	Admin                bool             `json:"admin"`
	LicensedSheetCreator bool             `json:"licensedSheetCreator"`
	GroupAdmin           bool             `json:"groupAdmin"`
	ResourceViewer       bool             `json:"resourceViewer"`
	IsInternal           bool             `json:"isInternal"`
	SheetCount           int              `json:"sheetCount"`
	SeatType             string           `json:"seatType,omitempty"`
	SeatTypeChangedAt    string           `json:"seatTypeLastChangedAt,omitempty"`
	ProvisionalExpiry    string           `json:"provisionalExpirationDate,omitempty"`
	ProfileImage         *viewImage       `json:"profileImage,omitempty"`
	AlternateEmails      []map[string]any `json:"alternateEmails,omitempty"` // of one user alone
}

type viewImage struct {
	ImageID string `json:"imageId"`
	Height  int    `json:"height"`
	Width   int    `json:"width"`
}

// view shows a user. The lock is held.
func (s *Server) view(u *user) view {
	first, last, _ := strings.Cut(u.Name, " ")
	v := view{
		ID: u.ID, Email: u.Email, Name: u.Name, FirstName: first, LastName: last, Status: u.Status, LicensedSheetCreator: true,
		IsInternal: u.IsInternal == nil || *u.IsInternal, SheetCount: -1,
	}
	if id := cmp.Or(u.image.ID, u.ImageID); id != "" {
		if s.views++; s.o.UnstableImageIDs {
			id = fmt.Sprint(id, "-", s.views)
		}
		v.ProfileImage = &viewImage{id, 1050, 1050}
	}
	return v
}

// paging reads the query of a list: the page, and how many stand on it. It refuses what
// is no number.
func (s *Server) paging(w http.ResponseWriter, q url.Values) (page, size int, ok bool) {
	page, size = 1, 100
	for name, p := range map[string]*int{"pageSize": &size, "page": &page} {
		if v := q.Get(name); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 {
				s.refuse(w, http.StatusBadRequest, 1018, fmt.Sprintf("The value '%s' was not valid for the parameter %s.", v, name))
				return 0, 0, false
			}
			*p = n
		}
	}
	return page, min(size, s.o.PageSizeCap), true
}

func (s *Server) listUsers(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	page, size, ok := s.paging(w, q)
	if !ok {
		return
	}
	if s.o.NoEmailFilter && q.Has("email") {
		s.refuse(w, http.StatusBadRequest, 1018, "The value was not valid for the parameter email.")
		return
	}
	s.mu.Lock()
	match := s.matching(q.Get("email"))
	if q.Get("includeAll") == "true" {
		size, page = max(len(match), 1), 1
	}
	pages := max((len(match)+size-1)/size, 1)
	if page > pages && s.o.RepeatLastPage {
		page = pages
	}
	from, to := min((page-1)*size, len(match)), min(page*size, len(match))
	if s.o.DuplicateUsers && from > 0 && from < to {
		from--
	}
	data := []view{}
	for _, u := range match[from:to] {
		v := s.view(u)
		if q.Has("planId") || q.Has("seatType") {
			v.SeatType, v.SeatTypeChangedAt, v.ProvisionalExpiry = "MEMBER", "2026-01-31T09:00:00Z", "2026-12-31T09:00:00Z"
		}
		data = append(data, v)
	}
	if s.o.Churn && q.Get("email") == "" {
		s.churn()
	}
	s.mu.Unlock()
	answer(w, http.StatusOK, map[string]any{
		"pageNumber": page, "pageSize": size, "totalPages": pages, "totalCount": len(match), "data": data,
	})
}

// churn lets a guest come, or go again, at the head of the list. The lock is held.
func (s *Server) churn() {
	const guest = "guest@example.com"
	if u := s.find(guest); u != nil {
		s.leave(u)
		return
	}
	s.users = slices.Insert(s.users, 0, s.join(smartsheet.User{Email: guest, Name: "A Guest"}))
}

// matching returns the users that an email filter selects. The lock is held.
func (s *Server) matching(filter string) []*user {
	if filter == "" {
		return s.users
	}
	var match []*user
	seen := map[*user]bool{}
	for e := range strings.SplitSeq(filter, ",") {
		for _, u := range s.byEmail[strings.ToLower(strings.TrimSpace(e))] {
			if !seen[u] {
				seen[u] = true
				match = append(match, u)
			}
		}
	}
	return match
}

// me answers for the token's own user, who is not in the list, or for the assumed one.
func (s *Server) me(w http.ResponseWriter, r *http.Request) {
	a := map[string]any{
		"id": s.o.FirstUserID - 1, "email": "admin@example.com", "firstName": "Ada", "lastName": "Admin", "admin": true,
		"alternateEmails": []map[string]any{{"id": s.o.FirstUserID - 2, "email": "ada@example.com", "confirmed": true}},
	}
	s.mu.Lock()
	if u := s.assumed(r); u != nil {
		v := s.view(u)
		a = map[string]any{"id": v.ID, "email": v.Email, "firstName": v.FirstName, "lastName": v.LastName, "admin": v.Admin, "alternateEmails": u.alternates()}
	}
	s.mu.Unlock()
	a["locale"], a["timeZone"], a["licensedSheetCreator"] = "en_US", "US/Pacific", true
	a["account"] = map[string]any{"id": s.o.AccountID, "name": s.o.AccountName}
	answer(w, http.StatusOK, a)
}

// byPath finds the user that the path names, or refuses.
func (s *Server) byPath(w http.ResponseWriter, r *http.Request) *user {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	s.mu.Lock()
	u := s.byID[id]
	s.mu.Unlock()
	if err != nil || u == nil {
		drain(r)
		s.refuse(w, http.StatusNotFound, 1020, "")
		return nil
	}
	return u
}

// assumed is the user that the Assume-User header names; nil if it names nobody, or is
// not there. The lock is held.
func (s *Server) assumed(r *http.Request) *user {
	email, err := url.QueryUnescape(r.Header.Get("Assume-User"))
	if err != nil {
		return nil
	}
	return s.find(email)
}

func (s *Server) oneUser(w http.ResponseWriter, r *http.Request) {
	u := s.byPath(w, r)
	if u == nil {
		return
	}
	s.mu.Lock()
	v := s.view(u)
	v.AlternateEmails = u.alternates()
	s.mu.Unlock()
	answer(w, http.StatusOK, v)
}

func (s *Server) alternateEmails(w http.ResponseWriter, r *http.Request) {
	u := s.byPath(w, r)
	if u == nil {
		return
	}
	page, size, ok := s.paging(w, r.URL.Query())
	if !ok {
		return
	}
	s.mu.Lock()
	all := u.alternates()
	s.mu.Unlock()
	if r.URL.Query().Get("includeAll") == "true" {
		page, size = 1, max(len(all), 1)
	}
	from, to := min((page-1)*size, len(all)), min(page*size, len(all))
	answer(w, http.StatusOK, map[string]any{
		"pageNumber": page, "pageSize": size, "totalPages": (len(all) + size - 1) / size, "totalCount": len(all), "data": all[from:to],
	})
}

func (u *user) alternates() []map[string]any {
	all := []map[string]any{}
	for i, e := range u.AlternateEmails {
		all = append(all, map[string]any{"id": u.ID + int64(i) + 1, "email": e.Email, "confirmed": e.Confirmed})
	}
	return all
}
