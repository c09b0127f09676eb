package ldap

import (
	"bytes"
	"cmp"
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

// Photos implements sources.Source: it reads a batch of entries by key in one
// search, and the next while the first is taken. After a lost connection it goes
// on with what is left on the next server.
func (s *Source) Photos(ctx context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	todo := want(refs)
	return s.withServer(ctx, "read photos", func(ctx context.Context, c *conn) (progress bool, err error) {
		err = s.read(ctx, c, todo.left(), func(p sources.Photo) error {
			todo.take(p.Ref)
			progress = true
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
		return batch{Source: s, c: c, give: func(p sources.Photo) error {
			if room.Acquire(ctx, weight(p)) != nil {
				return context.Cause(ctx)
			}
			return give(p)
		}}.all(ctx, refs)
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

func (b batch) all(ctx context.Context, refs []sources.Ref) error {
	if len(refs) > max(photoBatch, int(b.listed.Load())/2) {
		var err error
		if refs, err = b.sweep(ctx, refs); err != nil {
			return err
		}
	}
	for chunk := range slices.Chunk(refs, photoBatch) {
		if err := b.some(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

// sweep reads the photos of refs, which are most of what was listed, with the pages
// of a listing: asked for by key, the same entries take a server twice the time. It
// returns the refs that it did not come across.
func (b batch) sweep(ctx context.Context, refs []sources.Ref) (left []sources.Ref, err error) {
	w := want(refs)
	var without []sources.Photo
	pages := 0
	if b.c.group == nil && b.c.server.ad { // another connection than that of the listing
		if err := b.resolve(ctx, b.c); err != nil {
			return nil, err
		}
	}
	err = b.pages(ctx, b.c, b.attributes(), &pages, func(e *entry) error { return b.found(e, w, &without) })
	if err != nil {
		return nil, err
	}
	for chunk := range slices.Chunk(without, photoBatch) {
		if err := b.withoutPhoto(ctx, chunk); err != nil {
			return nil, err
		}
	}
	return w.left(), nil
}

// found gives the photo of an entry, if it is wanted, which it is once.
func (b batch) found(e *entry, w *wanted, without *[]sources.Photo) error {
	id := key(e)
	if id == "" {
		return nil
	}
	refs := w.takeAll(id)
	e.shared = len(refs) > 1
	for _, r := range refs {
		if err := b.photo(e, r, without); err != nil {
			return err
		}
	}
	return nil
}

// some reads the photos of a few entries.
func (b batch) some(ctx context.Context, refs []sources.Ref) error {
	w, filter := want(refs), ""
	var without []sources.Photo // that may be seen
	for _, r := range w.takeAll("") {
		e, err := b.c.read(ctx, r.Name, b.attributes()...)
		if err == nil {
			err = b.photo(e, r, &without)
		}
		if err != nil {
			return err
		}
	}
	asked := map[string]bool{}
	for _, r := range w.left() {
		if !asked[r.Key] {
			filter += keyFilter(r.Key)
			asked[r.Key] = true
		}
	}
	if filter != "" {
		req := b.search("(|"+filter+")", b.attributes())
		if _, err := b.c.search(ctx, req, func(e *entry) error { return b.found(e, w, &without) }); err != nil {
			return err
		}
	}
	for _, r := range w.left() {
		if err := b.photo(nil, r, nil); err != nil {
			return err
		}
	}
	return b.withoutPhoto(ctx, without)
}

// attributes are those of which photos, addresses, keys and marks are made.
func (b batch) attributes() []string {
	return slices.Concat(b.o.PhotoAttributes, b.o.EmailAttributes, keyAttributes(b.c.server), b.marks.attributes(b.c.server))
}

// photo gives the photo of an entry; nil: it is gone. One that seems to have none
// is left for withoutPhoto.
func (b batch) photo(e *entry, r sources.Ref, without *[]sources.Photo) error {
	if e == nil {
		return b.give(sources.Photo{Ref: r, Err: fmt.Errorf("entry %q: %w", r.Name, sources.ErrGone)})
	}
	p := sources.Photo{Ref: r}
	now, has := b.marks.of(e, b.c.server, b.now())
	if r.Mark != "" {
		p.Moved = digest(now) != r.Mark
	}
	if e.ranged(b.o.EmailAttributes) == nil { // else nobody knows which are left
		own, aliases, _ := b.emails(e)
		p.Emails = append(append([]string{}, own...), aliases...) // not nil
	}
	data, dropped := b.choose(e)
	switch {
	case e.ranged(b.o.PhotoAttributes) != nil:
		p.Err = fmt.Errorf("entry %q: the server gives only a part of its values", r.Name)
	case data != nil:
		if p.Data = data; !e.shared {
			p.Lender = &b.buffers
		}
	case dropped > 0:
		p.Err = fmt.Errorf("entry %q: %w: %d bytes, %d are read at most", r.Name, sources.ErrTooLarge, dropped, sources.MaxPhotoBytes)
	case has == sources.Present: // and does not show: Samba answers filters as if it were not there
		p.Err = denied(r, b.o.PhotoAttributes)
	default:
		*without = append(*without, p)
		return nil
	}
	return b.give(p)
}

func denied(r sources.Ref, attributes []string) error {
	return fmt.Errorf("entry %q: %w: the bind user needs the right to read %s", r.Name, sources.ErrDenied, strings.Join(attributes, ", "))
}

// withoutPhoto tells those who have no photo from those whose photo may not be
// seen: of these a server cannot say that the attribute is not there, either (RFC
// 4511, section 4.5.1.7). Attributes that the server does not know at all hide
// nothing.
func (b batch) withoutPhoto(ctx context.Context, photos []sources.Photo) error {
	if len(photos) == 0 {
		return nil
	}
	known, err := b.known(ctx, b.c)
	if err != nil {
		return err
	}
	none := map[string]bool{}
	if len(known) > 0 {
		if none, err = b.none(ctx, photos, "(!("+strings.Join(known, "=*))(!(")+"=*))"); err != nil {
			return err
		}
	}
	for _, p := range photos {
		p.Err = fmt.Errorf("entry %q: %w", p.Ref.Name, sources.ErrNoPhoto)
		if len(known) > 0 && !none[cmp.Or(p.Ref.Key, p.Ref.Name)] {
			p.Err = denied(p.Ref, known)
		}
		if err := b.give(p); err != nil {
			return err
		}
	}
	return nil
}

// none returns which of photos' entries, by key or else DN, match a filter.
func (b batch) none(ctx context.Context, photos []sources.Photo, filter string) (map[string]bool, error) {
	none, keys := map[string]bool{}, ""
	for _, p := range photos {
		if p.Ref.Key != "" {
			keys += keyFilter(p.Ref.Key)
			continue
		}
		es, err := b.c.entries(ctx, request(p.Ref.Name, ldap.ScopeBaseObject, "(&"+filter+")", []string{"1.1"}))
		if err != nil && !ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
			return nil, err
		}
		none[p.Ref.Name] = len(es) > 0
	}
	if keys == "" {
		return none, nil
	}
	es, err := b.c.entries(ctx, b.search("(&(|"+keys+")"+filter+")", keyAttributes(b.c.server)))
	for _, e := range es {
		none[key(e)] = true
	}
	return none, err
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
