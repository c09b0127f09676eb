// Package checkup is the command check: it tries every part that a run needs, with the
// functions of a run, and says what to do if one fails. It uploads nothing and records
// nothing, unless it is asked to upload one picture.
package checkup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"photosync/cmd/internal/config"
	"photosync/cmd/internal/console"
	"photosync/sources"
	"photosync/state"
	"photosync/sync/job"
	"photosync/sync/match"
	"photosync/sync/outcome"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/safefile"
	"photosync/sync/smartsheet"
)

// Options of Run: the configuration, and how to open its parts.
type Options struct {
	Config *config.Config
	Open   func(*config.Config) (j job.Job, closeAll func(), err error) // without the state

	Unreachable func(context.Context) (receivers int, faults []string) // receivers of notices

	UploadTest string                                                          // upload the picture of the person with this address; empty: nothing
	Upload     func(ctx context.Context, email string) (*report.Report, error) // a sync of this person alone
}

func Run(ctx context.Context, o Options) []console.Check {
	k := &checkup{Options: o, sample: map[string]*plan.Work{}, refused: map[string]bool{}}
	k.add(console.OK, "config", k.Config.File, "")
	for _, w := range k.Config.Warnings {
		k.add(console.Warning, "config", w, "")
	}
	c := *o.Config // a checkup does not wait as long as a run
	c.Smartsheet.Retry.MaxAttempts, c.Smartsheet.Retry.MaxWait = min(2, c.Smartsheet.Retry.MaxAttempts), config.Duration(time.Minute)
	j, closeAll, err := o.Open(&c)
	if !k.works("config", err, "") {
		return k.checks
	}
	defer closeAll()
	k.job = j
	for i := range j.Sources {
		k.servers(ctx, c.Sources[i])
		k.source(ctx, i)
	}
	k.state()
	k.smartsheet(ctx)
	if dir := c.Report.Dir; k.works("report", report.CheckDir(dir), "") {
		k.add(console.OK, "report", dir+": can be written", "")
	}
	receivers, faults := k.Unreachable(ctx)
	for _, fault := range faults {
		k.add(console.Warning, "notify", fault, "repair it, or correct the configuration: a run goes on, but sends nothing to this receiver")
	}
	if receivers > 0 && len(faults) == 0 {
		k.add(console.OK, "notify", report.Count(receivers, "receiver", "receivers")+" can be reached; only a run shows whether a notice is taken", "")
	}
	k.upload(ctx)
	return k.checks
}

type checkup struct {
	Options
	job      job.Job
	checks   []console.Check
	account  *state.Account        // to which the state belongs; nil: none yet
	sample   map[string]*plan.Work // people whose photos are read, by first own address
	sampled  bool                  // people outside the sample have a photo, too, or may have one
	excluded int                   // people with a photo, or who may have one, whom match leaves out
	refused  map[string]bool       // people of the sample whose photo cannot be sent, by first own address
}

func (k *checkup) add(status, what, detail, remedy string) {
	k.checks = append(k.checks, console.Check{Status: status, What: what, Detail: detail, Remedy: remedy})
}

// find adds a finding that a run would report in the same words.
func (k *checkup) find(what string, f outcome.Finding, sample string) {
	status := console.Note
	if f.Severity == outcome.Attention {
		status = console.Warning
	}
	k.checks = append(k.checks, console.Check{Status: status, What: what, Detail: sample + f.Message, Remedy: f.Hint, Finding: f.Code})
}

// works reports whether err is nil. If not, it adds the error with its own hint, or else with this remedy.
func (k *checkup) works(what string, err error, remedy string) bool {
	if err != nil {
		k.add(console.Problem, what, err.Error(), cmp.Or(outcome.Hint(err), remedy))
	}
	return err == nil
}

// state checks the state file and its folder, and changes neither.
func (k *checkup) state() {
	path := k.Config.State.Path
	if !k.works("state", state.Inaccessible(path, writable(path)), "") {
		return
	}
	st, err := state.Open(path, state.Options{ReadOnly: true})
	if _, locked := errors.AsType[*state.LockedError](err); locked {
		k.add(console.Warning, "state", err.Error(), "a run is under way: nothing to do")
		return
	}
	if !k.works("state", err, "") {
		return
	}
	defer st.Close()
	text := path + ": nothing recorded yet"
	if account, bound := st.Account(); bound {
		k.account, text = &account, fmt.Sprintf("%s: of account %q", path, account.Name)
	}
	f, err := job.LastBackup(st)
	if k.works("state", err, "") && f.Code != "" {
		k.find("state", f, "")
	}
	k.add(console.OK, "state", text, "")
}

// writable checks that the file can be written, and that files can be created beside it. If
// the folder is missing, it must be possible to create it.
func writable(path string) error {
	if real, err := safefile.Real(path); err == nil {
		path = real
	}
	if f, err := safefile.Open(path, os.O_RDWR); err == nil {
		f.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if err := safefile.Check(dir); !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return err
		}
	}
}

