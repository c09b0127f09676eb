package report

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"photosync/sync/outcome"
)

func TestChart(t *testing.T) {
	begin := sample(0).StartedAt.Truncate(time.Minute)
	if newChart(&Report{}) != nil {
		t.Error("a chart of nothing")
	}
	c := newChart(&Report{QuotaPerMinute: 300, Timeline: []Minute{
		{Start: begin, Requests: 150, WaitMS: 1500}, {Start: begin.Add(2 * time.Minute), Requests: 600, RateLimited: 300, WaitMS: 60_000},
	}})
	var page strings.Builder
	r := &Report{QuotaPerMinute: 300, Timeline: []Minute{
		{Start: begin, Requests: 150, WaitMS: 1500}, {Start: begin.Add(2 * time.Minute), Requests: 600, RateLimited: 300, WaitMS: 60_000}, {Start: begin.Add(3 * time.Minute)},
	}}
	if err := encodeHTML(&page, r); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		`<svg viewBox="0 0 12 600" `, `<g transform="translate(0 600) scale(1 -1)">`, `<rect class="sent" x="0" width=".85" height="150"/>`,
		`<rect class="limited" x="2" width=".85" height="600"/><rect class="sent" x="2" width=".85" height="300"/>`, `<line x2="12" y1="300" y2="300"/>`,
	} {
		if !strings.Contains(page.String(), part) {
			t.Errorf("the page has no %s", part)
		}
	}
	const want = "750 requests in 3 minutes; 600 in the busiest minute of 300 allowed. 300 requests were rate-limited. " +
		"Waiting for quota, summed over the workers: 1 min 1 s."
	var summary strings.Builder
	if err := pageTemplates().ExecuteTemplate(&summary, "traffic", c); err != nil || summary.String() != want || !c.To.Equal(begin.Add(3*time.Minute)) {
		t.Errorf("summary %q until %s, %v", summary.String(), c.To, err)
	}
}

// However long a run was, its bars are inside their box.
func TestChartFits(t *testing.T) {
	begin := sample(0).StartedAt
	rapid.Check(t, func(t *rapid.T) {
		r := &Report{QuotaPerMinute: rapid.IntRange(0, 1000).Draw(t, "quota")}
		at := begin
		for range rapid.IntRange(1, 50).Draw(t, "minutes") {
			n := rapid.Int64Range(0, 100_000).Draw(t, "requests")
			r.Timeline = append(r.Timeline, Minute{Start: at, Requests: n, RateLimited: rapid.Int64Range(0, n).Draw(t, "limited")})
			at = at.Add(time.Duration(rapid.IntRange(1, 120).Draw(t, "gap")) * time.Minute)
		}
		c := newChart(r)
		for _, b := range c.Bars {
			if b.At < 0 || b.At >= c.Width || b.Requests < 0 || b.Requests > c.Top || b.Passed < 0 || b.Passed > b.Requests {
				t.Errorf("bar %+v", b)
			}
		}
		if int64(c.Quota) > c.Top {
			t.Errorf("the quota of %d is above the box of %d", c.Quota, c.Top)
		}
	})
}

func TestWords(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -999: "-999"} {
		if got := Number(n); got != want {
			t.Errorf("%d is written %q", n, got)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0 ms", -time.Second: "0 ms", 340 * time.Millisecond: "340 ms", 72 * time.Second: "1 min 12 s", time.Hour: "1 h", 3*time.Hour + 5*time.Second: "3 h 5 s",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%s is written %q", d, got)
		}
	}
	for n, want := range map[int]string{900: "900 bytes", 4_021: "4 kB", 2_412_000: "2.4 MB", 1_500_000_000: "1.5 GB"} {
		if got := Size(n); got != want {
			t.Errorf("%d bytes are written %q", n, got)
		}
	}
	if s := outcome.Reason("of_tomorrow").Words().Title; !strings.Contains(s, "of_tomorrow") {
		t.Errorf("an unknown reason is %q", s)
	}
}
