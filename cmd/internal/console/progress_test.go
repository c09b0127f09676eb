package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"photosync/sync/outcome"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
)

// noEnv is an empty environment.
func noEnv(string) string { return "" }

// pace is a client that made requests, and may make more.
type pace struct {
	mu sync.Mutex
	st smartsheet.Stats
}

func newPace(w *Run, uploadWeight int) *pace {
	p := &pace{st: smartsheet.Stats{PerMinute: 300, UploadWeight: uploadWeight}}
	w.Follow(func() smartsheet.Stats {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.st
	})
	return p
}

func (p *pace) upload(w *Run, became outcome.Outcome) {
	p.mu.Lock()
	p.st.Requests++
	p.mu.Unlock()
	w.Item(report.Item{Outcome: became})
}

func (p *pace) pause(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.st.PausedUntil = time.Now().Add(d)
}

// The log of a run that nobody watches has a line a minute that says how far it is.
func TestProgressInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := Start(io.Discard, &log, noEnv, RunOptions{ID: "test", Level: "info", Format: "json", Progress: "auto"})
		client := newPace(w, 1)
		for range 1200 {
			w.Listed()
		}
		time.Sleep(61 * time.Second)
		w.Planned("p", 600, 0)
		for i := range 150 {
			became := outcome.Uploaded
			if i%50 == 0 {
				became = outcome.Failed
			}
			client.upload(w, became)
			time.Sleep(400 * time.Millisecond)
		}
		client.pause(30 * time.Second)
		time.Sleep(59 * time.Second)
		w.Close()
		time.Sleep(5 * time.Minute) // nothing more comes
		want := []string{
			`"phase":"reading","people_listed":1200,"photos_read":0,"users_asked":0,"users_to_ask":0,"done":0,"total":0,"failed":0,"requests_per_minute":0,"quota_per_minute":300,"seconds_remaining":0,"waiting_seconds":0`,
			`"phase":"uploading","people_listed":1200,"photos_read":0,"users_asked":0,"users_to_ask":0,"done":148,"total":600,"failed":3,"requests_per_minute":151,"quota_per_minute":300,"seconds_remaining":181,"waiting_seconds":0`,
			`"phase":"uploading","people_listed":1200,"photos_read":0,"users_asked":0,"users_to_ask":0,"done":150,"total":600,"failed":3,"requests_per_minute":76,"quota_per_minute":300,"seconds_remaining":357,"waiting_seconds":0`,
		}
		if diff := cmp.Diff(want, progressLines(log.String())); diff != "" {
			t.Error(diff)
		}
	})
}

func progressLines(log string) (lines []string) {
	for _, m := range regexp.MustCompile(`("phase".*),"time":.*"message":"progress"`).FindAllStringSubmatch(log, -1) {
		lines = append(lines, m[1])
	}
	return lines
}

// Status lines, items, and the summary last.
func TestProgressAsJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		w := Start(&out, io.Discard, noEnv, RunOptions{ID: "test", Level: "info", Format: "json", Progress: "auto", JSON: true})
		client := newPace(w, 2)
		w.Planned("p", 20, 0)
		time.Sleep(6 * time.Second)
		client.upload(w, "uploaded")
		w.Close()
		if err := w.lines.print("summary", report.New("sync", "test", "dev", time.Now())); err != nil {
			t.Fatal(err)
		}
		var types []string
		for line := range strings.Lines(out.String()) {
			var s struct {
				MessageType string `json:"message_type"`
				status
			}
			if err := json.Unmarshal([]byte(line), &s); err != nil {
				t.Fatal(err)
			}
			types = append(types, s.MessageType)
			// 20 uploads of two requests each at 300 a minute.
			if s.MessageType == "status" && (s.Total != 20 || s.Phase != "uploading" || s.SecondsRemaining != 8) {
				t.Errorf("%+v", s)
			}
		}
		if fmt.Sprint(types) != "[status item summary]" {
			t.Errorf("%q\n%s", types, out.String())
		}
	})
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")

// A terminal shows one line that moves on, with the log above it, and nothing of it
// is left when the run is over.
func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var screen bytes.Buffer
		w := Start(io.Discard, &screen, noEnv, RunOptions{ID: "test", Level: "info", Format: "json", Progress: "always"})
		client := newPace(w, 1)
		w.Listed()
		time.Sleep(time.Second / 2)
		w.Asked(240, 1000)
		time.Sleep(time.Second / 2)
		w.Planned("p", 60, 0)
		for range 15 {
			client.upload(w, "uploaded")
			time.Sleep(time.Second)
		}
		w.Log.Warn().Msg("a line of the log")
		client.upload(w, "failed")
		client.pause(31 * time.Second)
		time.Sleep(time.Second)
		w.Close()
		w.Log.Info().Msg("after it")
		text := escapes.ReplaceAllString(screen.String(), "")
		for _, want := range []string{
			"reading the sources: 1 person", "asking for alternate addresses: 240 of 1,000 users",
			"15/60 [======>                        ]  25%  60 of 300 requests/min  45s left",
			"16/60 ", "27%  60 of 300 requests/min  44s left  1 failed  waiting for quota 30s",
			`"message":"a line of the log"}` + "\n", `"message":"after it"}` + "\n",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not shown", want)
			}
		}
		if !strings.HasSuffix(strings.TrimSpace(screen.String()), `"message":"after it"}`) {
			t.Error("the line stays after the run")
		}
		for line := range strings.SplitSeq(strings.ReplaceAll(text, "\n", "\r"), "\r") {
			if len([]rune(line)) > 81 && !strings.HasPrefix(line, "{") {
				t.Errorf("wider than the terminal: %q", line)
			}
		}
		if t.Failed() {
			t.Log(text)
		}
	})
}
