package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"photosync/cmd/internal/config"
	"photosync/sources"
	"photosync/state"
	"photosync/sync/job"
	"photosync/sync/plan"
)

func (a *app) explain() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:   "explain EMAIL",
		Short: "Tell all about one person, and what the next run does and why",
		Long: `Tell all about one person: every candidate in every source, and which one wins and
why; the Smartsheet user; what the state remembers; what the next run does, and because
of which rule. Every source is listed to its end, and nothing is written.

It fails if nobody knows the address, and names the nearest ones.`,
		Example: "  photosync explain ann@example.com\n  photosync explain ann@example.com --output json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.output != "text" && f.output != "json" {
				return usage(fmt.Errorf("--output %q: want text or json", f.output))
			}
			x, err := a.explanation(cmd.Context(), f, args[0])
			if err != nil {
				return err
			}
			if !x.Known {
				a.code = exitFailed
			}
			if f.output == "json" {
				e := json.NewEncoder(a.stdout)
				e.SetIndent("", "  ")
				e.SetEscapeHTML(false)
				return e.Encode(x)
			}
			printExplanation(a.stdout, x)
			return nil
		},
	}
	cmd.Flags().StringVar(&f.config, "config", "", configUsage)
	cmd.Flags().StringVar(&f.output, "output", "text", "text or json")
	cmd.Flags().StringVar(&f.shard, "shard", "", "look into the state of part `I/N`, as sync --shard does")
	return cmd
}

func (a *app) explanation(ctx context.Context, f *runFlags, address string) (*job.Explanation, error) {
	email, err := sources.Email(address)
	if err != nil {
		return nil, usage(err)
	}
	file, err := config.Find(f.config, a.env)
	if err != nil {
		return nil, usage(err)
	}
	c, err := a.load(file)
	if err != nil {
		return nil, usage(err)
	}
	if err := f.shards(a.env); err != nil {
		return nil, usage(err)
	}
	local, domain, _ := strings.Cut(email, "@")
	for from, to := range c.Match.Domains {
		if strings.EqualFold(from, domain) {
			email = local + "@" + strings.ToLower(to)
		}
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	client, err := newClient(c.Smartsheet, nil, zerolog.Nop())
	if err != nil {
		return nil, err
	}
	defer client.Close()
	srcs, closeSources, err := openSources(c)
	if err != nil {
		return nil, usage(err)
	}
	defer closeSources()
	st, err := state.Open(shardPath(c.State.Path, f.part), state.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	x, err := job.Explain(ctx, job.Options{
		Version: versionText(), Sources: srcs, State: st, Smartsheet: client, Root: baseURL(c.Smartsheet), Photos: photoOptions(c.Image),
		Concurrency: 1, Excluded: c.Match.Excluded, Existing: plan.Policy(c.Policy.Existing), RemovedAfter: removedAfter(c.Policy), Shard: f.part,
		AlternateEmails: c.Match.AlternateEmails, AssumeUser: c.Smartsheet.AssumeUser,
	}, email)
	return x, errors.Join(err, st.Close())
}
