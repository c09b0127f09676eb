package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"photosync/sync/job"
	"photosync/sync/report"
	"photosync/sync/smartsheet/simulator"
)

const demoToken = "demo-token"

func (a *app) demo() *cobra.Command {
	return &cobra.Command{
		Use:  "demo",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runDemo(cmd.Context()) },
	}
}

const demoText = `A folder of 40 portraits: 36 fine ones, one corrupt (user0005), one of somebody whom
Smartsheet does not know (newcomer), and two that the stand-in for Smartsheet
refuses: user0011 (PARTIAL_SUCCESS) and user0017 (an error with a refId).
`

const demoEnd = `
Everything lies in %[1]s:
  reports  %[1]s/reports (open latest.html in a browser)
  state    %[1]s/state.db
  photos   %[1]s/photos
The folder is yours to look at and to delete.
`

const demoConfig = `smartsheet: {base_url: %q, integration_source: "SCRIPT,Demo Corp,photosync", requests_per_minute: 600}
sources: [{name: portraits, type: folder, path: %q}]
state: {path: %q}
report: {dir: %q}
log: {level: error}
`

// demoRuns are the syncs of the demo, and what each must come to: a demo that went wrong
// must not look fine.
var demoRuns = []struct {
	title                      string
	uploaded, failed, knownBad int
}{
	{"First run: everything is new.", 36, 2, 0},
	{"Second run: nothing changed, so nothing is sent; what was refused is not tried again.", 0, 0, 3},
	{"Three people get new portraits. Third run: just those are sent.", 3, 0, 3},
}

func (a *app) runDemo(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "photosync-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	sim := simulator.New(simulator.Options{Token: demoToken, Users: simulator.SampleUsers(40), RequestsPerMinute: 600, AccountName: "Demo Corp"})
	sim.AddFault(simulator.Fault{Kind: "partial", User: "user0011@example.com"})
	sim.AddFault(simulator.Fault{Kind: "status", Status: 400, Code: 1128, User: "user0017@example.com"})
	l, err := sim.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	photos, conf, reports := filepath.Join(dir, "photos"), filepath.Join(dir, "config.yaml"), filepath.Join(dir, "reports")
	if err := drawDemo(photos); err != nil {
		return fmt.Errorf("draw portraits: %w", err)
	}
	if err := os.WriteFile(conf, fmt.Appendf(nil, demoConfig, l.URL(), photos, filepath.Join(dir, "state.db"), reports), 0o600); err != nil {
		return err
	}
	run := *a
	run.env = func(name string) string { return map[string]string{"SMARTSHEET_ACCESS_TOKEN": demoToken}[name] }
	fmt.Fprint(a.stdout, demoText)
	for i, want := range demoRuns {
		for n := 1; i == 2 && n <= 3; n++ {
			name, data := portrait(n, 100+n)
			if err := os.WriteFile(filepath.Join(photos, name), data, 0o600); err != nil {
				return fmt.Errorf("draw portraits: %w", err)
			}
		}
		fmt.Fprintf(a.stdout, "\n== %s\n", want.title)
		if err := run.runJob(ctx, job.Sync, &runFlags{config: conf, output: "text", progress: "never"}); err != nil {
			return err
		}
		r, err := report.Read(filepath.Join(reports, "latest.json"))
		if err != nil {
			return err
		}
		if r.Result == report.Interrupted {
			return job.ErrSignal
		}
		if r.Totals.Uploaded != want.uploaded || r.Totals.Failed != want.failed || r.SkippedByReason["known_bad"] != want.knownBad {
			return errors.New("the demo did not come out as it should: see its report")
		}
	}
	fmt.Fprintf(a.stdout, demoEnd, dir)
	return nil
}

// drawDemo draws the folder: 36 sound portraits and four with a story.
func drawDemo(dir string) error {
	err := os.MkdirAll(dir, 0o700)
	write := func(name string, data []byte) {
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o600)
		}
	}
	for n := 1; n <= 39; n++ {
		name, data := portrait(n, n)
		if n == 5 {
			data = data[:len(data)/2]
		}
		write(name, data)
	}
	_, data := portrait(40, 40)
	write("newcomer@example.com.jpg", data)
	return err
}

// portrait draws a person without a face, a head and shoulders on a plain ground, from
// seed, and returns user n's file name: JPEG, some PNG, and some larger than what is sent.
func portrait(n, seed int) (name string, data []byte) {
	edge := 240
	if n%9 == 4 {
		edge = 1260
	}
	img := image.NewRGBA(image.Rect(0, 0, edge, edge))
	hue := func(i int, light float64) color.RGBA {
		wave := func(phase float64) uint8 { return uint8(light * (0.6 + 0.4*math.Sin(float64(i)*2.4+phase)) * 255) }
		return color.RGBA{wave(0), wave(2.1), wave(4.2), 255}
	}
	skin := uint8(120 + seed*37%110)
	shapes := []struct {
		x, y, rx, ry float64 // of an ellipse, in 240ths
		c            color.RGBA
	}{
		{120, 120, 240, 240, hue(seed, 0.95)}, {120, 252, 90 + float64(seed%5)*4, 90, hue(seed+7, 0.6)},
		{120, 101, 46 + float64(seed%4)*3, 58, color.RGBA{skin, uint8(float64(skin) * 0.8), uint8(float64(skin) * 0.65), 255}},
		{120, 58, 48, 26 + float64(seed%3)*5, hue(seed+3, 0.35)},
	}
	unit := 240 / float64(edge)
	for y := range edge {
		for x := range edge {
			for _, s := range shapes {
				if dx, dy := (float64(x)*unit-s.x)/s.rx, (float64(y)*unit-s.y)/s.ry; dx*dx+dy*dy <= 1 {
					img.SetRGBA(x, y, s.c)
				}
			}
		}
	}
	var b bytes.Buffer
	name, encode := fmt.Sprintf("user%04d@example.com.jpg", n), func() error { return jpeg.Encode(&b, img, nil) }
	if n%10 == 3 {
		name, encode = fmt.Sprintf("user%04d@example.com.png", n), func() error { return png.Encode(&b, img) }
	}
	if err := encode(); err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	return name, b.Bytes()
}
