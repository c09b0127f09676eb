package simulator

import (
	"embed"
	"io/fs"
	"net/http"
	"strconv"
)

// shown is how many users the page shows at most.
const shown = 10_000

//go:embed page
var pageFiles embed.FS

// Page is an http.Handler for the API and, at its root, a page that shows
// everyone's current picture.
func (s *Server) Page() http.Handler {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // the name is not valid: it is ours
	}
	mux := http.NewServeMux()
	mux.Handle("/2.0/", s)
	mux.HandleFunc("GET /images/{id}", s.imageByID)
	mux.Handle("GET /users.json", secure(http.HandlerFunc(s.shownUsers)))
	for _, p := range []string{"GET /{$}", "GET /page.css", "GET /page.js"} {
		mux.Handle(p, secure(http.FileServerFS(files)))
	}
	mux.Handle("/", s)
	return mux
}

// secure lets the page use nothing but its own files: names are foreign text.
func secure(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		h.ServeHTTP(w, r)
	})
}

// shownUsers answers who there is, in order.
func (s *Server) shownUsers(w http.ResponseWriter, _ *http.Request) {
	users, pictures := []map[string]string{}, 0
	s.mu.Lock()
	for i, u := range s.users {
		if u.image.ID != "" {
			pictures++
		}
		if i < shown { // the id as a text: JavaScript's numbers do not hold it
			users = append(users, map[string]string{"id": strconv.FormatInt(u.ID, 10), "name": u.Name, "email": u.Email, "image": u.image.ID})
		}
	}
	body := map[string]any{"total": len(s.users), "pictures": pictures, "uploads": s.counts.Accepted, "users": users}
	s.mu.Unlock()
	answer(w, http.StatusOK, body)
}
