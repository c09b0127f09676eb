package job

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

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
	entries map[string]Entry // by identity
	reads   atomic.Int64
}

// Entry is an entry of a Memory. It stays the same entry as long as its Key, or
// without one its Ref, is the same.
type Entry struct {
	Ref     string // empty: "mem/" and the first own address
	Key     string
	Own     []string
	Aliases []string
	Photo   []byte // nil: none
	touched int
}

func (e Entry) identity() string { return cmp.Or(e.Key, e.Ref) }
func (e Entry) stamp() string {
	return fmt.Sprintf("%d %t %x", e.touched, e.Photo != nil, sha256.Sum256(e.Photo))
}

// Put sets the photo of the entry named after an address, and moves its stamp.
func (m *Memory) Put(email string, photo []byte) {
	m.Set(Entry{Own: []string{email}, Photo: photo, touched: 1})
}

// Set adds an entry or replaces it. Its stamp moves if its photo is another one.
func (m *Memory) Set(e Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e.Own, e.Aliases = sources.Addresses(slices.Clone(e.Own), slices.Clone(e.Aliases))
	e.Ref = cmp.Or(e.Ref, "mem/"+e.Own[0])
	if m.entries == nil {
		m.entries = map[string]Entry{}
	}
	e.touched += m.entries[e.identity()].touched
	m.entries[e.identity()] = e
}

// Remove takes out the entries that own an address.
func (m *Memory) Remove(email string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.entries, func(_ string, e Entry) bool { return slices.Contains(e.Own, email) })
}

// Reads is how many photos were read so far.
func (m *Memory) Reads() int { return int(m.reads.Load()) }

// List implements sources.Source.
func (m *Memory) List(ctx context.Context, each func(sources.Person) error) (sources.Listing, error) {
	m.mu.Lock()
	entries := slices.SortedFunc(maps.Values(m.entries), func(a, b Entry) int { return cmp.Compare(a.Ref, b.Ref) })
	m.mu.Unlock()
	l := sources.Listing{Reserved: slices.Clone(m.Reserved), NoPhotos: !m.Unknown && len(entries) > 0}
	for _, e := range entries {
		if ctx.Err() != nil || m.ListErr != nil && l.Entries == m.ListAfter {
			break
		}
		p := sources.Person{
			Own: slices.Clone(e.Own), Aliases: slices.Clone(e.Aliases),
			Ref: sources.Ref{Name: e.Ref, Key: e.Key, Mark: e.stamp()}, Stamp: e.stamp(), HasPhoto: sources.Present,
		}
		if m.Unknown {
			p.HasPhoto = sources.Unknown
		} else if e.Photo == nil {
			p.HasPhoto = sources.Absent
		}
		l.NoPhotos = l.NoPhotos && p.HasPhoto == sources.Absent
		l.Entries++
		if err := each(p); err != nil {
			return l, err
		}
	}
	err := cmp.Or(context.Cause(ctx), m.ListErr)
	l.Complete = err == nil && !m.Incomplete
	return l, err
}

// Photos implements sources.Source.
func (m *Memory) Photos(ctx context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	refs = slices.Clone(refs)
	slices.SortFunc(refs, sources.Ref.Compare)
	for _, ref := range slices.Compact(refs) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := each(m.photo(ref)); err != nil {
			return err
		}
	}
	return nil
}

func (m *Memory) photo(ref sources.Ref) sources.Photo {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, known := m.entries[cmp.Or(ref.Key, ref.Name)]
	p := sources.Photo{Ref: ref, Moved: known && ref.Mark != "" && ref.Mark != e.stamp(), Emails: slices.Concat(e.Own, e.Aliases)}
	switch {
	case !known:
		p.Err = sources.ErrGone
	case m.ReadErr[e.Own[0]] != nil:
		p.Err = m.ReadErr[e.Own[0]]
	case e.Photo == nil:
		p.Err = sources.ErrNoPhoto
	default:
		m.reads.Add(1)
		p.Data = slices.Clone(e.Photo)
	}
	return p
}
