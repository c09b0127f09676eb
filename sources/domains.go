package sources

import (
	"context"
	"slices"
	"strings"
)

// WithDomains returns src with the domains of its people's addresses rewritten:
// an address at corp.local counts as one at example.com.
func WithDomains(src Source, domains map[string]string) Source {
	if len(domains) == 0 {
		return src
	}
	lower := make(map[string]string, len(domains))
	for from, to := range domains {
		lower[domainOr(from)] = domainOr(to)
	}
	return rewritten{src, lower}
}

// domainOr is the canonical form of a domain, or s if it has none.
func domainOr(s string) string {
	if d, err := Domain(s); err == nil {
		return d
	}
	return strings.ToLower(s)
}

type rewritten struct {
	Source
	domains map[string]string
}

func (r rewritten) List(ctx context.Context, each func(Person) error) (Listing, error) {
	return r.Source.List(ctx, func(p Person) error {
		var emails []string
		for _, e := range p.Emails {
			local, domain, _ := strings.Cut(e, "@")
			if to, ok := r.domains[domain]; ok {
				e = local + "@" + to
			}
			if !slices.Contains(emails, e) {
				emails = append(emails, e)
			}
		}
		p.Emails = emails
		return each(p)
	})
}

// Describe passes the question on.
func (r rewritten) Describe(ctx context.Context, ref Ref) ([]Fact, error) {
	return Describe(ctx, r.Source, ref)
}
