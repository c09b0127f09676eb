package console

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"photosync/state"
	"photosync/sync/job"
	"photosync/sync/outcome"
	"photosync/sync/report"
)

// Explanation prints all there is to know of one address.
func (c *Console) Explanation(x *job.Explanation) {
	if !x.Known {
		c.line(0, "Nobody knows %s: it is in no source, not in the state and no Smartsheet user's.", x.Email)
		for _, e := range x.Nearest {
			c.line(0, "  perhaps  %s", e)
		}
		return
	}
	c.line(0, "%s", styled{bold, strings.TrimSpace(x.Key + "  " + x.DisplayName)})
	if x.Email != x.Key {
		c.field("asked for", "%s", x.Email)
	}
	if x.Contested {
		c.line(4, "  %s several entries claim %s, and only a human can say whose it is", warning, x.Email)
	}
	if x.Own > 1 {
		c.field("also", "%s", strings.Join(x.Emails[1:x.Own], ", "))
	}
	if len(x.Emails) > x.Own {
		c.field("aliases", "%s", strings.Join(x.Emails[x.Own:], ", "))
	}
	for _, l := range x.Lost {
		c.line(4, "  %s %s", warning, l)
	}
	c.candidates(x)
	c.users(x)
	c.heading("State")
	c.record(x.Row, x.Sent)
	c.next(x)
}

// field prints a line with a name, below a heading.
func (c *Console) field(name, format string, args ...any) {
	c.line(16, "  %-13s "+format, append([]any{name}, args...)...)
}

// detail is a field of what stands above it.
func (c *Console) detail(name, format string, args ...any) {
	c.line(16, "    %-10s  "+format, append([]any{name}, args...)...)
}

func (c *Console) heading(text string) { c.line(0, "\n%s", styled{bold, text}) }

func (c *Console) candidates(x *job.Explanation) {
	c.heading("Sources")
	if len(x.Candidates) == 0 {
		c.line(2, "  no source has this person")
	}
	for _, k := range x.Candidates {
		mark := note
		if k.Wins {
			mark = good
		}
		c.line(4, "%s %s: %s\n    %s", mark, k.Source, k.Ref, k.Why)
		if p := k.Photo; p != nil {
			c.detail("photo", "%s", photoText(p))
			if p.Image != nil {
				c.detail("to be sent", "%s", imageText(p.Image))
			}
		}
		for _, a := range k.Attributes {
			c.detail(a.Name, "%s", a.Value)
		}
	}
}

func photoText(p *job.ExplainedPhoto) string {
	switch {
	case p.Error != "":
		return "cannot be read: " + p.Error
	case p.Refused != "":
		return fmt.Sprintf("%s, sha256 %s, refused: %s: %s", report.Size(p.Bytes), p.SHA256, p.Refused, p.Message)
	}
	return fmt.Sprintf("%s %d x %d, %s, sha256 %s", p.Image.SourceFormat, p.Image.SourceWidth, p.Image.SourceHeight, report.Size(p.Bytes), p.SHA256)
}

func imageText(m *report.Image) string {
	done := "as it is"
	if len(m.Changes) > 0 {
		done = strings.Join(m.Changes, ", ")
	}
	return fmt.Sprintf("%s %d x %d, %s (%s), sha256 %s", m.Format, m.Width, m.Height, report.Size(m.Bytes), done, m.UploadSHA256)
}

func (c *Console) users(x *job.Explanation) {
	c.heading("Smartsheet")
	if len(x.Users) == 0 {
		c.line(2, "  no user has one of these addresses")
		if x.Searched != nil {
			c.line(2, "  %s", searchText(x.Searched))
		}
	}
	for _, u := range x.Users {
		status := "active"
		if !u.Active {
			status = "not active"
		}
		c.line(4, "  user %d    %s, %s", u.ID, strings.TrimSpace(u.Name+" <"+u.Email+">"), status)
		switch {
		case u.Alternate:
			c.detail("matched by", "%s, an alternate address of the user", u.Via)
		case u.Via != "":
			c.detail("matched by", "%s", u.Via)
		}
		c.detail("picture", "%s", strings.TrimSpace(u.Picture+" "+u.ImageID))
	}
}

