package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"photosync/cmd/internal/config"
	"photosync/cmd/internal/console"
	"photosync/sources"
	"photosync/state"
	"photosync/sync/match"
	"photosync/sync/report"
)

// stateFlags are the flags of the commands below state.
type stateFlags struct {
	config, shard   string
	output          string
	path            string // of the state; empty: as the configuration says
	yes, replace    bool
	failed, missing bool
	outFile         string
	count           int // of the shards to import
}

func (a *app) state() *cobra.Command {
	f := &stateFlags{}
	cmd := &cobra.Command{
		Use:  "state",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	fs := cmd.PersistentFlags()
	addConfig(fs, &f.config)
	fs.StringVar(&f.path, "state", "", "the state `FILE` itself; no configuration is read")
	fs.StringVar(&f.shard, "shard", "", "the state of part `I/N`, as sync --shard has it")
	cmd.AddCommand(a.stateList(f), a.stateShow(f), a.stateForget(f), a.stateExport(f), a.stateImport(f), a.stateCompact(f), a.stateRestore(f), a.stateAdopt(f))
	return cmd
}

// with opens the state and calls do.
func (a *app) with(f *stateFlags, o state.Options, do func(*state.Store) error) error {
	file, err := f.statePath(a)
	if err != nil {
		return usage(err)
	}
	st, err := openExisting(file, o)
	if err != nil {
		return err
	}
	return errors.Join(do(st), st.Close())
}

// openExisting opens a state and begins none.
func openExisting(file string, o state.Options) (*state.Store, error) {
	if _, err := os.Lstat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, state.Inaccessible(file, err)
	}
	return state.Open(file, o)
}

func (f *stateFlags) statePath(a *app) (string, error) {
	part, err := parseShard(f.shard, a.env)
	if err != nil {
		return "", err
	}
	if f.path != "" {
		return shardPath(f.path, part), nil
	}
	file, err := config.Find(f.config, a.env)
	if err != nil {
		return "", err
	}
	path, err := config.LoadState(file)
	if err != nil {
		return "", err
	}
	return shardPath(path, part), nil
}

func (a *app) stateList(f *stateFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:  "list [EMAIL|GLOB]…",
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, globs []string) error {
			asked, err := patterns(globs)
			if err != nil {
				return usage(err)
			}
			return a.with(f, state.Options{ReadOnly: true}, func(st *state.Store) error { return a.listState(st, f, asked) })
		},
	}
	cmd.Flags().BoolVar(&f.failed, "failed", false, "only those whose last attempt failed")
	cmd.Flags().BoolVar(&f.missing, "missing", false, "only those without a photo in the last complete runs")
	addOutput(cmd, &f.output)
	return cmd
}

// listState writes a line for each person asked for: all of them without patterns.
func (a *app) listState(st *state.Store, f *stateFlags, asked []string) error {
	out := bufio.NewWriter(a.stdout)
	c, lines, listed := console.New(out, a.env), json.NewEncoder(out), 0
	lines.SetEscapeHTML(false)
	err := everyRecord(st, func(r *console.Record) error {
		matches := func(g string) bool { return config.Glob(g, r.Email) }
		if f.failed && r.Failed() == nil || f.missing && r.Missing() == 0 || len(asked) > 0 && !slices.ContainsFunc(asked, matches) {
			return nil
		}
		if listed++; f.output == "text" {
			c.Remembered(r)
			return nil
		}
		return lines.Encode(r)
	})
	if err != nil {
		return fmt.Errorf("list state: %w", err)
	}
	if f.output == "text" {
		fmt.Fprintln(out, people(listed))
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("list state: %w", err)
	}
	return nil
}

