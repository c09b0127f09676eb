package console

import (
	"slices"
	"unicode/utf8"
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

// Statuses of a Check: fine, worth knowing, a run begins all the same, a run would fail.
const OK, Note, Warning, Problem = "ok", "note", "warning", "problem"

// Checkup prints what a checkup found, and what to do about it.
func (c *Console) Checkup(checks []Check) {
	width, findings, n := 0, 0, map[string]int{} // by status
	for _, k := range checks {
		width = max(width, utf8.RuneCountInString(k.What))
		n[k.Status]++
		if k.Status == Warning && k.Finding != "" {
			findings++
		}
	}
	marks := map[string]styled{OK: good, Note: note, Warning: warning, Problem: bad}
	for _, k := range checks {
		c.line(width+4, "%s %-*s  %s", marks[k.Status], width, k.What, k.Detail)
		c.remedy(width+4, k.Remedy)
	}
	mood, verdict := "good", "A run can begin"
	switch {
	case n[Problem] > 0:
		mood, verdict = "bad", "A run would fail: "+count(n[Problem], "problem")
		if n[Warning] > 0 {
			verdict += ", " + count(n[Warning], "warning")
		}
	case findings > 0:
		mood, verdict = "warn", "A run would end with exit code 3, or 4 if a guard holds it: somebody is needed"
	case n[Warning] > 0:
		mood, verdict = "warn", "A run can begin, but see the "+count(n[Warning], "warning")
	}
	c.line(0, "%s.", styled{moods[mood], verdict})
}

// Check writes what a checkup found.
func (l *Lines) Check(checks []Check) error {
	result := OK
	if slices.ContainsFunc(checks, func(k Check) bool { return k.Status == Problem }) {
		result = Problem
	}
	return l.print("check", struct {
		Result   string  `json:"result"` // ok or problem
		Findings []Check `json:"findings"`
	}{result, checks})
}
