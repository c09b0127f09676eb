package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"photosync/cmd/internal/config"
	"photosync/cmd/internal/console"
	"photosync/sources"
	"photosync/state"
	"photosync/sync/match"
	"photosync/sync/outcome"
	"photosync/sync/report"
)

// stateCommand is a command below state, with the flags of all of them. path is the state's; empty:
// the configuration has it.
type stateCommand struct {
	*app
	config, shard, path, outFile, reports string
	yes, replace, failed, missing         bool
	shards                                int // to import
}

func (a *app) state() *cobra.Command {
	s := &stateCommand{app: a}
	all := &cobra.Command{Use: "state"}
	fs := all.PersistentFlags()
	addConfig(fs, &s.config)
	fs.StringVar(&s.path, "state", "", "the state `FILE` itself; no configuration is read")
	fs.StringVar(&s.shard, "shard", "", "the state of part `I/N`, as sync --shard has it")
	add := func(use string, args cobra.PositionalArgs, run func(*cobra.Command, []string) error) *cobra.Command {
		cmd := &cobra.Command{Use: use, Args: args, RunE: run}
		all.AddCommand(cmd)
		return cmd
	}
	list := add("list [EMAIL|GLOB]…", cobra.ArbitraryArgs, s.list)
	list.Flags().BoolVar(&s.failed, "failed", false, "only those whose last attempt failed")
	list.Flags().BoolVar(&s.missing, "missing", false, "only those without a photo in the last complete runs")
	show := add("show EMAIL", cobra.ExactArgs(1), s.show)
	a.addOutput(list)
	a.addOutput(show)
	forget := add("forget EMAIL|GLOB…", cobra.MinimumNArgs(1), s.forget)
	export := add("export", cobra.NoArgs, s.export)
	export.Flags().StringVarP(&s.outFile, "out", "o", "", "write to `FILE` instead of stdout")
	imports := add("import FILE...", cobra.ArbitraryArgs, s.imports)
	imports.Flags().BoolVar(&s.replace, "replace", false, "replace a state that was in use")
	imports.Flags().IntVar(&s.shards, "shards", 0, "make one state of those of all `N` shards")
	add("compact", cobra.NoArgs, s.compact)
	restore := add("restore", cobra.NoArgs, s.restore)
	restore.Flags().StringVar(&s.reports, "reports", "", "`FOLDER` with the reports of the runs (default: report.dir)")
	for _, cmd := range []*cobra.Command{forget, restore, add("adopt", cobra.NoArgs, s.adopt)} {
		cmd.Flags().BoolVar(&s.yes, "yes", false, "do it without asking")
	}
	return all
}

// file returns the path of the state. Its errors are usage errors.
func (s *stateCommand) file() (string, error) {
	part, err := parseShard(s.shard, s.env)
	s.same = map[string]string{"config": cmp.Or(s.config, s.env("PHOTOSYNC_CONFIG")), "shard": part.String(), "state": s.path}
	if err != nil || s.path != "" {
		return shardPath(s.path, part), err
	}
	c, err := config.LoadSection(s.config, "state", s.env)
	if err != nil {
		return "", usage(err)
	}
	return shardPath(c.State.Path, part), nil
}

// with opens the state, which must exist, and calls do. Rows that do does not read are not checked.
func (s *stateCommand) with(readOnly bool, do func(*state.Store) error) error {
	file, err := s.file()
	if err != nil {
		return err
	}
	return withState(file, state.Options{ReadOnly: readOnly, Existing: true, Partial: true}, do)
}

func withState(file string, o state.Options, do func(*state.Store) error) error {
	st, err := state.Open(file, o)
	if err != nil {
		return err
	}
	return errors.Join(do(st), st.Close())
}

// confirm asks a question, and returns an error unless the answer is yes.
func (s *stateCommand) confirm(cmd *cobra.Command, question string) error {
	if s.yes || console.New(s.stderr, s.env).Confirm(cmd.InOrStdin(), question) {
		return nil
	}
	return outcome.WithHint(errors.New("not confirmed: nothing was changed"), "answer yes, or add --yes where nobody can answer")
}

// list writes a line for each person who matches a pattern; without patterns, for everybody.
func (s *stateCommand) list(_ *cobra.Command, globs []string) error {
	asked, err := patterns(globs)
	if err != nil {
		return usage(err)
	}
	selected := config.Globs(asked)
	return s.with(true, func(st *state.Store) error {
		out := bufio.NewWriter(s.stdout)
		c, lines, listed := console.New(out, s.env), json.NewEncoder(out), 0
		lines.SetEscapeHTML(false)
		err := everyRecord(st, func(r *console.Record) error {
			u := r.Put()
			if s.failed && u.Failure == nil || s.missing && u.Missing == 0 || selected != nil && !selected(r.Email) {
				return nil
			}
			if listed++; s.output == "json" {
				return lines.Encode(r)
			}
			c.Remembered(r)
			return nil
		})
		if err != nil {
			return fmt.Errorf("list state: %w", err)
		}
		if s.output != "json" {
			fmt.Fprintln(out, report.People(listed))
		}
		return out.Flush()
	})
}

