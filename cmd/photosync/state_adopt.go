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
that picture is the same: a photo that changed since the state was lost is not noticed.
Nor whose it is: policy.existing: respect_user and policy.removed: placeholder leave an
adopted picture alone, as one that the user chose, and --force replaces it only where
the policy lets it. People without a picture stay new.

It shows who that is and asks. Until then nothing is written, and nothing in Smartsheet
is ever changed.`,
		Example: "  photosync state adopt\n  photosync state adopt --yes",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.path != "" {
				return usage(errors.New("--state: adopt needs the configuration"))
			}
			return a.adopt(cmd.Context(), f, cmd.InOrStdin())
		},
	}
	f.addYes(cmd)
	return cmd
}

func (a *app) adopt(ctx context.Context, f *stateFlags, in io.Reader) error {
	if err := f.shards(a.env); err != nil {
		return usage(err)
	}
	file, err := config.Find(f.config, a.env)
	if err != nil {
		return usage(err)
	}
	c, err := a.load(file)
	if err != nil {
		return usage(err)
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
		return usage(err)
	}
	defer closeSources()
	path := shardPath(c.State.Path, f.part)
	found, err := a.adoptable(ctx, path, job.Options{
		RunID: newRunID(time.Now()), Version: versionText(), Sources: srcs, Smartsheet: client, Root: baseURL(c.Smartsheet),
		Photos: photoOptions(c.Image), Concurrency: c.Smartsheet.Concurrency, Excluded: c.Match.Excluded, Shard: f.part,
		AssumeUser: c.Smartsheet.AssumeUser, AlternateEmails: c.Match.AlternateEmails,
	})
	if err != nil {
		return err
	}
	if len(found.Records) == 0 {
		fmt.Fprintln(a.stdout, "Nobody to adopt: no one without an upload on record has a picture in Smartsheet.")
		return nil
	}
	a.printAdoptable(found.Records)
	if err := a.confirm(f, in, "Take the pictures of "+countPeople(len(found.Records))+" for uploaded?"); err != nil {
		return err
	}
	return a.adoptInto(path, found)
}

// adoptable reads the state, which may be missing and stays as it is.
func (a *app) adoptable(ctx context.Context, path string, o job.Options) (found *job.Adoption, err error) {
	if o.State, err = state.Open(path, state.Options{ReadOnly: true}); err != nil {
		return nil, err
	}
	found, err = job.Adoptable(ctx, o)
	return found, errors.Join(err, o.State.Close())
}

func (a *app) adoptInto(path string, found *job.Adoption) error {
	st, err := state.Open(path, state.Options{})
	if err != nil {
		return err
	}
	n, err := job.Adopt(st, found)
	if err := errors.Join(err, st.Close()); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "Adopted: %s. Those without a picture in Smartsheet stay new.\n", countPeople(n))
	return nil
}

func (a *app) printAdoptable(records []state.Record) {
	for i, r := range records {
		if i == maxListed {
			fmt.Fprintf(a.stdout, "  and %d more\n", len(records)-maxListed)
			break
		}
		fmt.Fprintf(plainWriter{a.stdout}, "  %s  %s: %s  image %s\n", r.Email, r.Source, r.Ref, r.ImageID)
	}
}
