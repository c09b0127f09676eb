package checkup

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"photosync/cmd/internal/config"
	"photosync/cmd/internal/console"
	"photosync/sources"
	"photosync/state"
	"photosync/sync/match"
	"photosync/sync/outcome"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
)

func (k *checkup) smartsheet(ctx context.Context) {
	// A checkup is not the time to wait for better days.
	s := k.Config.Smartsheet
	s.Retry.MaxAttempts, s.Retry.MaxWait = min(2, s.Retry.MaxAttempts), config.Duration(10*time.Second)
	transport, err := smartsheet.NewTransport(s.CAFile)
	if err != nil {
		k.fail("smartsheet", err, "")
		return
	}
	clock := &clock{RoundTripper: transport}
	client, err := k.Client(clock, s)
	if err != nil {
		k.fail("smartsheet", err, "")
		return
	}
	defer client.Close()
	me, err := client.Me(ctx)
	k.clock(clock)
	if err != nil {
		k.fail("smartsheet", err, "")
		return
	}
	who := fmt.Sprintf("the token belongs to %s of account %q", me.Email, me.AccountName)
	if me.Admin {
		k.add(console.OK, "smartsheet", who+", a system admin", "")
	} else {
		k.add(console.Problem, "smartsheet", who+", who is no system admin", "use the token of a system admin: nobody else may set other people's pictures")
	}
	if want := (state.Account{Root: k.Root, ID: me.AccountID}); k.account != nil && (k.account.ID != want.ID || k.account.Root != want.Root) {
		k.add(console.Problem, "smartsheet", fmt.Sprintf("the state belongs to account %q at %s", k.account.Name, k.account.Root), "use its token, or another state.path")
	}
	k.users(ctx, client)
	if k.Config.Match.AlternateEmails {
		k.alternates(ctx, client)
	}
	st := client.Stats()
	text := fmt.Sprintf("%d of %s refused by the rate limit; requests_per_minute is %d", st.RateLimited, report.Count(int(st.Requests), "request", "requests"), s.RequestsPerMinute)
	if st.RateLimited > 0 {
		k.add(console.Warning, "quota", text, "something else uses this token now: a run adapts, and takes longer")
		return
	}
	k.add(console.OK, "quota", text, "")
}

// maxSkew is how far this machine's clock may be from Smartsheet's.
const maxSkew = time.Minute

// clock is a transport that compares the Date of the first answer with this machine's
// clock.
type clock struct {
	http.RoundTripper
	once  sync.Once
	known bool
	skew  time.Duration // above 0: this machine is ahead
}

func (c *clock) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := time.Now()
	resp, err := c.RoundTripper.RoundTrip(req)
	if err != nil {
		return resp, err
	}
	c.once.Do(func() {
		date, err := http.ParseTime(resp.Header.Get("Date"))
		// The answer was written between sending and now; Date has whole seconds.
		c.skew, c.known = sent.Add(time.Since(sent)/2).Sub(date.Add(time.Second/2)), err == nil
	})
	return resp, nil
}

func (k *checkup) clock(c *clock) {
	skew, direction := c.skew.Abs().Round(10*time.Second), "ahead of"
	if c.skew < 0 {
		direction = "behind"
	}
	switch {
	case !c.known:
	case skew < maxSkew:
		k.add(console.OK, "clock", fmt.Sprintf("within %v of Smartsheet's", maxSkew), "")
	default:
		k.add(console.Warning, "clock", fmt.Sprintf("%v %s Smartsheet's", skew, direction), "set it by NTP: certificates, Kerberos and tokens depend on it")
	}
}

