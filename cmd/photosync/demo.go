package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"photosync/sync/job"
	"photosync/sync/smartsheet/simulator"
)

const demoConfig = `smartsheet: {base_url: %q, integration_source: "SCRIPT,Demo Corp,photosync", requests_per_minute: 600}
sources: [{name: portraits, type: folder, path: %q}]
state: {path: %q}
report: {dir: %q}
log: {level: error}
`

func (a *app) demo() *cobra.Command {
	return &cobra.Command{Use: "demo", RunE: func(cmd *cobra.Command, _ []string) error { return a.runDemo(cmd.Context()) }}
}

func (a *app) runDemo(ctx context.Context) error {
	const token = "demo-token"
	dir, err := os.MkdirTemp("", "photosync-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	sim := simulator.New(simulator.Options{Token: token, Users: simulator.SampleUsers(40), RequestsPerMinute: 600, AccountName: "Demo Corp"})
	sim.AddFault(simulator.Fault{Kind: "partial", User: "user0011@example.com"})
	sim.AddFault(simulator.Fault{Kind: "status", Status: 400, Code: 1128, User: "user0017@example.com"})
	l, err := sim.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	photos, conf := filepath.Join(dir, "photos"), filepath.Join(dir, "config.yaml")
	text := fmt.Appendf(nil, demoConfig, l.URL(), photos, filepath.Join(dir, "state.db"), filepath.Join(dir, "reports"))
	if err := errors.Join(os.Mkdir(photos, 0o700), os.WriteFile(conf, text, 0o600)); err != nil {
		return err
	}
	run := *a
	run.env = func(name string) string { return map[string]string{"SMARTSHEET_ACCESS_TOKEN": token}[name] }
	fmt.Fprintln(a.stdout, "40 portraits: one is corrupt, one is of a stranger, and the stand-in for Smartsheet refuses two.")
	for i, r := range []struct {
		title string
		drawn int // people of whom portraits are drawn before
	}{
		{"First run: everything is new.", 40},
		{"Second run: nothing changed, so nothing is sent; what was refused is not tried again.", 0},
		{"Three people get new portraits. Third run: just those are sent.", 3},
	} {
		if err := drawPortraits(photos, r.drawn, i); err != nil {
			return fmt.Errorf("draw portraits: %w", err)
		}
		fmt.Fprintf(a.stdout, "\n== %s\n", r.title)
		if err := run.runJob(ctx, job.Sync, &runFlags{config: conf, output: "text", progress: "never"}); err != nil {
			return err
		}
		if run.code == exitInterrupted {
			return job.ErrSignal
		}
	}
	fmt.Fprintf(a.stdout, "\nEverything lies in %[1]s: photos, the state, and reports.\nOpen %[1]s/reports/latest.html in a browser. The folder is yours to delete.\n", dir)
	return nil
}

// drawPortraits draws those of the first people. Number 5 is cut short, and the 40th is
// of somebody whom Smartsheet does not know.
func drawPortraits(folder string, people, seed int) error {
	for n := 1; n <= people; n++ {
		name, data := fmt.Sprintf("user%04d", n), portrait(n+100*seed)
		switch n {
		case 5:
			data = data[:len(data)/2]
		case 40:
			name = "newcomer"
		}
		if err := os.WriteFile(filepath.Join(folder, name+"@example.com.png"), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// portrait draws a person without a face: hair, a head and shoulders on a plain ground.
func portrait(seed int) []byte {
	img := image.NewRGBA(image.Rect(0, 0, 240, 240))
	hue := func(i, light int) color.RGBA {
		return color.RGBA{uint8(light + 97*i%80), uint8(light + 61*i%80), uint8(light + 43*i%80), 255}
	}
	for i := range 240 * 240 {
		x, y := i%240, i/240
		inside := func(cx, cy, rx, ry int) bool { return sq((x-cx)*ry)+sq((y-cy)*rx) <= sq(rx*ry) }
		c := hue(seed, 160)
		switch {
		case inside(120, 58, 48, 26+seed%3*5):
			c = hue(seed+3, 20)
		case inside(120, 101, 46+seed%4*3, 58):
			c = color.RGBA{224, uint8(140 + seed*37%60), uint8(110 + seed*37%60), 255}
		case inside(120, 252, 90+seed%5*4, 90):
			c = hue(seed+7, 60)
		}
		img.SetRGBA(x, y, c)
	}
	var b bytes.Buffer
	_ = png.Encode(&b, img) // a bytes.Buffer takes everything
	return b.Bytes()
}

func sq(n int) int { return n * n }
