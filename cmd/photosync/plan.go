package main

import (
	"github.com/spf13/cobra"

	"photosync/sync/job"
)

func (a *app) plan() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:  "plan",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runJob(cmd.Context(), job.Plan, f) },
	}
	f.add(cmd)
	f.addSelection(cmd)
	cmd.Flags().StringVarP(&f.out, "out", "o", "", "keep the plan in this `FILE`, for apply")
	return cmd
}
