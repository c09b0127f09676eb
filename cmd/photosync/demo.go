package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"photosync/sync/job"
	"photosync/sync/photo"
	"photosync/sync/safefile"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

const demoConfig = `smartsheet: {base_url: %q, integration_source: "SCRIPT,Demo Corp,photosync", requests_per_minute: 600}
sources: [{name: pictures, type: folder, path: %q}]
state: {path: %q}
report: {dir: %q}
log: {level: error}
`

func (a *app) demo(cmd *cobra.Command, _ []string) error {
	const token = "demo-token"
	dir, err := os.MkdirTemp("", "photosync-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	users := simulator.SampleUsers(40)
	sim := simulator.New(simulator.Options{Token: token, Users: users, RequestsPerMinute: 600, AccountName: "Demo Corp"})
	sim.AddFault(simulator.Fault{Kind: "partial", User: "user0011@example.com"})
	sim.AddFault(simulator.Fault{Kind: "status", Status: 400, Code: 1128, User: "user0017@example.com"})
	l, err := sim.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	photos, conf := filepath.Join(dir, "photos"), filepath.Join(dir, "config.yaml")
	text := fmt.Appendf(nil, demoConfig, l.URL(), photos, filepath.Join(dir, "state.db"), filepath.Join(dir, "reports"))
	if err := safefile.Write(conf, 0o600, text); err != nil {
		return err
	}
	run := *a
	run.env = func(name string) string { return map[string]string{"SMARTSHEET_ACCESS_TOKEN": token}[name] }
	fmt.Fprintln(a.stdout, "40 pictures: one is corrupt, one is of somebody without a Smartsheet account, and the stand-in for Smartsheet refuses two.")
	for i, r := range []struct {
		title string
		drawn int // people who get a new picture before it
	}{
		{"First run: everything is new.", 40},
		{"Second run: nothing changed, so nothing is sent; what was refused is not tried again.", 0},
		{"Three people get new pictures. Third run: just those are sent.", 3},
	} {
		if err := drawPictures(photos, users[:r.drawn], i); err != nil {
			return fmt.Errorf("draw pictures: %w", err)
		}
		fmt.Fprintf(a.stdout, "\n== %s\n", r.title)
		if err := run.runJob(cmd.Context(), &runFlags{How: job.How{Mode: job.Sync}, config: conf, progress: "never"}); err != nil {
			return err
		}
		if run.code == exitInterrupted {
			return job.ErrSignal
		}
	}
	fmt.Fprintf(a.stdout, "\nEverything is in %[1]s: photos, the state, and reports.\nOpen %[1]s/reports/latest.html in a browser. You can delete the folder.\n", dir)
	return nil
}

// drawPictures draws pictures for the first people; another round draws other ones. Number 5 is
// cut short, and Smartsheet does not know the person of the 40th.
func drawPictures(folder string, users []smartsheet.User, round int) error {
	for i, u := range users {
		p, err := photo.Initials(u.Name, fmt.Sprint(u.Email, round), 240)
		if err != nil {
			return err
		}
		switch i + 1 {
		case 5:
			p.Data = p.Data[:len(p.Data)/2]
		case 40:
			u.Email = "newcomer@example.com"
		}
		if err := safefile.Write(filepath.Join(folder, u.Email+".png"), 0o600, p.Data); err != nil {
			return err
		}
	}
	return nil
}
