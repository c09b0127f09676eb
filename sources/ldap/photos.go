package ldap

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/sync/semaphore"

	"photosync/sources"
)

const (
	// photoBatch is how many entries' photos are asked for at once.
	photoBatch = 50
	// photosAhead bounds the bytes of photos that are read before anybody takes
	// them. A larger one is alone.
	photosAhead = 2 * sources.MaxPhotoBytes
)

// Photos implements sources.Source: it reads the entries of a batch in one search, and
// the next batch while the first is taken. After a lost connection it goes on with what
// is left on the next server.
func (s *Source) Photos(ctx context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	refs = slices.Compact(slices.SortedFunc(slices.Values(refs), sources.Ref.Compare))
	given := make([]bool, len(refs))
	return s.withServer(ctx, "read photos", func(ctx context.Context, c *conn) (progress bool, err error) {
		var left []sources.Ref
		for i, r := range refs {
			if !given[i] {
				left = append(left, r)
			}
		}
		err = s.read(ctx, c, left, func(p sources.Photo) error {
			i, _ := slices.BinarySearchFunc(refs, p.Ref, sources.Ref.Compare)
			given[i], progress = true, true
			if err := each(p); err != nil {
				return stop{err}
			}
			return nil
		})
		return progress, err
	})
}

// read reads photos over one connection.
func (s *Source) read(ctx context.Context, c *conn, refs []sources.Ref, each func(sources.Photo) error) error {
	room := semaphore.NewWeighted(photosAhead)
	weight := func(p sources.Photo) int64 { return min(int64(len(p.Data)), photosAhead) }
	return ahead(ctx, photoBatch, func(ctx context.Context, give func(sources.Photo) error) error {
		b := batch{Source: s, c: c, give: func(p sources.Photo) error {
			if room.Acquire(ctx, weight(p)) != nil {
				return context.Cause(ctx)
			}
			return give(p)
		}}
		for chunk := range slices.Chunk(refs, photoBatch) {
			if err := b.read(ctx, chunk); err != nil {
				return err
			}
		}
		return nil
	}, func(p sources.Photo) error {
		defer room.Release(weight(p))
		return each(p)
	})
}

// batch reads photos, a few entries in one search.
type batch struct {
	*Source
	c    *conn
	give func(sources.Photo) error
}

func (b batch) read(ctx context.Context, refs []sources.Ref) error {
	gone := map[sources.Ref]bool{}
	for _, r := range refs {
		gone[r] = true
	}
	var without []sources.Photo // to look at
	attributes := slices.Concat(b.o.PhotoAttributes, b.o.EmailAttributes, keyAttributes(b.c.server), b.marks.attributes(b.c.server))
	err := b.find(ctx, refs, anything, attributes, func(e *entry, of []sources.Ref) error {
		for _, r := range of {
			delete(gone, r)
			p := b.photo(e, r)
			switch {
			case p.Err == nil && p.Data == nil:
				without = append(without, p)
				continue
			case len(of) == 1:
				p.Lender = &b.buffers
			}
			if err := b.give(p); err != nil {
				return err
			}
		}
		return nil
	})
	for r := range gone {
		if err == nil {
			err = b.give(sources.Photo{Ref: r, Err: fmt.Errorf("entry %q: %w", r.Name, sources.ErrGone)})
		}
	}
	if err != nil {
		return err
	}
	return b.withoutPhoto(ctx, without)
}

// find gives the entries of refs that match a filter, each with its refs: those with a
// key in one search, the others one by one.
func (b batch) find(ctx context.Context, refs []sources.Ref, filter string, attributes []string, each func(*entry, []sources.Ref) error) error {
	byKey, keys := map[string][]sources.Ref{}, ""
	for _, r := range refs {
		if r.Key != "" {
			if byKey[r.Key] == nil {
				keys += keyFilter(r.Key)
			}
			byKey[r.Key] = append(byKey[r.Key], r)
			continue
		}
		req := request(r.Name, ldap.ScopeBaseObject, filter, attributes)
		_, err := b.c.search(ctx, req, func(e *entry) error { return each(e, []sources.Ref{r}) })
		if err != nil && !ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
			return err
		}
	}
	if keys == "" {
		return nil
	}
	_, err := b.c.search(ctx, b.search("(&(|"+keys+")"+filter+")", attributes), func(e *entry) error {
		of := byKey[key(e)]
		delete(byKey, key(e))
		return each(e, of)
	})
	return err
}

