package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"photosync/cmd/internal/config"
	"photosync/sources"
	"photosync/state"
	"photosync/sync/job"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
)

func (a *app) check() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Try everything that a run needs, and say what to do where it fails",
		Long: `Try everything that a run needs, and say what to do where it fails: the configuration,
each source, the state, Smartsheet, and the folder for reports. No picture is uploaded,
and nothing is recorded. Exit code 0: a run can begin; 1: it cannot.`,
		Example: "  photosync check --config /etc/photosync/config.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, err := config.Find(file, a.env)
			if err != nil {
				return workError{usageError{err}}
			}
			c, err := config.Load(file, a.env)
			if err != nil {
				return workError{usageError{err}}
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			k := &checkup{examples: map[string]bool{}}
			k.config(file, c)
			k.sources(ctx, c)
			k.state(c.State.Path)
			k.smartsheet(ctx, c)
			k.report(c.Report.Dir)
			printCheckup(a.stdout, k.findings)
			if k.count(bad) > 0 {
				a.code = exitFailed
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "config", "", configUsage)
	return cmd
}

// Marks of a finding.
const (
	good    = "✓"
	warning = "!"
	bad     = "✗"
)

// finding is one line of a checkup.
type finding struct {
	mark   string
	what   string
	detail string
	remedy string // what to do; empty: nothing
}

// checkup collects findings.
type checkup struct {
	findings []finding
	account  *state.Account  // that the state belongs to; nil: none yet
	examples map[string]bool // addresses of people with a photo
}

func (k *checkup) add(mark, what, detail, remedy string) {
	k.findings = append(k.findings, finding{mark, what, detail, remedy})
}

// fail adds an error with its own hint, or else this remedy.
func (k *checkup) fail(what string, err error, remedy string) {
	if h := job.Hint(err); h != "" {
		remedy = h
	}
	k.add(bad, what, err.Error(), remedy)
}

func (k *checkup) count(mark string) (n int) {
	for _, f := range k.findings {
		if f.mark == mark {
			n++
		}
	}
	return n
}

func (k *checkup) config(file string, c *config.Config) {
	k.add(good, "config", file, "")
	for _, w := range c.Warnings {
		detail, remedy, _ := strings.Cut(w, "): ")
		if remedy != "" {
			detail += ")"
		}
		k.add(warning, "config", detail, remedy)
	}
}

func (k *checkup) sources(ctx context.Context, c *config.Config) {
	srcs, closeAll, err := openSources(c)
	if err != nil {
		k.fail("sources", err, "correct the source's tls, filter or base_dn")
		return
	}
	defer closeAll()
	for _, s := range srcs {
		k.source(ctx, s)
	}
}

// sampled is how many photos of a source are read at most.
const sampled = 100

// source lists s to its end and reads a few photos.
func (k *checkup) source(ctx context.Context, s sources.Named) {
	what := "source " + s.Name
	people, began := 0, time.Now()
	var refs []sources.Ref
	emails := map[sources.Ref]string{}
	listing, err := s.List(ctx, func(p sources.Person) error {
		people++
		if p.HasPhoto != sources.Absent && len(refs) < sampled {
			refs = append(refs, p.Ref)
			emails[p.Ref] = p.Emails[0]
		}
		return nil
	})
	if err != nil {
		k.fail(what, err, "a run needs the whole list: check that the source can be reached and read")
		return
	}
	for _, w := range listing.Warnings {
		k.add(warning, what, w, "")
	}
	if people == 0 {
		k.add(bad, what, fmt.Sprintf("%d entries, none of them a person", listing.Entries),
			"check path and file names, or base_dn, filter and email_attributes")
		return
	}
	examples, photos, err := k.samplePhotos(ctx, s, refs, emails)
	detail := fmt.Sprintf("%s in %s; of the first %d, %d have a photo", countPeople(people), time.Since(began).Round(100*time.Microsecond), len(refs), photos)
	switch {
	case err != nil:
		k.add(warning, what, detail, "")
		k.fail(what, err, "check the right to read photos")
	case photos == 0:
		k.add(warning, what, detail, "check photo_attributes and the right to read them")
	default:
		k.add(good, what, detail+", like "+strings.Join(examples, ", "), "")
	}
}

