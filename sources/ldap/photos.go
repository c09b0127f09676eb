package ldap

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"photosync/sources"
)

// photoBatch is how many entries' photos are read in one search.
const photoBatch = 50

// Photos implements sources.Source: it reads the entries of a batch in one search. If the connection
// is lost, it reads the rest of the batch from the next server.
func (s *Source) Photos(ctx context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	refs = slices.Compact(slices.SortedFunc(slices.Values(refs), sources.Ref.Compare))
	for batch := range slices.Chunk(refs, photoBatch) {
		left := map[sources.Ref]bool{}
		for _, r := range batch {
			left[r] = true
		}
		give := func(p sources.Photo) error {
			if !left[p.Ref] {
				return nil // the server sent the entry twice
			}
			delete(left, p.Ref)
			err := each(p)
			if err != nil {
				stop(err)
			}
			return err
		}
		if err := s.withServer(ctx, "read photos", func(c *conn) error { return s.readBatch(ctx, c, left, give) }); err != nil {
			return err
		}
	}
	return nil
}

// readBatch reads the rest of a batch over one connection. Entries that seem to have no photo are asked for
// once more, as entries without one: if the photo may not be seen, the server does not say that it is
// absent either (RFC 4511, section 4.5.1.7). Attributes unknown to the server hide nothing.
func (s *Source) readBatch(ctx context.Context, c *conn, left map[sources.Ref]bool, give func(sources.Photo) error) error {
	without := map[sources.Ref]sources.Photo{} // of entries that seem to have none
	attributes := slices.Concat(s.o.PhotoAttributes, s.o.EmailAttributes, keyAttributes, s.stamps.attributes)
	err := s.find(ctx, c, slices.Collect(maps.Keys(left)), anything, attributes, func(e *entry, r sources.Ref) error {
		p := s.photo(e, r, c.server)
		if p.Err != nil || p.Data != nil {
			return give(p)
		}
		p.Err = fmt.Errorf("entry %q: %w", r.Name, sources.ErrNoPhoto)
		without[r] = p
		return nil
	})
	var known []string
	if err == nil && len(without) > 0 {
		known, err = s.inSchema(ctx, c)
	}
	if err == nil && len(known) > 0 {
		refs := slices.Collect(maps.Keys(without))
		err = s.find(ctx, c, refs, noneOf(known), keyAttributes, func(_ *entry, r sources.Ref) error { return give(without[r]) })
	}
	if err != nil {
		return err
	}
	for r := range left {
		p, there := without[r]
		if !there {
			p = sources.Photo{Ref: r, Err: fmt.Errorf("entry %q: %w", r.Name, sources.ErrGone)}
		} else if len(known) > 0 {
			p.Err = denied(r, known)
		}
		if err := give(p); err != nil {
			return err
		}
	}
	return nil
}

