package state

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// cases is how many of n a test tries: fewer with -short, as under the race detector.
func cases(n int) int {
	if testing.Short() {
		return n / 5
	}
	return n
}

// damages is how many damaged copies a test makes: DAMAGES, or else n.
func damages(t *testing.T, n int) int {
	n = cases(n)
	if s := os.Getenv("DAMAGES"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// Copies that are cut off, that have flipped bits or lost sectors, and that have only
// some of the pages of the last transaction: an error, or the truth. Never an older or
// an empty state as if it were the one of now, and never a panic.
func TestTornCopies(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	write(t, s, both(0, 150))
	write(t, s, Change{ForgetPeople: []string{person(149).Email}, ForgetUsers: []int64{userID(149)}})
	shut(t, s)
	before := contents(t, path)
	s = open(t, path)
	truth := both(0, 149)
	for i := range truth.People {
		if i%10 == 0 {
			truth.People[i].Stamp, truth.Users[i].Missing = "later", 7
		}
	}
	write(t, s, truth)
	shut(t, s)
	after := contents(t, path)
	before = append(before, make([]byte, len(after)-len(before))...)
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	size, seen, total := os.Getpagesize(), map[string]int{}, damages(t, 60)
	kinds := map[string]func(data []byte) []byte{
		"cut": func(data []byte) []byte { return data[:rng.IntN(len(data))] },
		"flipped": func(data []byte) []byte {
			for range 1 + rng.IntN(4) {
				data[rng.IntN(len(data))] ^= 1 << rng.IntN(8)
			}
			return data
		},
		"sectors lost": func(data []byte) []byte {
			for range 1 + rng.IntN(4) {
				clear(data[rng.IntN(len(data)/512)*512:][:512])
			}
			return data
		},
		// The meta page of the last transaction is there: the disk said that all were.
		"pages lost": func(data []byte) []byte {
			for at := 2 * size; at < len(data); at += size {
				if rng.IntN(3) == 0 {
					copy(data[at:at+size], before[at:])
				}
			}
			return data
		},
		"cut to whole pages": func(data []byte) []byte { return data[:rng.IntN(len(data)/size)*size] },
	}
	// Damage may hit what the file does not use: no kind may be without luck all the time.
	for i := 0; i < total || i < 20*total && len(seen) < len(kinds); i++ {
		for kind, spoil := range kinds {
			data := spoil(bytes.Clone(after))
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if noticed(t, fmt.Sprintf("seed %d, copy %d, %s", seed, i, kind), path, truth) {
				seen[kind]++
			}
		}
	}
	t.Logf("of %d copies of each kind or more, these were noticed, and the others are whole: %v", total, seen)
	for kind := range kinds {
		if seen[kind] == 0 {
			t.Errorf("%s: of %d copies none was noticed", kind, 20*total)
		}
	}
}

// The last transaction was not confirmed yet when the power went: its pages are there or
// not, and the state is that of before.
func TestTornTransaction(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	write(t, s, both(0, 150))
	shut(t, s)
	before := contents(t, path)
	s = open(t, path)
	write(t, s, Change{People: both(0, 50).People, Users: both(100, 200).Users})
	shut(t, s)
	after := contents(t, path)
	before = append(before, make([]byte, len(after)-len(before))...)
	rng := rand.New(rand.NewPCG(5, 6))
	size := os.Getpagesize()
	for i := range damages(t, 60) {
		data := bytes.Clone(before)
		for at := 2 * size; at < len(data); at += size {
			if rng.IntN(2) == 0 {
				copy(data[at:at+size], after[at:])
			}
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, path)
		holds(t, s, both(0, 150))
		shut(t, s)
		if t.Failed() {
			t.Fatalf("copy %d", i)
		}
	}
}
