package ldap

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"photosync/sources"
)

// Describe implements sources.Describer: of the entry, what makes its Person, its
// photo and its mark, and the attributes that the filters ask about.
func (s *Source) Describe(ctx context.Context, ref sources.Ref) (facts []sources.Fact, err error) {
	err = s.withServer(ctx, "describe", func(ctx context.Context, c *conn) (bool, error) {
		names := s.shown()
		all := slices.Concat(names, s.o.PhotoAttributes, keyAttributes(c.server), s.marks.attributes(c.server))
		facts = []sources.Fact{{Name: "server", Value: c.at.raw}, {Name: "entry", Value: sources.ErrGone.Error()}}
		err := s.find(ctx, c, []sources.Ref{ref}, anything, all, func(e *entry, _ sources.Ref) error {
			facts = append(facts[:1], s.facts(e, names, c.server)...)
			return nil
		})
		return false, err
	})
	return facts, err
}

// inFilter finds the attributes in a filter that CompileFilter has taken.
var inFilter = regexp.MustCompile(`\(\s*([A-Za-z][A-Za-z0-9-]*)[^=()]*=`)

// shown are the attributes that decide who is listed, once each. Passwords are never read.
func (s *Source) shown() (names []string) {
	all := append(slices.Clone(s.o.EmailAttributes), "displayName")
	if s.o.MemberOf != "" {
		all = append(all, "memberOf")
	}
	for _, m := range inFilter.FindAllStringSubmatch(s.o.Filter+s.o.ExcludeFilter, -1) {
		all = append(all, m[1])
	}
	for _, name := range all {
		same := func(other string) bool { return strings.EqualFold(name, other) }
		lower := strings.ToLower(name)
		if !strings.Contains(lower, "password") && lower != "unicodepwd" && !slices.ContainsFunc(names, same) && !slices.ContainsFunc(s.o.PhotoAttributes, same) {
			names = append(names, name)
		}
	}
	return names
}

// facts are what is in an entry.
func (s *Source) facts(e *entry, names []string, srv server) (facts []sources.Fact) {
	add := func(name, value string) { facts = append(facts, sources.Fact{Name: name, Value: sources.Text(value)}) }
	add("dn", e.dn)
	add("key", key(e))
	for _, name := range names {
		const most = 10
		values := e.texts(name)
		for _, v := range values[:min(most, len(values))] {
			add(name, v)
		}
		if more := len(values) - most; more > 0 {
			add(name, fmt.Sprintf("and %d more", more))
		}
	}
	mark, _ := s.marks.of(e, srv, s.now())
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
			add(name, "none, or none that may be read, or none that is small enough")
		}
	}
	return facts
}

var _ sources.Describer = (*Source)(nil)
