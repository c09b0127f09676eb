package ldap

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"photosync/sources"
)

// Whatever is taken one by one or entry by entry, each wanted photo is given out once,
// and the rest is left.
func TestWanted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		refs := rapid.SliceOf(rapid.Custom(func(t *rapid.T) sources.Ref {
			return sources.Ref{
				Name: rapid.SampledFrom([]string{"cn=a", "cn=b", "cn=c"}).Draw(t, "name"),
				Key:  rapid.SampledFrom([]string{"", "1", "2", "22"}).Draw(t, "key"),
				Mark: rapid.SampledFrom([]string{"", "mark", "other"}).Draw(t, "mark"),
			}
		})).Draw(t, "refs")
		given := slices.Clone(refs)
		w := want(refs)
		left := map[sources.Ref]bool{}
		for _, r := range refs {
			left[r] = true
		}
		check := func() {
			got := w.left()
			for _, r := range got {
				if !left[r] {
					t.Fatalf("left %v, want %v", got, left)
				}
			}
			if distinct := len(slices.Compact(slices.SortedFunc(slices.Values(got), byID))); distinct != len(left) || distinct != len(got) {
				t.Fatalf("left %v, want %v", got, left)
			}
		}
		check()
		for range rapid.IntRange(0, 5).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "one") && len(refs) > 0 {
				r := rapid.SampledFrom(refs).Draw(t, "taken")
				w.take(r)
				delete(left, r)
				check()
				continue
			}
			of := rapid.SampledFrom([]string{"", "1", "2", "22", "3"}).Draw(t, "id")
			for _, r := range w.takeAll(of) {
				if r.Key != of || !left[r] {
					t.Fatalf("%q gave %v", of, r)
				}
				delete(left, r)
			}
			for r := range left {
				if r.Key == of {
					t.Fatalf("%q did not give %v", of, r)
				}
			}
			check()
		}
		if !slices.Equal(refs, given) {
			t.Fatal("the caller's slice was changed")
		}
	})
}
