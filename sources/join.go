package sources

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// mostContested bounds how many photos are read to decide who contests an address.
const mostContested = 1000

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
		before := len(p.claims)
		l, err := p.list(ctx, i, src)
		if errors.Is(err, ErrMoved) {
			p.claims = p.claims[:before]
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
	slices.SortFunc(p.claims, claim.compare)
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

// list collects what the entries of one source claim.
func (p *People) list(ctx context.Context, source int, src Named) (Listing, error) {
	rewrite := src.rewriter()
	foreign := func(address string) bool { return !src.claims(address) }
	var left []string // entries that own no address which the source may claim
	l, err := src.List(ctx, func(x Person) error {
		x.Own, x.Aliases = Addresses(slices.DeleteFunc(rewrite(x.Own), foreign), slices.DeleteFunc(rewrite(x.Aliases), foreign))
		if len(x.Own) == 0 {
			left = append(left, x.Ref.Name)
			return nil
		}
		e := newEntry(source, &x)
		for _, a := range append(e.own(), e.aliases()...) { // in the entry's memory
			p.claims = append(p.claims, claim{a, e})
		}
		return nil
	})
	l.Reserved = rewrite(l.Reserved)
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

// groups yields the claims to one address after the other.
func (p *People) groups() iter.Seq2[string, []claim] {
	return func(yield func(string, []claim) bool) {
		for from := 0; from < len(p.claims); {
			address, to := p.claims[from].address, from+1
			for to < len(p.claims) && p.claims[to].address == address {
				to++
			}
			if !yield(address, p.claims[from:to]) {
				return
			}
			from = to
		}
	}
}

// contested yields the addresses that several entries own, or that are reserved, with
// their owners.
func (p *People) contested() iter.Seq2[string, []*entry] {
	return func(yield func(string, []*entry) bool) {
		for address, group := range p.groups() {
			if len(group) == 1 && !p.reserved[address] {
				continue
			}
			var owners []*entry
			for _, c := range group {
				if c.entry.owns(address) {
					owners = append(owners, c.entry)
				}
			}
			if (len(owners) > 1 || p.reserved[address]) && !yield(address, owners) {
				return
			}
		}
	}
}

// readContested reads the photos of entries of one source that own an address together,
// where the listing does not know of them: who has no photo does not contest (rule 4).
func (p *People) readContested(ctx context.Context, srcs []Named) error {
	unknown := make([]map[Ref]*entry, len(srcs))
	for _, owners := range p.contested() {
		for _, e := range owners {
			rival := func(o *entry) bool { return o != e && o.source == e.source }
			if e.photo != Unknown || !slices.ContainsFunc(owners, rival) {
				continue
			}
			if unknown[e.source] == nil {
				unknown[e.source] = map[Ref]*entry{}
			}
			unknown[e.source][e.ref()] = e
		}
	}
	for i, entries := range unknown {
		if len(entries) == 0 || len(entries) > mostContested {
			continue
		}
		err := srcs[i].Photos(ctx, slices.Collect(maps.Keys(entries)), func(ph Photo) error {
			if errors.Is(ph.Err, ErrNoPhoto) {
				entries[ph.Ref].photo = Absent
			}
			ph.Done()
			return nil
		})
		if err != nil {
			return &ListError{Source: srcs[i].Name, Err: err}
		}
	}
	return nil
}

// matchOwn decides who holds which own address. Only entries that own an address
// together, directly or through others, concern each other.
func (p *People) matchOwn() {
	linked := map[*entry]bool{}
	for address, owners := range p.contested() {
		slices.SortFunc(owners, (*entry).compare)
		simple := !p.reserved[address]
		for i, e := range owners {
			simple = simple && e.part(own) == address && (i == 0 || e.source != owners[i-1].source)
		}
		if simple { // nearly always: one person, without more ado
			(&person{}).add([]string{address}, owners...)
			continue
		}
		for _, e := range owners {
			linked[e] = true
		}
	}
	p.match(slices.Collect(maps.Keys(linked)))
}

// decideAll leaves one claim to each address that somebody holds, and decides who
// holds the aliases.
func (p *People) decideAll() {
	held := p.claims[:0]
	for address, group := range p.groups() {
		c := group[0]
		if len(group) > 1 || c.entry.person != nil || p.reserved[address] {
			c.entry = p.decide(address, group)
		}
		if c.entry == nil {
			continue
		}
		held = append(held, c)
		if c.entry.isKey(address) {
			p.count++
		}
	}
	p.claims = held
}
