package simulator

import (
	"net/url"
	"testing"
	"testing/synctest"
	"time"
)

type grant struct {
	status        int
	access, fresh string
	failure       string
}

func ask(t *testing.T, s *Server, form ...string) grant {
	t.Helper()
	v := url.Values{}
	for i := 0; i < len(form); i += 2 {
		v.Set(form[i], form[i+1])
	}
	r := mustCall(t, s, "POST", "/token", v.Encode(), "Authorization", "", "Content-Type", "application/x-www-form-urlencoded")
	return grant{r.Status, r.Body.AccessToken, r.Body.RefreshToken, r.Body.Error}
}

// A refresh token is good once, an access token for its time.
func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{OAuth: &OAuth{ClientID: "c", ClientSecret: "s", RefreshToken: "r0", TTL: time.Hour}, RequestsPerMinute: 3})
		refresh := func(token string) grant {
			return ask(t, s, "grant_type", "refresh_token", "client_id", "c", "client_secret", "s", "refresh_token", token)
		}
		me := func(token string) int {
			r := mustCall(t, s, "GET", "/users/me", "", "Authorization", "Bearer "+token)
			return r.Status*10000 + r.Body.ErrorCode
		}
		first := refresh("r0")
		if first.status != 200 || first.access == "" || first.fresh != s.RefreshToken() || me(first.access) != 2000000 {
			t.Fatalf("first: %+v", first)
		}
		if g := refresh("r0"); g.status != 400 || g.failure != "invalid_grant" {
			t.Errorf("spent token: %+v", g)
		}
		if got := me("made-up"); got != 4011002 {
			t.Errorf("unknown token: %d", got)
		}
		time.Sleep(time.Hour)
		if got := me(first.access); got != 4011003 {
			t.Errorf("after an hour: %d", got)
		}
		second := refresh(first.fresh)
		if second.status != 200 || second.access == first.access || me(second.access) != 2000000 {
			t.Errorf("second: %+v", second)
		}
		third := refresh(second.fresh)
		me(third.access)
		if me(third.access); me(third.access) != 4294003 {
			t.Error("another token has its own quota, want that of the app")
		}
	})
}

func TestTokenRefusals(t *testing.T) {
	s := New(Options{OAuth: &OAuth{ClientID: "c", ClientSecret: "s", RefreshToken: "r"}})
	for want, form := range map[string][]string{
		"unsupported_grant_type": {"grant_type", "password", "client_id", "c", "client_secret", "s", "refresh_token", "r"},
		"invalid_client":         {"grant_type", "refresh_token", "client_id", "c", "client_secret", "x", "refresh_token", "r"},
		"invalid_grant":          {"grant_type", "refresh_token", "client_id", "c", "client_secret", "s", "refresh_token", "x"},
	} {
		if g := ask(t, s, form...); g.failure != want || g.status/100 != 4 || g.access != "" {
			t.Errorf("%+v, want %s", g, want)
		}
	}
	if g := ask(t, New(Options{Token: "t"}), "grant_type", "refresh_token", "refresh_token", ""); g.failure != "invalid_client" {
		t.Errorf("no OAuth: %+v", g)
	}
}
