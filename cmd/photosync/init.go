package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"photosync/cmd/internal/config"
	"photosync/sync/foreign"
	"photosync/sync/outcome"
	"photosync/sync/safefile"
	"photosync/sync/smartsheet"
)

func (a *app) init() *cobra.Command {
	text, mark := config.Example(), "example"
	cmd := &cobra.Command{Use: "init [FILE]", Args: cobra.MaximumNArgs(1), RunE: func(_ *cobra.Command, args []string) error {
		file := append(args, "config.yaml")[0]
		if file == "-" {
			return a.print(text)
		}
		if err := writeNew(file, text, `name another file, or print the example with "photosync init -"`); err != nil {
			return fmt.Errorf("write configuration: %w", err)
		}
		fmt.Fprintf(a.stdout, `Wrote %s. Next:
  edit it: what is marked "%s" is yours to fill in
  photosync config schema > photosync.schema.json   # beside it, for editors
  photosync check --config %[1]s
`, file, mark)
		return nil
	}}
	for kind, usage := range map[string]string{
		"ad": "a short one for Active Directory", "openldap": "a short one for OpenLDAP and other directories", "folder": "a short one for a folder of photos",
	} {
		cmd.Flags().BoolFunc(kind, usage, func(string) (err error) {
			text, err = config.Start(kind)
			mark = "change"
			return err
		})
	}
	cmd.MarkFlagsMutuallyExclusive("ad", "openldap", "folder")
	return cmd
}

func (a *app) config() *cobra.Command {
	cmd := &cobra.Command{Use: "config"}
	cmd.AddCommand(&cobra.Command{Use: "schema", RunE: func(*cobra.Command, []string) error { return a.print(config.Schema()) }})
	return cmd
}

func (a *app) print(b []byte) error {
	_, err := a.stdout.Write(b)
	return err
}

// writeNew writes a file that is not there yet, whole or not at all; hint is for one that
// is.
func writeNew(file string, data []byte, hint string) error {
	f, err := safefile.New(file)
	if err != nil {
		return fmt.Errorf("open %s: %w", file, foreign.WithoutPath(err)) // not that of half a file
	}
	defer f.Discard()
	if _, err = f.Write(data); err == nil {
		err = f.Keep(false)
	}
	if errors.Is(err, fs.ErrExist) {
		return outcome.WithHint(fmt.Errorf("%q is already there", file), hint)
	}
	return err
}

func (a *app) oauth() *cobra.Command {
	var file, redirect string
	var replace bool
	login := &cobra.Command{Use: "login", RunE: func(cmd *cobra.Command, _ []string) error {
		return a.login(cmd.Context(), file, redirect, replace)
	}}
	addConfig(login.Flags(), &file)
	login.Flags().StringVar(&redirect, "redirect", "http://localhost:8910/callback", "redirect `URL` of the app, on this machine")
	login.Flags().BoolVar(&replace, "replace", false, "a refresh token that is already there is replaced")
	cmd := &cobra.Command{Use: "oauth"}
	cmd.AddCommand(login)
	return cmd
}

func (a *app) login(ctx context.Context, file, redirect string, replace bool) error {
	file, err := config.Find(file, a.env)
	if err != nil {
		return usage(err)
	}
	c, err := config.LoadSection(file, "smartsheet", a.env)
	if err != nil {
		return usage(err)
	}
	s := c.Smartsheet
	transport, err := smartsheet.NewTransport(s.CAFile)
	if err != nil {
		return usage(err)
	}
	ctx, stop := stoppable(ctx)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, 15*time.Minute, errors.New("nobody allowed it within 15 minutes"))
	defer cancel()
	err = smartsheet.Login{
		BaseURL: baseURL(s), OAuth2: *oauth2Options(s.OAuth2), Transport: transport, Timeout: time.Duration(s.Timeout),
		Redirect: redirect, Replace: replace, Pasted: pasted(),
		Show: func(page string) {
			fmt.Fprintf(a.stdout, `Open this page in a browser, as a system admin of Smartsheet, and allow the app:

  %s

photosync waits at %s, which must be the app's redirect URL. Where the browser is on
another machine, paste the whole address that it ends at here.
`, page, redirect)
		},
	}.Run(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "The refresh token is in %s. Next:\n  photosync check --config %s\n", s.OAuth2.RefreshTokenFile, file)
	return nil
}

// pasted returns the lines that a person types; nil if stdin is no terminal.
func pasted() <-chan string {
	if fi, err := os.Stdin.Stat(); err != nil || fi.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	lines := make(chan string)
	go func() { // ends with the process
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			if strings.TrimSpace(in.Text()) != "" {
				lines <- in.Text()
			}
		}
	}()
	return lines
}
