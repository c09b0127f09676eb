package simulator

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"photosync/sync/smartsheet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const png = "\x89PNG\r\n\x1a\nrest"

type answered struct {
	Status int
	Proto  string
	Header http.Header
	Text   string
	Body   struct {
		RefID        string
		ErrorCode    int
		Message      string
		Error        string
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		TotalPages   int
		TotalCount   int
		PageNumber   int
		Data         []struct {
			ID           int64
			Email        string
			Status       string
			ProfileImage struct {
				ImageID string
				Height  any
			}
		}
		Result struct{ ID int64 }
	}
}

// call sends one request with the token "t" and decodes the answer.
func call(t *testing.T, rt http.RoundTripper, method, url, body string, header ...string) (answered, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer t")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return answered{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	out := answered{Status: resp.StatusCode, Proto: resp.Proto, Header: resp.Header, Text: string(b)}
	json.Unmarshal(b, &out.Body) // some answers are not JSON on purpose
	return out, err
}

func mustCall(t *testing.T, s *Server, method, path, body string, header ...string) answered {
	t.Helper()
	r, err := call(t, s.Transport(), method, "http://sim/2.0"+path, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func upload(n int64) string { return fmt.Sprintf("/users/%d/profileimage", n) }

func TestRefusals(t *testing.T) {
	up := upload(FirstUserID)
	for name, c := range map[string]struct {
		method, path, body string
		header             []string
		status, code       int
	}{
		"no token":          {"GET", "/users/me", "", []string{"Authorization", ""}, 401, 1001},
		"not a bearer":      {"GET", "/users/me", "", []string{"Authorization", "Basic t"}, 401, 1001},
		"wrong token":       {"GET", "/users/me", "", []string{"Authorization", "Bearer x"}, 401, 1002},
		"unknown user":      {"POST", upload(7), png, []string{"Content-Type", "image/png"}, 404, 1020},
		"id is no number":   {"GET", "/users/ann", "", nil, 404, 1020},
		"no type":           {"POST", up, png, nil, 400, 1091},
		"another type":      {"POST", up, png, []string{"Content-Type", "text/plain"}, 415, 1124},
		"not what it says":  {"POST", up, png, []string{"Content-Type", "image/jpeg"}, 400, 1074},
		"not an image":      {"POST", up, "hello", []string{"Content-Type", "image/png"}, 400, 1074},
		"too large":         {"POST", up, png + strings.Repeat("x", maxImageBytes), []string{"Content-Type", "image/png"}, 400, 1128},
		"user not active":   {"POST", upload(FirstUserID + 1), png, []string{"Content-Type", "image/png"}, 403, 1188},
		"assume nobody":     {"POST", up, png, []string{"Content-Type", "image/png", "Assume-User", "x%40b.c"}, 401, 1030},
		"source header":     {"POST", up, png, []string{"Content-Type", "image/png", "smartsheet-integration-source", "SCRIPT,x"}, 400, 1272},
		"page 0":            {"GET", "/users?page=0", "", nil, 400, 1018},
		"no such call":      {"GET", "/sheets", "", nil, 404, 1006},
		"imageurls no JSON": {"POST", "/imageurls", "{", nil, 400, 1008},
	} {
		t.Run(name, func(t *testing.T) {
			s := New(Options{Token: "t", Users: append(SampleUsers(1), smartsheet.User{Email: "off@example.com", Status: "DEACTIVATED"})})
			r := mustCall(t, s, c.method, c.path, c.body, c.header...)
			if r.Status != c.status || r.Body.ErrorCode != c.code || r.Body.Message == "" || r.Body.RefID != "sim000001" {
				t.Errorf("got %d %+v, want %d with errorCode %d, a message and a refId", r.Status, r.Body, c.status, c.code)
			}
			if s.Counts().Accepted != 0 {
				t.Error("an upload was accepted")
			}
		})
	}
}

func TestUpload(t *testing.T) {
	s := New(Options{Users: SampleUsers(2)})
	r := mustCall(t, s, "POST", upload(FirstUserID+1), png, "Content-Type", "image/png",
		"Content-Disposition", `attachment; filename="a%20b.png"`)
	if r.Status != 200 || r.Body.Message != "SUCCESS" || r.Body.Data[0].ID != FirstUserID+1 {
		t.Errorf("answer %d %s", r.Status, r.Text)
	}
	got, ok := s.Image("USER0002@example.com")
	want := Image{ID: "I!1!00000001", Data: []byte(png), ContentType: "image/png", FileName: "a b.png", Uploads: 1}
	if !ok || !cmp.Equal(got, want) {
		t.Errorf("kept (-want +got):\n%s", cmp.Diff(want, got))
	}
	if _, ok := s.Image("user0001@example.com"); ok {
		t.Error("somebody else got a picture too")
	}
}

// Somebody changes a picture by hand, somebody leaves: drift and stale ids.
func TestChangesByHand(t *testing.T) {
	s := New(Options{Users: SampleUsers(2)})
	mustCall(t, s, "POST", upload(FirstUserID), png, "Content-Type", "image/png")
	before := mustCall(t, s, "GET", "/users", "").Body.Data
	if !s.SetImage("user0001@example.com", []byte("GIF89a")) || !s.RemoveUser("user0002@example.com") {
		t.Fatal("user not found")
	}
	after := mustCall(t, s, "GET", "/users", "").Body.Data
	if len(before) != 2 || len(after) != 1 || before[0].ProfileImage == after[0].ProfileImage {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if img, _ := s.Image("user0001@example.com"); img.Uploads != 1 || img.ContentType != "image/gif" {
		t.Errorf("image %+v", img)
	}
	if r := mustCall(t, s, "GET", fmt.Sprintf("/users/%d", FirstUserID+1), ""); r.Status != 404 {
		t.Errorf("removed user: %d", r.Status)
	}
	if s.SetImage("x@example.com", nil) || s.RemoveUser("x@example.com") {
		t.Error("an unknown user was found")
	}
}

// quirk switches on quirks, with spaces between them.
func quirk(t *testing.T, s *Server, quirks string) {
	t.Helper()
	for text := range strings.FieldsSeq(quirks) {
		if err := s.AddQuirk(text); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPaging(t *testing.T) {
	for name, c := range map[string]struct {
		quirk       string
		query       string
		first, last int // users shown; 0: none
		pages       int
	}{
		"default size":   {"", "", 1, 100, 3},
		"last page":      {"", "?page=3", 201, 250, 3},
		"beyond":         {"", "?page=4", 0, 0, 3},
		"beyond repeats": {"repeat-last-page", "?page=4", 201, 250, 3},
		"cap":            {"page-cap=60", "?pageSize=1000", 1, 60, 5},
		"all":            {"", "?includeAll=true", 1, 250, 1},
		"duplicates":     {"duplicate-users", "?page=2", 100, 200, 3},
		"no filter":      {"no-email-filter", "?email=a@b.c", 0, 0, 0},
		"filter":         {"", "?email=USER0007@example.com,nobody@example.com", 7, 7, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := New(Options{Users: SampleUsers(250)})
			quirk(t, s, c.quirk)
			b := mustCall(t, s, "GET", "/users"+c.query, "").Body
			first, last := 0, 0
			if n := len(b.Data); n > 0 {
				first, last = int(b.Data[0].ID-FirstUserID)+1, int(b.Data[n-1].ID-FirstUserID)+1
			}
			if first != c.first || last != c.last || b.TotalPages != c.pages {
				t.Errorf("users %d to %d of %d pages, want %d to %d of %d", first, last, b.TotalPages, c.first, c.last, c.pages)
			}
		})
	}
}

// A guest who comes and goes moves everybody else from page to page.
func TestChurn(t *testing.T) {
	s := New(Options{Users: SampleUsers(4)})
	quirk(t, s, "churn")
	var got []string
	for _, query := range []string{"?pageSize=2", "?pageSize=2&page=2", "?email=user0001@example.com", "?pageSize=2&page=2"} {
		names := ""
		for _, u := range mustCall(t, s, "GET", "/users"+query, "").Body.Data {
			names += u.Email[:8] + " "
		}
		got = append(got, names)
	}
	if d := cmp.Diff([]string{"user0001 user0002 ", "user0002 user0003 ", "user0001 ", "user0003 user0004 "}, got); d != "" {
		t.Errorf("pages (-want +got):\n%s", d)
	}
}

func TestQuirks(t *testing.T) {
	s := New(Options{Users: SampleUsers(3)})
	for _, text := range []string{"totals-unknown", "repeat-last-page", "duplicate-users", "churn", "answer-in-result", "sizes-as-text", "no-email-filter", "unstable-ids", "page-cap=2"} {
		if err := s.AddQuirk(text); err != nil {
			t.Error(err)
		}
	}
	if len(s.quirks) != len(listQuirks) || s.pageCap != 2 {
		t.Errorf("quirks %v, %d on a page", s.quirks, s.pageCap)
	}
	r := mustCall(t, s, "POST", upload(FirstUserID+1), png, "Content-Type", "image/png")
	if r.Body.Result.ID != FirstUserID+1 || r.Body.Data != nil || !strings.Contains(r.Text, `"height":"1050"`) {
		t.Errorf("upload: %s", r.Text)
	}
	if r := mustCall(t, s, "GET", "/users?pageSize=10", ""); r.Body.TotalCount != -1 || r.Body.TotalPages != -1 || len(r.Body.Data) != 2 {
		t.Errorf("list: %s", r.Text)
	}
	for _, text := range []string{"", "page-cap=0", "page-cap", "strange"} {
		if err := s.AddQuirk(text); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", text)) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// An image id that is another one each time it is shown.
func TestUnstableImageIDs(t *testing.T) {
	s := New(Options{Users: SampleUsers(1)})
	quirk(t, s, "unstable-ids")
	s.SetImage("user0001@example.com", []byte(png))
	one, two := mustCall(t, s, "GET", "/users", "").Body.Data[0], mustCall(t, s, "GET", "/users", "").Body.Data[0]
	if one.ProfileImage.ImageID == two.ProfileImage.ImageID {
		t.Errorf("twice %+v", one)
	}
}

// A file may number some users and leave the rest to the server.
func TestNumbering(t *testing.T) {
	s := New(Options{FirstUserID: 5, Users: []smartsheet.User{{Email: "a@b.c"}, {Email: "b@b.c"}, {Email: "c@b.c", ID: 6, Status: "PENDING"}}})
	s.AddUser(smartsheet.User{Email: "d@b.c"})
	var got []string
	for _, u := range mustCall(t, s, "GET", "/users", "").Body.Data {
		got = append(got, fmt.Sprint(u.Email, u.ID, u.Status))
	}
	if d := cmp.Diff([]string{"a@b.c5ACTIVE", "b@b.c7ACTIVE", "c@b.c6PENDING", "d@b.c8ACTIVE"}, got); d != "" {
		t.Errorf("users (-want +got):\n%s", d)
	}
}

func TestReadUsers(t *testing.T) {
	got, err := ReadUsers(strings.NewReader("# staff\nann@b.c\nbo@b.c, Bo Li, pending, 12, b@x.y li@x.y?\n"))
	want := []smartsheet.User{{Email: "ann@b.c"}, {Email: "bo@b.c", Name: "Bo Li", Status: "PENDING", ID: 12, AlternateEmails: []smartsheet.AlternateEmail{{Email: "b@x.y", Confirmed: true}, {Email: "li@x.y"}}}}
	if err != nil || !cmp.Equal(want, got) {
		t.Errorf("error %v (-want +got):\n%s", err, cmp.Diff(want, got))
	}
	for _, bad := range []string{"a@b.c\nnobody\n", "a@b.c\nb@b.c,B,ACTIVE,0\n", "a@b.c\nb@b.c,B,ACTIVE,x\n"} {
		if _, err := ReadUsers(strings.NewReader(bad)); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzReadUsers(f *testing.F) {
	for _, s := range []string{"# staff\nann@b.c\n", "bo@b.c, Bo Li, pending, 12, b@x.y\n", "a@b.c,\"x\ny\",,7", "\"", "a@b.c,,,9223372036854775808"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		users, err := ReadUsers(strings.NewReader(text))
		for _, u := range users {
			if err == nil && (!strings.Contains(u.Email, "@") || u.ID < 0 || strings.TrimSpace(u.Email) != u.Email) {
				t.Errorf("%q: %+v", text, u)
			}
		}
		if err != nil && users != nil {
			t.Errorf("%q: users and an error: %v", text, err)
		}
	})
}
