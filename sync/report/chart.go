package report

import (
	"fmt"
	"time"
)

// chart is the traffic of a run against its quota, in a box of 1000 by 100: a bar for each
// minute with requests.
type chart struct {
	Bars       []chartBar
	Top        int64 // requests a minute at the upper edge
	Quota      int
	QuotaY     float64
	AnyLimited bool
	From, To   time.Time
	Summary    string
}

type chartBar struct{ X, Y, Width, Height, Limited float64 }

// newChart draws the timeline of a run; nil if it has none.
func newChart(r *Report) *chart {
	if len(r.Timeline) == 0 {
		return nil
	}
	first := r.Timeline[0].Start
	at := func(m Minute) int { return max(int(m.Start.Sub(first)/time.Minute), 0) }
	minutes, busiest := 1, int64(0)
	var total Minute
	for _, m := range r.Timeline {
		minutes = max(minutes, at(m)+1)
		total.Requests, total.RateLimited, total.WaitMS = total.Requests+m.Requests, total.RateLimited+m.RateLimited, total.WaitMS+m.WaitMS
		busiest = max(busiest, m.Requests)
	}
	c := &chart{
		Top: max(busiest, int64(r.QuotaPerMinute), 1), Quota: r.QuotaPerMinute, AnyLimited: total.RateLimited > 0,
		From: first, To: first.Add(time.Duration(minutes) * time.Minute),
	}
	scale := 100 / float64(c.Top)
	step := 1000 / float64(max(minutes, 12)) // few bars stay slim
	for _, m := range r.Timeline {
		h := float64(m.Requests) * scale
		c.Bars = append(c.Bars, chartBar{float64(at(m)) * step, 100 - h, step * 0.85, h, min(float64(m.RateLimited)*scale, h)})
	}
	c.QuotaY = 100 - 100*float64(c.Quota)/float64(c.Top)
	c.Summary = chartSummary(total, busiest, minutes, c.Quota)
	return c
}

// chartSummary is what the chart shows, for those who do not see it.
func chartSummary(total Minute, busiest int64, minutes, quota int) string {
	allowed := ""
	if quota > 0 {
		allowed = " of " + Number(quota) + " allowed"
	}
	s := fmt.Sprintf("%s in %s; %s in the busiest minute%s. ", Count(int(total.Requests), "request", "requests"),
		Count(minutes, "minute", "minutes"), Number(busiest), allowed)
	if total.RateLimited > 0 {
		s += Count(int(total.RateLimited), "request was", "requests were") + " rate-limited. "
	}
	if wait := time.Duration(total.WaitMS) * time.Millisecond; wait >= time.Second {
		s += "Waiting for quota, summed over the workers: " + Duration(wait) + "."
	}
	return s
}
