package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"photosync/cmd/internal/console"
	"photosync/sync/report"
)

// reportFlags are the flags of report.
type reportFlags struct {
	html, csv          bool
	output, out, serve string
}

func (a *app) report() *cobra.Command {
	f := &reportFlags{}
	cmd := &cobra.Command{
		Use:  "report FILE|FOLDER",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.serve != "" {
				return a.serve(cmd.Context(), f.serve, args[0])
			}
			format, err := f.format()
			if err != nil {
				return usage(err)
			}
			return a.showReport(args[0], format, f.out)
		},
	}
	cmd.Flags().BoolVar(&f.html, "html", false, "as a page")
	cmd.Flags().BoolVar(&f.csv, "csv", false, "as a table, a line for each person")
	addOutput(cmd, &f.output)
	cmd.Flags().StringVarP(&f.out, "out", "o", "", "write to `FILE` instead of stdout")
	cmd.Flags().StringVar(&f.serve, "serve", "", "show pages at `HOST:PORT` of this machine")
	cmd.MarkFlagsMutuallyExclusive("serve", "html")
	cmd.MarkFlagsMutuallyExclusive("serve", "csv")
	cmd.MarkFlagsMutuallyExclusive("serve", "out")
	cmd.MarkFlagsMutuallyExclusive("serve", "output")
	return cmd
}

// format is the one that the flags ask for.
func (f *reportFlags) format() (string, error) {
	switch {
	case f.html && f.csv:
		return "", errors.New("--html and --csv: want one of the two")
	case f.html:
		return "html", nil
	case f.csv:
		return "csv", nil
	}
	return f.output, nil
}

// showReport writes the report at path in a format to the file out, or to stdout.
func (a *app) showReport(path, format, out string) error {
	r, err := report.Read(path)
	if err != nil {
		return err
	}
	write := func(w io.Writer) error {
		if format == "text" {
			console.New(w, a.env).Report(r)
			return nil
		}
		return r.Encode(w, format)
	}
	if out == "" {
		return write(a.stdout)
	}
	if fi, err := os.Stat(out); err == nil && !fi.Mode().IsRegular() { // a pipe, say
		f, err := os.OpenFile(out, os.O_WRONLY, 0)
		if err != nil {
			return fmt.Errorf("write report: %w", err)
		}
		return errors.Join(write(f), f.Close())
	}
	if err := report.Replace(out, 0o640, write); err != nil { // it holds people's names
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
