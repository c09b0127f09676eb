package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"photosync/sources"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

type simulateFlags struct {
	simulator.Options
	listen, userList, from, oauthFolder, script string
	tokenTTL                                    time.Duration
	faults, quirks                              []string
}

func (a *app) simulate() *cobra.Command {
	f := &simulateFlags{}
	cmd := &cobra.Command{Use: "simulate", RunE: func(cmd *cobra.Command, _ []string) error {
		return a.runSimulator(cmd.Context(), f)
	}}
	fs := cmd.Flags()
	fs.StringVar(&f.listen, "listen", "127.0.0.1:8080", "`HOST:PORT` to listen on; port 0: any free one")
	fs.StringVar(&f.userList, "users", "100", "how many users there are, or a `FILE` with lines of email,name,status,id,alternate emails (with a ?: not confirmed)")
	fs.StringVar(&f.from, "from", "", "take the users from the sources of the configuration `FILE`: a rehearsal with real names")
	fs.Int64Var(&f.FirstUserID, "first-user-id", simulator.FirstUserID, "id of the first user; the others follow")
	fs.StringVar(&f.Token, "token", "", "the only token that is accepted (default: a random one)")
	fs.StringVar(&f.oauthFolder, "oauth", "", "`FOLDER` for a client secret and a refresh token: accept tokens from POST /token, not --token")
	fs.DurationVar(&f.tokenTTL, "token-ttl", 0, "time after which a token of --oauth expires (default: 7 days)")
	fs.IntVar(&f.RequestsPerMinute, "rpm", 300, "requests a minute that a token may make; 0: any number")
	fs.IntVar(&f.UploadWeight, "upload-weight", 1, "requests that an upload counts as")
	fs.IntVar(&f.Others, "others", 0, "requests a minute that other clients make with the token")
	oneOf(cmd, &f.RetryAfter, "retry-after", "how a 429 answer says when to try again: `seconds` or date (default: not at all)", "seconds", "date")
	fs.StringArrayVar(&f.faults, "fault", nil, "`FAULT` to provoke; may be given several times")
	fs.StringVar(&f.script, "script", "", "`FILE` with changes to users while it runs")
	fs.StringArrayVar(&f.quirks, "quirk", nil, "`QUIRK` of the answers; may be given several times")
	cmd.MarkFlagsMutuallyExclusive("oauth", "token")
	cmd.MarkFlagsMutuallyExclusive("from", "users")
	return cmd
}

func (a *app) runSimulator(ctx context.Context, f *simulateFlags) (err error) {
	if f.from != "" {
		f.Users, err = a.usersFromSources(ctx, f.from)
	} else {
		f.Users, err = f.listed()
	}
	if err != nil {
		return err
	}
	s, err := f.server()
	if err != nil {
		return usage(err)
	}
	// Before the configuration is printed: a script that reads it may stop the simulator at once.
	ctx, stop := stoppable(ctx)
	defer stop()
	l, err := s.Listen(f.listen)
	if err != nil {
		return err
	}
	defer l.Close()
	lines, err := f.configuration(l)
	if err != nil {
		return err
	}
	var names []string
	for _, u := range f.Users {
		names = append(names, u.Email)
	}
	fmt.Fprintf(a.stdout, "A stand-in for Smartsheet with %s (%s) is ready. To use it, put into the configuration:\n\n%s\nEveryone's current picture: %s\nEnd it with Ctrl-C.\n",
		report.Count(len(f.Users), "user", "users"), report.Names(names), lines, strings.TrimSuffix(l.URL(), "2.0"))
	<-ctx.Done()
	return nil
}

// usersFromSources makes a user of everybody whom the sources of a configuration list.
func (a *app) usersFromSources(ctx context.Context, file string) (users []smartsheet.User, err error) {
	s, err := a.load(file, "")
	if err != nil {
		return nil, err
	}
	srcs, closeAll, err := openSources(s.Config)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	people, _, err := sources.Join(ctx, srcs)
	if err != nil {
		return nil, err
	}
	for p := range people.All() {
		users = append(users, smartsheet.User{Email: p.Own[0], Name: p.DisplayName})
	}
	return users, nil
}

// listed returns the users of --users. Its errors are usage errors.
func (f *simulateFlags) listed() (users []smartsheet.User, err error) {
	n, err := strconv.Atoi(f.userList)
	switch {
	case err != nil: // it is a file
		err = read("--users", f.userList, func(r io.Reader) (err error) { users, err = simulator.ReadUsers(r); return err })
	case n < 0:
		err = errors.New("--users: want a number of users, or a file")
	default:
		users = simulator.SampleUsers(n)
	}
	return users, usage(err)
}

// server makes the simulator of the flags, and completes the options.
func (f *simulateFlags) server() (*simulator.Server, error) {
	switch {
	case f.oauthFolder == "" && f.tokenTTL != 0:
		return nil, errors.New("--token-ttl: a token expires only with --oauth")
	case f.oauthFolder != "":
		f.OAuth = &simulator.OAuth{ClientID: "photosync", ClientSecret: rand.Text(), RefreshToken: "refresh-" + rand.Text(), TTL: f.tokenTTL}
	case f.Token == "":
		f.Token = "sim-" + rand.Text()
	}
	s := simulator.New(f.Options)
	for _, text := range f.faults {
		fault, err := simulator.ParseFault(text)
		if err != nil {
			return nil, err
		}
		s.AddFault(fault)
	}
	for _, text := range f.quirks {
		if err := s.AddQuirk(text); err != nil {
			return nil, err
		}
	}
	if f.script != "" {
		return s, read("--script", f.script, s.AddScript)
	}
	return s, nil
}

// read calls do with the file that a flag names.
func read(flag, file string, do func(io.Reader) error) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	defer f.Close()
	return do(f)
}

// configuration returns the lines of configuration for the simulator, and writes the files that they name.
func (f *simulateFlags) configuration(l *simulator.Listener) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "smartsheet:\n  base_url: %s\n", l.URL())
	if f.RequestsPerMinute > 0 {
		fmt.Fprintf(&b, "  requests_per_minute: %d\n", f.RequestsPerMinute)
	}
	if f.OAuth == nil {
		fmt.Fprintf(&b, "and into the environment:\n  SMARTSHEET_ACCESS_TOKEN=%s\n", f.Token)
		return b.String(), nil
	}
	folder, err := filepath.Abs(f.oauthFolder)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	secret, refresh := filepath.Join(folder, "client-secret"), filepath.Join(folder, "refresh-token")
	for file, text := range map[string]string{secret: f.OAuth.ClientSecret, refresh: f.OAuth.RefreshToken} {
		// It may be the token of a real app.
		if err := writeNew(file, []byte(text+"\n"), "give --oauth a folder of its own: simulate overwrites no file"); err != nil {
			return "", err
		}
	}
	fmt.Fprintf(&b, "  oauth2: {client_id: %s, client_secret_file: %q, refresh_token_file: %q}\n", f.OAuth.ClientID, secret, refresh)
	return b.String(), nil
}
