package main

import (
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"photosync/sources"
	"photosync/sync/job"
	"photosync/sync/report"
)

func (a *app) explain() *cobra.Command {
	var file, shard string
	cmd := &cobra.Command{Use: "explain EMAIL", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		s, err := a.load(file, shard)
		if err != nil {
			return err
		}
		email, err := sources.Email(args[0])
		if err != nil {
			return usage(err)
		}
		email = sources.Named{Rewrite: s.Match.Domains}.Rewriter()([]string{email})[0]
		ctx, stop := stoppable(cmd.Context())
		defer stop()
		return withJob(s, func(j job.Job) error {
			j.How.Concurrency = 1
			x, err := job.Explain(ctx, j, email)
			switch {
			case err != nil:
				return err
			case !x.Known:
				a.code = exitFailed
			}
			if a.output == "json" {
				return indented(a.stdout, x)
			}
			a.out().Explanation(x)
			return nil
		})
	}}
	addConfig(cmd.Flags(), &file)
	a.addOutput(cmd)
	cmd.Flags().StringVar(&shard, "shard", "", "look into the state of part `I/N`, as sync --shard does")
	return cmd
}

// indented writes v as JSON for people.
func indented(w io.Writer, v any) error {
	return json.MarshalEncode(jsontext.NewEncoder(w, report.JSON, jsontext.EscapeForHTML(false), jsontext.WithIndent("  ")), v, report.JSON)
}
