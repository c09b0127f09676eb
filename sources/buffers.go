package sources

import (
	"math/bits"
	"sync"
)

// smallestBuffer is the least that is worth being lent.
const smallestBuffer = 4 << 10

// Buffers lends the memory of photos. A first run reads some gigabytes of them, one
// after the other: with what it needs at once they take no more memory than a few,
// and the garbage collector has nothing to do. The zero value is ready for use.
type Buffers struct {
	free [32]sync.Pool // by the power of two that is their size
}

// Get returns a buffer of n bytes, with whatever is in it.
func (b *Buffers) Get(n int) []byte {
	if n < smallestBuffer {
		return make([]byte, n)
	}
	size := bits.Len(uint(n - 1))
	if p, ok := b.free[size].Get().(*[]byte); ok {
		return (*p)[:n]
	}
	return make([]byte, n, 1<<size)
}

// put takes a buffer back. What is not of a size that is lent is left to the
// collector.
func (b *Buffers) put(p []byte) {
	p = p[:cap(p)]
	if size := bits.Len(uint(len(p)) - 1); len(p) >= smallestBuffer && len(p) == 1<<size {
		b.free[size].Put(&p)
	}
}

// Done gives the memory of Data back, if it is lent. Nobody may look at it any more.
func (p Photo) Done() {
	if p.Lender != nil && len(p.Data) > 0 {
		p.Lender.put(p.Data)
	}
}
