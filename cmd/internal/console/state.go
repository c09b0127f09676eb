package console

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"photosync/state"
	"photosync/sync/foreign"
)

// Record is what the state remembers of an address: the person, and
// what we put on the user.
type Record struct {
	Email  string        `json:"email"`
	UserID int64         `json:"user_id,omitempty"`
	Person *state.Person `json:"person"` // null: the sources were not looked at yet, or the person is gone
	User   *state.User   `json:"user"`   // null: we put nothing there
}

// Put is what we put on the user, if anything.
func (r *Record) Put() state.User { return *cmp.Or(r.User, &state.User{}) }

// Remembered prints what is remembered of a person in a line.
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
	} else if p == nil && r.UserID != 0 { // somebody else may have the address now
		where = fmt.Sprintf("user %d, whom nobody in the sources matches  ", r.UserID)
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
