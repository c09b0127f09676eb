package ldap

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"photosync/sources"
)

// Photos implements sources.Source: it reads a batch of entries by key in one
// search. A lost connection is opened again once a batch.
func (s *Source) Photos(ctx context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	refs = distinct(refs)
	for batch := range slices.Chunk(refs, photoBatch) {
		photos, err := s.batch(ctx, batch)
		if err != nil {
			return err
		}
		for _, p := range photos {
			if err := each(p); err != nil {
				return err
			}
		}
	}
	return nil
}

func distinct(refs []sources.Ref) []sources.Ref {
	seen := make(map[sources.Ref]bool, len(refs))
	var out []sources.Ref
	for _, r := range refs {
		if !seen[r] {
			seen[r] = true
			out = append(out, r)
		}
	}
	return out
}

// batch reads the photos of a few entries, on a connection that may have been
// lost since it was last used.
func (s *Source) batch(ctx context.Context, refs []sources.Ref) ([]sources.Photo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for try := 0; ; try++ {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		fresh := s.conn == nil
		if fresh {
			c, _, err := s.connect(ctx)
			if err != nil {
				return nil, err
			}
			s.conn = c
		}
		c := s.conn
		stop := context.AfterFunc(ctx, func() { c.Close() })
		photos, err := s.read(c, refs)
		stop()
		if err == nil {
			return photos, nil
		}
		s.drop()
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case fresh || try > 0:
			return nil, &Error{"read photos", strings.Join(s.o.URLs, " "), err}
		}
	}
}

// read asks for the photos of refs on one connection.
func (s *Source) read(c *ldap.Conn, refs []sources.Ref) ([]sources.Photo, error) {
	found := map[string]*ldap.Entry{} // by key, or by DN for those without one
	var byKey []string
	for _, r := range refs {
		if r.Key != "" {
			byKey = append(byKey, keyFilter(r.Key))
			continue
		}
		e, err := s.readDN(c, r.Name)
		if err != nil {
			return nil, err
		}
		found[r.Name] = e
	}
	if len(byKey) > 0 {
		res, err := c.Search(ldap.NewSearchRequest(s.o.BaseDN, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false,
			"(|"+strings.Join(byKey, "")+")", s.photoAttributes(), nil))
		if err != nil {
			return nil, err
		}
		for _, e := range res.Entries {
			found[key(e)] = e
		}
	}
	photos := make([]sources.Photo, len(refs))
	for i, r := range refs {
		id := r.Key
		if id == "" {
			id = r.Name
		}
		photos[i] = s.photo(r, found[id])
	}
	return photos, nil
}

// readDN reads an entry that has no key; nil: it is gone.
func (s *Source) readDN(c *ldap.Conn, dn string) (*ldap.Entry, error) {
	res, err := c.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false,
		"(objectClass=*)", s.photoAttributes(), nil))
	if ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) || err == nil && len(res.Entries) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return res.Entries[0], nil
}

func (s *Source) photoAttributes() []string {
	return append(slices.Clone(s.o.PhotoAttributes), "entryUUID", "objectGUID")
}

// keyFilter is the filter for a key made by the function key.
func keyFilter(k string) string {
	name, value, _ := strings.Cut(k, "=")
	if name != "objectGUID" {
		return fmt.Sprintf("(%s=%s)", name, ldap.EscapeFilter(value))
	}
	raw, _ := hex.DecodeString(value) // made by us
	var b strings.Builder
	for _, c := range raw {
		fmt.Fprintf(&b, `\%02x`, c)
	}
	return "(objectGUID=" + b.String() + ")"
}

// photo takes the photo out of an entry: the first attribute that is there, and
// of several values the largest, because their order is not fixed (RFC 4511,
// section 4.1.7).
func (s *Source) photo(r sources.Ref, e *ldap.Entry) sources.Photo {
	p := sources.Photo{Ref: r}
	if e == nil {
		p.Err = fmt.Errorf("entry %q: %w", r.Name, sources.ErrGone)
		return p
	}
	for _, name := range s.o.PhotoAttributes {
		vs := rawValues(e, name)
		if len(vs) == 0 {
			continue
		}
		p.Data = slices.MaxFunc(vs, func(a, b []byte) int {
			if len(a) != len(b) {
				return len(a) - len(b)
			}
			return slices.Compare(a, b)
		})
		if len(p.Data) > sources.MaxPhotoBytes {
			p.Err = fmt.Errorf("%s of %q: %w: %d bytes", name, r.Name, sources.ErrTooLarge, len(p.Data))
			p.Data = nil
		}
		return p
	}
	p.Err = fmt.Errorf("entry %q: %w", r.Name, sources.ErrNoPhoto)
	return p
}

// rawValues is values for binary attributes.
func rawValues(e *ldap.Entry, name string) [][]byte {
	var vs [][]byte
	for _, a := range e.Attributes {
		if base, _, _ := strings.Cut(a.Name, ";"); strings.EqualFold(base, name) {
			vs = append(vs, a.ByteValues...)
		}
	}
	return vs
}
