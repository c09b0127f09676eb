// Package sourcetest is the contract that every source must pass, and a source
// in memory for the tests of other packages.
package sourcetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"photosync/sources"
)

// Place is where a source gets its photos from, under the test's control. Put
// and Remove fail the test when they cannot do it.
type Place interface {
	Put(email string, photo []byte)
	Remove(email string)
	Source() sources.Source
	// Settle makes changes so far old enough for their stamps to be trusted.
	Settle()
}

// Run checks the contract of sources.Source on fresh places.
func Run(t *testing.T, fresh func(t *testing.T) Place) {
	t.Helper()
	for name, check := range map[string]func(*testing.T, Place){
		"everyone is listed once":              everyone,
		"an empty place is complete":           empty,
		"stamps move with the photo":           stamps,
		"photos are read by reference":         photos,
		"what is gone is gone":                 gone,
		"the error of each stops":              stops,
		"a cancelled context is no short list": cancelled,
		"many readers at once":                 concurrent,
	} {
		t.Run(name, func(t *testing.T) { check(t, fresh(t)) })
	}
}

// List returns a complete listing by first own address, or fails the test.
func List(t *testing.T, s sources.Source) map[string]sources.Person {
	t.Helper()
	people, hidden := map[string]sources.Person{}, 0
	l, err := s.List(t.Context(), func(p sources.Person) error {
		if !addressesAreRight(t, p) {
			return nil
		}
		if _, twice := people[p.Own[0]]; twice {
			t.Errorf("listed %q twice", p.Own[0])
		}
		if p.HasPhoto == sources.Hidden {
			hidden++
		}
		people[p.Own[0]] = p
		return nil
	})
	if err != nil || !l.Complete {
		t.Fatalf("List: complete %v, error %v; warnings %q", l.Complete, err, l.Warnings)
	}
	if l.Hidden != hidden || !slices.IsSorted(l.Unnamed) || l.Entries < len(people)+len(l.Unnamed) {
		t.Errorf("listing %+v of %d people, %d of them with a hidden photo", l, len(people), hidden)
	}
	for _, a := range l.Reserved {
		if c, err := sources.Email(a); err != nil || c != a {
			t.Errorf("reserved %q, which is not canonical", a)
		}
	}
	return people
}

// addressesAreRight checks that a person's addresses are canonical, sorted and
// distinct, and reports whether there is an own one.
func addressesAreRight(t *testing.T, p sources.Person) bool {
	t.Helper()
	all := slices.Concat(p.Own, p.Aliases)
	for _, a := range all {
		if c, err := sources.Email(a); err != nil || c != a {
			t.Errorf("listed %q, which is not canonical", a)
		}
	}
	if !slices.IsSorted(p.Own) || !slices.IsSorted(p.Aliases) || len(slices.Compact(slices.Sorted(slices.Values(all)))) != len(all) {
		t.Errorf("%v has the own addresses %q and the aliases %q: want them sorted and distinct", p.Ref, p.Own, p.Aliases)
	}
	if len(p.Own) == 0 {
		t.Errorf("listed %v without an own address", p.Ref)
	}
	return len(p.Own) > 0
}

// Read returns the photo of ref as the source gives it.
func Read(t *testing.T, s sources.Source, ref sources.Ref) sources.Photo {
	t.Helper()
	var got []sources.Photo
	if err := s.Photos(t.Context(), []sources.Ref{ref, ref}, func(p sources.Photo) error {
		got = append(got, p)
		return nil
	}); err != nil {
		t.Fatalf("Photos(%v): %v", ref, err)
	}
	if len(got) != 1 || got[0].Ref != ref {
		t.Fatalf("Photos(%v) twice in one call gave %d photos, want one", ref, len(got))
	}
	return got[0]
}

// Picture returns n bytes that begin like a JPEG and differ by seed.
func Picture(seed, n int) []byte {
	b := append([]byte("\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"), bytes.Repeat([]byte{byte(seed), byte(seed >> 8), 'x'}, n/3+1)...)
	return append(b[:max(n-2, 20)], 0xff, 0xd9)
}

func email(i int) string { return fmt.Sprintf("person%03d@example.com", i) }

func everyone(t *testing.T, p Place) {
	const n = 60
	for i := range n {
		p.Put(email(i), Picture(i, 500))
	}
	people := List(t, p.Source())
	if len(people) != n {
		t.Fatalf("listed %d people, want %d", len(people), n)
	}
	refs := map[sources.Ref]bool{}
	for e, x := range people {
		if x.HasPhoto == sources.Absent {
			t.Errorf("%s is said to have no photo", e)
		}
		if x.Ref.Name == "" || refs[x.Ref] {
			t.Errorf("%s has the reference %v, empty or another's", e, x.Ref)
		}
		refs[x.Ref] = true
	}
}

func empty(t *testing.T, p Place) {
	if people := List(t, p.Source()); len(people) != 0 {
		t.Errorf("listed %v in an empty place", people)
	}
}

