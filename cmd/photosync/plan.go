package main

import (
	"github.com/spf13/cobra"

	"photosync/sync/job"
)

func (a *app) plan() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what sync would do, and write nothing but a report",
		Long: `Show what sync would do. Every picture is prepared, so that what would be refused
shows, too.

-o keeps the plan in a file for photosync apply.`,
		Example: "  photosync plan --only '*@example.com'\n  photosync plan -o plan.json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runJob(cmd.Context(), job.Plan, f) },
	}
	f.add(cmd)
	f.addSelection(cmd)
	cmd.Flags().StringVarP(&f.out, "out", "o", "", "keep the plan in this `FILE`, for apply")
	return cmd
}
