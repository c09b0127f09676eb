package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"photosync/state"
	"photosync/sync/job"
	"photosync/sync/outcome"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/safefile"
)

func (s *stateCommand) export(*cobra.Command, []string) error {
	return s.with(true, func(st *state.Store) error {
		if err := s.writeTo(s.outFile, 0o600, st.Export); err != nil {
			hint := cmp.Or(outcome.Hint(err), "the state is as it was: name a file with -o on a disk that is writable and has room")
			return outcome.WithHint(fmt.Errorf("export state: %w", err), hint)
		}
		return nil
	})
}

// checkReplaceable returns an error if the folder of the file of -o is missing, or if the file begins otherwise
// than what is to be written: it may be the configuration, a token or a photo. begin nil: only the folder is checked.
func checkReplaceable(file string, begin []byte) error {
	fi, err := os.Lstat(file)
	if _, missing := os.Stat(filepath.Dir(file)); errors.Is(missing, fs.ErrNotExist) { // it may be misspelt
		return usage(fmt.Errorf("-o %s: there is no folder %s: make it first, or name another file", file, filepath.Dir(file)))
	}
	if err != nil || begin == nil || !fi.Mode().IsRegular() || fi.Size() == 0 {
		return nil // writing reports other errors
	}
	kind := func(b []byte) string { // digits and the mode of a run aside
		text := regexp.MustCompile(`[0-9]|^(sync|plan|apply) of`).ReplaceAllString(string(b[:min(len(b), 64)]), "0")
		return text[:min(len(text), 34)]
	}
	if old, err := safefile.Read(file); err != nil || kind(old) != kind(begin) {
		return usage(fmt.Errorf("-o %s: this file holds something else, which would be lost: name another file, or delete this one first", file))
	}
	return nil
}

// writeTo calls write for the file of -o (see safefile.Replace), or else for stdout.
func (a *app) writeTo(file string, mode fs.FileMode, write func(io.Writer) error) error {
	if file == "" || file == "-" {
		return write(a.stdout)
	}
	if err := checkReplaceable(file, nil); err != nil {
		return err
	}
	return safefile.Replace(file, mode, func(w io.Writer) error {
		err := write(w)
		begin := make([]byte, 64)
		n, _ := w.(io.ReaderAt).ReadAt(begin, 0) // it may be shorter
		return cmp.Or(err, checkReplaceable(file, begin[:n]))
	})
}

func (s *stateCommand) imports(cmd *cobra.Command, files []string) error {
	switch {
	case s.shards > 0 && (len(files) > 0 || s.shard != ""):
		return usage(errors.New("--shards takes neither files nor --shard"))
	case s.shards < 0, s.shards == 0 && len(files) == 0:
		return usage(errors.New("want the file of an export, - for stdin, or --shards N"))
	}
	n, err := s.importAll(files, cmd.InOrStdin())
	if err != nil {
		return fmt.Errorf("import state: %w", err)
	}
	fmt.Fprintf(s.stdout, "Imported: %s.\n", report.People(n))
	return nil
}

// importAll imports files, or the states of the shards.
func (s *stateCommand) importAll(files []string, stdin io.Reader) (int, error) {
	path, err := s.file()
	if err != nil {
		return 0, err
	}
	var all []io.Reader
	for _, name := range files {
		if name == "-" {
			all = append(all, stdin)
			continue
		}
		file, err := os.Open(name)
		if err != nil {
			return 0, err
		}
		defer file.Close()
		all = append(all, file)
	}
	for i := range s.shards {
		st, err := state.Open(shardPath(path, plan.Shard{Index: i, Count: s.shards}), state.Options{ReadOnly: true, Existing: true})
		if err != nil {
			return 0, err
		}
		defer st.Close()
		r, w := io.Pipe()
		defer r.Close() // makes writing fail, which ends the export
		go func() { w.CloseWithError(st.Export(w)) }()
		all = append(all, r)
	}
	return state.Import(path, io.MultiReader(all...), s.replace)
}

func (s *stateCommand) compact(*cobra.Command, []string) error {
	return s.with(false, func(st *state.Store) error {
		before, after, err := st.Compact()
		if err == nil {
			fmt.Fprintf(s.stdout, "The state takes %s, before %s.\n", report.Size(after), report.Size(before))
		}
		return err
	})
}

func (s *stateCommand) restore(cmd *cobra.Command, _ []string) error {
	path, err := s.file()
	if err != nil {
		return err
	}
	if s.reports == "" && s.path == "" {
		c, err := s.load(s.config, "")
		if err != nil {
			return err
		}
		s.reports = c.Report.Dir
	}
	if err := s.confirm(cmd, "Replace "+path+" with its backup?"); err != nil {
		return err
	}
	aside, err := state.Restore(path)
	if err != nil {
		return err
	}
	return withState(path, state.Options{}, func(st *state.Store) error {
		reports := s.reportsIn(s.reports)
		n, err := job.Replay(st, reports)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.stdout, "Restored from the backup, with %s added from %s.\n", report.Count(n, "upload", "uploads"), report.Count(len(reports), "report", "reports"))
		if aside != "" {
			fmt.Fprintf(s.stdout, "The damaged state is kept as %s.\n", aside)
		}
		return nil
	})
}

// reportsIn reads the reports of runs in a folder. It leaves out reports that cannot be read.
func (a *app) reportsIn(folder string) (all []*report.Report) {
	if folder == "" { // the pattern would be of the working directory
		return nil
	}
	files, _ := filepath.Glob(filepath.Join(folder, "*.json")) // the pattern is well-formed
	for _, file := range files {
		if name := filepath.Base(file); strings.HasPrefix(name, "latest") || strings.HasSuffix(name, ".plan.json") {
			continue
		}
		if r, err := report.Read(file); err == nil {
			all = append(all, r)
		} else {
			fmt.Fprintf(a.stderr, "left out: %v\n", err)
		}
	}
	return all
}

func (s *stateCommand) adopt(cmd *cobra.Command, _ []string) error {
	if s.path != "" {
		return usage(errors.New("--state: adopt needs the configuration"))
	}
	c, err := s.load(s.config, s.shard)
	if err != nil {
		return err
	}
	ctx, stop := stoppable(cmd.Context())
	defer stop()
	var found *job.Adoption
	err = withJob(c, func(j job.Job) (err error) { found, err = job.Adoptable(ctx, j); return err })
	if err != nil {
		return err
	}
	if len(found.Users) == 0 {
		fmt.Fprintln(s.stdout, "Nobody to adopt: for everybody with a picture in Smartsheet, the state has an upload already.")
		return nil
	}
	s.out().Adoptable(found.Users)
	if err := s.confirm(cmd, "Record the pictures of "+report.People(len(found.Users))+" as uploaded?"); err != nil {
		return err
	}
	return withState(c.State.Path, state.Options{}, func(st *state.Store) error {
		n, err := job.Adopt(st, found)
		if err == nil {
			fmt.Fprintf(s.stdout, "Adopted: %s. Those without a picture in Smartsheet stay new.\n", report.People(n))
		}
		return err
	})
}
