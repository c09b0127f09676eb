package sources

import (
	"context"
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
	l, err := r.Source.List(ctx, func(p Person) error {
		p.Own, p.Aliases = Addresses(r.rewrite(p.Own), r.rewrite(p.Aliases))
		return each(p)
	})
	l.Reserved = r.rewrite(l.Reserved)
	return l, err
}

func (r rewritten) Photos(ctx context.Context, refs []Ref, each func(Photo) error) error {
	return r.Source.Photos(ctx, refs, func(p Photo) error {
		p.Emails = r.rewrite(p.Emails)
		return each(p)
	})
}

// rewrite returns a copy of addresses with their domains rewritten; nil stays nil.
func (r rewritten) rewrite(addresses []string) (all []string) {
	for _, a := range addresses {
		local, domain, _ := strings.Cut(a, "@")
		if to, ok := r.domains[domain]; ok {
			a = local + "@" + to
		}
		all = append(all, a)
	}
	return all
}

// Describe asks the source itself.
func (r rewritten) Describe(ctx context.Context, ref Ref) ([]Fact, error) {
	return Describe(ctx, r.Source, ref)
}
