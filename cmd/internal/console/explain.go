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

func (c *Console) Explanation(x *job.Explanation) { c.show("explanation", x, "layouts/*") }

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
		text += fmt.Sprintf(", failed %s: %s", count(f.Count, "time"), strings.Trim(f.Code+": "+f.Message, ": "))
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
	c.line("%s  %s%s", r.Email, where, text)
}

func (c *Console) RememberedWhole(r *Record) { c.show("remembered", r, "layouts/record.txt") }

// Adoptable prints the people whose pictures in Smartsheet would be recorded as ours.
func (c *Console) Adoptable(users []state.User) {
	for i, u := range users {
		if i == 20 {
			c.line("  and %s more", report.Number(len(users)-i))
			break
		}
		c.line("  %s  user %d  image %s", u.Sent.Email, u.ID, u.Sent.ImageID)
	}
}

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

// Forecast says how a run would end now, by what a checkup found: it would fail, or somebody is needed.
func Forecast(checks []Check) (fails, needsSomebody bool) {
	for _, k := range checks {
		fails = fails || k.Status == Problem
		needsSomebody = needsSomebody || k.Status == Warning && k.Finding != ""
	}
	return fails, needsSomebody
}

func (c *Console) Checkup(checks []Check) {
	width, n := 0, map[string]int{} // by status
	for _, k := range checks {
		width = max(width, utf8.RuneCountInString(k.What))
		n[k.Status]++
	}
	marks := map[string]styled{OK: good, Note: note, Warning: warning, Problem: bad}
	for _, k := range checks {
		c.line("%s %-*s  %s", marks[k.Status], width, k.What, k.Detail)
		if k.Remedy != "" {
			c.line("%*s%s %s", width+4, "", styled{bold, "→"}, k.Remedy)
		}
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
	c.line("%s.", styled{moods[mood], verdict})
}

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
