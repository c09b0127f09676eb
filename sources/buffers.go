package sources

import (
	"math/bits"
	"sync"
)

// smallestBuffer is the smallest buffer that is worth reusing.
const smallestBuffer = 4 << 10

// Buffers lends memory for photos and takes it back. A first run reads some
// gigabytes of photos, a few at a time: with reused buffers it needs the memory of
// those few, and the garbage collector has nothing to do. The zero value is ready.
type Buffers struct {
	free [32]sync.Pool // by the power of two that is their size
}

// Get returns a buffer of n bytes with any content.
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

// put takes a buffer back. One of another size than Get makes is left to the garbage
// collector.
func (b *Buffers) put(p []byte) {
	p = p[:cap(p)]
	if size := bits.Len(uint(len(p)) - 1); len(p) >= smallestBuffer && len(p) == 1<<size {
		b.free[size].Put(&p)
	}
}

// Done gives the memory of Data back, if it was lent. Data must not be used any more.
func (p Photo) Done() {
	if p.Lender != nil && len(p.Data) > 0 {
		p.Lender.put(p.Data)
	}
}
