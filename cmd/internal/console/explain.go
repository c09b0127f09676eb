package console

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"photosync/state"
	"photosync/sync/foreign"
	"photosync/sync/job"
	"photosync/sync/outcome"
	"photosync/sync/report"
)

// Explanation prints everything that is known about one address.
func (c *Console) Explanation(x *job.Explanation) {
	if !x.Known {
		c.line(0, "%s is unknown: no source, no record in the state and no Smartsheet user has it.", x.Email)
		for _, e := range x.Nearest {
			c.line(0, "  perhaps  %s", e)
		}
		return
	}
	c.line(0, "%s", styled{bold, strings.TrimSpace(x.Key + "  " + x.DisplayName)})
	if x.Email != x.Key {
		c.field("asked for", x.Email)
	}
	c.field("also", strings.Join(x.Emails[1:x.Own], ", "))
	c.field("aliases", strings.Join(x.Emails[x.Own:], ", "))
	for _, l := range x.Lost {
		c.line(4, "  %s %s", warning, l)
	}
	c.candidates(x.Candidates)
	c.users(x)
	c.heading("State")
	c.record(x.Row, x.Sent)
	c.next(x)
}

// field prints a line with a name and a value; nothing without a value. A name with two more
// spaces before it belongs to the line above.
func (c *Console) field(name, value string) {
	if value != "" {
		c.line(16, "  %-13s %s", name, value)
	}
}

func (c *Console) heading(text string) { c.line(0, "\n%s", styled{bold, text}) }

func (c *Console) candidates(all []job.ExplainedCandidate) {
	c.heading("Sources")
	if len(all) == 0 {
		c.line(2, "  no source has this person")
	}
	for _, k := range all {
		mark := note
		if k.Wins {
			mark = good
		}
		c.line(4, "%s %s: %s\n    %s", mark, k.Source, k.Ref, k.Why)
		switch p := k.Photo; {
		case p == nil:
		case p.Error != "":
			c.field("  photo", "cannot be read: "+p.Error)
		case p.Refused != "":
			c.field("  photo", fmt.Sprintf("%s, sha256 %s, refused: %s: %s", report.Size(p.Bytes), p.SHA256, p.Refused, p.Message))
		default:
			m := p.Image
			c.field("  photo", fmt.Sprintf("%s %d x %d, %s, sha256 %s", m.SourceFormat, m.SourceWidth, m.SourceHeight, report.Size(p.Bytes), p.SHA256))
			c.field("  to be sent", fmt.Sprintf("%s %d x %d, %s (%s), sha256 %s", m.Format, m.Width, m.Height, report.Size(m.Bytes),
				cmp.Or(strings.Join(m.Changes, ", "), "as it is"), m.UploadSHA256))
		}
		for _, a := range k.Attributes {
			c.field("  "+a.Name, a.Value)
		}
	}
}

func (c *Console) users(x *job.Explanation) {
	c.heading("Smartsheet")
	if len(x.Users) == 0 {
		c.line(2, "  no user has one of these addresses")
	}
	for _, u := range x.Users {
		status, via := "active", u.Via
		if !u.Active {
			status = "not active"
		}
		if u.Alternate {
			via += ", an alternate address of the user"
		}
		c.line(4, "  user %d    %s, %s", u.ID, strings.TrimSpace(u.Name+" <"+u.Email+">"), status)
		c.field("  matched by", via)
		c.field("  picture", strings.TrimSpace(u.Picture+" "+u.ImageID))
	}
}

