package sources

import (
	"context"
	"slices"
	"strings"
)

// Named is a source with what the configuration says about it.
type Named struct {
	Name string
	Type string // "folder", "ldap"
	// Domains are those whose addresses the source may claim, in the form that
	// Email gives them; empty: all.
	Domains []string
	// Rewrite has the domains that count as another one: {"corp.local": "example.com"}.
	Rewrite map[string]string
	// MayBeEmpty: it is no fault when the source lists nobody.
	MayBeEmpty bool
	Source
}

// Photos reads photos from the source. The domains of their addresses are rewritten.
func (n Named) Photos(ctx context.Context, refs []Ref, each func(Photo) error) error {
	rewrite := n.rewriter()
	return n.Source.Photos(ctx, refs, func(p Photo) error {
		p.Emails = rewrite(p.Emails)
		return each(p)
	})
}

// rewriter returns a function that copies addresses, with their domains rewritten.
func (n Named) rewriter() func(addresses []string) []string {
	if len(n.Rewrite) == 0 {
		return slices.Clone[[]string]
	}
	domains := map[string]string{}
	for from, to := range n.Rewrite {
		from, _ = domain(from)
		domains[from], _ = domain(to)
	}
	return func(addresses []string) []string {
		addresses = slices.Clone(addresses)
		for i, a := range addresses {
			local, host, _ := strings.Cut(a, "@")
			if to, ok := domains[host]; ok {
				addresses[i] = local + "@" + to
			}
		}
		return addresses
	}
}

// claims reports whether the source may claim an address.
func (n Named) claims(address string) bool {
	_, host, _ := strings.Cut(address, "@")
	return len(n.Domains) == 0 || slices.Contains(n.Domains, host)
}
