package main

import (
	"github.com/spf13/cobra"

	"photosync/sync/job"
)

func (a *app) sync() *cobra.Command {
	f, dryRun := &runFlags{}, false
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "Upload the photos that changed",
		Long: `Upload the photos that changed since they were last uploaded.

A report is written to report.dir in every case, as <run-id>.json and .html.
latest.json and latest.html are those of the last sync of everybody.
SIGINT and SIGTERM finish and record what is on the wire; a second one ends that.`,
		Example: "  photosync sync --config /etc/photosync/config.yaml\n  photosync sync --only ann@example.com --force\n  photosync sync --quiet --success-on 3,6",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dryRun {
				return a.runJob(cmd.Context(), job.Plan, f)
			}
			return a.runJob(cmd.Context(), job.Sync, f)
		},
	}
	f.add(cmd)
	f.addSelection(cmd)
	f.addVerify(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "upload nothing: the same as photosync plan")
	return cmd
}
