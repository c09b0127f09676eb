package simulator

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"photosync/sync/smartsheet"
)

// The page asks who changed since it looked last, and foreign text stays text.
func TestPage(t *testing.T) {
	s := New(Options{Users: []smartsheet.User{{Email: `<script>"@b.c`}, {Email: "b@b.c", Name: "Bo"}}})
	get := func(path string) reply {
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
	type changes struct {
		Changes, Removals, Total, Pictures int
		All                                bool
		Users                              []shownUser
	}
	after := func(a, b int) (c changes) {
		if err := json.Unmarshal([]byte(get(fmt.Sprintf("/changes?after=%d&removals=%d", a, b)).Text), &c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := after(0, 0)
	if !first.All || len(first.Users) != 2 || first.Users[0].Email != `<script>"@b.c` || first.Users[1].ID != fmt.Sprint(FirstUserID+1) {
		t.Errorf("first look: %+v", first)
	}
	s.SetImage("b@b.c", []byte(png))
	second := after(first.Changes, first.Removals)
	if second.All || len(second.Users) != 1 || second.Users[0].Image == "" || second.Pictures != 1 {
		t.Fatalf("after a change: %+v", second)
	}
	if r := get("/images/" + second.Users[0].Image); r.Text != png || r.Header.Get("Content-Type") != "image/png" {
		t.Errorf("image: %+v", r)
	}
	if none := after(second.Changes, second.Removals); none.All || len(none.Users) != 0 {
		t.Errorf("nothing changed: %+v", none)
	}
	s.RemoveUser("b@b.c")
	if last := after(second.Changes, second.Removals); !last.All || len(last.Users) != 1 || last.Pictures != 0 {
		t.Errorf("somebody left: %+v", last)
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
