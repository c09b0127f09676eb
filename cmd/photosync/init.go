package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"photosync/cmd/internal/config"
)

func (a *app) init() *cobra.Command {
	kinds := []string{"ad", "openldap", "folder"}
	picked := map[string]*bool{}
	cmd := &cobra.Command{
		Use:  "init [FILE]",
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file, text := "config.yaml", config.Example()
			if len(args) == 1 {
				file = args[0]
			}
			mark := "example"
			for _, kind := range kinds {
				if *picked[kind] {
					var err error
					if text, err = config.Start(kind); err != nil {
						return err
					}
					mark = "change"
				}
			}
			if file == "-" {
				return a.print(text)
			}
			if err := writeNew(file, text); err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, `Wrote %s. Next:
  edit it: what is marked "%s" is yours to fill in
  photosync config schema > photosync.schema.json   # beside it, for editors
  photosync check --config %[1]s
`, file, mark)
			return nil
		},
	}
	for kind, usage := range map[string]string{
		"ad": "a short one for Active Directory", "openldap": "a short one for OpenLDAP and other directories", "folder": "a short one for a folder of photos",
	} {
		picked[kind] = cmd.Flags().Bool(kind, false, usage)
	}
	cmd.MarkFlagsMutuallyExclusive(kinds...)
	return cmd
}

func (a *app) config() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(&cobra.Command{
		Use:  "schema",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.print(config.Schema()) },
	})
	return cmd
}

func (a *app) print(b []byte) error {
	if _, err := a.stdout.Write(b); err != nil {
		return err
	}
	return nil
}

// writeNew writes a file that is not there yet, whole or not at all.
func writeNew(file string, data []byte) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return hinted{fmt.Errorf("%q is already there", file), `name another file, or print the example with "photosync init -"`}
	}
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(file)
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}