func stamps(t *testing.T, p Place) {
	for i := range 3 {
		p.Put(email(i), Picture(i, 500))
	}
	p.Settle()
	before, again := List(t, p.Source()), List(t, p.Source())
	p.Put(email(1), Picture(100, 500))
	p.Settle()
	after := List(t, p.Source())
	for i := range 3 {
		e := email(i)
		if before[e].Stamp == "" {
			t.Errorf("%s has no stamp although nothing is young", e)
		}
		if before[e].Stamp != again[e].Stamp {
			t.Errorf("stamp of %s moved from %q to %q without a change", e, before[e].Stamp, again[e].Stamp)
		}
		if moved := before[e].Stamp != after[e].Stamp; moved != (i == 1) {
			t.Errorf("stamp of %s moved: %v, want %v", e, moved, i == 1)
		}
	}
}

func photos(t *testing.T, p Place) {
	want := map[string][]byte{email(0): Picture(0, 40), email(1): Picture(1, 3000), email(2): Picture(2, 300_000)}
	for e, b := range want {
		p.Put(e, b)
	}
	s := p.Source()
	var refs []sources.Ref
	byRef := map[sources.Ref]string{}
	for e, x := range List(t, s) {
		refs = append(refs, x.Ref)
		byRef[x.Ref] = e
	}
	seen := map[string]int{}
	err := s.Photos(t.Context(), slices.Concat(refs, refs), func(ph sources.Photo) error {
		e := byRef[ph.Ref]
		if ph.Emails != nil && !slices.Contains(ph.Emails, e) {
			t.Errorf("photo of %s came with the addresses %q", e, ph.Emails)
		}
		seen[e]++
		if ph.Err != nil || !bytes.Equal(ph.Data, want[e]) {
			t.Errorf("photo of %s: %d bytes, error %v; want the %d bytes that were put", e, len(ph.Data), ph.Err, len(want[e]))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for e := range want {
		if seen[e] != 1 {
			t.Errorf("photo of %s was given %d times, want once", e, seen[e])
		}
	}
}

func gone(t *testing.T, p Place) {
	p.Put(email(0), Picture(0, 500))
	p.Put(email(1), Picture(1, 500))
	s := p.Source()
	ref := List(t, s)[email(0)].Ref
	p.Remove(email(0))
	if ph := Read(t, s, ref); !errors.Is(ph.Err, sources.ErrGone) {
		t.Errorf("photo of a removed person: %d bytes, error %v; want ErrGone", len(ph.Data), ph.Err)
	}
	if people := List(t, s); len(people) != 1 {
		t.Errorf("listed %d people after one of two was removed", len(people))
	}
}

func stops(t *testing.T, p Place) {
	for i := range 5 {
		p.Put(email(i), Picture(i, 500))
	}
	s, enough := p.Source(), errors.New("enough")
	n := 0
	l, err := s.List(t.Context(), func(sources.Person) error { n++; return enough })
	if !errors.Is(err, enough) || l.Complete || n != 1 {
		t.Errorf("List after each failed: %d calls, complete %v, error %v", n, l.Complete, err)
	}
	var refs []sources.Ref
	for _, x := range List(t, s) {
		refs = append(refs, x.Ref)
	}
	n = 0
	if err := s.Photos(t.Context(), refs, func(sources.Photo) error { n++; return enough }); !errors.Is(err, enough) || n != 1 {
		t.Errorf("Photos after each failed: %d calls, error %v", n, err)
	}
}

func cancelled(t *testing.T, p Place) {
	for i := range 5 {
		p.Put(email(i), Picture(i, 500))
	}
	ctx, cancel := context.WithCancel(t.Context())
	l, err := p.Source().List(ctx, func(sources.Person) error { cancel(); return nil })
	if err == nil && l.Entries < 5 {
		t.Errorf("List with a cancelled context gave %d of 5 and no error", l.Entries)
	}
	l, err = p.Source().List(ctx, func(sources.Person) error { return nil })
	if !errors.Is(err, context.Canceled) || l.Complete {
		t.Errorf("List with a context cancelled before: complete %v, error %v", l.Complete, err)
	}
	s := p.Source()
	ref := List(t, s)[email(0)].Ref
	err = s.Photos(ctx, []sources.Ref{ref}, func(ph sources.Photo) error {
		if ph.Err == nil || errors.Is(ph.Err, sources.ErrGone) || errors.Is(ph.Err, sources.ErrNoPhoto) {
			t.Errorf("Photos with a cancelled context gave %d bytes, error %v", len(ph.Data), ph.Err)
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Photos with a cancelled context: error %v", err)
	}
}

func concurrent(t *testing.T, p Place) {
	const n = 20
	for i := range n {
		p.Put(email(i), Picture(i, 2000+i))
	}
	s := p.Source()
	people := List(t, s)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			err := s.Photos(t.Context(), []sources.Ref{people[email(i)].Ref}, func(ph sources.Photo) error {
				if !bytes.Equal(ph.Data, Picture(i, 2000+i)) {
					t.Errorf("photo of %s is wrong: %v", email(i), ph.Err)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
