package report

import (
	"fmt"
	"time"
)

// maxBars is how many bars the chart of a run has at most; a bar of a longer run
// stands for several minutes.
const maxBars = 180

// chart is the traffic of a run against its quota, in a box of 1000 by 100.
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
	minutes := 1
	for _, m := range r.Timeline {
		minutes = max(minutes, int(m.Start.Sub(first)/time.Minute)+1)
	}
	per := (minutes + maxBars - 1) / maxBars // minutes a bar
	sums := make([]Minute, (minutes+per-1)/per)
	var total Minute
	var busiest int64
	for _, m := range r.Timeline {
		s := &sums[max(int(m.Start.Sub(first)/time.Minute), 0)/per]
		s.Requests, s.RateLimited = s.Requests+m.Requests, s.RateLimited+m.RateLimited
		total.Requests, total.RateLimited, total.WaitMS = total.Requests+m.Requests, total.RateLimited+m.RateLimited, total.WaitMS+m.WaitMS
		busiest = max(busiest, m.Requests)
	}
	c := &chart{
		Top: max(busiest, int64(r.QuotaPerMinute), 1), Quota: r.QuotaPerMinute, AnyLimited: total.RateLimited > 0,
		From: first, To: first.Add(time.Duration(minutes) * time.Minute),
	}
	scale := 100 / float64(c.Top) / float64(per)
	step := 1000 / float64(max(len(sums), 12)) // few bars stay slim
	for i, s := range sums {
		h := float64(s.Requests) * scale
		c.Bars = append(c.Bars, chartBar{float64(i) * step, 100 - h, step * 0.85, h, min(float64(s.RateLimited)*scale, h)})
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
