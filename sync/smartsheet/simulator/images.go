package simulator

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

func (s *Server) setImage(w http.ResponseWriter, r *http.Request) {
	u := s.byPath(w, r)
	if u == nil {
		return
	}
	active := s.enter(u, +1)
	defer s.enter(u, -1)
	data, err := io.ReadAll(io.LimitReader(r.Body, maxImageBytes+1))
	if status, code := refused(r, active, data, err); code != 0 {
		drain(r)
		s.refuse(w, status, code, "")
		return
	}
	contentType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	_, disposition, _ := mime.ParseMediaType(r.Header.Get("Content-Disposition"))
	name, _ := url.PathUnescape(disposition["filename"])
	s.mu.Lock()
	s.counts.Accepted++
	s.put(u, Image{Data: data, ContentType: contentType, FileName: name, Uploads: u.image.Uploads + 1})
	v := s.view(u)
	s.mu.Unlock()
	answer(w, http.StatusOK, map[string]any{"message": "SUCCESS", "resultCode": 0, "data": []any{v}})
}

// refused says with which status and errorCode an upload is refused; code 0: it is
// not. err is that of reading data.
func refused(r *http.Request, active bool, data []byte, err error) (status, code int) {
	contentType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err != nil, r.ContentLength > 0 && int64(len(data)) < min(r.ContentLength, maxImageBytes):
		return http.StatusBadRequest, 1075
	case len(data) > maxImageBytes:
		return http.StatusBadRequest, 1128
	case badSource(r.Header.Get("smartsheet-integration-source")):
		return http.StatusBadRequest, 1272
	case contentType == "":
		return http.StatusBadRequest, 1091
	case !strings.HasPrefix(contentType, "image/"):
		return http.StatusUnsupportedMediaType, 1124
	case imageType(data) == "" || imageType(data) != contentType:
		return http.StatusBadRequest, 1074
	case !active:
		return http.StatusForbidden, 1188
	}
	return 0, 0
}

// badSource reports whether the header is there and not TYPE,Organisation,Name.
func badSource(header string) bool {
	parts := strings.Split(header, ",")
	return header != "" && (len(parts) != 3 || !slices.Contains([]string{"AI", "SCRIPT", "APPLICATION"}, parts[0]))
}

// enter counts the uploads of one user that run at the same moment. It reports whether
// the user is active.
func (s *Server) enter(u *user, by int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	u.active += by
	s.counts.MaxPerUser = max(s.counts.MaxPerUser, u.active)
	return u.Status == "ACTIVE"
}

// imageType is the type by the first bytes, as the API sees it.
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

// imageURLs answers with an address for each image, or why there is none.
func (s *Server) imageURLs(w http.ResponseWriter, r *http.Request) {
	var ask []struct {
		ImageID string `json:"imageId"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&ask); err != nil {
		drain(r)
		s.refuse(w, http.StatusBadRequest, 1008, "")
		return
	}
	scheme := "http://"
	if r.TLS != nil || r.URL.Scheme == "https" { // the latter without a network
		scheme = "https://"
	}
	urls := []map[string]any{}
	for _, a := range ask {
		v := map[string]any{"imageId": a.ImageID}
		if _, ok := s.imageWithID(a.ImageID); ok {
			v["url"] = scheme + r.Host + "/images/" + url.PathEscape(a.ImageID)
		} else {
			v["error"] = map[string]any{"refId": s.refID(), "errorCode": 1006, "message": wording(1006)}
		}
		urls = append(urls, v)
	}
	answer(w, http.StatusOK, map[string]any{"urlExpiresInMillis": 1_800_000, "imageUrls": urls})
}

// imageByID serves a picture to anybody who has its address.
func (s *Server) imageByID(w http.ResponseWriter, r *http.Request) {
	img, ok := s.imageWithID(r.PathValue("id"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", img.ContentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store") // another simulator gives the same ids
	w.Write(img.Data)                           // without the lock: a slow browser must not stop the API
}

func (s *Server) imageWithID(id string) (Image, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.byImage[id]; u != nil {
		return u.image, true
	}
	return Image{}, false
}
