package sources

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fixed is a source of people written "ref:email,email".
type fixed []string

func (f fixed) List(_ context.Context, each func(Person) error) (Listing, error) {
	for _, s := range f {
		ref, emails, _ := strings.Cut(s, ":")
		if err := each(Person{Ref: Ref{Name: ref}, Emails: strings.Split(emails, ",")}); err != nil {
			return Listing{}, err
		}
	}
	return Listing{Entries: len(f), Complete: true}, nil
}

func (f fixed) Photos(context.Context, []Ref, func(Photo) error) error { return nil }

func TestJoin(t *testing.T) {
	for name, c := range map[string]struct {
		sources []fixed
		want    []string // "emails: source/ref …"
	}{
		"one source":          {[]fixed{{"1:b@x", "2:a@x"}}, []string{"a@x: 0/2", "b@x: 0/1"}},
		"first wins":          {[]fixed{{"1:a@x"}, {"2:a@x", "3:b@x"}}, []string{"a@x: 0/1 1/2", "b@x: 1/3"}},
		"by a second address": {[]fixed{{"1:a@x"}, {"2:new@x,a@x"}}, []string{"a@x,new@x: 0/1 1/2"}},
		"rivals":              {[]fixed{{"1:a@x", "2:a@x"}}, []string{"a@x: ambiguous 0/1 0/2"}},
		"rivals stay so":      {[]fixed{{"1:a@x", "2:a@x"}, {"3:a@x"}}, []string{"a@x: ambiguous 0/1 0/2"}},
		"rivals settled by an earlier source": {
			[]fixed{{"0:a@x"}, {"1:a@x", "2:a@x"}}, []string{"a@x: 0/0"},
		},
		"listed twice":                     {[]fixed{{"1:a@x", "2:b@x", "1:a@x"}}, []string{"a@x: 0/1", "b@x: 0/2"}},
		"listed twice, with two addresses": {[]fixed{{"1:a@x,s@x", "1:a@x,s@x"}}, []string{"a@x,s@x: 0/1"}},
		"listed twice by a later source":   {[]fixed{{"0:a@x"}, {"1:a@x", "1:a@x"}}, []string{"a@x: 0/0 1/1"}},
		"listed twice, and with a rival":   {[]fixed{{"1:a@x", "1:a@x", "2:a@x"}}, []string{"a@x: ambiguous 0/1 0/2"}},
		"a shared second address is nobody's": {
			[]fixed{{"1:a@x,s@x", "2:b@x,s@x"}}, []string{"a@x: 0/1", "b@x: 0/2"},
		},
		"the only address of one, another's second": {
			[]fixed{{"1:a@x,s@x", "2:s@x"}}, []string{"a@x: 0/1", "s@x: ambiguous 0/1 0/2"},
		},
	} {
		var srcs []Named
		for i, f := range c.sources {
			srcs = append(srcs, Named{Name: fmt.Sprint(i), Source: f})
		}
		people, _, err := Join(t.Context(), srcs)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for p := range people.All() {
			s := strings.Join(p.Emails, ",") + ":"
			if p.Ambiguous {
				s += " ambiguous"
			}
			for _, cand := range p.Candidates {
				s += fmt.Sprintf(" %d/%s", cand.Source, cand.Ref.Name)
			}
			got = append(got, s)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

type partly struct{ fixed }

func (p partly) List(ctx context.Context, each func(Person) error) (Listing, error) {
	l, err := p.fixed.List(ctx, each)
	l.Complete = false
	return l, err
}

func TestJoinOfAnIncompleteListing(t *testing.T) {
	people, ls, err := Join(t.Context(), []Named{{Name: "a", Source: fixed{"1:a@x"}}, {Name: "b", Source: partly{}}})
	if e, ok := errors.AsType[*ListError](err); !ok || e.Source != "b" || people != nil || len(ls) != 2 || ls[1].Complete {
		t.Errorf("people %v, listings %v, error %v", people, ls, err)
	}
}

func TestWithDomains(t *testing.T) {
	s := WithDomains(fixed{"1:a@corp.local,a@example.com,b@other.test"}, map[string]string{"Corp.Local": "example.com"})
	var got []string
	if _, err := s.List(t.Context(), func(p Person) error { got = p.Emails; return nil }); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a@example.com", "b@other.test"}, got); d != "" {
		t.Error(d)
	}
}
