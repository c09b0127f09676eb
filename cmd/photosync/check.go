package main

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"photosync/cmd/internal/checkup"
	"photosync/cmd/internal/config"
	"photosync/cmd/internal/console"
	"photosync/cmd/internal/notify"
	"photosync/sync/job"
	"photosync/sync/plan"
	"photosync/sync/report"
)

func (a *app) check() *cobra.Command {
	var file, uploadTest string
	cmd := &cobra.Command{Use: "check", RunE: func(cmd *cobra.Command, _ []string) error {
		s, err := a.load(file, "")
		if err != nil {
			return err
		}
		ctx, stop := stoppable(cmd.Context())
		defer stop()
		checks := checkup.Run(ctx, checkup.Options{
			Config: s.Config, UploadTest: uploadTest, Unreachable: notifier(s.Config, false).Unreachable,
			Open: func(c *config.Config) (job.Job, func(), error) {
				return open(&setup{Config: c}, job.How{}, nil, zerolog.Nop())
			},
			Upload: func(ctx context.Context, email string) (*report.Report, error) {
				literal := strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(email)
				f := &runFlags{
					setup: s, How: job.How{Mode: job.Sync, RunID: newRunID(time.Now())},
					Selection: plan.Selection{Only: []string{literal}, Force: true, Limit: 1},
				}
				quiet := console.Start(io.Discard, io.Discard, a.env, console.RunOptions{Quiet: true})
				return perform(ctx, f, quiet, notify.New(notify.Options{}), nil)
			},
		})
		for i := range checks {
			checks[i].Remedy = a.completed(checks[i].Remedy)
		}
		switch fails, needsSomebody := console.Forecast(checks); {
		case fails:
			a.code = exitFailed
		case needsSomebody:
			a.code = exitAttention
		}
		if a.output == "json" {
			return console.NewLines(a.stdout).Check(checks)
		}
		a.out().Checkup(checks)
		return nil
	}}
	addConfig(cmd.Flags(), &file)
	a.addOutput(cmd)
	cmd.Flags().StringVar(&uploadTest, "upload-test", "", "upload the picture of the person with this `EMAIL` for real, and record it")
	return cmd
}
