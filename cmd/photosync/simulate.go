package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"

	"photosync/sync/smartsheet"
	"photosync/sync/smartsheet/simulator"
)

func (a *app) simulate() *cobra.Command {
	var o struct {
		listen, token, users string
		firstID              int64
		rpm                  int
		faults               []string
	}
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Run a stand-in for the Smartsheet API, for rehearsals",
		Long: `Run a stand-in for the Smartsheet API on this machine, for rehearsals.

It lists users and takes profile images like the real one, with quota, refIds and
errors, and shows everyone's current picture at its root. It ends with Ctrl-C and
forgets everything.

A --fault is KIND[:DETAIL][,key=value…]:
  status:403/1004,user=ann@example.com   refuse with HTTP 403, errorCode 1004
  status:500/4004,every=7                every 7th upload
  partial,count=1                        answer PARTIAL_SUCCESS once
  slow,delay=2s                          answer late
  html, reset, hang, truncate            gateways and networks
  other-user, no-image-id                a SUCCESS that is none
Keys: op (upload, users, me, any), user, skip, count, every, delay, retry-after.`,
		Example: "  photosync simulate --users 200 --rpm 300 --fault partial,user=user0007@example.com",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			users, err := simulatedUsers(o.users)
			if err != nil {
				return usageError{err}
			}
			if o.token == "" {
				o.token = "sim-" + rand.Text()
			}
			s := simulator.New(simulator.Options{Token: o.token, Users: users, FirstUserID: o.firstID, RequestsPerMinute: o.rpm})
			for _, text := range o.faults {
				f, err := simulator.ParseFault(text)
				if err != nil {
					return usageError{err}
				}
				s.AddFault(f)
			}
			l, err := s.Listen(o.listen)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, `A Smartsheet simulator with %s is ready. To use it, put into the configuration:

smartsheet:
  base_url: %s
and into the environment:
  SMARTSHEET_ACCESS_TOKEN=%s

Everyone's current picture: %s
End it with Ctrl-C.
`, count(len(users), "user"), l.URL(), o.token, l.URL()[:len(l.URL())-len("2.0")])
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			<-ctx.Done()
			return l.Close()
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "`HOST:PORT` to listen on; port 0: any free one")
	f.StringVar(&o.token, "token", "", "the only token that is accepted (default: a random one)")
	f.StringVar(&o.users, "users", "100", "how many users there are, or a `FILE` with lines of email,name,status,id")
	f.Int64Var(&o.firstID, "first-user-id", simulator.FirstUserID, "id of the first user; the others follow")
	f.IntVar(&o.rpm, "rpm", 300, "requests a minute that a token may make; 0: any number")
	f.StringArrayVar(&o.faults, "fault", nil, "`FAULT` to provoke; may be given several times")
	return cmd
}

// simulatedUsers reads --users: a number or a file.
func simulatedUsers(s string) ([]smartsheet.User, error) {
	if n, err := strconv.Atoi(s); err == nil {
		if n < 0 {
			return nil, errors.New("--users: want a number of users, or a file")
		}
		return simulator.SampleUsers(n), nil
	}
	f, err := os.Open(s)
	if err != nil {
		return nil, fmt.Errorf("--users: %w", err)
	}
	defer f.Close()
	return simulator.ReadUsers(f)
}
