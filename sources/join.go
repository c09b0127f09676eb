package sources

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// ListError is a source that could not be listed to its end.
type ListError struct {
	Source string
	Err    error
}

func (e *ListError) Error() string { return fmt.Sprintf("list source %q: %v", e.Source, e.Err) }
func (e *ListError) Unwrap() error { return e.Err }

// Join lists the sources in order of precedence and decides who holds which
// address; the rules are in claims.go. An incomplete listing is a *ListError:
// acting on the rest could give a person the photo of a source that does not come
// first. The listings are returned in every case, as far as they got.
func Join(ctx context.Context, srcs []Named) (*People, []Listing, error) {
	p := &People{reserved: map[string]bool{}}
	listings := make([]Listing, 0, len(srcs))
	for i, src := range srcs {
		p.names = append(p.names, src.Name)
		before := len(p.entries)
		l, err := p.list(ctx, i, src)
		if errors.Is(err, ErrMoved) {
			p.entries = slices.Delete(p.entries, before, len(p.entries))
			l, err = p.list(ctx, i, src)
		}
		listings = append(listings, l)
		if err != nil {
			return nil, listings, &ListError{Source: src.Name, Err: err}
		}
		for _, a := range l.Reserved {
			p.reserved[a] = true
		}
	}
	p.claim()
	if err := p.readContested(ctx, srcs); err != nil {
		return nil, listings, err
	}
	p.matchOwn()
	p.decideAll()
	slices.SortFunc(p.lost, func(a, b LostClaim) int {
		return cmp.Or(strings.Compare(a.Address, b.Address), cmp.Compare(slices.Index(p.names, a.Loser.Source), slices.Index(p.names, b.Loser.Source)),
			strings.Compare(a.Loser.Ref, b.Loser.Ref))
	})
	return p, listings, nil
}

// list collects the entries of one source.
func (p *People) list(ctx context.Context, source int, src Named) (Listing, error) {
	foreign := func(address string) bool {
		_, domain, _ := strings.Cut(address, "@")
		return len(src.Domains) > 0 && !slices.Contains(src.Domains, domain)
	}
	var left []string // entries that own no address which the source may claim
	l, err := src.List(ctx, func(x Person) error {
		if len(src.Domains) > 0 || len(x.Own)+len(x.Aliases) > 1 {
			x.Own, x.Aliases = Addresses(slices.DeleteFunc(slices.Clone(x.Own), foreign), slices.DeleteFunc(slices.Clone(x.Aliases), foreign))
		}
		if len(x.Own) == 0 {
			left = append(left, x.Ref.Name)
			return nil
		}
		p.entries = append(p.entries, newEntry(source, &x))
		p.addresses += len(x.Own) + len(x.Aliases)
		return nil
	})
	if err == nil && !l.Complete {
		err = errors.New("the listing is not complete")
	}
	if err != nil {
		l.Complete = false
	}
	if len(left) > 0 {
		slices.Sort(left)
		l.Warnings = append(l.Warnings, fmt.Sprintf("%d left out: no own address in %s (first: %q)", len(left), strings.Join(src.Domains, ", "), left[0]))
		l.Unnamed = append(l.Unnamed, left...)
		slices.Sort(l.Unnamed)
	}
	return l, err
}

// claim collects what all entries claim, sorted by address.
func (p *People) claim() {
	p.claims = make([]claim, 0, p.addresses)
	for _, e := range p.entries {
		for a := range strings.SplitSeq(e.addresses(), " ") {
			p.claims = append(p.claims, newClaim(a, e))
		}
	}
	slices.SortFunc(p.claims, claim.compare)
}

// groups yields the claims to one address after the other.
func (p *People) groups() iter.Seq2[string, []claim] {
	return func(yield func(string, []claim) bool) {
		for from := 0; from < len(p.claims); {
			first, to := p.claims[from], from+1
			for to < len(p.claims) && p.claims[to].head == first.head && p.claims[to].address == first.address {
				to++
			}
			if !yield(first.address, p.claims[from:to]) {
				return
			}
			from = to
		}
	}
}

// matchOwn decides who holds which own address. Only entries that own an address
// together, directly or through others, concern each other: each such group is
// matched by itself. Nearly all entries are alone, or alone in each source.
func (p *People) matchOwn() {
	linked := links{}
	for address, group := range p.groups() {
		if len(group) == 1 && !p.reserved[address] {
			continue
		}
		var owners []*entry
		single := true // nobody owns anything else
		for _, c := range group {
			if c.entry.owns(address) {
				owners = append(owners, c.entry)
				single = single && int(c.entry.own) == len(address)
			}
		}
		switch {
		case len(owners) == 0, len(owners) == 1 && !p.reserved[address]:
		case single && !p.reserved[address] && fromDifferentSources(owners):
			together := &person{own: []string{address}, entries: owners}
			for _, e := range owners {
				e.person = together
			}
		case single:
			p.match(owners)
		default:
			linked.add(owners)
		}
	}
	for _, entries := range linked.groups() {
		p.match(entries)
	}
}

// fromDifferentSources sorts entries by source and reports whether no two come from
// the same one: then they are one person without more ado.
func fromDifferentSources(entries []*entry) bool {
	slices.SortFunc(entries, (*entry).compare)
	for i := 1; i < len(entries); i++ {
		if entries[i].source == entries[i-1].source {
			return false
		}
	}
	return true
}

// decideAll leaves one claim to each address that somebody holds, and decides who
// holds the aliases.
func (p *People) decideAll() {
	held := p.claims[:0]
	for address, group := range p.groups() {
		c, ok := group[0], true
		if len(group) > 1 || c.entry.person != nil || p.reserved[address] {
			c, ok = p.decide(address, group)
		}
		if !ok {
			continue
		}
		held = append(held, c)
		if c.entry.isKey(address) {
			p.count++
		}
	}
	if len(held) < len(p.claims)*3/4 { // of several sources: give the rest of the memory back
		held = slices.Clone(held)
	}
	p.claims = held
}

// links are entries that belong together because each of them owns an address with
// another one: disjoint sets, each entry pointing to another of its set or to itself.
type links map[*entry]*entry

func (l links) first(e *entry) *entry {
	for l[e] != nil && l[e] != e {
		l[e] = l[l[e]] // shorter the next time
		e = l[e]
	}
	return e
}

func (l links) add(entries []*entry) {
	first := l.first(entries[0])
	for _, e := range entries {
		if other := l.first(e); l[e] == nil || other != first {
			l[other] = first
			l[e] = first
		}
	}
}

func (l links) groups() map[*entry][]*entry {
	groups := map[*entry][]*entry{}
	for e := range l {
		groups[l.first(e)] = append(groups[l.first(e)], e)
	}
	return groups
}
