package console

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"photosync/state"
)

// Remembered prints what is remembered of a person in a line.
func (c *Console) Remembered(r *state.Record) {
	text := "nothing uploaded"
	switch {
	case r.Placeholder:
		text = "placeholder, " + r.UploadedAt.Format(time.RFC3339)
	case r.Adopted:
		text = "adopted " + r.UploadedAt.Format(time.RFC3339)
	case r.UploadSHA256 != "":
		text = "uploaded " + r.UploadedAt.Format(time.RFC3339)
	}
	if r.Missing > 0 {
		text += ", no photo for " + count(r.Missing, "complete run")
	}
	if f := r.Failure; f != nil {
		text += fmt.Sprintf(", failed %s: %s %s", count(f.Count, "time"), f.Code, f.Message)
		if f.RefID != "" {
			text += " (refId " + f.RefID + ")"
		}
	}
	c.line(2, "%s  %s: %s  %s", r.Email, r.Source, r.Ref, text)
}

// RememberedWhole prints everything that is remembered of a person.
func (c *Console) RememberedWhole(r *state.Record) {
	c.line(0, "%s  Smartsheet user %d", styled{bold, r.Email}, r.UserID)
	c.record(r)
}

// Adoptable prints the people whose pictures in Smartsheet would be taken for ours.
func (c *Console) Adoptable(records []state.Record) {
	const listed = 20
	for _, r := range records[:min(len(records), listed)] {
		c.line(4, "  %s  %s: %s  image %s", r.Email, r.Source, r.Ref, r.ImageID)
	}
	if more := len(records) - listed; more > 0 {
		c.line(2, "  and %d more", more)
	}
}

// ErrNotConfirmed means that a question was not answered with yes.
type ErrNotConfirmed struct{}

func (ErrNotConfirmed) Error() string { return "not confirmed: nothing was changed" }

// Hint says what to do.
func (ErrNotConfirmed) Hint() string { return "answer yes, or add --yes where nobody can answer" }

// Confirm asks a question, and returns an error if the answer is not yes.
func (c *Console) Confirm(in io.Reader, question string) error {
	fmt.Fprintf(c.w, "%s [yes/no] ", plain(question))
	answer, _ := bufio.NewReader(in).ReadString('\n') // no answer is a no
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return ErrNotConfirmed{}
}
