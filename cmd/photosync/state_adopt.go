package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"photosync/state"
	"photosync/sync/job"
)

func (a *app) stateAdopt(f *stateFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:  "adopt",
		Args: cobra.NoArgs,
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
	part, err := parseShard(f.shard, a.env)
	if err != nil {
		return usage(err)
	}
	_, c, err := a.load(f.config)
	if err != nil {
		return err
	}
	ctx, stop := stoppable(ctx)
	defer stop()
	found, err := reading(c, part, func(j job.Job) (*job.Adoption, error) { return job.Adoptable(ctx, j) })
	if err != nil {
		return err
	}
	if len(found.Users) == 0 {
		fmt.Fprintln(a.stdout, "Nobody to adopt: no one without an upload on record has a picture in Smartsheet.")
		return nil
	}
	a.out().Adoptable(found.Users)
	if err := a.confirm(f, in, "Take the pictures of "+people(len(found.Users))+" for uploaded?"); err != nil {
		return err
	}
	st, err := state.Open(shardPath(c.State.Path, part), state.Options{})
	if err != nil {
		return err
	}
	n, err := job.Adopt(st, found)
	if err := errors.Join(err, st.Close()); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "Adopted: %s. Those without a picture in Smartsheet stay new.\n", people(n))
	return nil
}
