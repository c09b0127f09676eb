package sources

import (
	"bytes"
	"iter"
)

// listed yields everyone in every source by first address, and among those who
// share it by source. last tells that the next one has another first address. The
// addresses of a candidate are good until the next step, and of those with one
// address until one with another comes.
func (p *People) listed() iter.Seq2[Candidate, bool] {
	return func(yield func(Candidate, bool) bool) {
		var h heap
		for i, r := range p.rosters {
			for _, data := range r.runs {
				if c := (&cursor{roster: r, source: i, rest: data}); c.next() {
					h = append(h, c)
				}
			}
		}
		for i := len(h)/2 - 1; i >= 0; i-- {
			h.down(i)
		}
		var key []byte
		for len(h) > 0 {
			top := h[0]
			key = append(key[:0], top.key...)
			c := Candidate{Source: top.source, Person: top.person()}
			if !top.next() {
				h[0] = h[len(h)-1]
				h = h[:len(h)-1]
			}
			if len(h) > 0 {
				h.down(0)
			}
			if !yield(c, len(h) == 0 || !bytes.Equal(h[0].key, key)) {
				return
			}
		}
	}
}

// heap holds the runs, the one with the least key on top. (container/heap, through
// its interface, takes twice as long, and every person of every night goes through
// here.)
type heap []*cursor

func (h heap) less(i, j int) bool {
	if c := bytes.Compare(h[i].key, h[j].key); c != 0 {
		return c < 0
	}
	return h[i].source < h[j].source
}

func (h heap) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h); child++ {
			if h.less(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
