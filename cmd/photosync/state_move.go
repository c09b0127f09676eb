package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"photosync/state"
	"photosync/sync/plan"
	"photosync/sync/report"
)

func (a *app) stateExport(f *stateFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:  "export",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return a.with(f, state.Options{ReadOnly: true}, func(st *state.Store) error { return a.exportState(st, f.outFile) })
		},
	}
	cmd.Flags().StringVarP(&f.outFile, "out", "o", "", "write to `FILE` instead of stdout")
	return cmd
}

// exportState writes to a file, whole or not at all, or to what file is instead, such as
// a pipe; to stdout without a file.
func (a *app) exportState(st *state.Store, file string) error {
	if file == "" {
		return st.Export(a.stdout)
	}
	var err, exporting error
	if fi, serr := os.Stat(file); serr == nil && !fi.Mode().IsRegular() {
		var out *os.File
		if out, err = os.OpenFile(file, os.O_WRONLY, 0); err == nil {
			exporting = st.Export(out)
			err = errors.Join(exporting, out.Close())
		}
	} else {
		err = report.Replace(file, 0o600, func(w io.Writer) error { exporting = st.Export(w); return exporting })
	}
	if err != nil && exporting == nil {
		err = hinted{fmt.Errorf("export state: %w", err), "the state is as it was: name a file with -o on a disk that is writable and has room"}
	}
	return err
}

func (a *app) stateImport(f *stateFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:  "import FILE...",
		Args: func(_ *cobra.Command, args []string) error { return f.checkImport(args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := f.statePath(a)
			if err != nil {
				return fmt.Errorf("import state: %w", usage(err))
			}
			exports, closeAll, err := f.exports(path, args, cmd.InOrStdin())
			defer closeAll()
			if err != nil {
				return fmt.Errorf("import state: %w", err)
			}
			return a.importState(path, exports, f.replace)
		},
	}
	cmd.Flags().BoolVar(&f.replace, "replace", false, "also if the state holds people, or is of another account")
	cmd.Flags().IntVar(&f.count, "shards", 0, "make one state of those of all `N` shards")
	return cmd
}

func (f *stateFlags) checkImport(args []string) error {
	switch {
	case f.count < 0:
		return fmt.Errorf("--shards %d: want how many shards there are", f.count)
	case f.count > 0 && (len(args) > 0 || f.shard != ""):
		return errors.New("--shards: want no file and no --shard beside it")
	case f.count == 0 && len(args) == 0:
		return errors.New("want the file of an export, - for stdin, or --shards N")
	}
	return nil
}

// exports opens what is imported into the state at path.
func (f *stateFlags) exports(path string, files []string, stdin io.Reader) (io.Reader, func(), error) {
	var all []io.Reader
	var closers []io.Closer
	closeAll := func() {
		for _, c := range closers {
			c.Close()
		}
	}
	for _, name := range files {
		if name == "-" {
			all = append(all, stdin)
			continue
		}
		file, err := os.Open(name)
		if err != nil {
			return nil, closeAll, err
		}
		all, closers = append(all, file), append(closers, file)
	}
	for i := range f.count {
		st, err := openExisting(shardPath(path, plan.Shard{Index: i, Count: f.count}), state.Options{ReadOnly: true})
		if err != nil {
			return nil, closeAll, err
		}
		r, w := io.Pipe()
		// Once the reader is closed writing fails, and the export ends.
		go func() { w.CloseWithError(st.Export(w)) }()
		all, closers = append(all, r), append(closers, r, st)
	}
	return io.MultiReader(all...), closeAll, nil
}

func (a *app) importState(path string, in io.Reader, replace bool) error {
	n, err := state.Import(path, in, replace)
	if err == nil {
		fmt.Fprintf(a.stdout, "Imported: %s.\n", people(n))
	}
	return err
}

func (a *app) stateCompact(f *stateFlags) *cobra.Command {
	return &cobra.Command{
		Use:  "compact",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return a.with(f, state.Options{}, func(st *state.Store) error {
				before, after, err := st.Compact()
				if err == nil {
					fmt.Fprintf(a.stdout, "The state takes %s, before %s.\n", report.Size(after), report.Size(before))
				}
				return err
			})
		},
	}
}
