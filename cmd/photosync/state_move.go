package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"photosync/state"
)

func (a *app) stateExport(f *stateFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the whole state as JSON lines",
		Long: `Write the whole state as JSON lines, to stdout or the file named with -o: a header, then
a line for each person. Nothing is lost, and there is no secret in it; but it holds
email addresses, so a file is readable for its owner only.`,
		Example: "  photosync state export -o state.jsonl\n  photosync state export | gzip > state.jsonl.gz",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return a.with(f, state.Options{ReadOnly: true}, func(st *state.Store) error { return a.exportState(st, f.outFile) })
		},
	}
	cmd.Flags().StringVarP(&f.outFile, "out", "o", "", "write to `FILE` instead of stdout")
	return cmd
}

func (a *app) exportState(st *state.Store, file string) error {
	if file == "" {
		return st.Export(a.stdout)
	}
	out, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("export state: %w", err)
	}
	return errors.Join(st.Export(out), out.Sync(), out.Close())
}

func (a *app) stateImport(f *stateFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Fill the state from an export",
		Long: `Fill the state from an export; - is stdin. A state that already holds people is only
replaced with --replace, and then becomes the backup beside the new one. The new state
takes its place when every record was read back, or not at all.`,
		Example: "  photosync state import state.jsonl\n  gunzip < state.jsonl.gz | photosync state import -",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.importing = true
			in := cmd.InOrStdin()
			if args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return workError{fmt.Errorf("import state: %w", err)}
				}
				defer file.Close()
				in = file
			}
			return a.with(f, state.Options{}, func(st *state.Store) error { return a.importState(st, in, f.replace) })
		},
	}
	cmd.Flags().BoolVar(&f.replace, "replace", false, "also if the state holds people, or is of another account")
	return cmd
}

func (a *app) importState(st *state.Store, in io.Reader, replace bool) error {
	n, err := st.Import(in, replace)
	if err == nil {
		fmt.Fprintf(a.stdout, "Imported: %s.\n", countPeople(n))
	}
	return err
}

func (a *app) stateCompact(f *stateFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "compact",
		Short: "Give back the room on the disk that the state does not need",
		Long: `Write the state anew without the room that old records left, and put it in its place
once every record was read back.`,
		Example: "  photosync state compact",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return a.with(f, state.Options{}, func(st *state.Store) error {
				before, after, err := st.Compact()
				if err == nil {
					fmt.Fprintf(a.stdout, "The state takes %s, before %s.\n", size(after), size(before))
				}
				return err
			})
		},
	}
}
