package simulator

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

func (s *Server) setImage(r *http.Request, u *user) reply {
	data, _ := io.ReadAll(r.Body) // which was read before
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

// source is the form of the header smartsheet-integration-source, which may be missing.
var source = regexp.MustCompile("^((AI|SCRIPT|APPLICATION),[^,]*,[^,]*)?$")

// refused says with which status and errorCode an upload is refused; code 0: it is not.
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

// imageURLs answers with an address for each image, or why there is none.
func (s *Server) imageURLs(r *http.Request) reply {
	var ask []struct {
		ImageID string `json:"imageId"`
	}
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		return s.refuse(http.StatusBadRequest, 1008)
	}
	scheme := "http://"
	if r.TLS != nil || r.URL.Scheme == "https" { // the latter without a network
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
