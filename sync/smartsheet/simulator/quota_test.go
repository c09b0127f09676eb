package simulator

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

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

// How many of a minute's requests are let through, when they come evenly, and how
// long the first refusal lasts.
func TestQuotaWindows(t *testing.T) {
	for name, c := range map[string]struct {
		o       Options
		passed  int // of 120 requests in each of three minutes, one each half second
		refused time.Duration
	}{
		"fixed":  {Options{RequestsPerMinute: 60}, 3 * 60, 30 * time.Second},
		"others": {Options{RequestsPerMinute: 60, Others: 30}, 3 * 30, 15 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(c.o)
				start, passed, refused := time.Now(), 0, time.Duration(-1)
				for range 3 * 120 {
					switch r := mustCall(t, s, "GET", "/users/me", ""); {
					case r.Status == 200:
						passed++
					case refused < 0:
						refused = time.Since(start)
					}
					time.Sleep(time.Second / 2)
				}
				if passed != c.passed || refused != c.refused {
					t.Errorf("%d passed, the first refusal after %v; want %d and %v", passed, refused, c.passed, c.refused)
				}
				if got := s.Counts(); got.RateLimited != 360-passed {
					t.Errorf("counts %+v", got)
				}
			})
		})
	}
}

// Retry-After may be a date.
func TestRetryAfterDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{RequestsPerMinute: 1, RetryAfter: "date"})
		mustCall(t, s, "GET", "/users/me", "")
		r := mustCall(t, s, "GET", "/users/me", "")
		if got := r.Header.Get("Date") + ", " + r.Header.Get("Retry-After"); got != "Sat, 01 Jan 2000 00:00:00 GMT, Sat, 01 Jan 2000 00:01:01 GMT" {
			t.Error(got)
		}
	})
}
