package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"photosync/cmd/internal/config"
	"photosync/sync/smartsheet"
)

func (a *app) oauth() *cobra.Command {
	var file, redirect string
	var replace bool
	login := &cobra.Command{Use: "login", RunE: func(cmd *cobra.Command, _ []string) error {
		return a.login(cmd.Context(), file, redirect, replace)
	}}
	addConfig(login.Flags(), &file)
	login.Flags().StringVar(&redirect, "redirect", "http://localhost:8910/callback", "redirect `URL` of the app, on this machine")
	login.Flags().BoolVar(&replace, "replace", false, "replace an existing refresh token")
	cmd := &cobra.Command{Use: "oauth"}
	cmd.AddCommand(login)
	return cmd
}

func (a *app) login(ctx context.Context, file, redirect string, replace bool) error {
	c, err := config.LoadSection(file, "smartsheet", a.env)
	if err != nil {
		return usage(err)
	}
	s := c.Smartsheet
	ctx, stop := stoppable(ctx)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, 15*time.Minute, errors.New("nobody allowed it within 15 minutes"))
	defer cancel()
	err = smartsheet.Login{
		BaseURL: baseURL(s), OAuth2: *oauth2Options(s.OAuth2), Transport: smartsheet.NewTransport(s.CAs), Timeout: time.Duration(s.Timeout),
		Redirect: redirect, Replace: replace, Pasted: pasted(),
		Show: func(page string) {
			fmt.Fprintf(a.stdout, `Open this page in a browser, as a system admin of Smartsheet, and allow the app:

  %s

photosync waits at %s, which must be the app's redirect URL. If the browser is on
another machine, paste here the whole address to which it is redirected.
`, page, redirect)
		},
	}.Run(ctx)
	if err != nil {
		return err
	}
	a.same = map[string]string{"config": c.File}
	fmt.Fprintf(a.stdout, "The refresh token is in %s. Next:\n  %s\n", s.OAuth2.RefreshTokenFile, a.completed("photosync check"))
	return nil
}

// pasted returns the lines that a person types; nil if stdin is not a terminal.
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
