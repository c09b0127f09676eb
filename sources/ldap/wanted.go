package ldap

import (
	"cmp"
	"slices"
	"strings"

	"photosync/sources"
)

// wanted are photos that are to be read, in little memory: on a first run they are
// those of everybody in a company.
type wanted struct {
	refs  []sources.Ref
	order []int32 // of the distinct ones, by what their entries are found by
	taken []bool  // in that order
}

// want returns refs as wanted, none of them taken.
func want(refs []sources.Ref) *wanted {
	w := &wanted{refs: refs, order: make([]int32, len(refs))}
	for i := range refs {
		w.order[i] = int32(i)
	}
	slices.SortFunc(w.order, func(a, b int32) int { return byID(refs[a], refs[b]) })
	w.order = slices.CompactFunc(w.order, func(a, b int32) bool { return refs[a] == refs[b] })
	w.taken = make([]bool, len(w.order))
	return w
}

func byID(a, b sources.Ref) int { return cmp.Or(strings.Compare(a.Key, b.Key), a.Compare(b)) }

// take takes one.
func (w *wanted) take(r sources.Ref) {
	if i, ok := slices.BinarySearchFunc(w.order, r, func(o int32, r sources.Ref) int { return byID(w.refs[o], r) }); ok {
		w.taken[i] = true
	}
}

// takeAll takes those of one entry that are left, found by id.
func (w *wanted) takeAll(of string) (refs []sources.Ref) {
	i, _ := slices.BinarySearchFunc(w.order, of, func(o int32, of string) int { return strings.Compare(w.refs[o].Key, of) })
	for ; i < len(w.order) && w.refs[w.order[i]].Key == of; i++ {
		if !w.taken[i] {
			w.taken[i] = true
			refs = append(refs, w.refs[w.order[i]])
		}
	}
	return refs
}

// left returns those that were not taken.
func (w *wanted) left() (refs []sources.Ref) {
	if len(w.order) == len(w.refs) && !slices.Contains(w.taken, true) {
		return w.refs
	}
	for i, taken := range w.taken {
		if !taken {
			refs = append(refs, w.refs[w.order[i]])
		}
	}
	return refs
}
