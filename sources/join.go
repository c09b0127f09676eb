package sources

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Named is a source with what the configuration says about it.
type Named struct {
	Name       string
	Type       string            // "folder", "ldap"
	Domains    []string          // of the addresses that it may claim; empty: all
	Rewrite    map[string]string // domains that count as another one: {"corp.local": "example.com"}
	MayBeEmpty bool              // it is not a fault if the source lists nobody
	Source
}

// Photos reads photos from the source. The domains of their addresses are rewritten.
func (n Named) Photos(ctx context.Context, refs []Ref, each func(Photo) error) error {
	rewrite := n.Rewriter()
	return n.Source.Photos(ctx, refs, func(p Photo) error {
		p.Emails = rewrite(p.Emails)
		return each(p)
	})
}

// Rewriter returns a function that rewrites the domains of addresses, in a copy.
func (n Named) Rewriter() func(addresses []string) []string {
	domains := map[string]string{}
	for from, to := range n.Rewrite {
		from, _ = domain(from)
		domains[from], _ = domain(to)
	}
	return func(addresses []string) []string {
		if len(domains) == 0 {
			return addresses
		}
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

// ListError means that a source could not be listed completely.
type ListError struct {
	Source string
	Err    error
}

func (e *ListError) Error() string { return fmt.Sprintf("list source %q: %v", e.Source, e.Err) }
func (e *ListError) Unwrap() error { return e.Err }

// Join lists the sources in order of precedence and decides who holds which address; the rules
// are in claims.go. An incomplete listing is a *ListError: without the missing entries, people
// could get the photo of a source that comes later. Join always returns the listings, as far as they got.
func Join(ctx context.Context, srcs []Named) (*People, []Listing, error) {
	p := &People{Reserved: map[string]bool{}}
	var listings []Listing
	for i, src := range srcs {
		p.names = append(p.names, src.Name)
		before := len(p.claims)
		l, err := p.list(ctx, i, src)
		if errors.Is(err, ErrMoved) {
			p.claims = p.claims[:before]
			l, err = p.list(ctx, i, src)
		}
		l.Claims = len(p.claims) > before
		listings = append(listings, l)
		if err != nil {
			return nil, listings, &ListError{Source: src.Name, Err: err}
		}
		for _, a := range l.Reserved {
			p.Reserved[a] = true
		}
	}
	slices.SortFunc(p.claims, claim.compare)
	if err := p.matchOwn(ctx, srcs, listings); err != nil {
		return nil, listings, err
	}
	held := p.claims[:0] // each address once, with its holder
	p.groups(func(address string, group []claim) {
		c := group[0]
		if len(group) > 1 || c.entry.person != nil || p.Reserved[address] {
			c.entry = p.decide(address, group)
			c.key = c.entry != nil && c.entry.held()[0] == address
		}
		if c.entry != nil {
			held = append(held, c)
		}
	})
	p.claims = held
	slices.SortFunc(p.Lost, func(a, b LostClaim) int {
		return cmp.Or(strings.Compare(a.Address, b.Address), strings.Compare(a.Loser.Source, b.Loser.Source), strings.Compare(a.Loser.Ref, b.Loser.Ref))
	})
	return p, listings, nil
}

// list collects what the entries of one source claim.
func (p *People) list(ctx context.Context, source int, src Named) (Listing, error) {
	rewrite := src.Rewriter()
	domains := make([]string, len(src.Domains))
	for i, d := range src.Domains {
		domains[i], _ = domain(d)
	}
	appendClaimed := func(to, addresses []string) []string {
		for _, a := range rewrite(addresses) {
			if _, host, _ := strings.Cut(a, "@"); len(domains) == 0 || slices.Contains(domains, host) {
				to = append(to, a)
			}
		}
		return to
	}
	var own, aliases []string     // of one entry after the other
	var left, notRemoved []string // entries without an own address that the source may claim
	l, err := src.List(ctx, func(x Person) error {
		own, aliases = Addresses(appendClaimed(own[:0], x.Own), appendClaimed(aliases[:0], x.Aliases))
		if len(own) == 0 {
			left = append(left, x.Ref.Name)
			notRemoved = append(notRemoved, cmp.Or(x.Ref.Key, x.Ref.Name))
			return nil
		}
		var rewritten []string
		if len(src.Rewrite) > 0 {
			rewritten = only(own, func(a string) bool { return !slices.Contains(x.Own, a) })
		}
		x.Own, x.Aliases = own, aliases
		e := p.newEntry(source, &x, rewritten)
		if len(p.claims) == cap(p.claims) { // double the room: append would copy many people a dozen times
			p.claims = slices.Grow(p.claims, len(p.claims)+1)
		}
		for _, part := range [...]int{partOwn, partAliases} {
			for a := range strings.FieldsSeq(e.part(part)) { // shares the entry's memory
				p.claims = append(p.claims, claim{a, e, a == own[0]})
			}
		}
		return nil
	})
	l.Reserved, l.NotRemoved = rewrite(l.Reserved), append(l.NotRemoved, notRemoved...)
	if err == nil && !l.Complete {
		err = errors.New("the listing is not complete")
	}
	l.Complete = err == nil
	if len(left) > 0 {
		l.Warnings = append(l.Warnings, fmt.Sprintf("%d left out: no own address in %s (first: %q)", len(left), strings.Join(src.Domains, ", "), slices.Min(left)))
		l.Unnamed = append(l.Unnamed, left...)
		slices.Sort(l.Unnamed)
	}
	return l, err
}

// groups calls each for one address after the other, with all claims to it.
func (p *People) groups(each func(address string, group []claim)) {
	for from := 0; from < len(p.claims); {
		address, to := p.claims[from].address, from+1
		for to < len(p.claims) && p.claims[to].address == address {
			to++
		}
		each(address, p.claims[from:to])
		from = to
	}
}

// matchOwn decides who holds which own address. Entries affect each other only if they own the
// same address, directly or through other entries.
func (p *People) matchOwn(ctx context.Context, srcs []Named, listings []Listing) error {
	linked := map[*entry]bool{}
	unknown := make([]map[Ref]*entry, len(srcs)) // by source; see readUnknown
	p.groups(func(address string, group []claim) {
		reserved := p.Reserved[address]
		if len(group) == 1 && !reserved {
			return
		}
		var owners []*entry
		for _, c := range group {
			if c.entry.owns(address) {
				owners = append(owners, c.entry)
			}
		}
		if len(owners) < 2 && !reserved {
			return
		}
		slices.SortFunc(owners, (*entry).compare)
		simple := !reserved
		for i, e := range owners {
			simple = simple && e.part(partOwn) == address && (i == 0 || e.source != owners[i-1].source)
		}
		if simple { // nearly always: one person
			(&person{}).add([]string{address}, owners...)
			return
		}
		for _, e := range owners {
			linked[e] = true
			if e.photo == Unknown && slices.ContainsFunc(owners, func(o *entry) bool { return o != e && o.source == e.source }) {
				if unknown[e.source] == nil {
					unknown[e.source] = map[Ref]*entry{}
				}
				unknown[e.source][e.ref()] = e
			}
		}
	})
	if err := readUnknown(ctx, srcs, unknown); err != nil {
		return err
	}
	p.match(slices.Collect(maps.Keys(linked)))
	for e := range linked {
		if l := &listings[e.source]; e.person == nobody && e.photo != Absent { // its photo was not removed
			l.NotRemoved = append(l.NotRemoved, cmp.Or(e.part(partKey), e.part(partName)))
		}
	}
	return nil
}

// readUnknown reads the photos of entries of one source that own the same address, if the
// listing does not say whether they have a photo: rule 4 depends on that.
func readUnknown(ctx context.Context, srcs []Named, unknown []map[Ref]*entry) error {
	for i, entries := range unknown {
		if len(entries) == 0 || len(entries) > 1000 { // so many conflicts are a fault of the source
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
