package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

func (s *Server) routes() {
	s.mux = http.NewServeMux()
	s.mux.HandleFunc("GET /2.0/users", s.listUsers)
	s.mux.HandleFunc("GET /2.0/users/me", s.me)
	s.mux.HandleFunc("GET /2.0/users/{id}", s.oneUser)
	s.mux.HandleFunc("GET /2.0/users/{id}/alternateemails", s.alternateEmails)
	s.mux.HandleFunc("POST /2.0/users/{id}/profileimage", s.setImage)
	s.mux.HandleFunc("POST /2.0/imageurls", s.imageURLs)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.refuse(w, http.StatusNotFound, 1006, "") })
}

// view is a user as the API writes one. The lock is held.
func (u *user) view() map[string]any {
	v := map[string]any{
		"id": u.ID, "email": u.Email, "name": u.Name, "firstName": u.FirstName, "lastName": u.LastName,
		"status": u.Status, "admin": false, "licensedSheetCreator": true, "groupAdmin": false, "resourceViewer": false,
	}
	if id := u.imageID(); id != "" {
		v["profileImage"] = map[string]any{"imageId": id, "height": 1050, "width": 1050}
	}
	return v
}

func (u *user) imageID() string {
	if u.image.ID != "" {
		return u.image.ID
	}
	return u.ImageID
}

func (s *Server) listUsers(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	size, page := 100, 1
	for name, p := range map[string]*int{"pageSize": &size, "page": &page} {
		if v := q.Get(name); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 {
				s.refuse(w, http.StatusBadRequest, 1018, fmt.Sprintf("The value '%s' was not valid for the parameter %s.", v, name))
				return
			}
			*p = n
		}
	}
	size = min(size, s.o.PageSizeCap)
	s.mu.Lock()
	match := s.matching(q.Get("email"))
	if q.Get("includeAll") == "true" {
		size, page = max(len(match), 1), 1
	}
	pages := max((len(match)+size-1)/size, 1)
	if page > pages && s.o.RepeatLastPage {
		page = pages
	}
	data := []map[string]any{}
	for i := (page - 1) * size; i < min(page*size, len(match)); i++ {
		data = append(data, match[i].view())
	}
	s.mu.Unlock()
	totalPages, totalCount := pages, len(match)
	if s.o.TotalsUnknown {
		totalPages, totalCount = -1, -1
	}
	answer(w, http.StatusOK, map[string]any{
		"pageNumber": page, "pageSize": size, "totalPages": totalPages, "totalCount": totalCount, "data": data,
	})
}

// matching returns the users that an email filter selects. The lock is held.
func (s *Server) matching(filter string) []*user {
	if filter == "" {
		return s.users
	}
	want := map[string]bool{}
	for e := range strings.SplitSeq(filter, ",") {
		want[strings.ToLower(strings.TrimSpace(e))] = true
	}
	var match []*user
	for _, u := range s.users {
		if want[strings.ToLower(u.Email)] {
			match = append(match, u)
		}
	}
	return match
}

