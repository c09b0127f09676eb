package simulator

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"photosync/sync/smartsheet"
)

func (s *Server) routes() {
	s.mux.HandleFunc("GET /b/authorize", s.authorize)
	s.mux.Handle("GET /images/{id}", secure(s.imageByID))
	s.mux.Handle("GET /users.json", secure(s.shownUsers))
	for _, p := range []string{"/{$}", "/page.css", "/page.js"} {
		s.mux.Handle("GET "+p, secure(func(w http.ResponseWriter, r *http.Request) {
			http.ServeFileFS(w, r, pageFiles, path.Join("page", r.URL.Path))
		}))
	}
	for pattern, h := range map[string]struct {
		op     string
		answer handler
	}{
		"POST /2.0/token":                   {"token", s.token},
		"GET /2.0/users":                    {"users", s.listUsers},
		"GET /2.0/users/me":                 {"me", s.me},
		"GET /2.0/users/{id}":               {"user", s.ofUser(s.oneUser)},
		"POST /2.0/users/{id}/profileimage": {"upload", s.ofUser(s.setImage)},
		"POST /2.0/imageurls":               {"imageurls", s.imageURLs},
		"/":                                 {"other", func(*http.Request) reply { return s.refuse(http.StatusNotFound, 1006) }},
	} {
		s.mux.HandleFunc(pattern, s.serve(h.op, h.answer))
	}
}

// view shows a user as the API does.
func (s *Server) view(u *user) object {
	first, last, _ := strings.Cut(u.Name, " ")
	v := object{
		"id": u.ID, "email": u.Email, "name": u.Name, "firstName": first, "lastName": last, "status": u.Status,
		"admin": false, "licensedSheetCreator": true, "groupAdmin": false, "resourceViewer": false,
		"isInternal": !u.External, "sheetCount": -1,
	}
	if id := cmp.Or(u.image.ID, u.ImageID); id != "" {
		v["profileImage"] = object{"imageId": id, "height": 1050, "width": 1050}
	}
	return v
}

// page answers with the page that a request asks for. It refuses parameters that are no numbers.
func (s *Server) page(r *http.Request, all []*user) reply {
	q, n := r.URL.Query(), len(all)
	number, err := strconv.Atoi(cmp.Or(q.Get("page"), "1"))
	size, err2 := strconv.Atoi(cmp.Or(q.Get("pageSize"), "100"))
	if err != nil || err2 != nil || number < 1 || size < 1 {
		return s.refuse(http.StatusBadRequest, 1018)
	}
	size = min(size, s.pageCap)
	if q.Get("includeAll") == "true" {
		number, size = 1, max(n, 1)
	}
	pages := (n + size - 1) / size
	if number > pages && s.quirks["repeat-last-page"] {
		number = max(pages, 1)
	}
	from, to := min((number-1)*size, n), min(number*size, n)
	if s.quirks["duplicate-users"] && from > 0 && from < to {
		from--
	}
	data := []any{}
	for _, u := range all[from:to] {
		data = append(data, s.view(u))
	}
	return ok(object{"pageNumber": number, "pageSize": size, "totalPages": pages, "totalCount": n, "data": data})
}

func (s *Server) listUsers(r *http.Request) reply {
	q := r.URL.Query()
	if s.quirks["no-email-filter"] && q.Has("email") {
		return s.refuse(http.StatusBadRequest, 1018)
	}
	list := s.page(r, s.matching(q.Get("email")))
	if s.quirks["churn"] && q.Get("email") == "" { // a guest comes to the head of the list, or leaves it
		const guest = "guest@example.com"
		if u := s.find(guest); u != nil {
			s.leave(u)
		} else {
			s.users = slices.Insert(s.users, 0, s.join(smartsheet.User{Email: guest, Name: "A Guest"}))
		}
	}
	return list
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
func (s *Server) me(r *http.Request) reply {
	a := object{
		"id": s.o.FirstUserID - 1, "email": "admin@example.com", "firstName": "Ada", "lastName": "Admin", "admin": true,
		"alternateEmails": []any{object{"id": s.o.FirstUserID - 2, "email": "ada@example.com", "confirmed": true}},
	}
	if u := s.assumed(r); u != nil {
		a = s.oneUser(r, u).body.(object)
	}
	a["locale"], a["timeZone"], a["licensedSheetCreator"] = "en_US", "US/Pacific", true
	a["account"] = object{"id": s.o.AccountID, "name": s.o.AccountName}
	return ok(a)
}

func (s *Server) ofUser(h func(*http.Request, *user) reply) handler {
	return func(r *http.Request) reply {
		id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64) // 0 if it is no number: no user has the id 0
		if u := s.byID[id]; u != nil {
			return h(r, u)
		}
		return s.refuse(http.StatusNotFound, 1020)
	}
}

// assumed returns the user that the Assume-User header names; nil if there is none.
func (s *Server) assumed(r *http.Request) *user {
	email, _ := url.QueryUnescape(r.Header.Get("Assume-User")) // a malformed value names nobody
	return s.find(email)
}

