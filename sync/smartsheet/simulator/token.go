package simulator

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// OAuth describes who may ask for tokens, as an app registered with Smartsheet.
type OAuth struct {
	ClientID     string
	ClientSecret string
	RefreshToken string        // the first valid one; each can be used once
	TTL          time.Duration // of an access token; 0: 7 days, as in the API reference
}

// tokens are the valid tokens.
type tokens struct {
	refresh string
	access  map[string]time.Time // until when
	// Of the last authorisation, whose code can be used once.
	code, redirect, challenge string
}

// authorize answers GET /b/authorize as if the person pressed Allow: it redirects the browser with a code.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	if s.o.OAuth == nil || q.Get("client_id") != s.o.OAuth.ClientID || q.Get("response_type") != "code" || err != nil || back.Host == "" {
		http.Error(w, "The app is not known, or the request is not complete.", http.StatusBadRequest)
		return
	}
	given := url.Values{"error": {"invalid_scope"}, "state": {q.Get("state")}}
	if q.Get("scope") != "" {
		code := "code-" + rand.Text()
		s.locked(func() {
			s.oauth.code, s.oauth.redirect, s.oauth.challenge = code, q.Get("redirect_uri"), q.Get("code_challenge")
		})
		given = url.Values{"code": {code}, "expires_in": {"599919"}, "state": {q.Get("state")}}
	}
	back.RawQuery = given.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

// redeem reports whether a refresh token, or a code, is valid, and spends it. The lock is held.
func (s *Server) redeem(form url.Values) bool {
	if form.Get("grant_type") == "refresh_token" {
		return form.Get("refresh_token") != "" && form.Get("refresh_token") == s.oauth.refresh
	}
	g := s.oauth
	s.oauth.code = ""
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	return g.code != "" && form.Get("code") == g.code && (form.Get("redirect_uri") == "" || form.Get("redirect_uri") == g.redirect) &&
		(g.challenge == "" || base64.RawURLEncoding.EncodeToString(sum[:]) == g.challenge)
}

// unauthorized returns the errorCode for a token that is not accepted, or for an Assume-User
// header that names nobody; otherwise 0.
func (s *Server) unauthorized(r *http.Request) int {
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	until, known := s.oauth.access[token]
	switch {
	case !found || token == "":
		return 1001
	case s.o.OAuth == nil && s.o.Token == "", token == s.o.Token:
	case !known:
		return 1002
	case !time.Now().Before(until):
		return 1003
	}
	if r.Header.Get("Assume-User") != "" && s.assumed(r) == nil {
		return 1030
	}
	return 0
}

// RefreshToken returns the only valid refresh token.
func (s *Server) RefreshToken() (token string) {
	s.locked(func() { token = s.oauth.refresh })
	return token
}

// token answers POST /token: a new access token and a new refresh token, which spends the old one,
// or the code of an authorisation. The parameters come as a form, as in the reference's curl, or in
// the query, as in the OpenAPI document and from the official JavaScript SDK.
func (s *Server) token(r *http.Request) reply {
	refuse := func(status int, name, words string) reply {
		return reply{status, object{"error": name, "error_description": words}, ""}
	}
	o := s.o.OAuth
	err := r.ParseForm()
	grant := r.Form.Get("grant_type")
	switch {
	case err != nil:
		return refuse(http.StatusBadRequest, "invalid_request", "The request is not form-encoded.")
	case o != nil && grant != "refresh_token" && grant != "authorization_code":
		return refuse(http.StatusBadRequest, "unsupported_grant_type", "grant_type must equal refresh_token or authorization_code.")
	case o == nil, r.Form.Get("client_id") != o.ClientID, r.Form.Get("client_secret") != o.ClientSecret:
		return refuse(http.StatusUnauthorized, "invalid_client", "The client or its secret is not known.")
	case !s.redeem(r.Form):
		return refuse(http.StatusBadRequest, "invalid_grant", "The refresh token or code is invalid or was used before.")
	}
	ttl, access := cmp.Or(o.TTL, 7*24*time.Hour), "access-"+rand.Text()
	s.oauth.refresh = "refresh-" + rand.Text()
	s.oauth.access[access] = time.Now().Add(ttl)
	return ok(object{"access_token": access, "token_type": "bearer", "refresh_token": s.oauth.refresh, "expires_in": int(ttl / time.Second)})
}

// quota is what a token has used in a window of one minute, which begins with its first request.
type quota struct {
	began time.Time
	used  int
}

// spend takes the request's units from the quota of its token, or returns how long to wait until
// there are as many. The lock is held.
func (s *Server) spend(r *http.Request, op string) (wait time.Duration) {
	if s.o.RequestsPerMinute <= 0 {
		return 0
	}
	units := 1
	if op == "upload" {
		units = s.o.UploadWeight
	}
	token := r.Header.Get("Authorization")
	if s.o.OAuth != nil {
		token = "" // a rotated token belongs to the same app
	}
	now, q := time.Now(), s.quotas[token]
	if q == nil || now.Sub(q.began) >= time.Minute {
		q = &quota{began: now, used: s.o.Others}
		s.quotas[token] = q
	}
	if q.used+units > s.o.RequestsPerMinute {
		s.counts.RateLimited++
		return q.began.Add(time.Minute).Sub(now)
	}
	q.used += units
	return 0
}

func (s *Server) outOfQuota(wait time.Duration) reply {
	refusal := s.refuse(http.StatusTooManyRequests, 4003)
	switch s.o.RetryAfter {
	case "seconds":
		refusal.retryAfter = fmt.Sprint(int(wait/time.Second) + 1)
	case "date":
		refusal.retryAfter = time.Now().Add(wait + time.Second).UTC().Format(http.TimeFormat)
	}
	return refusal
}
