package ldap

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"photosync/sources"
)

// Describe implements sources.Describer: of the entry, what makes its Person, its
// photo and its mark, and the attributes that the filters ask about.
func (s *Source) Describe(ctx context.Context, ref sources.Ref) (told []sources.Fact, err error) {
	err = s.withServer(ctx, "describe", func(ctx context.Context, c *conn) (bool, error) {
		e, err := s.find(ctx, c, ref)
		if err == nil {
			told = s.facts(e, c)
		}
		return false, err
	})
	return told, err
}

// find reads all of an entry that Describe tells; nil: it is gone.
func (s *Source) find(ctx context.Context, c *conn, ref sources.Ref) (*entry, error) {
	attributes := slices.Concat(s.o.EmailAttributes, []string{"displayName", "cn"}, s.o.PhotoAttributes, keyAttributes(c.server),
		s.marks.attributes(c.server), s.asked())
	if ref.Key == "" {
		return c.read(ctx, ref.Name, attributes...)
	}
	es, err := c.entries(ctx, s.search(keyFilter(ref.Key), attributes))
	if err != nil || len(es) == 0 {
		return nil, err
	}
	return es[0], nil
}

// inFilter finds the attributes in a filter that CompileFilter has taken.
var inFilter = regexp.MustCompile(`\(\s*([A-Za-z][A-Za-z0-9-]*)[^=()]*=`)

// asked are the attributes that decide who is listed. Passwords are never read.
func (s *Source) asked() (names []string) {
	if s.o.MemberOf != "" {
		names = append(names, "memberOf")
	}
	for _, m := range inFilter.FindAllStringSubmatch(s.o.Filter+s.o.ExcludeFilter, -1) {
		same := func(name string) bool { return strings.EqualFold(name, m[1]) }
		lower := strings.ToLower(m[1])
		if !slices.ContainsFunc(names, same) && !strings.Contains(lower, "password") && lower != "unicodepwd" {
			names = append(names, m[1])
		}
	}
	return names
}

// facts tells what is in an entry.
func (s *Source) facts(e *entry, c *conn) (told []sources.Fact) {
	tell := func(name, value string) { told = append(told, sources.Fact{Name: name, Value: sources.Text(value)}) }
	tell("server", c.at.raw)
	if e == nil {
		tell("entry", sources.ErrGone.Error())
		return told
	}
	tell("dn", e.dn)
	id := key(e)
	name, value, _ := strings.Cut(id, "=")
	if name == "objectGUID" {
		value = guid(value)
	}
	if name != "" {
		tell(name, value)
	}
	shown := slices.Concat(s.o.EmailAttributes, []string{"displayName"}, s.asked())
	for i, name := range shown {
		isPhoto := slices.ContainsFunc(s.o.PhotoAttributes, func(p string) bool { return strings.EqualFold(p, name) })
		if !isPhoto && !slices.ContainsFunc(shown[:i], func(before string) bool { return strings.EqualFold(before, name) }) {
			described(tell, name, e.texts(name))
		}
	}
	mark, _ := s.marks.of(e, c.server, s.now())
	tell("mark", s.marks.origin(mark))
	for _, name := range s.o.PhotoAttributes {
		s.describePhotos(tell, name, e)
	}
	return told
}

// described tells the values of an attribute, the first few of many.
func described(tell func(name, value string), name string, values []string) {
	const most = 10
	for _, v := range values[:min(most, len(values))] {
		tell(name, v+account(name, v))
	}
	if more := len(values) - most; more > 0 {
		tell(name, fmt.Sprintf("and %d more", more))
	}
}

// account says what a userAccountControl tells of an account ([MS-ADTS], section
// 2.2.16).
func account(name, value string) string {
	const disabled = 2
	if n, err := strconv.ParseInt(value, 10, 64); strings.EqualFold(name, "userAccountControl") && err == nil && n&disabled != 0 {
		return " (the account is disabled)"
	}
	return ""
}

// describePhotos tells the sizes of an attribute's photos, and which is taken.
func (s *Source) describePhotos(tell func(name, value string), name string, e *entry) {
	taken, _ := s.choose(e)
	values := e.values(name)
	for _, v := range values {
		text := fmt.Sprintf("%d bytes, %s", len(v), http.DetectContentType(v))
		if len(v) > 0 && len(taken) > 0 && &v[0] == &taken[0] {
			text += ", taken"
		}
		tell(name, text)
	}
	n := 0
	for _, a := range e.attrs {
		if strings.EqualFold(a.name, name) && a.dropped > 0 {
			tell(name, fmt.Sprintf("%d bytes: too large to be a photo", a.dropped))
			n++
		}
	}
	if len(values)+n == 0 {
		tell(name, "none, or none that the bind user may read")
	}
}

// guid writes the hexadecimal bytes of an objectGUID as Active Directory's tools do:
// the first three groups have their lowest byte first ([MS-DTYP], section 2.3.4.2).
func guid(text string) string {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 16 {
		return text
	}
	le := binary.LittleEndian
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", le.Uint32(b), le.Uint16(b[4:]), le.Uint16(b[6:]), b[8:10], b[10:])
}

var _ sources.Describer = (*Source)(nil)
