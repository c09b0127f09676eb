package main

import (
	"github.com/spf13/cobra"

	"photosync/sync/job"
)

func (a *app) sync() *cobra.Command {
	f, dryRun := &runFlags{}, false
	cmd := &cobra.Command{
		Use:  "sync",
		Args: cobra.NoArgs,
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