// searchText says what is known of alternate addresses.
func searchText(s *job.AlternateSearch) string {
	text := fmt.Sprintf("nor as an alternate address, of %s that runs asked", count(s.Asked, "user"))
	if s.Last.IsZero() {
		return text + " so far; the next sync goes on"
	}
	return text + ", all there were to ask on " + s.Last.Format(time.RFC3339)
}

// record prints the last look at a person and what we put on the user.
func (c *Console) record(p *state.Person, u *state.User) {
	if p == nil && u == nil {
		c.line(2, "  nothing is remembered")
		return
	}
	if p != nil {
		if p.SourceSHA256 != "" {
			c.field("photo", "%s: %s, sha256 %s", p.Source, p.Ref, p.SourceSHA256)
		} else {
			c.field("photo", "none at the last look")
		}
	}
	if u == nil {
		c.field("upload", "none")
		return
	}
	c.field("user", "%d %s", u.ID, u.Email)
	switch s := u.Sent; {
	case s == nil:
		c.field("upload", "none")
	case s.Adopted:
		c.field("adopted", "%s, run %s: image %s was in Smartsheet then, and nobody knows whose it is", s.At.Format(time.RFC3339), s.RunID, s.ImageID)
	default:
		c.field("upload", "%s, run %s, image %s, for %s", s.At.Format(time.RFC3339), s.RunID, s.ImageID, s.Email)
		c.field("", "sha256 %s", s.UploadSHA256)
		if s.Placeholder {
			c.field("placeholder", "drawn initials are in Smartsheet")
		}
	}
	if i := u.Intent; i != nil {
		c.field("open", "an upload of %s, run %s, has no answer: it may have arrived", i.At.Format(time.RFC3339), i.RunID)
	}
	if u.Missing > 0 {
		c.field("missing", "for %s in a row", count(u.Missing, "complete run"))
	}
	if f := u.Failure; f != nil {
		what := "code " + f.Code
		if f.Status != 0 { // Smartsheet's, not one of the picture itself
			what += fmt.Sprintf(", HTTP %d, refId %s", f.Status, cmp.Or(f.RefID, "none"))
		}
		c.field("failure", "%s, %s, run %s: %s: %s", f.At.Format(time.RFC3339), count(f.Count, "time"), f.RunID, what, f.Message)
	}
}

func (c *Console) next(x *job.Explanation) {
	c.heading("The next run")
	if it := x.Next; it != nil {
		what := "does nothing"
		switch outcome.Outcome(it.Outcome) {
		case outcome.Planned:
			what = "uploads the picture"
		case outcome.Failed:
			what = "fails"
		}
		c.line(4, "  %s: %s%s", styled{bold, what}, it.Reason, Details(*it))
		for _, k := range it.Candidates {
			c.line(4, "    %s", k)
		}
	}
	c.line(4, "  because %s", cmp.Or(x.Rule, "of the reason above"))
	if x.Next != nil && x.Next.Outcome == string(outcome.Planned) {
		c.line(4, "  guards look at the whole plan: photosync plan shows whether one would hold it")
	}
}

// Details are what went wrong with one person, to be put behind the reason.
func Details(it report.Item) string {
	var b strings.Builder
	if it.Code != "" {
		fmt.Fprintf(&b, " (%s)", it.Code)
	}
	if it.ErrorCode != nil {
		fmt.Fprintf(&b, ", errorCode %d", *it.ErrorCode)
	}
	if it.RefID != nil {
		fmt.Fprintf(&b, ", refId %s", *it.RefID)
	}
	if it.Message != "" && it.Outcome != string(outcome.Planned) {
		fmt.Fprintf(&b, ": %s", it.Message)
	}
	for _, f := range it.FailedItems {
		fmt.Fprintf(&b, ": %s", f.Message)
	}
	return b.String()
}
