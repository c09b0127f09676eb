package simulator

import (
	"fmt"
	"strconv"
	"strings"
)

// quirks are ways in which Smartsheets differ, or differ from their reference.
var quirks = map[string]func(*Options){
	"totals-unknown":   func(o *Options) { o.TotalsUnknown = true },
	"repeat-last-page": func(o *Options) { o.RepeatLastPage = true },
	"duplicate-users":  func(o *Options) { o.DuplicateUsers = true },
	"churn":            func(o *Options) { o.Churn = true },
	"answer-in-result": func(o *Options) { o.AnswerShape = "result" },
	"sizes-as-text":    func(o *Options) { o.SizesAsText = true },
	"no-email-filter":  func(o *Options) { o.NoEmailFilter = true },
	"unstable-ids":     func(o *Options) { o.UnstableImageIDs = true },
}

// AddQuirk sets the option that text names: totals-unknown, repeat-last-page,
// duplicate-users, churn, answer-in-result, sizes-as-text, no-email-filter, unstable-ids
// or page-cap=N.
func (o *Options) AddQuirk(text string) error {
	if set, ok := quirks[text]; ok {
		set(o)
		return nil
	}
	if v, ok := strings.CutPrefix(text, "page-cap="); ok {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return fmt.Errorf("quirk %q: want a number of users above 0", text)
		}
		o.PageSizeCap = n
		return nil
	}
	return fmt.Errorf("no quirk %q; there are totals-unknown, repeat-last-page, duplicate-users, churn, answer-in-result, sizes-as-text, no-email-filter, unstable-ids, page-cap=N", text)
}
