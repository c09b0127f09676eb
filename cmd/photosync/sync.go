package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"photosync/sync/job"
	"photosync/sync/plan"
)

// The three commands that run a job.

func (a *app) sync() *cobra.Command {
	f, mode, dryRun := &runFlags{}, job.Sync, false
	cmd := &cobra.Command{Use: "sync", RunE: func(cmd *cobra.Command, _ []string) error {
		if dryRun {
			mode = job.Plan
		}
		return a.runJob(cmd.Context(), mode, f)
	}}
	f.add(cmd)
	f.addSelection(cmd)
	f.addVerify(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "upload nothing: the same as photosync plan")
	return cmd
}

func (a *app) plan() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{Use: "plan", RunE: func(cmd *cobra.Command, _ []string) error {
		return a.runJob(cmd.Context(), job.Plan, f)
	}}
	f.add(cmd)
	f.addSelection(cmd)
	cmd.Flags().StringVarP(&f.out, "out", "o", "", "keep the plan in this `FILE`, for apply")
	return cmd
}

func (a *app) apply() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{Use: "apply PLAN", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		p, err := readPlan(args[0])
		if err != nil {
			return usage(err)
		}
		f.apply, f.Selection = p, p.Selection
		return a.runJob(cmd.Context(), job.Apply, f)
	}}
	f.add(cmd)
	f.addVerify(cmd)
	cmd.Flags().BoolVar(&f.strict, "strict", false, "write nothing if anything moved since the plan was made")
	return cmd
}

func readPlan(path string) (p *plan.File, err error) {
	data, err := os.ReadFile(path)
	if err == nil {
		p, err = plan.Decode(data)
	}
	if err != nil {
		return nil, hinted{fmt.Errorf("read plan %q: %w", path, err), "photosync plan -o FILE makes a plan"}
	}
	return p, nil
}