// photo is the photo of an entry. Without data and error it seems to have none.
func (b batch) photo(e *entry, r sources.Ref) sources.Photo {
	p := sources.Photo{Ref: r}
	now, has := b.marks.of(e, b.c.server, b.now())
	p.Moved = r.Mark != "" && digest(now) != r.Mark
	if !e.ranged(b.o.EmailAttributes) { // else nobody knows which are left
		own, aliases, _ := b.emails(e)
		p.Emails = append(append([]string{}, own...), aliases...) // not nil
	}
	data, dropped := b.choose(e)
	switch {
	case e.ranged(b.o.PhotoAttributes):
		p.Err = fmt.Errorf("entry %q: the server gives only a part of its values", r.Name)
	case data != nil:
		p.Data = data
	case dropped > 0:
		p.Err = fmt.Errorf("entry %q: %w: %d bytes, %d are read at most", r.Name, sources.ErrTooLarge, dropped, sources.MaxPhotoBytes)
	case has == sources.Present: // and does not show: Samba answers filters as if it were not there
		p.Err = denied(r, b.o.PhotoAttributes)
	}
	return p
}

func denied(r sources.Ref, attributes []string) error {
	return fmt.Errorf("entry %q: %w: the bind user needs the right to read %s", r.Name, sources.ErrDenied, strings.Join(attributes, ", "))
}

// withoutPhoto tells those who have no photo from those whose photo may not be seen: of
// these a server cannot say that the attribute is not there, either (RFC 4511, section
// 4.5.1.7). Attributes that the server does not know at all hide nothing.
func (b batch) withoutPhoto(ctx context.Context, photos []sources.Photo) error {
	if len(photos) == 0 {
		return nil
	}
	known, err := b.known(ctx, b.c)
	absent := map[sources.Ref]bool{}
	if err == nil && len(known) > 0 {
		refs := make([]sources.Ref, len(photos))
		for i, p := range photos {
			refs[i] = p.Ref
		}
		err = b.find(ctx, refs, noneOf(known), keyAttributes(b.c.server), func(_ *entry, of []sources.Ref) error {
			for _, r := range of {
				absent[r] = true
			}
			return nil
		})
	}
	for _, p := range photos {
		if p.Err = fmt.Errorf("entry %q: %w", p.Ref.Name, sources.ErrNoPhoto); len(known) > 0 && !absent[p.Ref] {
			p.Err = denied(p.Ref, known)
		}
		if err == nil {
			err = b.give(p)
		}
	}
	return err
}

// noneOf is the filter of entries of which a server can say that they have none of these
// attributes.
func noneOf(attributes []string) string {
	return "(&(!(" + strings.Join(attributes, "=*))(!(") + "=*)))"
}

// choose takes the photo out of an entry: of the first attribute that is there and
// not empty, or of all, the largest picture. The order of values is not fixed (RFC 4511, section
// 4.1.7). nil: there is none, or it had so many bytes that they were dropped.
func (s *Source) choose(e *entry) (data []byte, dropped int) {
	for _, name := range s.o.PhotoAttributes {
		if s.o.PhotoChoice != "largest" && (len(data) > 0 || dropped > 0) {
			break
		}
		for _, v := range e.values(name) {
			if data == nil || s.better(v, data) {
				data = v
			}
		}
		for _, a := range e.attrs {
			if strings.EqualFold(a.name, name) {
				dropped = max(dropped, a.dropped)
			}
		}
	}
	return data, dropped
}

// better prefers what is a picture, then the larger, then an order that is always the
// same.
func (s *Source) better(a, b []byte) bool {
	if s.o.IsPicture != nil {
		if pa, pb := s.o.IsPicture(a), s.o.IsPicture(b); pa != pb {
			return pa
		}
	}
	if len(a) != len(b) {
		return len(a) > len(b)
	}
	return bytes.Compare(a, b) > 0
}
