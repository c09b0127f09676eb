package state

import (
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/bbolt"
)

// waiting lets n workers write a row each while another write goes on, and returns their errors.
func waiting(t *testing.T, s *Store, n int, change func(i int) Change) []error {
	t.Helper()
	errs := make([]error, n)
	s.writing.Lock()
	var workers sync.WaitGroup
	for i := range n {
		workers.Go(func() { errs[i] = s.Write(change(i)) })
	}
	for joined := 0; joined < n; runtime.Gosched() {
		s.joining.Lock()
		if s.next != nil {
			joined = len(s.next.users)
		}
		s.joining.Unlock()
	}
	s.writing.Unlock()
	workers.Wait()
	return errs
}

func TestWritesThatWaitShareATransaction(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	const n = 8
	for _, err := range waiting(t, s, n, func(i int) Change { return both(i, i+1) }) {
		if err != nil {
			t.Error(err)
		}
	}
	if g := s.Generation(); g != 1 {
		t.Errorf("%d writes that waited made %d transactions, want 1", n, g)
	}
	holds(t, s, both(0, n))

	// One that cannot be written is an error for all of them, and not for those that follow.
	tooLong := strings.Repeat("x", bbolt.MaxKeySize+1)
	for i, err := range waiting(t, s, n, func(i int) Change {
		c := both(n+i, n+i+1)
		if i == 3 {
			c.People[0].Email = tooLong
		}
		return c
	}) {
		if err == nil {
			t.Errorf("worker %d was told that its row is durable", i)
		}
	}
	holds(t, s, both(0, n))
	write(t, s, both(n, n+1))
	shut(t, s)
	holds(t, open(t, path), both(0, n+1))
}
