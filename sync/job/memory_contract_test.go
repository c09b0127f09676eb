package job

import (
	"errors"
	"testing"

	"photosync/sources"
	"photosync/sources/sourcetest"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	sourcetest.Run(t, func(*testing.T) sourcetest.Place { return memoryPlace{&Memory{}} })
}

type memoryPlace struct{ *Memory }

func (m memoryPlace) Source() sources.Source { return m }
func (memoryPlace) Age()                     {} // stamps are exact

func TestMemoryFailsAsTold(t *testing.T) {
	broken, unreadable := errors.New("broken"), errors.New("unreadable")
	m := &Memory{ReadErr: map[string]error{"b@example.com": unreadable}}
	m.Put("a@example.com", []byte("a"))
	m.Put("b@example.com", []byte("b"))
	m.Put("c@example.com", nil)
	m.Put("d@example.com", []byte{})
	for name, want := range map[string]error{
		"mem/a@example.com": nil, "mem/b@example.com": unreadable, "mem/c@example.com": sources.ErrNoPhoto,
		"mem/d@example.com": nil, "mem/e@example.com": sources.ErrGone, "x": sources.ErrGone,
	} {
		if p := sourcetest.Read(t, m, sources.Ref{Name: name}); !errors.Is(p.Err, want) || (p.Err == nil) != (p.Data != nil) {
			t.Errorf("photo of %q: %q, error %v, want %v", name, p.Data, p.Err, want)
		}
	}
	if m.Reads() != 2 {
		t.Errorf("Reads() = %d after two photos were given", m.Reads())
	}

	before := sourcetest.List(t, m)["a@example.com"].Stamp
	m.Put("a@example.com", []byte("a"))
	if after := sourcetest.List(t, m)["a@example.com"].Stamp; after == before {
		t.Errorf("the same photo, put again, left the stamp at %q", after)
	}

	for _, after := range []int{0, 2, 4} {
		m.ListErr, m.ListAfter = broken, after
		n := 0
		l, err := m.List(t.Context(), func(sources.Person) error { n++; return nil })
		if n != after || l.Complete || !errors.Is(err, broken) {
			t.Errorf("listing that breaks after %d: %d people, complete %v, error %v", after, n, l.Complete, err)
		}
	}
	m.ListErr, m.Incomplete = nil, true
	if l, err := m.List(t.Context(), func(sources.Person) error { return nil }); l.Complete || err != nil {
		t.Errorf("incomplete listing: complete %v, error %v", l.Complete, err)
	}
}

// An entry with a key stays the same when its reference changes, and what is edited
// between listing and reading shows in the photo.
func TestMemoryBetweenListingAndReading(t *testing.T) {
	m := &Memory{Reserved: []string{"boss@example.com"}}
	ann := Entry{Ref: "cn=ann", Key: "1", Own: []string{"b@example.com", "a@example.com"}, Aliases: []string{"a@example.com", "x@example.com"}, Photo: []byte("a")}
	m.Set(ann)
	p := sourcetest.List(t, m)["a@example.com"]
	if len(p.Own) != 2 || len(p.Aliases) != 1 || p.Ref.Key != "1" {
		t.Errorf("listed %+v", p)
	}
	for _, c := range []struct {
		edit  func()
		moved bool
		email string
	}{
		{func() { ann.Ref, ann.Own = "cn=lee", []string{"lee@example.com"}; m.Set(ann) }, false, "lee@example.com"},
		{func() { ann.Photo = []byte("b"); m.Set(ann) }, true, "lee@example.com"},
	} {
		c.edit()
		got := sourcetest.Read(t, m, p.Ref)
		if got.Err != nil || got.Moved != c.moved || got.Emails[0] != c.email || string(got.Data) != string(ann.Photo) {
			t.Errorf("read %+v", got)
		}
	}
}
