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
		c.line(4, "  %s several entries of one source claim %s: it counts for none of them", warning, x.Email)
	}
	if len(x.Emails) > 1 {
		c.field("also", "%s", strings.Join(x.Emails[1:], ", "))
	}
	c.candidates(x)
	c.users(x)
	c.record(x.Record)
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
		c.detail("stamp", "%q", k.Stamp)
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
		c.line(4, "  user %d    %s, %s", u.ID, strings.TrimSpace(u.Name+" <"+u.Email+">"), cmp.Or(u.Status, "status not shown"))
		if u.Alternate != "" {
			c.detail("matched by", "%s, an alternate address", u.Alternate)
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

func (c *Console) record(r *state.Record) {
	c.heading("State")
	if r == nil {
		c.line(2, "  nothing is remembered")
		return
	}
	switch {
	case r.UploadSHA256 == "":
		c.field("upload", "none")
	case r.Adopted:
		c.field("adopted", "%s, run %s: image %s was in Smartsheet then, and nobody knows whose it is", r.UploadedAt.Format(time.RFC3339), r.RunID, r.ImageID)
	default:
		c.field("upload", "%s, run %s, image %s", r.UploadedAt.Format(time.RFC3339), r.RunID, r.ImageID)
		c.field("", "sha256 %s", r.UploadSHA256)
	}
	if r.SourceSHA256 != "" {
		c.field("photo", "%s: %s, sha256 %s", r.Source, r.Ref, r.SourceSHA256)
	} else {
		c.field("photo", "none the last time")
	}
	c.field("stamp", "%q", r.Stamp)
	if r.Missing > 0 {
		c.field("missing", "for %s in a row", count(r.Missing, "complete run"))
	}
	if r.Placeholder {
		c.field("placeholder", "drawn initials are in Smartsheet")
	}
	if f := r.Failure; f != nil {
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
