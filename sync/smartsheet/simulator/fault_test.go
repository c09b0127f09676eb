package simulator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

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
		"upkeep":   {"maintenance", 503, `"errorCode":4001`, false},
		"local":    {"status:400/5029", 400, "管理者", false},
		"unknown":  {"status:400/1999", 400, "An error has occurred.", false},
		"empty":    {"empty:504", 504, "", false},
		"page 503": {"html:503", 503, "503 Service Unavailable", false},
		"html":     {"html", 502, "Bad Gateway", false},
		"reset":    {"reset", 0, "", false},
		"truncate": {"truncate", 0, "", true},
		"person":   {"other-user", 200, fmt.Sprintf(`"id":9%d`, FirstUserID), true},
		"image":    {"no-image-id", 200, "formerImageId", true},
		"lost":     {"lost", 0, "", true},
		"page 200": {"unreadable", 200, "<html>", true},
		"failure":  {"says:FAILURE/0", 200, `"message":"FAILURE","resultCode":0`, true},
		"nobody":   {"no-user", 200, `"data":[]`, true},
		"moved":    {"empty:301", 301, "", false},
		"as text":  {"status:403/1004,as=text", 403, `"errorCode":"1004","message":"You are not authorized to perform this action.","refId":9`, false},
		"detail":   {"status:403/1004,as=array", 403, `"detail":[{"index":0},{"index":1}]`, false},
		"null":     {"partial,as=null", 200, `"error":null`, false},
		"id text":  {"id-as-text,user=user0001@example.com", 200, fmt.Sprintf(`"id":"%d"`, FirstUserID), true},
		"nobody's": {"no-email,user=user0001@example.com", 200, `"data":[{"admin"`, true},
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
			big := png + strings.Repeat("x", 1<<20)
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
	for _, text := range []string{"", "stauts:500", "status", "status:99", "says", "says:FAILURE", "says:x/y", "partial,as=text", "status:403/1004,as=strange", "status:500/x", "partial,op=uplaod",
		"partial,every=-1", "partial,count=x", "partial,colour=red", "slow", "slow,delay=5", "html,delay=1s", "html:99", "html:502/1", "id-as-text:3", "partial:3", "maintenance:503", "reset,for=x", "reset,for=-1s"} {
		if f, err := ParseFault(text); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", text)) {
			t.Errorf("%q: %+v, error %v", text, f, err)
		}
	}
}

func FuzzParseFault(f *testing.F) {
	for _, s := range []string{"status:500/4004,every=7", "partial,user=a@b.c", "slow,delay=2s", "html,count=1,op=any,skip=3,retry-after=5", "maintenance,for=10m", "empty:504,retry-after=date:30", "status:400/5029"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		x, err := ParseFault(text)
		if err == nil && (x.Skip < 0 || x.Count < 0 || x.Every < 0 || x.Delay < 0 || x.For < 0 || x.Kind == "status" && x.Status < 200) {
			t.Errorf("%q: %+v", text, x)
		}
	})
}

// Every row of the error table of the API can be provoked, with a text.
func TestErrorTable(t *testing.T) {
	for _, text := range []string{"401/1001", "401/1002", "401/1003", "401/1005", "401/1030", "403/1004", "403/1013", "403/1188",
		"404/1006", "404/1020", "400/1011", "400/1074", "400/1075", "400/1091", "415/1124", "400/1128", "400/1272", "410/4005",
		"429/4003", "500/4000", "503/4001", "500/4002", "500/4004", "400/5000", "400/5001", "400/5002", "400/5003"} {
		s := New(Options{})
		f, err := ParseFault("status:" + text + ",op=me")
		if err != nil {
			t.Fatal(err)
		}
		s.AddFault(f)
		r := mustCall(t, s, "GET", "/users/me", "")
		if got := fmt.Sprint(r.Status, "/", r.Body.ErrorCode); got != text || r.Body.RefID == "" || r.Body.Message == "" || r.Body.Message == "An error has occurred." {
			t.Errorf("%s: %s %+v", text, got, r.Body)
		}
	}
}

// Maintenance begins with the first call that meets it, hits every call, and ends.
func TestMaintenance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Users: SampleUsers(1)})
		f, err := ParseFault("maintenance,skip=1,for=90s,retry-after=60")
		if err != nil {
			t.Fatal(err)
		}
		s.AddFault(f)
		var got []string
		for range 6 {
			time.Sleep(30 * time.Second)
			r := mustCall(t, s, "GET", "/users", "")
			got = append(got, fmt.Sprint(r.Status, r.Header.Get("Retry-After")))
		}
		if d := cmp.Diff([]string{"200", "50360", "50360", "50360", "200", "200"}, got); d != "" {
			t.Errorf("answers (-want +got):\n%s", d)
		}
	})
}

// Delays add up, and go together with whatever else goes wrong.
func TestDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		for _, text := range []string{"slow,op=me,delay=2s", "slow,op=any,delay=3s", "status:500/4000,op=me,retry-after=date:30"} {
			f, err := ParseFault(text)
			if err != nil {
				t.Fatal(err)
			}
			s.AddFault(f)
		}
		begin := time.Now()
		r := mustCall(t, s, "GET", "/users/me", "")
		if d := time.Since(begin); d != 5*time.Second || r.Status != 500 || r.Header.Get("Retry-After") != "Sat, 01 Jan 2000 00:00:35 GMT" {
			t.Errorf("%d after %v, Retry-After %q", r.Status, d, r.Header.Get("Retry-After"))
		}
	})
}
