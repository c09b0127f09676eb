package sources

import "testing"

// A buffer that was given back is lent again, with the length asked for.
func TestBuffers(t *testing.T) {
	var b Buffers
	different := map[*byte]bool{}
	for i := range 1000 { // now and then a pool drops some
		n := 20_000 + i
		data := b.Get(n)
		if len(data) != n {
			t.Fatalf("asked for %d bytes and got %d", n, len(data))
		}
		different[&data[0]] = true
		Photo{Data: data[:n-1], Lender: &b}.Done()
	}
	if len(different) > 700 {
		t.Errorf("%d buffers for 1000 photos", len(different))
	}
	Photo{Data: []byte("own")}.Done()
	for _, n := range []int{0, 1, 32 << 10, MaxPhotoBytes + 1, 1} {
		Photo{Lender: &b}.Done()
		if data := b.Get(n); len(data) != n {
			t.Errorf("asked for %d bytes and got %d", n, len(data))
		}
	}
}