// record prints what the state says about a person, and about what we put on the user.
func (c *Console) record(p *state.Person, u *state.User) {
	if p == nil && u == nil {
		c.line(2, "  nothing is remembered")
		return
	}
	switch {
	case p == nil:
	case p.SourceSHA256 == "":
		c.field("photo", "none the last time")
	default:
		c.field("photo", fmt.Sprintf("%s: %s, sha256 %s", p.Source, p.Ref, p.SourceSHA256))
	}
	if u == nil {
		u = &state.User{}
	} else {
		c.field("user", fmt.Sprintf("%d %s", u.ID, u.Email))
	}
	switch s := u.Sent; {
	case s == nil:
		c.field("upload", "none")
	case s.Adopted:
		c.field("adopted", fmt.Sprintf("%s, run %s: image %s was in Smartsheet then, and nobody knows whose it is", s.At.Format(time.RFC3339), s.RunID, s.ImageID))
	default:
		c.field("upload", fmt.Sprintf("%s, run %s, image %s, for %s", s.At.Format(time.RFC3339), s.RunID, s.ImageID, s.Email))
		c.field("", "sha256 "+s.UploadSHA256)
		if s.Placeholder {
			c.field("placeholder", "drawn initials are in Smartsheet")
		}
	}
	if i := u.Intent; i != nil {
		c.field("open", fmt.Sprintf("an upload of %s, run %s, has no answer: it may have arrived", i.At.Format(time.RFC3339), i.RunID))
	}
	if u.Missing > 0 {
		c.field("missing", "for "+count(u.Missing, "complete run")+" in a row")
	}
	if f := u.Failure; f != nil {
		what := "code " + f.Code
		if f.Status != 0 { // Smartsheet's, not one of the picture itself
			what += fmt.Sprintf(", HTTP %d, refId %s", f.Status, cmp.Or(f.RefID, "none"))
		}
		c.field("failure", fmt.Sprintf("%s, %s, run %s: %s: %s", f.At.Format(time.RFC3339), count(f.Count, "time"), f.RunID, what, f.Message))
	}
}

func (c *Console) next(x *job.Explanation) {
	c.heading("The next run")
	if it := x.Next; it != nil {
		does := map[outcome.Outcome]string{outcome.Planned: "uploads the picture", outcome.Failed: "fails"}
		c.line(4, "  %s: %s%s", styled{bold, cmp.Or(does[it.Outcome], "does nothing")}, it.Reason, Details(*it))
		for _, k := range it.Candidates {
			c.line(4, "    %s", k)
		}
	} else {
		c.line(0, "  %s", styled{bold, "does nothing"})
	}
	c.line(4, "  because %s", cmp.Or(x.Rule, "of the reason above"))
	if x.Next != nil {
		c.remedy(2, x.Next.Hint)
	}
	if x.Next != nil && x.Next.Outcome == outcome.Planned {
		c.line(4, "  guards check the whole plan: photosync plan shows whether one would hold it")
	}
}

// Details says what went wrong with one person, as a text to follow the reason.
func Details(it report.Item) (text string) {
	if it.Code != "" {
		text += " (" + it.Code + ")"
	}
	if it.ErrorCode != nil {
		text += fmt.Sprintf(", errorCode %d", *it.ErrorCode)
	}
	if it.RefID != nil {
		text += ", refId " + *it.RefID
	}
	if it.Message != "" && it.Outcome != outcome.Planned {
		text += ": " + it.Message
	}
	for _, f := range it.FailedItems {
		text += ": " + f.Message
	}
	return text
}

// Record is what the state has under an address: the person, and what we put on the user.
type Record struct {
	Email  string        `json:"email"`
	UserID int64         `json:"user_id,omitempty"`
	Person *state.Person `json:"person"` // null: not seen in the sources yet, or no longer
	User   *state.User   `json:"user"`   // null: we put nothing on the user
}

// Put returns what we put on the user, empty if nothing.
func (r *Record) Put() state.User { return *cmp.Or(r.User, &state.User{}) }

