package sourcetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"photosync/sources"
)

// Memory is a source in memory. Its fields may be set before it is used.
type Memory struct {
	ListErr    error            // ends every listing
	ListAfter  int              // people listed before ListErr
	Incomplete bool             // listings end early and say so
	ReadErr    map[string]error // by email
	Unknown    bool             // listings do not tell who has a photo

	mu     sync.Mutex
	people map[string]entry
	seq    int
	reads  map[string]int
}

type entry struct {
	photo []byte
	stamp string
}

// Put sets a person's photo; nil: the person is there and has none.
func (m *Memory) Put(email string, photo []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(email, photo)
}

func (m *Memory) put(email string, photo []byte) {
	if m.people == nil {
		m.people, m.reads = map[string]entry{}, map[string]int{}
	}
	m.seq++
	m.people[email] = entry{photo, fmt.Sprint("s", m.seq)}
}

// Touch moves a person's stamp and nothing else.
func (m *Memory) Touch(email string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(email, m.people[email].photo)
}

// Remove takes a person out.
func (m *Memory) Remove(email string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.people, email)
}

// Settle does nothing: stamps are exact.
func (m *Memory) Settle() {}

// Source returns m.
func (m *Memory) Source() sources.Source { return m }

// Reads is how many photos were read so far.
func (m *Memory) Reads() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, c := range m.reads {
		n += c
	}
	return n
}

// List implements sources.Source.
func (m *Memory) List(ctx context.Context, each func(sources.Person) error) (sources.Listing, error) {
	m.mu.Lock()
	people := maps.Clone(m.people)
	m.mu.Unlock()
	l := sources.Listing{}
	for _, email := range slices.Sorted(maps.Keys(people)) {
		if ctx.Err() != nil {
			return l, context.Cause(ctx)
		}
		if m.ListErr != nil && l.Entries == m.ListAfter {
			return l, m.ListErr
		}
		e := people[email]
		p := sources.Person{Emails: []string{email}, Ref: sources.Ref{Name: "mem/" + email}, Stamp: e.stamp, HasPhoto: sources.Present}
		switch {
		case m.Unknown:
			p.HasPhoto = sources.Unknown
		case e.photo == nil:
			p.HasPhoto = sources.Absent
		}
		l.Entries++
		if err := each(p); err != nil {
			return l, err
		}
	}
	if ctx.Err() != nil {
		return l, context.Cause(ctx)
	}
	l.Complete = m.ListErr == nil && !m.Incomplete
	return l, m.ListErr
}

// Photos implements sources.Source.
func (m *Memory) Photos(ctx context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	done := map[sources.Ref]bool{}
	for _, ref := range refs {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if done[ref] {
			continue
		}
		done[ref] = true
		if err := each(m.photo(ref)); err != nil {
			return err
		}
	}
	return nil
}

func (m *Memory) photo(ref sources.Ref) sources.Photo {
	m.mu.Lock()
	defer m.mu.Unlock()
	email := strings.TrimPrefix(ref.Name, "mem/")
	e, ok := m.people[email]
	ph := sources.Photo{Ref: ref, Data: slices.Clone(e.photo)}
	switch {
	case !ok:
		ph.Err = sources.ErrGone
	case m.ReadErr[email] != nil:
		ph.Data, ph.Err = nil, m.ReadErr[email]
	case e.photo == nil:
		ph.Err = sources.ErrNoPhoto
	default:
		m.reads[email]++
	}
	return ph
}
