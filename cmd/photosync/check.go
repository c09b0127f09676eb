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
	"photosync/sync/job"
	"photosync/sync/plan"
	"photosync/sync/report"
)

func (a *app) check() *cobra.Command {
	var file, output, uploadTest string
	cmd := &cobra.Command{Use: "check", RunE: func(cmd *cobra.Command, _ []string) error {
		a.json = output == "json"
		file, c, err := a.load(file)
		if err != nil {
			return err
		}
		ctx, stop := stoppable(cmd.Context())
		defer stop()
		checks := checkup.Run(ctx, checkup.Options{
			File: file, Config: c, UploadTest: uploadTest, Unreachable: notifier(c, false).Unreachable,
			Open: func(c *config.Config) (job.Job, func(), error) { return open(c, "", plan.Shard{}, nil, zerolog.Nop()) },
			Upload: func(ctx context.Context, email string) (*report.Report, error) {
				literal := strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(email)
				f := &runFlags{Selection: plan.Selection{Only: []string{literal}, Force: true, Limit: 1}}
				quiet := console.Start(io.Discard, io.Discard, a.env, console.RunOptions{Level: "disabled", Progress: "never"})
				rep, _, err := perform(ctx, job.Sync, newRunID(time.Now()), c, f, quiet, nil)
				return rep, err
			},
		})
		for _, k := range checks { // the exit code is that of a run that finds the same
			switch {
			case k.Status == console.Problem:
				a.code = exitFailed
			case k.Status == console.Warning && k.Finding != "" && a.code == exitDone:
				a.code = exitAttention
			}
		}
		if a.json {
			return console.NewLines(a.stdout).Check(checks)
		}
		a.out().Checkup(checks)
		return nil
	}}
	addConfig(cmd.Flags(), &file)
	addOutput(cmd, &output)
	cmd.Flags().StringVar(&uploadTest, "upload-test", "", "upload the picture of the person with this `EMAIL` for real, and record it")
	return cmd
}