// users says whom of the people whose photos were read Smartsheet knows, by the rule of
// a run.
func (k *checkup) users(ctx context.Context, client *smartsheet.Client) {
	f := plan.Facts{Domains: map[string]int{}, UserDomains: map[string]int{}}
	tried := k.withPhoto[:min(len(k.withPhoto), sampled)]
	seen, emails, users := map[string]bool{}, []string{}, 0
	see := func(u smartsheet.User) error {
		if e, err := sources.Email(u.Email); err == nil {
			seen[e] = true
			f.UserDomains[match.Domain(e)]++
		}
		if users++; len(emails) == 0 && users == sampled {
			return errSeen
		}
		return nil
	}
	err := client.Users(ctx, see) // a page shows the domains
	if errors.Is(err, errSeen) {
		err = nil
	}
	for _, p := range tried {
		emails = slices.Concat(emails, p.Own, p.Aliases)
	}
	if err == nil && len(emails) > 0 {
		_, err = client.UsersByEmail(ctx, emails, see)
	}
	if err != nil {
		k.fail("users", err, "")
		return
	}
	for _, p := range tried {
		f.WithPhoto++
		if slices.ContainsFunc(slices.Concat(p.Own, p.Aliases), func(e string) bool { return seen[e] }) {
			f.Matched++
		} else {
			f.Domains[match.Domain(p.Own[0])]++
		}
	}
	sample := ""
	if len(k.withPhoto) > len(tried) {
		sample = "in a sample: "
	}
	text := fmt.Sprintf("%s%d of %d people with a photo are Smartsheet users", sample, f.Matched, f.WithPhoto)
	findings := plan.Findings(f)
	switch {
	case len(tried) == 0:
		k.add(console.OK, "users", "can be listed", "")
	case len(findings) == 0:
		k.add(console.OK, "users", text, "")
	case k.Config.Match.AlternateEmails: // a run asks every user, which takes too long here
		k.add(console.Note, "users", text+" by their own addresses; a run looks at alternate addresses, too", "")
	default:
		for _, x := range findings {
			k.find("users", x, sample)
		}
	}
}

// alternates looks whether the token shows other users' alternate addresses.
func (k *checkup) alternates(ctx context.Context, client *smartsheet.Client) {
	var one smartsheet.User
	err := client.Users(ctx, func(u smartsheet.User) error { one = u; return errSeen })
	if errors.Is(err, errSeen) {
		_, err = client.User(ctx, one.ID)
	}
	if err != nil {
		k.fail("alternates", err, "switch match.alternate_emails off, or use the token of a system admin")
		return
	}
	k.add(console.OK, "alternates", "alternate addresses can be read", "")
}

// upload uploads one person's picture, as a sync of nobody else would; without that
// there are things that nobody can know.
func (k *checkup) upload(ctx context.Context) {
	if k.UploadTest == "" {
		k.add(console.Note, "upload", "not tried: only an upload shows whether the token may set pictures", "photosync check --upload-test EMAIL uploads that of one person")
		k.add(console.Note, "visibility", "Smartsheet may hide pictures inside or outside of the organisation: uploads succeed, and nobody sees them",
			"look at Profile Visibility in Smartsheet's Admin Center, Branding & Personalization")
		return
	}
	if k.failed() {
		k.add(console.Problem, "upload", "not tried: what is marked ✗ comes first", "")
		return
	}
	email, err := sources.Email(k.UploadTest)
	if err != nil {
		k.fail("upload", err, "name a person like ann@example.com")
		return
	}
	rep, err := k.Upload(ctx, email)
	if err != nil {
		k.fail("upload", err, "")
		return
	}
	for _, it := range rep.Items {
		switch {
		case it.Email != email:
			continue
		case it.Outcome != string(outcome.Uploaded):
			k.add(console.Problem, "upload", fmt.Sprintf("%s: %s, %s%s", email, it.Reason, it.Outcome, console.Details(it)), it.Hint)
		default:
			k.add(console.OK, "upload", fmt.Sprintf("%s: HTTP %d %s, %d x %d %s of %s, image id %s; look at the picture in Smartsheet", email, it.HTTPStatus,
				it.Message, it.Image.Width, it.Image.Height, it.Image.Format, report.Size(it.Image.Bytes), it.ImageID), "")
		}
		return
	}
	k.add(console.Problem, "upload", email+" is in none of the sources", "name a person whom a source lists, such as an example above")
}
