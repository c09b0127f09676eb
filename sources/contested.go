package sources

import (
	"context"
	"errors"
	"maps"
	"slices"
)

// mostContested bounds how many photos are read to decide who contests an address.
const mostContested = 1000

// readContested reads the photos of entries of one source that own an address together,
// where the listing does not know of them: who has no photo does not contest (rule 4).
func (p *People) readContested(ctx context.Context, srcs []Named) error {
	contested := make([]map[Ref]*entry, len(srcs))
	for address, group := range p.groups() {
		if len(group) == 1 {
			continue
		}
		owners := make([][]*entry, len(srcs))
		for _, c := range group {
			if e := c.entry; e.owns(address) {
				owners[e.source] = append(owners[e.source], e)
			}
		}
		for i, es := range owners {
			for _, e := range es {
				if len(es) > 1 && e.photo == Unknown {
					if contested[i] == nil {
						contested[i] = map[Ref]*entry{}
					}
					contested[i][e.ref()] = e
				}
			}
		}
	}
	for i, entries := range contested {
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
