package ldap

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"photosync/sources"
)

// Describe implements sources.Describer: of the entry, what makes its Person, its photo and its
// mark.
func (s *Source) Describe(ctx context.Context, ref sources.Ref) (facts []sources.Fact, err error) {
	names := append(slices.Clone(s.o.EmailAttributes), "displayName")
	err = s.withServer(ctx, "describe", func(c *conn) error {
		facts = nil
		add := func(name, value string) { facts = append(facts, sources.Fact{Name: name, Value: sources.Text(value)}) }
		add("server", c.at.raw)
		all := slices.Concat(names, s.o.PhotoAttributes, keyAttributes(c.server), s.marks.attributes(c.server))
		found := false
		err := s.find(ctx, c, slices.Values([]sources.Ref{ref}), anything, all, func(e *entry, _ sources.Ref) error {
			found = true
			add("dn", e.dn)
			add("key", key(e))
			for _, name := range names {
				for _, v := range e.texts(name) {
					add(name, v)
				}
			}
			mark, _ := s.marks.of(e, c.server, s.now())
			_, mark, _ = strings.Cut(mark, "/") // what it is made of
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
			return nil
		})
		if err == nil && !found {
			add("entry", sources.ErrGone.Error())
		}
		return err
	})
	return facts, err
}

var _ sources.Describer = (*Source)(nil)