// everyRecord calls each for every person, and then for every user without one.
func everyRecord(st *state.Store, each func(*console.Record) error) error {
	return st.View(func(v *state.Snapshot) error {
		shown := map[int64]bool{}
		for p, err := range v.Whole() {
			if err != nil {
				return err
			}
			r, err := recordOf(&p, v.User)
			if err == nil {
				shown[r.Put().ID] = true
				err = each(r)
			}
			if err != nil {
				return err
			}
		}
		for u, err := range v.Users() {
			if err == nil && !shown[u.ID] {
				err = each(&console.Record{Email: u.Email, UserID: u.ID, User: &u})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// recordOf returns the record of a person, with the user who the person was.
func recordOf(p *state.Person, user func(int64) (state.User, bool, error)) (*console.Record, error) {
	r := &console.Record{Email: p.Email, UserID: p.UserID, Person: p}
	u, found, err := user(p.UserID)
	if found {
		r.User = &u
	}
	return r, err
}

// records returns the records of all people and users who have, or had, one of the addresses, or an
// address that a pattern matches.
func records(st *state.Store, emails ...string) (map[string][]*console.Record, error) {
	all := map[string][]*console.Record{}
	err := everyRecord(st, func(r *console.Record) error {
		u := r.Put()
		for _, e := range emails {
			same := func(address string) bool {
				return address == e || address != "" && strings.ContainsAny(e, wildcards) && config.Glob(e, address)
			}
			if same(r.Email) || same(u.Email) || u.Sent != nil && same(u.Sent.Email) || u.Intent != nil && same(u.Intent.Email) {
				all[e] = append(all[e], r)
			}
		}
		return nil
	})
	return all, err
}

func notRemembered(emails ...string) error {
	return outcome.WithHint(errors.New("nothing is remembered of "+strings.Join(emails, ", ")),
		"photosync state list shows everyone; a person is remembered by their first address")
}

func (s *stateCommand) show(_ *cobra.Command, args []string) error {
	email, err := sources.Email(args[0])
	if err != nil {
		return usage(err)
	}
	return s.with(true, func(st *state.Store) error {
		r, err := recordUnder(st, email)
		if err != nil {
			return err
		}
		if s.output == "json" {
			return indented(s.stdout, r)
		}
		s.out().RememberedWhole(r)
		return nil
	})
}

// recordUnder returns the record of an address, or else of the first person or user who had it.
func recordUnder(st *state.Store, email string) (*console.Record, error) {
	p, found, err := st.Person(email)
	if err != nil {
		return nil, err
	}
	if found {
		return recordOf(&p, st.User)
	}
	all, err := records(st, email)
	if len(all) == 0 {
		return nil, cmp.Or(err, notRemembered(email))
	}
	return all[email][0], err
}

// remembered returns the people and users that are remembered under addresses or patterns. It is an error
// if nothing is remembered of one of them, not even an alternate address.
func remembered(st *state.Store, asked []string) (all state.Change, err error) {
	found, err := records(st, asked...)
	var unknown []string
	for _, e := range asked {
		for _, r := range found[e] {
			all.ForgetPeople = append(all.ForgetPeople, r.Email)
			all.ForgetUsers = append(all.ForgetUsers, r.Put().ID)
		}
		alternate, aerr := match.ForgetAlternates(st, false, e)
		err = cmp.Or(err, aerr)
		if len(found[e]) == 0 && !alternate {
			unknown = append(unknown, e)
		}
	}
	if err == nil && len(unknown) > 0 {
		err = notRemembered(unknown...)
	}
	return all, err
}

func (s *stateCommand) forget(cmd *cobra.Command, args []string) error {
	asked, err := patterns(args)
	if err != nil {
		return usage(err)
	}
	return s.with(false, func(st *state.Store) error {
		gone, err := remembered(st, asked)
		if err != nil {
			return err
		}
		people := report.People(max(len(asked), len(gone.ForgetPeople)))
		if err := s.confirm(cmd, "Forget "+people+": "+strings.Join(asked, ", ")+"?"); err != nil {
			return err
		}
		if _, err = match.ForgetAlternates(st, true, slices.Concat(asked, gone.ForgetPeople)...); err == nil {
			err = st.Write(gone)
		}
		if err == nil {
			fmt.Fprintf(s.stdout, "Forgotten: %s. The next run treats them as new.\n", people)
		}
		return err
	})
}
