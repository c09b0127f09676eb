package sourcetest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"photosync/sources"
)

// Memory is a source in memory. Its fields may be set before it is used.
type Memory struct {
	ListErr    error            // ends every listing
	ListAfter  int              // people listed before ListErr
	Incomplete bool             // listings end early and say so
	ReadErr    map[string]error // by first own address
	Unknown    bool             // listings do not say who has a photo
	Reserved   []string         // addresses of entries that are left out

	mu      sync.Mutex
	entries map[string]stored // by identity
	seq     int
	reads   int
}

// Entry is an entry of a Memory. It stays the same entry as long as its Key, or
// without one its Ref, is the same.
type Entry struct {
	Ref         string // empty: "mem/" and the first own address
	Key         string
	Own         []string
	Aliases     []string
	DisplayName string
	Photo       []byte // nil: none
}

type stored struct {
	Entry
	stamp string
}

func (e Entry) identity() string { return cmp.Or(e.Key, e.Ref) }

// Put sets the photo of the entry named after an address, and moves its stamp;
// nil: the entry is there and has none.
func (m *Memory) Put(email string, photo []byte) {
	m.Set(Entry{Own: []string{email}, Photo: photo})
	m.Touch(email)
}

// Set adds an entry or replaces it. Its stamp moves if its photo is another one.
func (m *Memory) Set(e Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e.Own, e.Aliases = sources.Addresses(slices.Clone(e.Own), slices.Clone(e.Aliases))
	e.Ref = cmp.Or(e.Ref, "mem/"+e.Own[0])
	if m.entries == nil {
		m.entries = map[string]stored{}
	}
	was, known := m.entries[e.identity()]
	if !known || !bytes.Equal(was.Photo, e.Photo) || (was.Photo == nil) != (e.Photo == nil) {
		m.seq++
		was.stamp = fmt.Sprint("s", m.seq)
	}
	m.entries[e.identity()] = stored{e, was.stamp}
}

// Touch moves the stamp of the entries that own an address and nothing else.
func (m *Memory) Touch(email string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, e := range m.entries {
		if slices.Contains(e.Own, email) {
			m.seq++
			m.entries[id] = stored{e.Entry, fmt.Sprint("s", m.seq)}
		}
	}
}

// Remove takes out the entries that own an address.
func (m *Memory) Remove(email string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.entries, func(_ string, e stored) bool { return slices.Contains(e.Own, email) })
}

// Settle does nothing: stamps are exact.
func (m *Memory) Settle() {}

// Source returns m.
func (m *Memory) Source() sources.Source { return m }

// Reads is how many photos were read so far.
func (m *Memory) Reads() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads
}

// List implements sources.Source.
func (m *Memory) List(ctx context.Context, each func(sources.Person) error) (sources.Listing, error) {
	m.mu.Lock()
	entries := slices.SortedFunc(maps.Values(m.entries), func(a, b stored) int { return cmp.Compare(a.Ref, b.Ref) })
	m.mu.Unlock()
	l := sources.Listing{Reserved: slices.Clone(m.Reserved), NoPhotos: !m.Unknown}
	for _, e := range entries {
		if ctx.Err() != nil {
			return l, context.Cause(ctx)
		}
		if m.ListErr != nil && l.Entries == m.ListAfter {
			return l, m.ListErr
		}
		p := m.person(e)
		l.NoPhotos = l.NoPhotos && p.HasPhoto == sources.Absent
		l.Entries++
		if err := each(p); err != nil {
			return l, err
		}
	}
	if ctx.Err() != nil {
		return l, context.Cause(ctx)
	}
	l.NoPhotos = l.NoPhotos && len(entries) > 0
	l.Complete = m.ListErr == nil && !m.Incomplete
	return l, m.ListErr
}

func (m *Memory) person(e stored) sources.Person {
	p := sources.Person{
		Own: slices.Clone(e.Own), Aliases: slices.Clone(e.Aliases), DisplayName: e.DisplayName,
		Ref: sources.Ref{Name: e.Ref, Key: e.Key, Mark: e.stamp}, Stamp: e.stamp, HasPhoto: sources.Present,
	}
	switch {
	case m.Unknown:
		p.HasPhoto = sources.Unknown
	case e.Photo == nil:
		p.HasPhoto = sources.Absent
	}
	return p
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
	e, ok := m.entries[cmp.Or(ref.Key, ref.Name)]
	if !ok {
		return sources.Photo{Ref: ref, Err: sources.ErrGone}
	}
	p := sources.Photo{Ref: ref, Moved: ref.Mark != "" && ref.Mark != e.stamp, Emails: slices.Concat(e.Own, e.Aliases)}
	switch err := m.ReadErr[e.Own[0]]; {
	case err != nil:
		p.Err = err
	case e.Photo == nil:
		p.Err = sources.ErrNoPhoto
	default:
		m.reads++
		p.Data = slices.Clone(e.Photo)
	}
	return p
}
