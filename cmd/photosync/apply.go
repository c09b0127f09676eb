package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"photosync/sync/job"
	"photosync/sync/plan"
	"photosync/sync/report"
)

func (a *app) apply() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:  "apply PLAN",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := readPlan(args[0])
			if err != nil {
				return usage(err)
			}
			f.apply, f.Selection = p, p.Selection
			return a.runJob(cmd.Context(), job.Apply, f)
		},
	}
	f.add(cmd)
	f.addVerify(cmd)
	cmd.Flags().BoolVar(&f.strict, "strict", false, "write nothing if anything moved since the plan was made")
	return cmd
}

func readPlan(path string) (*plan.File, error) {
	data, err := os.ReadFile(path)
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	var p *plan.File
	if err == nil {
		p, err = plan.Decode(data)
	}
	if err != nil {
		return nil, hinted{fmt.Errorf("read plan %q: %w", path, err), "photosync plan -o FILE makes a plan"}
	}
	return p, nil
}

// writePlan keeps a plan in a file, and notes that in the report; no path: nowhere.
func writePlan(rep *report.Report, path string, p *plan.File) error {
	if path == "" {
		return nil
	}
	if err := report.WritePlan(path, p.Encode); err != nil {
		return err
	}
	rep.PlanFile = path
	return nil
}
