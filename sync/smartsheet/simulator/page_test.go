package simulator

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"photosync/sync/smartsheet"
)

// The page asks who there is, and foreign text stays text.
func TestPage(t *testing.T) {
	s := New(Options{Users: []smartsheet.User{{Email: `<script>"@b.c`}, {Email: "b@b.c", Name: "Bo"}}})
	get := func(path string) answered {
		r, err := call(t, s.Transport(), "GET", "http://sim"+path, "")
		if err != nil || r.Status != 200 {
			t.Fatalf("%s: %d, %v", path, r.Status, err)
		}
		return r
	}
	for _, path := range []string{"/", "/page.css", "/page.js"} {
		if csp := get(path).Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; ") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
	}
	users := func() (c struct {
		Total, Pictures int
		Users           []struct{ ID, Name, Email, Image string }
	}) {
		if err := json.Unmarshal([]byte(get("/users.json").Text), &c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := users(); c.Total != 2 || c.Users[0].Email != `<script>"@b.c` || c.Users[1].ID != fmt.Sprint(FirstUserID+1) {
		t.Errorf("first look: %+v", c)
	}
	s.SetImage("b@b.c", []byte(png))
	second := users()
	if second.Users[1].Image == "" || second.Pictures != 1 {
		t.Fatalf("after a change: %+v", second)
	}
	if r := get("/images/" + second.Users[1].Image); r.Text != png || r.Header.Get("Content-Type") != "image/png" {
		t.Errorf("image: %+v", r)
	}
	s.RemoveUser("b@b.c")
	if c := users(); c.Total != 1 || c.Pictures != 0 {
		t.Errorf("somebody left: %+v", c)
	}
}

// POST /imageurls leads to the pictures, and says which there are not.
func TestImageURLs(t *testing.T) {
	s := New(Options{Users: SampleUsers(1)})
	s.SetImage("user0001@example.com", []byte(png))
	r := mustCall(t, s, "POST", "/imageurls", `[{"imageId":"I!1!00000001"},{"imageId":"x"}]`)
	var a struct {
		ImageURLs []struct {
			ImageID, URL string
			Error        *struct{ ErrorCode int }
		}
	}
	if err := json.Unmarshal([]byte(r.Text), &a); err != nil || len(a.ImageURLs) != 2 || a.ImageURLs[1].Error == nil || a.ImageURLs[1].Error.ErrorCode != 1006 {
		t.Fatalf("%v: %s", err, r.Text)
	}
	if img, err := call(t, s.Transport(), "GET", a.ImageURLs[0].URL, "", "Authorization", ""); err != nil || img.Text != png {
		t.Errorf("%s: %v %+v", a.ImageURLs[0].URL, err, img)
	}
}
