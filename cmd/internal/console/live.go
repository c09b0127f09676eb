package console

import (
	"errors"
	"fmt"
	"io"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"photosync/sync/report"
)

// live is a line at the bottom of the terminal that shows how far a run is. What is
// written to it, such as the log, scrolls by above the line.
type live struct {
	out  io.Writer
	bars *mpb.Progress
	bar  *mpb.Bar
}

// newLive begins to show p. A terminal is told from a file by w; forced takes any
// writer for a terminal.
func newLive(w io.Writer, p *progress, forced bool) *live {
	l := &live{out: w, bars: mpb.New(mpb.WithOutput(w), mpb.WithAutoRefresh(), mpb.ContainerOptional(mpb.ForceTTY(), forced))}
	style := mpb.BarStyle().Lbound("[").Filler("=").Tip(">").Padding(" ").Rbound("]").Build()
	filler := mpb.BarFillerFunc(func(w io.Writer, st decor.Statistics) error {
		s := p.status()
		if s.Total == 0 || st.AvailableWidth < 10 {
			return nil
		}
		st.Total, st.Current, st.RequestedWidth = int64(s.Total), int64(s.Done), 40
		return style.Fill(w, st)
	})
	bar, err := l.bars.Add(0, filler,
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return p.status().head() })),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return p.status().tail() })))
	if err == nil { // else it was closed already
		l.bar = bar
	}
	return l
}

// Write puts whole lines above the display, or where it was.
func (l *live) Write(b []byte) (int, error) {
	n, err := l.bars.Write(b)
	if _, over := errors.AsType[mpb.ErrDone[*mpb.Progress]](err); over {
		return l.out.Write(b)
	}
	return n, err
}

// close takes the line away.
func (l *live) close() {
	l.bar.Abort(true)
	l.bars.Wait()
}

// head is the left part of the line that a terminal shows.
func (s status) head() string {
	switch {
	case s.Phase == "reading" && s.PhotosRead > 0:
		return fmt.Sprintf("reading the sources: %s, %s read", report.Count(int(s.PeopleListed), "person", "people"), report.Count(int(s.PhotosRead), "photo", "photos"))
	case s.Phase == "asking":
		return fmt.Sprintf("asking for alternate addresses: %s of %s", report.Number(s.UsersAsked), report.Count(int(s.UsersToAsk), "user", "users"))
	case s.Phase == "reading":
		return "reading the sources: " + report.Count(int(s.PeopleListed), "person", "people")
	}
	return report.Number(s.Done) + "/" + report.Number(s.Total)
}

// tail is the right part.
func (s status) tail() string {
	if s.Phase != "uploading" {
		return ""
	}
	text := fmt.Sprintf("%3.0f%%  %.0f of %.0f requests/min", s.PercentDone*100, s.PerMinute, s.QuotaPerMinute)
	if s.SecondsRemaining > 0 {
		text += "  " + span(s.SecondsRemaining) + " left"
	}
	if s.Failed > 0 {
		text += fmt.Sprintf("  %d failed", s.Failed)
	}
	if s.WaitingSeconds > 0 {
		text += fmt.Sprintf("  waiting for quota: %d s", s.WaitingSeconds)
	}
	return text
}

// span is a time in two parts at most, like 45s, 12m05s or 3h20m.
func span(s int64) string {
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
}
