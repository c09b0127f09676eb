package main

import "testing"

// A run that needs little is kept small, and one that needs much gets it.
func TestLimitFollowsTheNeed(t *testing.T) {
	for need, want := range map[uint64]int64{0: headroom, 20 << 20: headroom + 20<<20, 300 << 20: 400 << 20} {
		if got := limitFor(need); got != want {
			t.Errorf("for %d bytes: %d, want %d", need, got, want)
		}
	}
}
