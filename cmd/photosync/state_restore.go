package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"photosync/state"
	"photosync/sync/job"
	"photosync/sync/report"
)

func (a *app) stateRestore(f *stateFlags) *cobra.Command {
	var reports string
	cmd := &cobra.Command{
		Use:  "restore",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := f.statePath(a)
			if err != nil {
				return usage(err)
			}
			if reports == "" && f.path == "" {
				_, c, err := a.load(f.config)
				if err != nil {
					return err
				}
				reports = c.Report.Dir
			}
			return a.restore(f, cmd.InOrStdin(), path, reports)
		},
	}
	cmd.Flags().StringVar(&reports, "reports", "", "`FOLDER` with the reports of the runs (default: report.dir)")
	f.addYes(cmd)
	return cmd
}

func (a *app) restore(f *stateFlags, in io.Reader, path, folder string) error {
	if err := a.confirm(f, in, "Put the backup in the place of "+path+"?"); err != nil {
		return err
	}
	aside, err := state.Restore(path)
	if err != nil {
		return err
	}
	st, err := state.Open(path, state.Options{})
	if err != nil {
		return err
	}
	n, err := job.Replay(st, a.reportsIn(folder))
	if err := errors.Join(err, st.Close()); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "Restored from the backup. Reports since then named %s that it did not know.\n", report.Count(n, "upload", "uploads"))
	if aside != "" {
		fmt.Fprintf(a.stdout, "The damaged state is kept as %s.\n", aside)
	}
	return nil
}

// reportsIn reads the reports of runs in a folder. One that cannot be read is named and
// left out.
func (a *app) reportsIn(folder string) (all []*report.Report) {
	if folder == "" {
		return nil
	}
	files, _ := filepath.Glob(filepath.Join(folder, "*.json")) // the pattern is well-formed
	for _, file := range files {
		if name := filepath.Base(file); strings.HasPrefix(name, "latest") || strings.HasSuffix(name, ".plan.json") {
			continue
		}
		r, err := report.Read(file)
		if err != nil {
			fmt.Fprintf(a.stderr, "left out: %v\n", err)
			continue
		}
		all = append(all, r)
	}
	return all
}
