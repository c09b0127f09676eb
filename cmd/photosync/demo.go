package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
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
		Use:   "demo",
		Short: "Show the main job on this machine: no network, no configuration",
		Long: `Show the main job on this machine: a folder of drawn portraits, a stand-in for
Smartsheet, and three runs. Nothing outside a temporary folder is touched.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runDemo(cmd.Context()) },
	}
}

// demoRun is one sync of the demo and what it must come to.
type demoRun struct {
	title    string
	uploaded int
	skipped  map[string]int
	failed   int
	partial  int
}

func (a *app) runDemo(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "photosync-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	sim := simulator.New(simulator.Options{Token: demoToken, Users: simulator.SampleUsers(40), RequestsPerMinute: 600, AccountName: "Demo Corp"})
	for _, f := range []simulator.Fault{
		{Kind: "partial", User: "user0011@example.com"},
		{Kind: "status", Status: 400, Code: 1128, User: "user0017@example.com"},
	} {
		sim.AddFault(f)
	}
	l, err := sim.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	photos := filepath.Join(dir, "photos")
	if err := drawDemo(photos); err != nil {
		return fmt.Errorf("draw portraits: %w", err)
	}
	conf := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(conf, fmt.Appendf(nil, demoConfig, l.URL(), photos, filepath.Join(dir, "state.db"), filepath.Join(dir, "reports")), 0o600); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, `A folder of 40 portraits: 36 fine ones, one corrupt (user0005), one of somebody whom
Smartsheet does not know (newcomer), and two at which the stand-in for Smartsheet
will balk: user0011 (PARTIAL_SUCCESS) and user0017 (an error with a refId).
`)
	first := demoRun{"First run: everything is new.", 36, map[string]int{"not_in_smartsheet": 1}, 2, 1}
	quiet := map[string]int{"not_in_smartsheet": 1, "known_bad": 3}
	second := demoRun{"Second run: nothing changed, so nothing is sent; what was refused is not tried again.", 0, quiet, 0, 0}
	third := demoRun{"Three people get new portraits. Third run: just those are sent.", 3, quiet, 0, 0}
	for i, d := range []demoRun{first, second, third} {
		if i == 2 {
			for n := 1; n <= 3; n++ {
				if err := drawPortrait(photos, n, 100+n); err != nil {
					return fmt.Errorf("draw portraits: %w", err)
				}
			}
		}
		fmt.Fprintf(a.stdout, "\n== %s\n", d.title)
		if err := a.demoSync(ctx, conf, filepath.Join(dir, "reports"), d); err != nil {
			return err
		}
	}
	fmt.Fprintf(a.stdout, `
Everything lies in %s:
  reports  %s (open latest.html in a browser)
  state    %s
  photos   %s
The folder is yours to look at and to delete.
`, dir, filepath.Join(dir, "reports"), filepath.Join(dir, "state.db"), photos)
	a.code = exitDone
	return nil
}

const demoConfig = `smartsheet:
  base_url: %q
  integration_source: SCRIPT,Demo Corp,photosync
  requests_per_minute: 600
sources:
  - {name: portraits, type: folder, path: %q}
state: {path: %q}
report: {dir: %q}
log: {level: error}
`

// demoSync runs a sync as the command does, and checks that it came out as
// promised: a demo that went wrong must not look fine.
func (a *app) demoSync(ctx context.Context, conf, reports string, want demoRun) error {
	run := *a
	run.env = func(name string) string {
		if name == "SMARTSHEET_ACCESS_TOKEN" {
			return demoToken
		}
		return ""
	}
	if err := run.runJob(ctx, job.Sync, &runFlags{config: conf, output: "text", progress: "never"}); err != nil {
		return err
	}
	r, err := report.Read(filepath.Join(reports, "latest.json"))
	if err != nil {
		return err
	}
	t := r.Totals
	ok := t.Uploaded == want.uploaded && t.Failed == want.failed && t.PartialSuccess == want.partial && len(r.SkippedByReason) == len(want.skipped)
	for reason, n := range want.skipped {
		ok = ok && r.SkippedByReason[reason] == n
	}
	if r.Result == report.Interrupted {
		return job.ErrSignal
	}
	if !ok {
		return errors.New("the demo did not come out as it should: see its report")
	}
	return nil
}

// drawDemo draws the folder: 36 sound portraits and four with a story.
func drawDemo(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for n := 1; n <= 39; n++ {
		if err := drawPortrait(dir, n, n); err != nil {
			return err
		}
	}
	whole := portrait(5, 240, "jpeg")
	if err := os.WriteFile(filepath.Join(dir, "user0005@example.com.jpg"), whole[:len(whole)/2], 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "newcomer@example.com.png"), portrait(40, 240, "png"), 0o600)
}

// drawPortrait writes user n's portrait, drawn from seed; mostly JPEG, some PNG
// and GIF, and some larger than what is sent.
func drawPortrait(dir string, n, seed int) error {
	format, ext := "jpeg", "jpg"
	switch {
	case n%10 == 3:
		format, ext = "png", "png"
	case n%10 == 7 && n != 17:
		format, ext = "gif", "gif"
	}
	edge := 240
	if n%9 == 4 {
		edge = 1260
	}
	return os.WriteFile(filepath.Join(dir, fmt.Sprintf("user%04d@example.com.%s", n, ext)), portrait(seed, edge, format), 0o600)
}

// portrait draws a person without a face: a head and shoulders on a plain ground.
func portrait(seed, edge int, format string) []byte {
	img := image.NewRGBA(image.Rect(0, 0, edge, edge))
	hue := func(i int, light float64) color.RGBA {
		wave := func(phase float64) uint8 { return uint8(light * (0.6 + 0.4*math.Sin(float64(i)*2.4+phase)) * 255) }
		return color.RGBA{wave(0), wave(2.1), wave(4.2), 255}
	}
	draw.Draw(img, img.Bounds(), image.NewUniform(hue(seed, 0.95)), image.Point{}, draw.Src)
	unit := float64(edge) / 240
	ellipse := func(cx, cy, rx, ry float64, c color.RGBA) {
		for y := range edge {
			for x := range edge {
				dx, dy := (float64(x)/unit-cx)/rx, (float64(y)/unit-cy)/ry
				if dx*dx+dy*dy <= 1 {
					img.SetRGBA(x, y, c)
				}
			}
		}
	}
	ellipse(120, 252, 90+float64(seed%5)*4, 90, hue(seed+7, 0.6))
	skin := uint8(120 + seed*37%110)
	ellipse(120, 101, 46+float64(seed%4)*3, 58, color.RGBA{skin, uint8(float64(skin) * 0.8), uint8(float64(skin) * 0.65), 255})
	ellipse(120, 58, 48, 26+float64(seed%3)*5, hue(seed+3, 0.35))
	var b bytes.Buffer
	var err error
	switch format {
	case "png":
		err = png.Encode(&b, img)
	case "gif":
		err = gif.Encode(&b, img, nil)
	default:
		err = jpeg.Encode(&b, img, &jpeg.Options{Quality: 85})
	}
	if err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	return b.Bytes()
}
