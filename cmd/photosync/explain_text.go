package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"photosync/state"
	"photosync/sync/job"
	"photosync/sync/plan"
	"photosync/sync/report"
)

// printExplanation writes all there is to know of one address.
func printExplanation(w io.Writer, x *job.Explanation) {
	w = plainWriter{w}
	if !x.Known {
		fmt.Fprintf(w, "Nobody knows %s: it is in no source, not in the state and no Smartsheet user's.\n", x.Email)
		for _, e := range x.Nearest {
			fmt.Fprintf(w, "  perhaps  %s\n", e)
		}
		return
	}
	fmt.Fprintln(w, strings.TrimSpace(x.Key+"  "+x.DisplayName))
	if x.Email != x.Key {
		fmt.Fprintf(w, "  asked for     %s\n", x.Email)
	}
	if x.Contested {
		fmt.Fprintf(w, "  several entries of one source claim %s: it counts for none of them\n", x.Email)
	}
	if len(x.Emails) > 1 {
		fmt.Fprintf(w, "  also          %s\n", strings.Join(x.Emails[1:], ", "))
	}
	printCandidates(w, x)
	printUsers(w, x)
	printRecord(w, x.Record)
	printNext(w, x)
}

func printCandidates(w io.Writer, x *job.Explanation) {
	fmt.Fprintf(w, "\nSources\n")
	if len(x.Candidates) == 0 {
		fmt.Fprintf(w, "  no source has this person\n")
	}
	for _, c := range x.Candidates {
		sign := "–"
		if c.Wins {
			sign = good
		}
		fmt.Fprintf(w, "%s %s: %s\n    %s\n", sign, c.Source, c.Ref, c.Why)
		if p := c.Photo; p != nil {
			fmt.Fprintf(w, "    photo       %s\n", photoText(p))
			if p.Image != nil {
				fmt.Fprintf(w, "    to be sent  %s\n", imageText(p.Image))
			}
		}
		fmt.Fprintf(w, "    stamp       %q\n", c.Stamp)
		for _, a := range c.Attributes {
			fmt.Fprintf(w, "    %-10s  %s\n", a.Name, a.Value)
		}
	}
}

func photoText(p *job.ExplainedPhoto) string {
	switch {
	case p.Error != "":
		return "cannot be read: " + p.Error
	case p.Refused != "":
		return fmt.Sprintf("%s, sha256 %s, refused: %s: %s", size(int64(p.Bytes)), p.SHA256, p.Refused, p.Message)
	}
	return fmt.Sprintf("%s %d x %d, %s, sha256 %s", p.Image.SourceFormat, p.Image.SourceWidth, p.Image.SourceHeight, size(int64(p.Bytes)), p.SHA256)
}

func imageText(m *report.Image) string {
	done := "as it is"
	if len(m.Changes) > 0 {
		done = strings.Join(m.Changes, ", ")
	}
	return fmt.Sprintf("%s %d x %d, %s (%s), sha256 %s", m.Format, m.Width, m.Height, size(int64(m.Bytes)), done, m.UploadSHA256)
}

func printUsers(w io.Writer, x *job.Explanation) {
	fmt.Fprintf(w, "\nSmartsheet\n")
	if len(x.Users) == 0 {
		fmt.Fprintf(w, "  no user has one of these addresses\n")
		if x.Searched != nil {
			fmt.Fprintf(w, "  %s\n", searchText(x.Searched))
		}
	}
	for _, u := range x.Users {
		fmt.Fprintf(w, "  user %d    %s, %s\n", u.ID, strings.TrimSpace(u.Name+" <"+u.Email+">"), cmp.Or(u.Status, "status not shown"))
		if u.Alternate != "" {
			fmt.Fprintf(w, "    matched by  %s, an alternate address\n", u.Alternate)
		}
		fmt.Fprintf(w, "    picture     %s\n", strings.TrimSpace(u.Picture+" "+u.ImageID))
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

func printRecord(w io.Writer, r *state.Record) {
	fmt.Fprintf(w, "\nState\n")
	if r == nil {
		fmt.Fprintf(w, "  nothing is remembered\n")
		return
	}
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %-13s "+format+"\n", append([]any{name}, args...)...)
	}
	switch {
	case r.UploadSHA256 == "":
		line("upload", "none")
	case r.Adopted:
		line("adopted", "%s, run %s: image %s was in Smartsheet then, and nobody knows whose it is", r.UploadedAt.Format(time.RFC3339), r.RunID, r.ImageID)
	default:
		line("upload", "%s, run %s, image %s", r.UploadedAt.Format(time.RFC3339), r.RunID, r.ImageID)
		line("", "sha256 %s", r.UploadSHA256)
	}
	if r.SourceSHA256 != "" {
		line("photo", "%s: %s, sha256 %s", r.Source, r.Ref, r.SourceSHA256)
	} else {
		line("photo", "none the last time")
	}
	line("stamp", "%q", r.Stamp)
	if r.Missing > 0 {
		line("missing", "for %s in a row", count(r.Missing, "complete run"))
	}
	if r.Placeholder {
		line("placeholder", "drawn initials are in Smartsheet")
	}
	if f := r.Failure; f != nil {
		what := "code " + f.Code
		if f.Status != 0 { // Smartsheet's, not one of the picture itself
			what += fmt.Sprintf(", HTTP %d, refId %s", f.Status, cmp.Or(f.RefID, "none"))
		}
		line("failure", "%s, %s, run %s: %s: %s", f.At.Format(time.RFC3339), count(f.Count, "time"), f.RunID, what, f.Message)
	}
}

func printNext(w io.Writer, x *job.Explanation) {
	fmt.Fprintf(w, "\nThe next run\n")
	if it := x.Next; it != nil {
		what := "does nothing"
		switch plan.Outcome(it.Outcome) {
		case plan.Planned:
			what = "uploads the picture"
		case plan.Failed:
			what = "fails"
		}
		fmt.Fprintf(w, "  %s: %s%s\n", what, it.Reason, details(*it))
		for _, c := range it.Candidates {
			fmt.Fprintf(w, "    %s\n", c)
		}
	}
	fmt.Fprintf(w, "  because %s\n", x.Rule)
	if x.Next != nil && x.Next.Outcome == string(plan.Planned) {
		fmt.Fprintf(w, "  guards look at the whole plan: photosync plan shows whether one would hold it\n")
	}
}
