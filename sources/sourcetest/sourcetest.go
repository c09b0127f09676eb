// Package sourcetest is the contract that every source must pass.
package sourcetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
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
	// Age makes changes so far old enough for their stamps to be trusted.
	Age()
}

// Run checks the contract of sources.Source on fresh places.
func Run(t *testing.T, fresh func(t *testing.T) Place) {
	t.Helper()
	for name, check := range map[string]func(*testing.T, Place){
		"everyone is listed once":                   everyone,
		"stamps move with the photo":                stamps,
		"photos are read by reference, at once too": photos,
		"what is gone is gone":                      gone,
		"the error of each stops":                   stops,
		"a cancelled context is no short list":      cancelled,
	} {
		t.Run(name, func(t *testing.T) { check(t, fresh(t)) })
	}
}

// List returns a complete listing by first own address, or fails the test.
func List(t *testing.T, s sources.Source) map[string]sources.Person {
	t.Helper()
	people := map[string]sources.Person{}
	l, err := s.List(t.Context(), func(p sources.Person) error {
		own, aliases := sources.Addresses(slices.Clone(p.Own), slices.Clone(p.Aliases))
		if len(own) == 0 || !slices.Equal(own, p.Own) || !slices.Equal(aliases, p.Aliases) {
			t.Errorf("%v has the own addresses %q and the aliases %q: want them sorted and distinct", p.Ref, p.Own, p.Aliases)
			return nil
		}
		if _, twice := people[own[0]]; twice {
			t.Errorf("listed %q twice", own[0])
		}
		canonical(t, append(own, aliases...))
		people[own[0]] = p
		return nil
	})
	canonical(t, l.Reserved)
	if err != nil || !l.Complete {
		t.Fatalf("List: complete %v, error %v; warnings %q", l.Complete, err, l.Warnings)
	}
	if !slices.IsSorted(l.Unnamed) || l.Entries < len(people)+len(l.Unnamed) {
		t.Errorf("listing %+v of %d people", l, len(people))
	}
	return people
}

func canonical(t *testing.T, addresses []string) {
	t.Helper()
	for _, a := range addresses {
		if c, err := sources.Email(a); err != nil || c != a {
			t.Errorf("listed %q, which is not canonical", a)
		}
	}
}

// Read returns the photo of ref as the source gives it.
func Read(t *testing.T, s sources.Source, ref sources.Ref) sources.Photo {
	t.Helper()
	var got []sources.Photo
	err := s.Photos(t.Context(), []sources.Ref{ref, ref}, func(p sources.Photo) error { got = append(got, p); return nil })
	if err != nil {
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

// fill puts n photos into p and returns them by address.
func fill(p Place, n int) map[string][]byte {
	all := map[string][]byte{}
	for i := range n {
		all[email(i)] = Picture(i, 40+i*i*30)
		p.Put(email(i), all[email(i)])
	}
	return all
}

// byRef are the first own addresses of people by the references to their photos.
func byRef(people map[string]sources.Person) map[sources.Ref]string {
	all := map[sources.Ref]string{}
	for e, p := range people {
		all[p.Ref] = e
	}
	return all
}

func refs(emails map[sources.Ref]string) []sources.Ref { return slices.Collect(maps.Keys(emails)) }

func everyone(t *testing.T, p Place) {
	if people := List(t, p.Source()); len(people) != 0 {
		t.Errorf("listed %v in an empty place", people)
	}
	const n = 60
	fill(p, n)
	people := List(t, p.Source())
	for e, x := range people {
		if x.HasPhoto == sources.Absent || x.Ref.Name == "" {
			t.Errorf("%s is listed without a photo or reference: %+v", e, x)
		}
	}
	if refs := byRef(people); len(people) != n || len(refs) != n {
		t.Errorf("listed %d people with %d references, want %d", len(people), len(refs), n)
	}
}

func stamps(t *testing.T, p Place) {
	fill(p, 3)
	p.Age()
	before, again := List(t, p.Source()), List(t, p.Source())
	p.Put(email(1), Picture(100, 740))
	p.Age()
	after := List(t, p.Source())
	for e, was := range before {
		if was.Stamp == "" || again[e].Stamp != was.Stamp {
			t.Errorf("nothing is young and nothing changed: %s has the stamp %q, then %q", e, was.Stamp, again[e].Stamp)
		}
		if moved := was.Stamp != after[e].Stamp; moved != (e == email(1)) {
			t.Errorf("after a change of another or this photo the stamp of %s moved: %v", e, moved)
		}
	}
}

func photos(t *testing.T, p Place) {
	want := fill(p, 40)
	s := p.Source()
	emails := byRef(List(t, s))
	var mu sync.Mutex
	seen := map[string]int{}
	read := func(refs []sources.Ref) {
		err := s.Photos(t.Context(), refs, func(ph sources.Photo) error {
			mu.Lock()
			defer mu.Unlock()
			e := emails[ph.Ref]
			seen[e]++
			if ph.Err != nil || !bytes.Equal(ph.Data, want[e]) || ph.Emails != nil && !slices.Contains(ph.Emails, e) {
				t.Errorf("photo of %s: %d bytes, error %v, addresses %q; want the %d bytes that were put", e, len(ph.Data), ph.Err, ph.Emails, len(want[e]))
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	read(append(refs(emails), refs(emails)...))
	var readers sync.WaitGroup
	for _, ref := range refs(emails) {
		readers.Go(func() { read([]sources.Ref{ref}) })
	}
	readers.Wait()
	for e := range want {
		if seen[e] != 2 {
			t.Errorf("photo of %s was given %d times in two calls", e, seen[e])
		}
	}
}

func gone(t *testing.T, p Place) {
	fill(p, 2)
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
	fill(p, 5)
	s, enough := p.Source(), errors.New("enough")
	calls := 0
	l, err := s.List(t.Context(), func(sources.Person) error { calls++; return enough })
	if !errors.Is(err, enough) || l.Complete || calls != 1 {
		t.Errorf("List after each failed: %d calls, complete %v, error %v", calls, l.Complete, err)
	}
	err = s.Photos(t.Context(), refs(byRef(List(t, s))), func(sources.Photo) error { calls++; return enough })
	if !errors.Is(err, enough) || calls != 2 {
		t.Errorf("Photos after each failed: %d calls, error %v", calls-1, err)
	}
}

func cancelled(t *testing.T, p Place) {
	fill(p, 5)
	ctx, cancel := context.WithCancel(t.Context())
	s := p.Source()
	l, err := s.List(ctx, func(sources.Person) error { cancel(); return nil })
	if err == nil && l.Entries < 5 {
		t.Errorf("List with a cancelled context gave %d of 5 and no error", l.Entries)
	}
	l, err = s.List(ctx, func(sources.Person) error { return nil })
	if !errors.Is(err, context.Canceled) || l.Complete {
		t.Errorf("List with a context cancelled before: complete %v, error %v", l.Complete, err)
	}
	err = s.Photos(ctx, refs(byRef(List(t, s))), func(ph sources.Photo) error {
		if ph.Err == nil || errors.Is(ph.Err, sources.ErrGone) || errors.Is(ph.Err, sources.ErrNoPhoto) {
			t.Errorf("Photos with a cancelled context gave %d bytes, error %v", len(ph.Data), ph.Err)
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Photos with a cancelled context: error %v", err)
	}
}
