package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"photosync/cmd/internal/console"
	"photosync/sync/report"
)

func (a *app) report() *cobra.Command {
	var format, output, out, serve string
	cmd := &cobra.Command{Use: "report FILE|FOLDER", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		if serve != "" {
			return a.serve(cmd.Context(), serve, args[0])
		}
		return a.showReport(args[0], cmp.Or(format, output), out)
	}}
	for kind, usage := range map[string]string{"html": "as a page", "csv": "as a table, a line for each person"} {
		cmd.Flags().BoolFunc(kind, usage, func(string) error { format = kind; return nil })
	}
	addOutput(cmd, &output)
	cmd.Flags().StringVarP(&out, "out", "o", "", "write to `FILE` instead of stdout")
	cmd.Flags().StringVar(&serve, "serve", "", "show pages at `HOST:PORT` of this machine")
	cmd.MarkFlagsMutuallyExclusive("html", "csv", "output", "serve")
	cmd.MarkFlagsMutuallyExclusive("serve", "out")
	return cmd
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
	if fi, serr := os.Stat(out); serr == nil && !fi.Mode().IsRegular() { // a pipe, say
		var f *os.File
		if f, err = os.OpenFile(out, os.O_WRONLY, 0); err == nil {
			err = errors.Join(write(f), f.Close())
		}
	} else {
		err = report.Replace(out, 0o640, write) // it holds people's names
	}
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
