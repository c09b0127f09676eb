package console

import (
	"encoding/json"
	"io"
	"unicode/utf8"

	"photosync/sync/report"
)

// Check is a line of a checkup.
type Check struct {
	Status string `json:"status"` // ok, note, warning or problem
	What   string `json:"what"`
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"` // what to do; empty: nothing
	// Finding is the code of the finding that a run would report; empty: none.
	Finding string `json:"finding,omitempty"`
}

// Statuses of a Check.
const (
	OK      = "ok"
	Note    = "note"    // worth knowing
	Warning = "warning" // a run begins all the same
	Problem = "problem" // a run would fail
)

// Checkup prints what a checkup found, and what to do about it.
func (c *Console) Checkup(checks []Check) {
	width, problems, warnings, findings := 0, 0, 0, 0
	for _, k := range checks {
		width = max(width, utf8.RuneCountInString(k.What))
		switch k.Status {
		case Problem:
			problems++
		case Warning:
			if warnings++; k.Finding != "" {
				findings++
			}
		}
	}
	marks := map[string]styled{OK: good, Note: note, Warning: warning, Problem: bad}
	for _, k := range checks {
		c.line(width+4, "%s %-*s  %s", marks[k.Status], width, k.What, k.Detail)
		c.remedy(width+4, k.Remedy)
	}
	verdict := styled{moods["good"], "A run can begin"}
	if warnings > 0 {
		verdict = styled{moods["warn"], "A run can begin, but see the " + count(warnings, "warning")}
	}
	if findings > 0 {
		verdict = styled{moods["warn"], "A run would end with exit code 3: somebody is needed"}
	}
	if problems > 0 {
		verdict = styled{moods["bad"], "A run would fail: " + count(problems, "problem")}
		if warnings > 0 {
			verdict.text += ", " + count(warnings, "warning")
		}
	}
	c.line(0, "%s.", verdict)
}

func count(n int, noun string) string { return report.Count(n, noun, noun+"s") }

func people(n int) string { return report.Count(n, "person", "people") }

// CheckupJSON writes what a checkup found as one line of JSON.
func CheckupJSON(w io.Writer, checks []Check) error {
	result := OK
	for _, k := range checks {
		if k.Status == Problem {
			result = Problem
		}
	}
	return json.NewEncoder(w).Encode(struct {
		MessageType string  `json:"message_type"` // "check"
		Result      string  `json:"result"`       // ok or problem
		Findings    []Check `json:"findings"`
	}{"check", result, append([]Check{}, checks...)})
}