// everyRecord calls each for every person that is remembered, with what we put on the
// user, and then for every user of whom no person is remembered.
func everyRecord(st *state.Store, each func(*console.Record) error) error {
	return st.View(func(v *state.Snapshot) error {
		shown := map[int64]bool{}
		for row, err := range v.People() {
			if err != nil {
				return err
			}
			p, err := row.Person()
			if err != nil {
				return err
			}
			r := &console.Record{Email: p.Email, UserID: p.UserID, Person: &p}
			if u, found, err := v.User(p.UserID); err != nil {
				return err
			} else if found {
				r.User, shown[u.ID] = &u, true
			}
			if err := each(r); err != nil {
				return err
			}
		}
		for u, err := range v.Users() {
			if err != nil {
				return err
			}
			if !shown[u.ID] {
				if err := each(&console.Record{Email: u.Email, UserID: u.ID, User: &u}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// record is what the state remembers of an address; false: nothing.
func record(st *state.Store, email string) (r console.Record, found bool, err error) {
	err = everyRecord(st, func(x *console.Record) error {
		if x.Email == email || x.User != nil && x.User.Email == email && !found {
			r, found = *x, true
		}
		return nil
	})
	return r, found, err
}

func people(n int) string { return report.Count(n, "person", "people") }

func (a *app) stateShow(f *stateFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:  "show EMAIL",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			emails, err := canonical(args)
			if err != nil {
				return usage(err)
			}
			return a.with(f, state.Options{ReadOnly: true}, func(st *state.Store) error {
				r, found, err := record(st, emails[0])
				if err != nil {
					return err
				}
				if !found {
					return notRemembered(emails)
				}
				if f.output == "json" {
					return indented(a.stdout, &r)
				}
				a.out().RememberedWhole(&r)
				return nil
			})
		},
	}
	addOutput(cmd, &f.output)
	return cmd
}

func canonical(addresses []string) ([]string, error) {
	var emails []string
	for _, s := range addresses {
		e, err := sources.Email(s)
		if err != nil {
			return nil, err
		}
		emails = append(emails, e)
	}
	return emails, nil
}

// notRemembered is about people of whom the state knows nothing.
func notRemembered(emails []string) error {
	return hinted{errors.New("nothing is remembered of " + strings.Join(emails, ", ")),
		"photosync state list shows everyone; a person is remembered by their first address"}
}

func (a *app) stateForget(f *stateFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:  "forget EMAIL…",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			emails, err := canonical(args)
			if err != nil {
				return usage(err)
			}
			return a.with(f, state.Options{}, func(st *state.Store) error { return a.forget(st, f, cmd.InOrStdin(), emails) })
		},
	}
	f.addYes(cmd)
	return cmd
}

func (f *stateFlags) addYes(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do it without asking")
}

func (a *app) forget(st *state.Store, f *stateFlags, in io.Reader, emails []string) error {
	var unknown []string
	var gone state.Change
	for _, e := range emails {
		r, found, err := record(st, e)
		if found {
			gone.ForgetPeople = append(gone.ForgetPeople, r.Email)
			if r.User != nil {
				gone.ForgetUsers = append(gone.ForgetUsers, r.User.ID)
			}
		} else if err == nil {
			found, err = match.ForgetAlternates(st, false, e)
		}
		if err != nil {
			return err
		}
		if !found {
			unknown = append(unknown, e)
		}
	}
	if len(unknown) > 0 {
		return notRemembered(unknown)
	}
	if err := a.confirm(f, in, "Forget "+strings.Join(emails, ", ")+"?"); err != nil {
		return err
	}
	if _, err := match.ForgetAlternates(st, true, emails...); err != nil {
		return err
	}
	if err := st.Write(gone); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "Forgotten: %s. The next run takes them for new.\n", people(len(emails)))
	return nil
}

// confirm asks a question that only yes lets pass.
func (a *app) confirm(f *stateFlags, in io.Reader, question string) error {
	if f.yes || console.New(a.stderr, a.env).Confirm(in, question) {
		return nil
	}
	return hinted{errors.New("not confirmed: nothing was changed"), "answer yes, or add --yes where nobody can answer"}
}
