package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"photosync/cmd/internal/config"
	"photosync/state"
	"photosync/sync/job"
)

func (a *app) stateAdopt(f *stateFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "adopt",
		Short: "After the state was lost: take the pictures in Smartsheet for those of today",
		Long: `After the state was lost: record today's photos as already uploaded for people who have
a picture in Smartsheet, so that they are not uploaded again. Nobody can tell whether
that picture is the same: a photo that changed since the state was lost, and a picture
that a user chose, count as uploaded, too. People without a picture stay new.

It shows who that is and asks; nothing in Smartsheet is changed.`,
		Example: "  photosync state adopt\n  photosync state adopt --yes",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.path != "" {
				return errors.New("--state: adopt needs the configuration")
			}
			if err := a.adopt(cmd.Context(), f, cmd.InOrStdin()); err != nil {
				return workError{err}
			}
			return nil
		},
	}
	f.addYes(cmd)
	return cmd
}

func (a *app) adopt(ctx context.Context, f *stateFlags, in io.Reader) error {
	if err := f.shards(a.env); err != nil {
		return usageError{err}
	}
	file, err := config.Find(f.config, a.env)
	if err != nil {
		return usageError{err}
	}
	c, err := config.Load(file, a.env)
	if err != nil {
		return usageError{err}
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	client, err := newClient(c.Smartsheet, nil, zerolog.Nop())
	if err != nil {
		return err
	}
	defer client.Close()
	srcs, closeSources, err := openSources(c)
	if err != nil {
		return usageError{err}
	}
	defer closeSources()
	st, err := state.Open(shardPath(c.State.Path, f.part), state.Options{})
	if err != nil {
		return err
	}
	err = job.Adopt(ctx, job.Options{
		RunID: newRunID(time.Now()), Version: versionText(), Sources: srcs, State: st, Smartsheet: client, Root: baseURL(c.Smartsheet),
		Photos: photoOptions(c.Image), Concurrency: c.Smartsheet.Concurrency, Excluded: c.Match.Excluded, Shard: f.part,
		AlternateEmails: c.Match.AlternateEmails,
	}, func(records []state.Record) error { return a.confirmAdoption(f, in, records) })
	return errors.Join(err, st.Close())
}

func (a *app) confirmAdoption(f *stateFlags, in io.Reader, records []state.Record) error {
	for i, r := range records {
		if i == maxListed {
			fmt.Fprintf(a.stdout, "  and %d more\n", len(records)-maxListed)
			break
		}
		fmt.Fprintf(plainWriter{a.stdout}, "  %s  %s: %s  image %s\n", r.Email, r.Source, r.Ref, r.ImageID)
	}
	if len(records) == 0 {
		fmt.Fprintln(a.stdout, "Nobody to adopt.")
		return nil
	}
	if err := a.confirm(f, in, "Take the pictures of "+countPeople(len(records))+" for uploaded?"); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "Adopting %s; those without a picture in Smartsheet stay new.\n", countPeople(len(records)))
	return nil
}
