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
	"photosync/sync/report"
	"photosync/sync/smartsheet"
)

func (k *checkup) smartsheet(ctx context.Context) {
	// A checkup is not the time to wait for better days.
	s := k.Config.Smartsheet
	s.Retry = config.Retry{MaxAttempts: min(2, s.Retry.MaxAttempts), MaxWait: config.Duration(10 * time.Second)}
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
	k.quota(client.Stats(), k.Config.Smartsheet.RequestsPerMinute)
}

// quota tells whether the token is let through.
func (k *checkup) quota(st smartsheet.Stats, perMinute int) {
	text := fmt.Sprintf("%d of %s refused by the rate limit; requests_per_minute is %d", st.RateLimited, report.Count(int(st.Requests), "request", "requests"), perMinute)
	if st.RateLimited > 0 {
		k.add(console.Warning, "quota", text, "something else uses this token now: a run adapts, and takes longer")
		return
	}
	k.add(console.OK, "quota", text, "")
}

// maxSkew is how far this machine's clock may be from Smartsheet's.
const maxSkew = time.Minute

// clock is a transport that compares the answers' Date with this machine's clock.
type clock struct {
	http.RoundTripper
	mu   sync.Mutex
	skew time.Duration // of the last answer; above 0: this machine is ahead
	told bool          // by some answer
}

func (c *clock) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := time.Now()
	resp, err := c.RoundTripper.RoundTrip(req)
	if err != nil {
		return resp, err
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		// The answer was written between sending and now; Date has whole seconds.
		c.skew, c.told = sent.Add(time.Since(sent)/2).Sub(date.Add(time.Second/2)), true
	}
	return resp, nil
}

func (k *checkup) clock(c *clock) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.told {
		return
	}
	skew := c.skew.Abs().Round(10 * time.Second)
	switch {
	case skew < maxSkew:
		k.add(console.OK, "clock", fmt.Sprintf("within %v of Smartsheet's", maxSkew), "")
	case c.skew > 0:
		k.add(console.Warning, "clock", fmt.Sprintf("%v ahead of Smartsheet's", skew), "set it by NTP: certificates, Kerberos and tokens depend on it")
	default:
		k.add(console.Warning, "clock", fmt.Sprintf("%v behind Smartsheet's", skew), "set it by NTP: certificates, Kerberos and tokens depend on it")
	}
}

// lookup is how a run finds users.
type lookup interface {
	Users(ctx context.Context, each func(smartsheet.User) error) error
	UsersByEmail(ctx context.Context, emails []string, each func(smartsheet.User) error) (all bool, err error)
}

// users looks the people up whose photos were read.
func (k *checkup) users(ctx context.Context, client lookup) {
	if len(k.withPhoto) > 0 {
		k.matched(ctx, client)
		return
	}
	if err := client.Users(ctx, func(smartsheet.User) error { return errSeen }); err != nil && !errors.Is(err, errSeen) {
		k.fail("users", err, "")
		return
	}
	k.add(console.OK, "users", "can be listed", "")
}

// found returns which people are users, by the index that byAddress has for their
// addresses. domains counts the users that were seen, at least a few.
func (k *checkup) found(ctx context.Context, client lookup, emails []string, byAddress map[string]int, domains map[string]int) (map[int]bool, error) {
	found := map[int]bool{}
	see := func(u smartsheet.User) {
		if e, err := sources.Email(u.Email); err == nil {
			domains[match.Domain(e)]++
			if i, ok := byAddress[e]; ok {
				found[i] = true
			}
		}
	}
	_, err := client.UsersByEmail(ctx, emails, func(u smartsheet.User) error { see(u); return nil })
	if err != nil || len(found) > 0 {
		return found, err
	}
	seen := 0
	err = client.Users(ctx, func(u smartsheet.User) error {
		see(u)
		if seen++; seen == sampled {
			return errSeen
		}
		return nil
	})
	if errors.Is(err, errSeen) {
		err = nil
	}
	return found, err
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
	i := slices.IndexFunc(rep.Items, func(it report.Item) bool { return it.Email == email })
	if i < 0 {
		k.add(console.Problem, "upload", email+" is in none of the sources", "name a person whom a source lists, such as an example above")
		return
	}
	it := rep.Items[i]
	if it.Outcome != string(outcome.Uploaded) {
		k.add(console.Problem, "upload", fmt.Sprintf("%s: %s, %s%s", email, it.Reason, it.Outcome, console.Details(it)), it.Hint)
		return
	}
	k.add(console.OK, "upload", fmt.Sprintf("%s: HTTP %d %s, %d x %d %s of %s, image id %s; look at the picture in Smartsheet", email, it.HTTPStatus, it.Message,
		it.Image.Width, it.Image.Height, it.Image.Format, report.Size(it.Image.Bytes), it.ImageID), "")
}
