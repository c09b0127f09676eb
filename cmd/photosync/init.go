package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"photosync/cmd/internal/config"
	"photosync/sync/foreign"
	"photosync/sync/outcome"
	"photosync/sync/safefile"
)

func (a *app) init() *cobra.Command {
	text, mark := config.Example, "example"
	cmd := &cobra.Command{Use: "init [FILE]", Args: cobra.MaximumNArgs(1), RunE: func(_ *cobra.Command, args []string) error {
		file := append(args, "config.yaml")[0]
		if file == "-" {
			fmt.Fprint(a.stdout, text)
			return nil
		}
		if err := writeNew(file, []byte(text), `name another file, or print the example with "photosync init -"`); err != nil {
			return fmt.Errorf("write configuration: %w", err)
		}
		a.same = map[string]string{"config": file}
		fmt.Fprintf(a.stdout, `Wrote %s. Next:
  edit it: what is marked "%s" is yours to fill in
  photosync config schema > photosync.schema.json   # beside it, for editors
  %s
`, file, mark, a.completed("photosync check"))
		return nil
	}}
	for kind, usage := range map[string]string{
		"ad": "a short one for Active Directory", "openldap": "a short one for OpenLDAP and other directories", "folder": "a short one for a folder of photos",
	} {
		cmd.Flags().BoolFunc(kind, usage, func(string) error {
			text, mark = config.Start(kind), "change"
			return nil
		})
	}
	cmd.MarkFlagsMutuallyExclusive("ad", "openldap", "folder")
	return cmd
}

func (a *app) config() *cobra.Command {
	cmd := &cobra.Command{Use: "config"}
	cmd.AddCommand(&cobra.Command{Use: "schema", RunE: func(*cobra.Command, []string) error {
		fmt.Fprint(a.stdout, config.Schema)
		return nil
	}})
	return cmd
}

// writeNew atomically writes a new file; hint is for the error that the file exists.
func writeNew(file string, data []byte, hint string) error {
	f, err := safefile.New(file)
	if err != nil {
		return fmt.Errorf("open %s: %w", file, foreign.WithoutPath(err)) // without the temporary name
	}
	defer f.Discard()
	if _, err = f.Write(data); err == nil {
		err = f.Commit(false)
	}
	if errors.Is(err, fs.ErrExist) {
		return outcome.WithHint(fmt.Errorf("%q is already there", file), hint)
	}
	return err
}
