package console

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"photosync/state"
	"photosync/sync/foreign"
)

// Record is what the state remembers of an address: the last look at the person, and
// what we put on the user.
type Record struct {
	Email  string        `json:"email"`
	UserID int64         `json:"user_id,omitempty"`
	Person *state.Person `json:"person"` // null: the sources were not looked at yet, or the person is gone
	User   *state.User   `json:"user"`   // null: we put nothing there
}

// Failed is the last failure; nil: the last try went well.
func (r *Record) Failed() *state.Failure {
	if r.User == nil {
		return nil
	}
	return r.User.Failure
}

// Missing is for how many complete runs in a row the photo was missing.
func (r *Record) Missing() int {
	if r.User == nil {
		return 0
	}
	return r.User.Missing
}

// Remembered prints what is remembered of a person in a line.
func (c *Console) Remembered(r *Record) {
	text := "nothing uploaded"
	if r.User != nil && r.User.Sent != nil {
		text = "uploaded "
		switch s := r.User.Sent; {
		case s.Placeholder:
			text = "placeholder, "
		case s.Adopted:
			text = "adopted "
		}
		text += r.User.Sent.At.Format(time.RFC3339)
	}
	if r.User != nil && r.User.Intent != nil {
		text += ", an upload of " + r.User.Intent.At.Format(time.RFC3339) + " has no answer"
	}
	if n := r.Missing(); n > 0 {
		text += ", no photo for " + count(n, "complete run")
	}
	if f := r.Failed(); f != nil {
		text += fmt.Sprintf(", failed %s: %s %s", count(f.Count, "time"), f.Code, f.Message)
		if f.RefID != "" {
			text += " (refId " + f.RefID + ")"
		}
	}
	where := ""
	if p := r.Person; p != nil && p.Source != "" {
		where = p.Source + ": " + p.Ref + "  "
	}
	c.line(2, "%s  %s%s", r.Email, where, text)
}

// RememberedWhole prints everything that is remembered of a person.
func (c *Console) RememberedWhole(r *Record) {
	c.line(0, "%s", styled{bold, r.Email})
	c.record(r.Person, r.User)
}

// Adoptable prints the people whose pictures in Smartsheet would be taken for ours.
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