func (s *Server) oneUser(_ *http.Request, u *user) reply {
	v, all := s.view(u), []any{}
	for i, e := range u.AlternateEmails {
		all = append(all, object{"id": u.ID + int64(i) + 1, "email": e.Email, "confirmed": e.Confirmed})
	}
	v["alternateEmails"] = all
	return ok(v)
}

// messages are the API's own words for its errorCodes. Messages from 5000 on are for the user, in
// the user's language: there are two as examples.
//
//go:embed messages.json
var messages []byte

// reply is the answer of a handler.
type reply struct {
	status     int
	body       any    // a string is sent as HTML, everything else as JSON; nil: nothing
	retryAfter string // header
}

// object is an object in JSON.
type object = map[string]any

func ok(body any) reply { return reply{http.StatusOK, body, ""} }

// failure returns an error in the API's form, with the API's words if message is empty. The lock is held.
func (s *Server) failure(code int, message string) object {
	s.counts.RefIDs++
	known := code
	if code/1000 == 5 {
		known = 5000 + code%2
	}
	words := gjson.GetBytes(messages, strconv.Itoa(known)).Str
	body := object{"refId": fmt.Sprintf("sim%06d", s.counts.RefIDs), "message": cmp.Or(message, words, "An error has occurred.")}
	if code != 0 {
		body["errorCode"] = code
	}
	return body
}

// refuse answers with an error, in the API's own words.
func (s *Server) refuse(status, code int) reply { return reply{status, s.failure(code, ""), ""} }

func (s *Server) setImage(r *http.Request, u *user) reply {
	data, _ := io.ReadAll(r.Body) // cannot fail: the body was read before
	contentType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if status, code := refused(r, contentType, u, data); code != 0 {
		return s.refuse(status, code)
	}
	_, disposition, _ := mime.ParseMediaType(r.Header.Get("Content-Disposition"))
	name, _ := url.PathUnescape(disposition["filename"])
	s.counts.Accepted++
	s.put(u, Image{Data: data, ContentType: contentType, FileName: name, Uploads: u.image.Uploads + 1})
	return ok(object{"message": "SUCCESS", "resultCode": 0, "data": []any{s.view(u)}})
}

// source matches the header smartsheet-integration-source; empty, if it is missing.
var source = regexp.MustCompile("^((AI|SCRIPT|APPLICATION),[^,]*,[^,]*)?$")

// refused returns the status and errorCode with which an upload is refused; code 0: it is accepted.
func refused(r *http.Request, contentType string, u *user, data []byte) (status, code int) {
	switch {
	case r.ContentLength > 0 && int64(len(data)) < min(r.ContentLength, maxImageBytes):
		return http.StatusBadRequest, 1075
	case len(data) > maxImageBytes:
		return http.StatusBadRequest, 1128
	case !source.MatchString(r.Header.Get("smartsheet-integration-source")):
		return http.StatusBadRequest, 1272
	case contentType == "":
		return http.StatusBadRequest, 1091
	case !strings.HasPrefix(contentType, "image/"):
		return http.StatusUnsupportedMediaType, 1124
	case !slices.Contains([]string{"image/jpeg", "image/png", "image/gif"}, contentType), http.DetectContentType(data) != contentType:
		return http.StatusBadRequest, 1074
	case u.Status != "ACTIVE":
		return http.StatusForbidden, 1188
	}
	return 0, 0
}

// imageURLs answers with an address for each image, or with the reason why there is none.
func (s *Server) imageURLs(r *http.Request) reply {
	var ask []struct {
		ImageID string `json:"imageId"`
	}
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		return s.refuse(http.StatusBadRequest, 1008)
	}
	scheme := "http://"
	if r.TLS != nil || r.URL.Scheme == "https" { // the URL has the scheme only without a network
		scheme = "https://"
	}
	urls := []any{}
	for _, a := range ask {
		v := object{"imageId": a.ImageID}
		if img := s.imageWithID(a.ImageID); img.ID != "" {
			v["url"] = scheme + r.Host + "/images/" + url.PathEscape(a.ImageID)
		} else {
			v["error"] = s.failure(1006, "")
		}
		urls = append(urls, v)
	}
	return ok(object{"urlExpiresInMillis": 1_800_000, "imageUrls": urls})
}

// imageByID serves a picture to anybody who has its address.
func (s *Server) imageByID(w http.ResponseWriter, r *http.Request) {
	var img Image
	s.locked(func() { img = s.imageWithID(r.PathValue("id")) })
	if img.ID == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", img.ContentType)
	w.Write(img.Data) // without the lock: a slow browser must not stop the API
}

// imageWithID returns the zero value if there is none. The lock is held.
func (s *Server) imageWithID(id string) Image {
	for _, u := range s.users {
		if u.image.ID == id {
			return u.image
		}
	}
	return Image{}
}