// find calls each for the entries of refs that match a filter. One search finds all with a key.
func (s *Source) find(ctx context.Context, c *conn, refs []sources.Ref, filter string, attributes []string, each func(*entry, sources.Ref) error) error {
	keys := ""
	for _, r := range refs {
		if r.Key != "" {
			keys += keyFilter(r.Key)
			continue
		}
		req := request(r.Name, ldap.ScopeBaseObject, filter, attributes)
		_, err := c.search(ctx, req, func(e *entry) error { return each(e, r) })
		if err != nil && !ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
			return err
		}
	}
	if keys == "" {
		return nil
	}
	_, err := c.search(ctx, s.peopleRequest("(&(|"+keys+")"+filter+")", attributes), func(e *entry) error {
		k := key(e)
		for _, r := range refs {
			if r.Key != "" && r.Key == k || e.tooLarge > 0 && r.Name == e.dn {
				if err := each(e, r); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return err
}

// photo returns the photo of an entry. Without data and error, the entry seems to have none.
func (s *Source) photo(e *entry, r sources.Ref, srv server) sources.Photo {
	p := sources.Photo{Ref: r}
	now, has := s.stamps.of(e, srv, s.now())
	p.Moved = r.Mark != "" && digest(now) != r.Mark && e.tooLarge == 0
	if !e.ranged(s.o.EmailAttributes) && e.tooLarge == 0 { // otherwise some addresses are not known
		own, aliases, _ := s.emails(e)
		p.Emails = append(append([]string{}, own...), aliases...) // not nil
	}
	data := s.choose(e)
	switch {
	case e.tooLarge > 0:
		p.Err = fmt.Errorf("entry %q: %w: the whole entry has %d bytes, or more values than are read", r.Name, sources.ErrTooLarge, e.tooLarge)
	case len(data) > sources.MaxPhotoBytes:
		p.Err = fmt.Errorf("entry %q: %w: %d bytes, %d are read at most", r.Name, sources.ErrTooLarge, len(data), sources.MaxPhotoBytes)
	case data != nil:
		p.Data, p.Lender = append(s.buffers.Get(len(data))[:0], data...), &s.buffers
	case has == sources.Present: // but it is not shown; Samba also answers filters as if there were none
		p.Err = denied(r, s.o.PhotoAttributes)
	}
	return p
}

func denied(r sources.Ref, attributes []string) error {
	return fmt.Errorf("entry %q: %w: the bind user needs the right to read %s", r.Name, sources.ErrDenied, strings.Join(attributes, ", "))
}

// noneOf returns the filter for entries that have none of these attributes, as far as the server may say.
func noneOf(attributes []string) string {
	return "(&(!(" + strings.Join(attributes, "=*))(!(") + "=*)))"
}

// choose returns the best value of the first photo attribute that is not empty, or of all, if
// photo_choice is largest; nil: there is none. The order of values is not fixed (RFC 4511, section 4.1.7).
func (s *Source) choose(e *entry) []byte {
	var values [][]byte
	for _, name := range s.o.PhotoAttributes {
		values = append(values, e.values(name)...)
		if s.o.PhotoChoice != "largest" && slices.ContainsFunc(values, func(v []byte) bool { return len(v) > 0 }) {
			break
		}
	}
	if len(values) == 0 {
		return nil
	}
	return slices.MaxFunc(values, s.compare)
}

// compare prefers values that can be read, then pictures, then larger values. Only identical values are equal.
func (s *Source) compare(a, b []byte) int {
	rank := func(v []byte) int {
		switch {
		case len(v) > sources.MaxPhotoBytes:
			return 0
		case s.o.IsPicture == nil || !s.o.IsPicture(v):
			return 1
		}
		return 2
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(len(a), len(b)), bytes.Compare(a, b))
}

// Describe implements sources.Describer: the attributes from which the Person, the photo and the stamp are made.
func (s *Source) Describe(ctx context.Context, ref sources.Ref) (facts []sources.Fact, err error) {
	attributes := slices.Concat(s.o.EmailAttributes, s.o.PhotoAttributes, keyAttributes, s.stamps.attributes, []string{"displayName"})
	err = s.withServer(ctx, "describe", func(c *conn) error {
		server := sources.Fact{Name: "server", Value: c.at.raw}
		facts = []sources.Fact{server, {Name: "entry", Value: sources.ErrGone.Error()}} // unless it is found
		return s.find(ctx, c, []sources.Ref{ref}, anything, attributes, func(e *entry, _ sources.Ref) error {
			facts = append([]sources.Fact{server}, s.facts(e, c.server)...)
			return nil
		})
	})
	return facts, err
}

func (s *Source) facts(e *entry, srv server) (facts []sources.Fact) {
	add := func(name, value string) { facts = append(facts, sources.Fact{Name: name, Value: sources.Text(value)}) }
	add("dn", e.dn)
	add("key", key(e))
	for _, name := range append(slices.Clone(s.o.EmailAttributes), "displayName") {
		for _, v := range e.texts(name) {
			add(name, v)
		}
	}
	stamp, _ := s.stamps.of(e, srv, s.now())
	_, mark, _ := strings.Cut(stamp, "/") // without the choice
	add("mark", cmp.Or(mark, "none that can be trusted: every run reads the photo"))
	taken := s.choose(e)
	for _, name := range s.o.PhotoAttributes {
		values := e.values(name)
		for _, v := range values {
			text := fmt.Sprintf("%d bytes, %s", len(v), http.DetectContentType(v))
			if len(v) > 0 && len(taken) > 0 && &v[0] == &taken[0] {
				text += ", taken"
			}
			add(name, text)
		}
		if len(values) == 0 {
			add(name, "none, or none that may be read")
		}
	}
	return facts
}