func (k *checkup) smartsheet(ctx context.Context) {
	me, err := k.job.Smartsheet.Me(ctx)
	if !k.works("smartsheet", err, "") {
		return
	}
	who := fmt.Sprintf("the token belongs to %s of account %q", me.Email, me.AccountName)
	if me.Admin {
		k.add(console.OK, "smartsheet", who+", a system admin", "")
	} else {
		k.add(console.Problem, "smartsheet", who+", who is not a system admin", "use the token of a system admin: nobody else may set other people's pictures")
	}
	if a := k.account; a != nil && (a.ID != me.AccountID || a.Root != k.job.Root) {
		k.add(console.Problem, "smartsheet", fmt.Sprintf("the state belongs to account %q at %s", a.Name, a.Root), "use its token, or another state.path")
	}
	k.users(ctx)
	st := k.job.Smartsheet.Stats()
	text := fmt.Sprintf("%d of %s refused by the rate limit; requests_per_minute is %d", st.RateLimited, report.Count(int(st.Requests), "request", "requests"), st.QuotaPerMinute)
	status, remedy := console.OK, ""
	if st.RateLimited > 0 {
		status, remedy = console.Warning, "something else uses this token now: a run adapts, and takes longer"
	}
	k.add(status, "quota", text, remedy)
}

// users says how many people of the sample are Smartsheet users, by the rules of a run, and,
// if alternate addresses count, whether Smartsheet shows them.
func (k *checkup) users(ctx context.Context) {
	client := k.job.Smartsheet
	var one smartsheet.User
	err := client.Users(ctx, func(u smartsheet.User) error { one = u; return errSeen })
	users, works := match.New(client), slices.Collect(maps.Values(k.sample))
	works = slices.DeleteFunc(works, func(w *plan.Work) bool { return w.Photo == nil })
	if err == nil || errors.Is(err, errSeen) {
		err = users.Resolve(ctx, slices.DeleteFunc(slices.Clone(works), func(w *plan.Work) bool { return !w.NeedsUser() }))
	}
	facts := k.facts(works)
	if err == nil && (len(facts.MatchFindings()) > 0 || facts.WithPhoto-facts.Matched >= plan.SomePeople) { // a run names the domains on both sides
		err = users.List(ctx)
	}
	if !k.works("users", err, "") {
		return
	}
	facts.UserDomains, facts.AllUsers = users.Domains(), users.All
	sample := ""
	if k.sampled {
		sample = "in a sample: "
	}
	text := fmt.Sprintf("%s%d of %d people with a photo are Smartsheet users", sample, facts.Matched, facts.WithPhoto)
	if facts.WithPhoto == 0 {
		text = "can be listed"
	}
	findings, alternates := facts.MatchFindings(), k.Config.Match.AlternateEmails
	switch {
	case len(findings) == 0:
		k.add(console.OK, "users", text, "")
	case alternates && facts.WithPhoto > 0: // a run asks every user, which takes too long here
		k.add(console.Note, "users", text+" by their own addresses; a run tries alternate addresses, too", "")
	default:
		if findings[0].Severity == outcome.Notice {
			k.add(console.Note, "users", text, "")
		}
		for _, x := range findings {
			k.find("users", x, sample)
		}
	}
	if !alternates || one.ID == 0 {
		return
	}
	_, err = client.User(ctx, one.ID)
	if k.works("alternates", err, "switch match.alternate_emails off, or use the token of a system admin") {
		k.add(console.OK, "alternates", "alternate addresses can be read", "")
	}
}

// facts counts the sample by the decisions of a run. The findings about sources were added before.
func (k *checkup) facts(works []*plan.Work) *plan.Facts {
	f := plan.NewFacts(k.job.Sources, nil)
	rules := plan.NewRules(k.job.Sources, &k.job.Policy, &k.job.Scope)
	p, listed := plan.Build(rules, works, f, 0), rules.NewListed(works, true)
	for _, w := range works {
		rules.Count(listed, &w.Joined, w.SHA256())
	}
	if most := k.job.Policy.Guards.MaxShared; most > 0 {
		p.HoldShared(listed, most)
	}
	for _, s := range p.Planned() {
		if k.refused[s.Key()] {
			f.Waiting[outcome.KnownBad]++
		}
	}
	if !k.sampled { // otherwise people outside the sample have photos
		f.Excluded += k.excluded
	}
	return f
}

// upload uploads one person's picture, as a sync of this person would: some faults show only then.
func (k *checkup) upload(ctx context.Context) {
	if k.UploadTest == "" {
		k.add(console.Note, "upload", "not tried: only an upload shows whether the token may set pictures", "photosync check --upload-test EMAIL uploads that of one person")
		k.add(console.Note, "visibility", "Smartsheet may hide pictures inside or outside of the organisation: uploads succeed, and nobody sees them",
			"look at Profile Visibility in Smartsheet's Admin Center, Branding & Personalization")
		return
	}
	if slices.ContainsFunc(k.checks, func(c console.Check) bool { return c.Status == console.Problem }) {
		k.add(console.Problem, "upload", "not tried: repair what is marked ✗ first", "")
		return
	}
	email, err := sources.Email(k.UploadTest)
	if !k.works("upload", err, "name a person like ann@example.com") {
		return
	}
	rep, err := k.Upload(ctx, email)
	if !k.works("upload", err, "") {
		return
	}
	i := slices.IndexFunc(rep.Items, func(it report.Item) bool { return it.Email == email })
	if i < 0 {
		k.add(console.Problem, "upload", email+" is in none of the sources", "name a person whom a source lists, such as an example above")
		return
	}
	it := rep.Items[i]
	if it.Outcome != outcome.Uploaded {
		k.add(console.Problem, "upload", fmt.Sprintf("%s: %s, %s%s", email, it.Reason, it.Outcome, console.Details(it)), it.Hint)
		return
	}
	k.add(console.OK, "upload", fmt.Sprintf("%s: HTTP %d %s, %d x %d %s of %s, image id %s; look at the picture in Smartsheet", email, it.HTTPStatus,
		it.Message, it.Image.Width, it.Image.Height, it.Image.Format, report.Size(it.Image.Bytes), it.ImageID), "")
}
