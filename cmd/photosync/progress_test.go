package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"photosync/cmd/internal/config"
	"photosync/sync/job"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
)

// uploads is a plan of n uploads.
func uploads(n int) *plan.Plan {
	p := &plan.Plan{}
	for range n {
		p.Actions = append(p.Actions, plan.Action{Outcome: plan.Planned})
	}
	return p
}

// pace is a client that made requests, and may make more.
type pace struct {
	mu sync.Mutex
	st smartsheet.Stats
}

func newPace(w *watch, uploadWeight int) *pace {
	p := &pace{st: smartsheet.Stats{PerMinute: 300}}
	w.follow(func() smartsheet.Stats {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.st
	}, uploadWeight)
	return p
}

func (p *pace) upload(w *watch, outcome string) {
	p.mu.Lock()
	p.st.Requests++
	p.mu.Unlock()
	w.item(report.Item{Outcome: outcome})
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
		a := &app{env: func(string) string { return "" }, stderr: &log}
		w := a.watch(&runFlags{output: "text", progress: "auto"}, config.Log{Level: "info", Format: "json"}, "test")
		client := newPace(w, 1)
		w.listed.Store(1200)
		time.Sleep(61 * time.Second)
		w.made(uploads(600), 0)
		for i := range 150 {
			outcome := "uploaded"
			if i%50 == 0 {
				outcome = "failed"
			}
			client.upload(w, outcome)
			time.Sleep(400 * time.Millisecond)
		}
		client.pause(30 * time.Second)
		time.Sleep(59 * time.Second)
		w.close()
		time.Sleep(5 * time.Minute) // nothing more comes
		want := []string{
			`"phase":"reading","people_listed":1200,"photos_read":0`,
			`"phase":"uploading","people_listed":1200,"photos_read":0,"done":148,"total":600,"failed":3,"requests_per_minute":148,"quota_per_minute":300,"seconds_remaining":184,"waiting_seconds":0`,
			`"phase":"uploading","people_listed":1200,"photos_read":0,"done":150,"total":600,"failed":3,"requests_per_minute":2,"quota_per_minute":300,"seconds_remaining":90,"waiting_seconds":0`,
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
		a := &app{env: func(string) string { return "" }, stdout: &out, stderr: &bytes.Buffer{}}
		w := a.watch(&runFlags{output: "json", progress: "auto"}, config.Log{Level: "info", Format: "json"}, "test")
		client := newPace(w, 2)
		w.made(uploads(30), 20)
		time.Sleep(6 * time.Second)
		client.upload(w, "uploaded")
		w.close()
		if err := w.lines.summary(report.New("sync", "test", "dev", time.Now())); err != nil {
			t.Fatal(err)
		}
		var types []string
		for line := range strings.Lines(out.String()) {
			s := status{}
			if err := json.Unmarshal([]byte(line), &s); err != nil {
				t.Fatal(err)
			}
			types = append(types, s.MessageType)
			// 20 uploads of two requests each at 300 a minute.
			if s.MessageType == "status" && (s.Total != 20 || s.Phase != "uploading" || s.SecondsRemaining != 8) {
				t.Errorf("%+v", s)
			}
		}
		if fmt.Sprint(types) != "[status summary]" {
			t.Errorf("%q\n%s", types, out.String())
		}
	})
}

var escapes = regexp.MustCompile("\x1b\\[[0-9]*[A-Z]")

// A terminal shows one line that moves on, with the log above it, and nothing of it
// is left when the run is over.
func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var screen bytes.Buffer
		a := &app{env: func(string) string { return "1" }, stderr: &screen}
		w := a.watch(&runFlags{output: "text", progress: "always"}, config.Log{Level: "info", Format: "json"}, "test")
		client := newPace(w, 1)
		w.listed.Store(1)
		time.Sleep(time.Second / 2)
		var o job.Options
		w.hook(&o)
		o.Asked(240, 1000)
		time.Sleep(time.Second / 2)
		w.made(uploads(60), 0)
		for range 15 {
			client.upload(w, "uploaded")
			time.Sleep(time.Second)
		}
		w.log.Warn().Msg("a line of the log")
		client.upload(w, "failed")
		client.pause(31 * time.Second)
		time.Sleep(time.Second)
		w.close()
		w.log.Info().Msg("after it")
		text := escapes.ReplaceAllString(screen.String(), "")
		for _, want := range []string{
			"reading the sources: 1 person", "asking for alternate addresses: 240 of 1000 users",
			"15/60 [=======>                         ]  25%  60 of 300 requests/min  45s left",
			"16/60 ", "27%  57 of 300 requests/min  39s left  1 failed  waiting for quota: 30 s",
			`"message":"a line of the log"}` + "\n", `"message":"after it"}` + "\n",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not shown", want)
			}
		}
		if !strings.HasSuffix(strings.TrimSpace(screen.String()), `"message":"after it"}`) {
			t.Error("the line stays after the run")
		}
		for line := range strings.Lines(text) {
			if len([]rune(line)) > 81 && !strings.HasPrefix(line, "{") {
				t.Errorf("wider than the terminal: %q", line)
			}
		}
		if t.Failed() {
			t.Log(text)
		}
	})
}
