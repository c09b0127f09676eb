package simulator

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// quirks are ways in which Smartsheets differ, or differ from their reference. Oddities
// are quirks, too, when every answer has them.
var quirks = map[string]func(*Options){
	"repeat-last-page": func(o *Options) { o.RepeatLastPage = true },
	"duplicate-users":  func(o *Options) { o.DuplicateUsers = true },
	"churn":            func(o *Options) { o.Churn = true },
	"no-email-filter":  func(o *Options) { o.NoEmailFilter = true },
	"unstable-ids":     func(o *Options) { o.UnstableImageIDs = true },
}

// AddQuirk switches on what text names: a quirk, an oddity or page-cap=N. It comes before
// the first request.
func (s *Server) AddQuirk(text string) error {
	n, capped := strings.CutPrefix(text, "page-cap=")
	if size, err := strconv.Atoi(n); capped && err == nil && size > 0 {
		s.o.PageSizeCap = size
	} else if set := quirks[text]; set != nil {
		set(&s.o)
	} else if oddities[text] != nil {
		s.AddFault(Fault{Op: "any", Kind: text})
	} else {
		all := slices.Concat(slices.Sorted(maps.Keys(quirks)), slices.Sorted(maps.Keys(oddities)))
		return fmt.Errorf("no quirk %q; there are page-cap=N, %s", text, strings.Join(all, ", "))
	}
	return nil
}