// Remembered prints a record on one line.
func (c *Console) Remembered(r *Record) {
	text, u := "nothing uploaded", r.Put()
	if u.Sent != nil {
		text = "uploaded "
		switch {
		case u.Sent.Placeholder:
			text = "placeholder, "
		case u.Sent.Adopted:
			text = "adopted "
		}
		text += u.Sent.At.Format(time.RFC3339)
	}
	if u.Intent != nil {
		text += ", an upload of " + u.Intent.At.Format(time.RFC3339) + " has no answer"
	}
	if u.Missing > 0 {
		text += ", no photo for " + count(u.Missing, "complete run")
	}
	if f := u.Failure; f != nil {
		text += fmt.Sprintf(", failed %s: %s", count(f.Count, "time"), strings.TrimSpace(f.Code+" "+f.Message))
		if f.RefID != "" {
			text += " (refId " + f.RefID + ")"
		}
	}
	where := ""
	if p := r.Person; p != nil && p.Source != "" {
		where = p.Source + ": " + p.Ref + "  "
	} else if p == nil && r.UserID != 0 { // another user may have the address now
		where = fmt.Sprintf("user %d, whom nobody in the sources matches  ", r.UserID)
	}
	c.line(2, "%s  %s%s", r.Email, where, text)
}

// RememberedWhole prints the whole record.
func (c *Console) RememberedWhole(r *Record) {
	c.line(0, "%s", styled{bold, r.Email})
	c.record(r.Person, r.User)
}

// Adoptable prints the people whose pictures in Smartsheet would be recorded as ours.
func (c *Console) Adoptable(users []state.User) {
	const listed = 20
	for _, u := range users[:min(len(users), listed)] {
		c.line(4, "  %s  user %d  image %s", u.Sent.Email, u.ID, u.Sent.ImageID)
	}
	if more := len(users) - listed; more > 0 {
		c.line(2, "  and %d more", more)
	}
}

// Confirm asks a question, and reports whether the answer is yes.
func (c *Console) Confirm(in io.Reader, question string) bool {
	fmt.Fprintf(c.w, "%s [yes/no] ", foreign.Text(question))
	answer, _ := bufio.NewReader(in).ReadString('\n') // no answer is a no
	return slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer)))
}

// Check is a line of a checkup.
type Check struct {
	Status string `json:"status"` // ok, note, warning or problem
	What   string `json:"what"`
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"` // what to do; empty: nothing
	// Finding is the code of the finding that a run would report; empty: none.
	Finding string `json:"finding,omitempty"`
}

// Statuses of a Check: fine; worth knowing; a run can begin nevertheless; a run would fail.
const OK, Note, Warning, Problem = "ok", "note", "warning", "problem"

// Forecast says how a run would end that finds the same: it would fail, or somebody is needed.
func Forecast(checks []Check) (fails, needsSomebody bool) {
	for _, k := range checks {
		fails = fails || k.Status == Problem
		needsSomebody = needsSomebody || k.Status == Warning && k.Finding != ""
	}
	return fails, needsSomebody
}

// Checkup prints what a checkup found, and what to do about it.
func (c *Console) Checkup(checks []Check) {
	width, n := 0, map[string]int{} // by status
	for _, k := range checks {
		width = max(width, utf8.RuneCountInString(k.What))
		n[k.Status]++
	}
	marks := map[string]styled{OK: good, Note: note, Warning: warning, Problem: bad}
	for _, k := range checks {
		c.line(width+4, "%s %-*s  %s", marks[k.Status], width, k.What, k.Detail)
		c.remedy(width+4, k.Remedy)
	}
	mood, verdict := "good", "A run can begin"
	switch fails, needsSomebody := Forecast(checks); {
	case fails:
		mood, verdict = "bad", "A run would fail: "+count(n[Problem], "problem")
		if n[Warning] > 0 {
			verdict += ", " + count(n[Warning], "warning")
		}
	case needsSomebody:
		mood, verdict = "warn", "A run would end with exit code 3, or 4 if a guard holds it: somebody is needed"
	case n[Warning] > 0:
		mood, verdict = "warn", "A run can begin, but with "+count(n[Warning], "warning")
	}
	c.line(0, "%s.", styled{moods[mood], verdict})
}

// Check writes what a checkup found.
func (l *Lines) Check(checks []Check) error {
	result := OK
	if fails, _ := Forecast(checks); fails {
		result = Problem
	}
	return l.print("check", struct {
		Result   string  `json:"result"` // ok or problem
		Findings []Check `json:"findings"`
	}{result, checks})
}