func (s *Server) me(w http.ResponseWriter, r *http.Request) {
	answer(w, http.StatusOK, map[string]any{
		"id": s.o.FirstUserID - 1, "email": "admin@example.com", "firstName": "Ada", "lastName": "Admin",
		"locale": "en_US", "timeZone": "US/Pacific", "admin": true, "licensedSheetCreator": true,
		"account": map[string]any{"id": s.o.AccountID, "name": s.o.AccountName},
	})
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

func (s *Server) oneUser(w http.ResponseWriter, r *http.Request) {
	u := s.byPath(w, r)
	if u == nil {
		return
	}
	s.mu.Lock()
	v := u.view()
	v["alternateEmails"] = u.alternates()
	s.mu.Unlock()
	answer(w, http.StatusOK, v)
}

func (s *Server) alternateEmails(w http.ResponseWriter, r *http.Request) {
	u := s.byPath(w, r)
	if u == nil {
		return
	}
	all := u.alternates()
	answer(w, http.StatusOK, map[string]any{"pageNumber": 1, "totalPages": 1, "totalCount": len(all), "data": all})
}

func (u *user) alternates() []map[string]any {
	all := []map[string]any{}
	for i, e := range u.AlternateEmails {
		all = append(all, map[string]any{"id": u.ID*10 + int64(i), "email": e, "confirmed": true})
	}
	return all
}

func (s *Server) setImage(w http.ResponseWriter, r *http.Request) {
	u := s.byPath(w, r)
	if u == nil {
		return
	}
	s.enter(u, +1)
	defer s.enter(u, -1)
	data, err := io.ReadAll(io.LimitReader(r.Body, maxImageBytes+1))
	contentType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	_, disposition, _ := mime.ParseMediaType(r.Header.Get("Content-Disposition"))
	switch {
	case err != nil, r.ContentLength > 0 && int64(len(data)) < min(r.ContentLength, maxImageBytes):
		s.refuse(w, http.StatusBadRequest, 1075, "")
		return
	case len(data) > maxImageBytes:
		drain(r)
		s.refuse(w, http.StatusBadRequest, 1128, "")
		return
	case contentType == "":
		s.refuse(w, http.StatusBadRequest, 1091, "")
		return
	case !strings.HasPrefix(contentType, "image/"):
		s.refuse(w, http.StatusUnsupportedMediaType, 1124, "")
		return
	case imageType(data) == "" || imageType(data) != contentType:
		s.refuse(w, http.StatusBadRequest, 1074, "")
		return
	}
	name, _ := url.PathUnescape(disposition["filename"])
	s.mu.Lock()
	s.counts.Accepted++
	u.image = Image{
		ID: s.imageID(), Data: data, ContentType: contentType, FileName: name, Uploads: u.image.Uploads + 1,
	}
	v := u.view()
	s.mu.Unlock()
	res := map[string]any{"message": "SUCCESS", "resultCode": 0}
	if s.o.AnswerShape == "result" {
		res["result"] = v
	} else {
		res["data"] = []any{v}
	}
	answer(w, http.StatusOK, res)
}

// enter counts the uploads of one user that run at the same moment.
func (s *Server) enter(u *user, by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u.active += by
	s.counts.MaxPerUser = max(s.counts.MaxPerUser, u.active)
}

// imageType tells the type by the first bytes, as the API does.
func imageType(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte("\xff\xd8\xff")):
		return "image/jpeg"
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		return "image/png"
	case bytes.HasPrefix(b, []byte("GIF87a")), bytes.HasPrefix(b, []byte("GIF89a")):
		return "image/gif"
	}
	return ""
}

func (s *Server) imageURLs(w http.ResponseWriter, r *http.Request) {
	var ask []struct {
		ImageID string `json:"imageId"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&ask); err != nil {
		s.refuse(w, http.StatusBadRequest, 1008, "Unable to parse request.")
		return
	}
	urls := []map[string]any{}
	for _, a := range ask {
		urls = append(urls, map[string]any{"imageId": a.ImageID, "url": "http://" + r.Host + "/images/" + url.PathEscape(a.ImageID)})
	}
	answer(w, http.StatusOK, map[string]any{"urlExpiresInMillis": 1_800_000, "imageUrls": urls})
}

// Page is an http.Handler that shows everyone's current picture.
func (s *Server) Page() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/2.0/", s)
	mux.HandleFunc("GET /{$}", s.gallery)
	mux.HandleFunc("GET /images/{id}", s.imageByID)
	mux.Handle("/", s)
	return mux
}

var gallery = template.Must(template.New("gallery").Parse(`<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><meta http-equiv="refresh" content="2"><title>Smartsheet simulator</title>
<style>body{font:14px system-ui;margin:2em;color-scheme:light dark}ul{display:flex;flex-wrap:wrap;gap:1em;list-style:none;padding:0}
li{width:10em;overflow-wrap:anywhere}img,.none{width:96px;height:96px;object-fit:cover;border-radius:50%;display:block;background:#8884}</style>
<h1>{{len .}} users</h1><ul>{{range .}}<li>{{if .ID}}<img src="/images/{{.ID}}" alt="">{{else}}<span class="none"></span>{{end}}{{.Email}}{{end}}</ul></html>`))

func (s *Server) gallery(w http.ResponseWriter, r *http.Request) {
	type row struct{ Email, ID string }
	var rows []row
	s.mu.Lock()
	for _, u := range s.users[:min(len(s.users), 2000)] {
		rows = append(rows, row{u.Email, u.image.ID})
	}
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'")
	gallery.Execute(w, rows) // the browser may be gone
}

func (s *Server) imageByID(w http.ResponseWriter, r *http.Request) {
	img, ok := s.imageWithID(r.PathValue("id"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", img.ContentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Write(img.Data) // without the lock: a slow browser must not stop the API
}

func (s *Server) imageWithID(id string) (Image, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.users {
		if id != "" && u.image.ID == id {
			return u.image, true
		}
	}
	return Image{}, false
}
