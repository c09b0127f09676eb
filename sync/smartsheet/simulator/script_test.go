package simulator

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"photosync/sync/smartsheet"
)

// listing is what GET /users shows: email, id beyond the first, status.
func listing(t *testing.T, s *Server) (out []string) {
	t.Helper()
	for _, u := range mustCall(t, s, "GET", "/users", "").Body.Data {
		out = append(out, fmt.Sprint(u.Email, " ", u.ID-FirstUserID, " ", u.Status))
	}
	return out
}

// People change while the server is used: at a time, and with a request.
func TestScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Users: SampleUsers(3)})
		err := s.AddScript(strings.NewReader(`
# a handed over address
30s   rename user0001@example.com old@example.com
30s   add user0001@example.com
upload=1 status user0002@example.com DEACTIVATED
users=3 recreate user0003@example.com
users=3 picture old@example.com
users=4 delete old@example.com
users=4 delete nobody@example.com
users=4 fault status:500/4000,op=me
24h clear-faults
`))
		if err != nil {
			t.Fatal(err)
		}
		before := listing(t, s)
		time.Sleep(31 * time.Second)
		after := listing(t, s)
		r := mustCall(t, s, "POST", upload(FirstUserID+1), png, "Content-Type", "image/png")
		third := listing(t, s)
		old := mustCall(t, s, "GET", fmt.Sprintf("/users/%d", FirstUserID), "").Text
		if d := cmp.Diff([]string{"user0001@example.com 0 ACTIVE", "user0002@example.com 1 ACTIVE", "user0003@example.com 2 ACTIVE"}, before); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]string{"old@example.com 0 ACTIVE", "user0002@example.com 1 ACTIVE", "user0003@example.com 2 ACTIVE", "user0001@example.com 3 ACTIVE"}, after); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]string{"old@example.com 0 ACTIVE", "user0002@example.com 1 DEACTIVATED", "user0001@example.com 3 ACTIVE", "user0003@example.com 4 ACTIVE"}, third); d != "" {
			t.Error(d)
		}
		if r.Body.ErrorCode != 1188 || !strings.Contains(old, "imageId") {
			t.Errorf("upload %+v, old %s", r.Body, old)
		}
		if got := len(listing(t, s)); got != 3 {
			t.Errorf("%d users in the end", got)
		}
		if r := mustCall(t, s, "GET", "/users/me", ""); r.Body.ErrorCode != 4000 {
			t.Errorf("%+v", r.Body)
		}
	})
}

func TestScriptRefuses(t *testing.T) {
	for _, line := range []string{"soon add a@b.c", "uplaod=1 add a@b.c", "upload=0 add a@b.c", "-1s add a@b.c", "1s", "1s vanish a@b.c", "1s rename a@b.c", "1s fault nonsense", "1s clear-faults now"} {
		if err := New(Options{}).AddScript(strings.NewReader("# one\n" + line + "\n")); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: %v", line, err)
		}
	}
}

// What a client may send beside what photosync sends, and the newer fields.
func TestReference(t *testing.T) {
	s := New(Options{Users: SampleUsers(2), OAuth: &OAuth{ClientID: "c", ClientSecret: "s", RefreshToken: "r0"}, Token: "t"})
	s.change("user0001@example.com", func(u *user) {
		u.AlternateEmails = []smartsheet.AlternateEmail{{Email: "a@x.y"}, {Email: "b@x.y"}, {Email: "c@x.y"}}
	})
	for name, c := range map[string]struct {
		method, path string
		header       []string
		want         []string // parts of the answer
		not          string
	}{
		"me has alternate addresses": {"GET", "/users/me", nil, []string{`"alternateEmails":[{`, `"account":{`}, ""},
		"newer fields":               {"GET", "/users", nil, []string{`"isInternal":true`, `"sheetCount":-1`}, ""},
		"alternate addresses":        {"GET", fmt.Sprintf("/users/%d", FirstUserID), nil, []string{"a@x.y", "c@x.y"}, ""},
		"assumed":                    {"GET", "/users/me", []string{"Assume-User", "user0002%40example.com"}, []string{"user0002@example.com"}, "admin@"},
		"assumed by nobody":          {"GET", "/users", []string{"Assume-User", "nobody%40example.com"}, []string{`"errorCode":1030`}, ""},
		"token by query": {"POST", "/token?grant_type=refresh_token&client_id=c&client_secret=s&refresh_token=r0",
			[]string{"Authorization", "", "Content-Type", "application/json"}, []string{`"access_token"`}, "error"},
	} {
		t.Run(name, func(t *testing.T) {
			r := mustCall(t, s, c.method, c.path, "", c.header...)
			for _, part := range c.want {
				if !strings.Contains(r.Text, part) {
					t.Errorf("no %s in %s", part, r.Text)
				}
			}
			if c.not != "" && strings.Contains(r.Text, c.not) {
				t.Errorf("%s in %s", c.not, r.Text)
			}
		})
	}
}