// samplePhotos reads refs. It returns three examples, how many photos there are,
// and the last error of a photo that is there and cannot be read.
func (k *checkup) samplePhotos(ctx context.Context, s sources.Named, refs []sources.Ref, emails map[sources.Ref]string) (examples []string, photos int, unreadable error) {
	err := s.Photos(ctx, refs, func(p sources.Photo) error {
		switch {
		case p.Err == nil:
			if photos++; photos <= 3 {
				k.examples[emails[p.Ref]] = false
				examples = append(examples, fmt.Sprintf("%s (%s)", emails[p.Ref], size(int64(len(p.Data)))))
			}
		case !errors.Is(p.Err, sources.ErrNoPhoto) && !errors.Is(p.Err, sources.ErrGone):
			unreadable = p.Err
		}
		return nil
	})
	if err != nil {
		unreadable = err
	}
	slices.Sort(examples)
	return examples, photos, unreadable
}

// state looks at the state file and its folder, and leaves both as they were.
func (k *checkup) state(path string) {
	if err := writable(path); err != nil {
		k.fail("state", &state.AccessError{Path: path, Err: err}, "")
		return
	}
	st, err := state.Open(path, state.Options{ReadOnly: true})
	if _, locked := errors.AsType[*state.LockedError](err); locked {
		k.add(warning, "state", err.Error(), "a run is under way: nothing to do")
		return
	}
	if err != nil {
		k.fail("state", err, "")
		return
	}
	defer st.Close()
	account, bound := st.Account()
	if !bound {
		k.add(good, "state", path+": nothing recorded yet", "")
		return
	}
	k.account = &account
	k.add(good, "state", fmt.Sprintf("%s: of account %q", path, account.Name), "")
}

// writable proves that the file can be written, and files beside it made. A folder
// that is missing must be one that can be made.
func writable(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		f.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir := filepath.Dir(path)
	for {
		tmp, err := os.CreateTemp(dir, ".photosync-*.tmp")
		if err == nil {
			return errors.Join(tmp.Close(), os.Remove(tmp.Name()))
		}
		if parent := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && parent != dir {
			dir = parent
			continue
		}
		return err
	}
}

func (k *checkup) report(dir string) {
	if err := report.CheckDir(dir); err != nil {
		k.fail("report", err, "")
		return
	}
	k.add(good, "report", dir+": can be written", "")
}

// errSeen ends a listing that has shown enough.
var errSeen = errors.New("seen")

func (k *checkup) smartsheet(ctx context.Context, c *config.Config) {
	// A checkup is not the time to wait for better days.
	c.Smartsheet.Retry = config.Retry{MaxAttempts: min(2, c.Smartsheet.Retry.MaxAttempts), MaxWait: config.Duration(10 * time.Second)}
	client, err := newClient(c.Smartsheet, nil, zerolog.Nop())
	if err != nil {
		k.fail("smartsheet", err, "")
		return
	}
	defer client.Close()
	me, err := client.Me(ctx)
	if err != nil {
		k.fail("smartsheet", err, "")
		return
	}
	who := fmt.Sprintf("the token belongs to %s of account %q", me.Email, me.AccountName)
	if me.Admin {
		k.add(good, "smartsheet", who+", a system admin", "")
	} else {
		k.add(bad, "smartsheet", who+", who is no system admin", "use the token of a system admin: nobody else may set other people's pictures")
	}
	if want := (state.Account{Root: baseURL(c.Smartsheet), ID: me.AccountID}); k.account != nil && (k.account.ID != want.ID || k.account.Root != want.Root) {
		k.add(bad, "smartsheet", fmt.Sprintf("the state belongs to account %q at %s", k.account.Name, k.account.Root), "use its token, or another state.path")
	}
	k.users(ctx, client)
}

// users lists a page of users and looks for the examples of the sources.
func (k *checkup) users(ctx context.Context, client *smartsheet.Client) {
	err := client.Users(ctx, func(smartsheet.User) error { return errSeen })
	if err != nil && !errors.Is(err, errSeen) {
		k.fail("users", err, "")
		return
	}
	if len(k.examples) == 0 {
		k.add(good, "users", "can be listed", "")
		return
	}
	var emails []string
	for e := range k.examples {
		emails = append(emails, e)
	}
	found := 0
	err = client.Find(ctx, emails, func(u smartsheet.User) error {
		if e, err := sources.Email(u.Email); err == nil {
			if seen, wanted := k.examples[e]; wanted && !seen {
				k.examples[e] = true
				found++
			}
		}
		return nil
	})
	detail := fmt.Sprintf("%d of the %d examples above are Smartsheet users", found, len(emails))
	switch {
	case err != nil:
		k.fail("users", err, "")
	case found == 0:
		k.add(warning, "users", detail, "compare the addresses: match.domains rewrites a domain, email_attributes names others")
	default:
		k.add(good, "users", detail, "")
	}
}
