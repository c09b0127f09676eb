package sources

import "testing"

// A buffer that was given back is lent again, whole and with the length asked for. A
// buffer that nobody lent is not.
func TestBuffers(t *testing.T) {
	var b Buffers
	for _, n := range []int{0, 1, smallestBuffer - 1, smallestBuffer, smallestBuffer + 1, 20_000, 32 << 10, MaxPhotoBytes, MaxPhotoBytes + 1} {
		data := b.Get(n)
		if len(data) != n {
			t.Errorf("asked for %d bytes and got %d", n, len(data))
		}
		Photo{Data: data, Lender: &b}.Done()
		if again := b.Get(n); len(again) != n {
			t.Errorf("asked for %d bytes again and got %d", n, len(again))
		}
	}
	own := make([]byte, 5000)
	Photo{Data: own}.Done()
	Photo{Data: own, Lender: &b}.Done()
	Photo{Lender: &b}.Done()
	for range 10 {
		if got := b.Get(4999); cap(got) != 8192 {
			t.Fatalf("a buffer of %d bytes", cap(got))
		}
	}
}

// Reading one photo after the other takes the memory of a few.
func TestBuffersAreLentAgain(t *testing.T) {
	var b Buffers
	different := map[*byte]bool{}
	for range 1000 { // now and then a pool drops some
		data := b.Get(20_000)
		different[&data[0]] = true
		Photo{Data: data, Lender: &b}.Done()
	}
	if len(different) > 700 {
		t.Errorf("%d buffers for 1000 photos", len(different))
	}
}
