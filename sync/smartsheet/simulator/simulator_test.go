package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"photosync/sync/smartsheet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const png = "\x89PNG\r\n\x1a\nrest"

type reply struct {
	Status int
	Header http.Header
	Text   string
	Body   struct {
		RefID      string
		ErrorCode  int
		Message    string
		TotalPages int
		TotalCount int
		PageNumber int
		Data       []struct {
			ID           int64
			Email        string
			Status       string
			ProfileImage struct{ ImageID string }
		}
		Result struct{ ID int64 }
	}
}

// call sends one request with the token "t" and decodes the answer.
func call(t *testing.T, rt http.RoundTripper, method, url, body string, header ...string) (reply, error) {
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
		return reply{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	out := reply{Status: resp.StatusCode, Header: resp.Header, Text: string(b)}
	json.Unmarshal(b, &out.Body) // some answers are not JSON on purpose
	return out, err
}

func mustCall(t *testing.T, s *Server, method, path, body string, header ...string) reply {
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
		"page 0":            {"GET", "/users?page=0", "", nil, 400, 1018},
		"no such call":      {"GET", "/sheets", "", nil, 404, 1006},
		"imageurls no JSON": {"POST", "/imageurls", "{", nil, 400, 1008},
	} {
		t.Run(name, func(t *testing.T) {
			s := New(Options{Token: "t", Users: SampleUsers(1)})
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
	for _, shape := range []string{"data", "result"} {
		t.Run(shape, func(t *testing.T) {
			s := New(Options{Users: SampleUsers(2), AnswerShape: shape})
			r := mustCall(t, s, "POST", upload(FirstUserID+1), png, "Content-Type", "image/png",
				"Content-Disposition", `attachment; filename="a%20b.png"`)
			id := r.Body.Result.ID
			if shape == "data" {
				id = r.Body.Data[0].ID
			}
			if r.Status != 200 || r.Body.Message != "SUCCESS" || id != FirstUserID+1 {
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
		})
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

func TestPaging(t *testing.T) {
	for name, c := range map[string]struct {
		o           Options
		query       string
		first, last int // users shown; 0: none
		pages       int
	}{
		"default size":   {Options{}, "", 1, 100, 3},
		"last page":      {Options{}, "?page=3", 201, 250, 3},
		"beyond":         {Options{}, "?page=4", 0, 0, 3},
		"beyond repeats": {Options{RepeatLastPage: true}, "?page=4", 201, 250, 3},
		"cap":            {Options{PageSizeCap: 60}, "?pageSize=1000", 1, 60, 5},
		"all":            {Options{}, "?includeAll=true", 1, 250, 1},
		"unknown totals": {Options{TotalsUnknown: true}, "?page=2", 101, 200, -1},
		"filter":         {Options{}, "?email=USER0007@example.com,nobody@example.com", 7, 7, 1},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Users = SampleUsers(250)
			b := mustCall(t, New(c.o), "GET", "/users"+c.query, "").Body
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

func TestQuota(t *testing.T) {
	for form, want := range map[string]string{"": "", "seconds": "46", "date": "Sat, 01 Jan 2000 00:01:01 GMT"} {
		synctest.Test(t, func(t *testing.T) {
			s := New(Options{RequestsPerMinute: 12, UploadWeight: 10, RetryAfter: form, Users: SampleUsers(1)})
			status := func(path string) (int, string) {
				method := "GET"
				if strings.HasSuffix(path, "profileimage") {
					method = "POST"
				}
				r := mustCall(t, s, method, path, png, "Content-Type", "image/png")
				return r.Status, r.Header.Get("Retry-After")
			}
			var got []int
			for _, path := range []string{upload(FirstUserID), "/users/me", upload(FirstUserID), "/users/me"} {
				n, _ := status(path)
				got = append(got, n)
			}
			time.Sleep(15 * time.Second)
			n, after := status("/users/me")
			got = append(got, n)
			time.Sleep(45 * time.Second)
			n, _ = status("/users/me")
			got = append(got, n)
			if d := cmp.Diff([]int{200, 200, 429, 200, 429, 200}, got); d != "" || after != want {
				t.Errorf("Retry-After %q, want %q; statuses (-want +got):\n%s", after, want, d)
			}
			if c := s.Counts(); c.RateLimited != 2 || c.Accepted != 1 {
				t.Errorf("counts %+v", c)
			}
		})
	}
}

// Each kind of fault as a client on a real connection meets it.
func TestFaultsOnTheWire(t *testing.T) {
	for kind, c := range map[string]struct {
		fault  string
		status int // 0: no whole answer
		text   string
		kept   bool
	}{
		"status":   {"status:403/1004,user=user0001@example.com", 403, "not authorized", false},
		"by id":    {fmt.Sprintf("status:503/4001,user=%d", FirstUserID), 503, "maintenance", false},
		"other":    {"status:403/1004,user=user0002@example.com", 200, "SUCCESS", true},
		"partial":  {"partial", 200, "PARTIAL_SUCCESS", false},
		"html":     {"html", 502, "Bad Gateway", false},
		"reset":    {"reset", 0, "", false},
		"truncate": {"truncate", 0, "", true},
		"person":   {"other-user", 200, fmt.Sprintf(`"id":9%d`, FirstUserID), true},
		"image":    {"no-image-id", 200, "formerImageId", true},
	} {
		t.Run(kind, func(t *testing.T) {
			s := New(Options{Users: SampleUsers(2)})
			f, err := ParseFault(c.fault)
			if err != nil {
				t.Fatal(err)
			}
			s.AddFault(f)
			l, err := s.Listen("127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			rt := &http.Transport{}
			defer rt.CloseIdleConnections()
			// Far more than what a server reads for itself after its answer.
			big := png + strings.Repeat("x", 4<<20)
			r, err := call(t, rt, "POST", l.URL()+upload(FirstUserID), big, "Content-Type", "image/png")
			if c.status == 0 && err == nil || c.status != 0 && (err != nil || r.Status != c.status || !strings.Contains(r.Text, c.text)) {
				t.Errorf("answer %d %q, error %v", r.Status, r.Text, err)
			}
			if img, ok := s.Image("user0001@example.com"); ok != c.kept || ok && !bytes.Equal(img.Data, []byte(big)) {
				t.Errorf("kept the picture: %v, want %v", ok, c.kept)
			}
		})
	}
}

func TestFaultTiming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Users: SampleUsers(1)})
		s.AddFault(Fault{Kind: "status", Op: "me", Status: 500, Code: 4000, Skip: 1, Every: 2, Count: 2})
		var got []int
		for range 7 {
			got = append(got, mustCall(t, s, "GET", "/users/me", "").Status)
		}
		if d := cmp.Diff([]int{200, 200, 500, 200, 500, 200, 200}, got); d != "" {
			t.Errorf("skip 1, every 2nd, twice (-want +got):\n%s", d)
		}
		s.AddFault(Fault{Kind: "slow", Op: "users", Delay: 3 * time.Second})
		begin := time.Now()
		mustCall(t, s, "GET", "/users", "")
		if d := time.Since(begin); d != 3*time.Second {
			t.Errorf("slow took %v", d)
		}
		s.AddFault(Fault{Kind: "hang"})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, "POST", "http://sim/2.0"+upload(FirstUserID), strings.NewReader(png))
		r.Header.Set("Authorization", "Bearer t")
		if _, err := s.Transport().RoundTrip(r); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("hang: %v", err)
		}
	})
}

func TestParseFaultRefuses(t *testing.T) {
	for _, text := range []string{"", "stauts:500", "status", "status:200", "status:500/x", "partial,op=uplaod",
		"partial,every=-1", "partial,count=x", "partial,colour=red", "slow", "slow,delay=5"} {
		if f, err := ParseFault(text); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", text)) {
			t.Errorf("%q: %+v, error %v", text, f, err)
		}
	}
}

func FuzzParseFault(f *testing.F) {
	for _, s := range []string{"status:500/4004,every=7", "partial,user=a@b.c", "slow,delay=2s", "html,count=1,op=any,skip=3,retry-after=5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		x, err := ParseFault(text)
		if err == nil && (x.Skip < 0 || x.Count < 0 || x.Every < 0 || x.Delay < 0) {
			t.Errorf("%q: %+v", text, x)
		}
	})
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
	got, err := ReadUsers(strings.NewReader("# staff\nann@b.c\nbo@b.c, Bo Li, pending, 12\n"))
	want := []smartsheet.User{{Email: "ann@b.c"}, {Email: "bo@b.c", Name: "Bo Li", FirstName: "Bo", LastName: "Li", Status: "PENDING", ID: 12}}
	if err != nil || !cmp.Equal(want, got) {
		t.Errorf("error %v (-want +got):\n%s", err, cmp.Diff(want, got))
	}
	for _, bad := range []string{"a@b.c\nnobody\n", "a@b.c\nb@b.c,B,ACTIVE,0\n", "a@b.c\nb@b.c,B,ACTIVE,x\n"} {
		if _, err := ReadUsers(strings.NewReader(bad)); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestPageEscapes(t *testing.T) {
	s := New(Options{Users: []smartsheet.User{{Email: `<script>"@b.c`}}})
	s.SetImage(`<script>"@b.c`, []byte(png))
	l, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	rt := &http.Transport{}
	defer rt.CloseIdleConnections()
	root := strings.TrimSuffix(l.URL(), "/2.0")
	r, err := call(t, rt, "GET", root+"/", "")
	if err != nil || strings.Contains(r.Text, "<script") || !strings.Contains(r.Text, "/images/I!1!00000001") {
		t.Errorf("page: %v\n%s", err, r.Text)
	}
	if r, err := call(t, rt, "GET", root+"/images/I!1!00000001", ""); err != nil || r.Text != png || r.Header.Get("Content-Type") != "image/png" {
		t.Errorf("image: %v %+v", err, r)
	}
}
