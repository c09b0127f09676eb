package sources

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// listOf is a source of people.
type listOf []Person

func (l listOf) List(_ context.Context, each func(Person) error) (Listing, error) {
	for _, p := range l {
		if err := each(p); err != nil {
			return Listing{}, err
		}
	}
	return Listing{Entries: len(l), Complete: true}, nil
}

func (listOf) Photos(context.Context, []Ref, func(Photo) error) error { return nil }

// parse makes entries of lines like "1: a@x, b@x (c@x) absent": reference, own
// addresses, aliases, and what is known of the photo.
func parse(lines ...string) (l listOf) {
	for _, line := range lines {
		ref, rest, _ := strings.Cut(line, ":")
		p := Person{Ref: Ref{Name: ref}, HasPhoto: Present}
		for word := range strings.FieldsSeq(rest) {
			name := strings.Trim(word, "(,)")
			switch {
			case name == "absent":
				p.HasPhoto = Absent
			case name == "unknown":
				p.HasPhoto = Unknown
			case name == "hidden":
				p.HasPhoto = Hidden
			case strings.HasPrefix(word, "(") || p.Aliases != nil:
				p.Aliases = append(p.Aliases, name)
			default:
				p.Own = append(p.Own, name)
			}
		}
		l = append(l, p)
	}
	return l
}

// text is a joined person as the tests write it: own addresses, aliases, and
// source/reference of each candidate.
func text(j Joined) string {
	s := strings.Join(j.Own, ", ")
	if len(j.Aliases) > 0 {
		s += " (" + strings.Join(j.Aliases, ", ") + ")"
	}
	s += ":"
	if j.Ambiguous {
		s += " ambiguous"
	}
	if j.Reserved {
		s += " reserved"
	}
	for _, c := range j.Candidates {
		s += fmt.Sprintf(" %d/%s", c.Source, c.Ref.Name)
	}
	return s
}

func texts(p *People) (all []string) {
	for j := range p.All() {
		all = append(all, text(j))
	}
	return all
}

// named are sources called 0, 1, and so on.
func named(lists ...listOf) (srcs []Named) {
	for i, l := range lists {
		srcs = append(srcs, Named{Name: fmt.Sprint(i), Source: l})
	}
	return srcs
}

// reserving is a source that leaves out entries with these addresses.
type reserving struct {
	listOf
	addresses []string
}

func (r reserving) List(ctx context.Context, each func(Person) error) (Listing, error) {
	l, err := r.listOf.List(ctx, each)
	l.Reserved = r.addresses
	return l, err
}

// Each case is one of the rules in claims.go, or a case that two of them decide together.
func TestJoin(t *testing.T) {
	for name, c := range map[string]struct {
		sources  []listOf
		reserved []string
		want     []string
		lost     []string // "address: loser, holder: why"
	}{
		"one source":               {sources: []listOf{parse("1: b@x", "2: a@x")}, want: []string{"a@x: 0/2", "b@x: 0/1"}},
		"nobody":                   {sources: []listOf{parse(), parse()}},
		"several own, and aliases": {sources: []listOf{parse("1: b@x, a@x (d@x, c@x)")}, want: []string{"a@x, b@x (c@x, d@x): 0/1"}},

		// Rule 2.
		"reserved": {
			sources: []listOf{parse("1: a@x (b@x)", "2: c@x")}, reserved: []string{"a@x"},
			want: []string{"a@x (b@x): reserved 0/1", "c@x: 0/2"}, lost: []string{"a@x: 0/1, none: excluded"},
		},
		"one own address is reserved": {
			sources: []listOf{parse("1: a@x, b@x (c@x)")}, reserved: []string{"a@x", "c@x"},
			want: []string{"b@x: reserved 0/1"}, lost: []string{"a@x: 0/1, none: excluded", "c@x: 0/1, none: reserved"},
		},
		"one own address of one of two sources is reserved": {
			sources: []listOf{parse("1: b@x"), parse("2: a@x, b@x")}, reserved: []string{"a@x"},
			want: []string{"b@x: reserved 0/1 1/2"}, lost: []string{"a@x: 1/2, none: excluded"},
		},
		"reserved in two sources": {
			sources: []listOf{parse("1: a@x, b@x"), parse("2: a@x", "3: b@x")}, reserved: []string{"a@x", "b@x"},
			want: []string{"a@x, b@x: reserved 0/1 1/2", "b@x: reserved 1/3"},
			lost: []string{"a@x: 0/1, none: excluded", "a@x: 1/2, none: excluded", "b@x: 0/1, none: excluded", "b@x: 1/3, none: excluded"},
		},
		"an alias of a reserved person is nobody else's": {
			sources: []listOf{parse("1: a@x (c@x)"), parse("2: b@x (c@x)")}, reserved: []string{"a@x"},
			want: []string{"a@x (c@x): reserved 0/1", "b@x: 1/2"}, lost: []string{"a@x: 0/1, none: excluded", "c@x: 1/2, 0/1: earlier"},
		},

		// Rule 3.
		"two sources, one person": {
			sources: []listOf{parse("1: a@x"), parse("2: a@x", "3: b@x")}, want: []string{"a@x: 0/1 1/2", "b@x: 1/3"},
		},
		"by a second own address": {
			sources: []listOf{parse("1: a@x (n@x)"), parse("2: a@x, new@x (m@x)")}, want: []string{"a@x, new@x (m@x, n@x): 0/1 1/2"},
		},
		"own before alias": {
			sources: []listOf{parse("1: a@x (b@x)"), parse("2: b@x absent")},
			want:    []string{"a@x: 0/1", "b@x: 1/2"}, lost: []string{"b@x: 0/1, 1/2: own"},
		},
		"own before alias in one source": {
			sources: []listOf{parse("1: a@x (b@x)", "2: b@x")},
			want:    []string{"a@x: 0/1", "b@x: 0/2"}, lost: []string{"b@x: 0/1, 0/2: own"},
		},
		"an alias that another source owns": {
			sources: []listOf{parse("1: a@x (b@x)"), parse("2: a@x, b@x")}, want: []string{"a@x, b@x: 0/1 1/2"},
		},
		"an alias is not how people are matched": {
			sources: []listOf{parse("1: a@x (b@x)"), parse("2: c@x (a@x, b@x)")},
			want:    []string{"a@x (b@x): 0/1", "c@x: 1/2"}, lost: []string{"a@x: 1/2, 0/1: own", "b@x: 1/2, 0/1: earlier"},
		},

		// Rule 4.
		"two of one source": {sources: []listOf{parse("1: a@x", "2: a@x")}, want: []string{"a@x: ambiguous 0/1 0/2"}},
		"one without a photo": {
			sources: []listOf{parse("1: a@x", "2: a@x absent")}, want: []string{"a@x: 0/1"}, lost: []string{"a@x: 0/2, 0/1: no photo"},
		},
		"one without a photo and one unknown": {
			sources: []listOf{parse("1: a@x absent", "2: a@x unknown")}, want: []string{"a@x: 0/2"}, lost: []string{"a@x: 0/1, 0/2: no photo"},
		},
		"a hidden photo conflicts": {sources: []listOf{parse("1: a@x", "2: a@x hidden")}, want: []string{"a@x: ambiguous 0/1 0/2"}},
		"all without a photo":      {sources: []listOf{parse("1: a@x absent", "2: a@x absent")}, want: []string{"a@x: ambiguous 0/1 0/2"}},
		"one without, two with": {
			sources: []listOf{parse("1: a@x", "2: a@x", "3: a@x absent")}, want: []string{"a@x: ambiguous 0/1 0/2"}, lost: []string{"a@x: 0/3, 0/1: no photo"},
		},
		"one owns nothing else": {
			sources: []listOf{parse("1: a@x, b@x", "2: a@x")}, want: []string{"a@x: 0/2", "b@x: 0/1"}, lost: []string{"a@x: 0/1, 0/2: only"},
		},
		"one owns nothing else and has no photo": {
			sources: []listOf{parse("1: a@x, b@x", "2: a@x absent")}, want: []string{"a@x, b@x: 0/1"}, lost: []string{"a@x: 0/2, 0/1: no photo"},
		},
		"two own nothing else": {
			sources: []listOf{parse("1: a@x, b@x", "2: a@x", "3: a@x")}, want: []string{"a@x, b@x: ambiguous 0/1 0/2 0/3"},
		},
		"both own something else": {
			sources: []listOf{parse("1: b@x, c@x", "2: a@x, c@x (d@x)")}, want: []string{"a@x, b@x, c@x (d@x): ambiguous 0/1 0/2"},
		},
		"a chain": {
			sources: []listOf{parse("1: a@x, b@x", "2: b@x, c@x", "3: c@x, d@x")}, want: []string{"a@x, b@x, c@x, d@x: ambiguous 0/1 0/2 0/3"},
		},
		"one loses both": {
			sources: []listOf{parse("1: a@x, b@x (c@x)", "2: a@x", "3: b@x")}, want: []string{"a@x: 0/2", "b@x: 0/3"},
			lost: []string{"a@x: 0/1, 0/2: only", "b@x: 0/1, 0/3: only"},
		},
		"listed twice":                     {sources: []listOf{parse("1: a@x", "2: b@x", "1: a@x")}, want: []string{"a@x: 0/1", "b@x: 0/2"}},
		"listed twice, with two addresses": {sources: []listOf{parse("1: a@x, s@x (t@x)", "1: a@x, s@x (t@x)")}, want: []string{"a@x, s@x (t@x): 0/1"}},
		"listed twice by a later source":   {sources: []listOf{parse("0: a@x"), parse("1: a@x", "1: a@x")}, want: []string{"a@x: 0/0 1/1"}},
		"listed twice, and another one":    {sources: []listOf{parse("1: a@x", "1: a@x", "2: a@x")}, want: []string{"a@x: ambiguous 0/1 0/2"}},

		// Rule 5.
		"a later source conflicts": {
			sources: []listOf{parse("0: a@x"), parse("1: a@x", "2: a@x, b@x", "3: a@x, c@x")}, want: []string{"a@x: 0/0 1/1", "b@x: 1/2", "c@x: 1/3"},
			lost: []string{"a@x: 1/2, 1/1: only", "a@x: 1/3, 1/1: only"},
		},
		"an earlier source decides": {
			sources: []listOf{parse("0: a@x"), parse("1: a@x", "2: a@x")}, want: []string{"a@x: 0/0"},
			lost: []string{"a@x: 1/1, 0/0: earlier", "a@x: 1/2, 0/0: earlier"},
		},
		"an earlier source decides, without a photo": {
			sources: []listOf{parse("0: a@x absent"), parse("1: a@x", "2: a@x")}, want: []string{"a@x: 0/0"},
			lost: []string{"a@x: 1/1, 0/0: earlier", "a@x: 1/2, 0/0: earlier"},
		},
		"an earlier source decides, and something is left": {
			sources: []listOf{parse("0: a@x"), parse("1: a@x, b@x", "2: a@x, c@x")}, want: []string{"a@x: 0/0", "b@x, c@x: ambiguous 1/1 1/2"},
			lost: []string{"a@x: 1/1, 0/0: earlier", "a@x: 1/2, 0/0: earlier"},
		},
		"a later source does not decide": {
			sources: []listOf{parse("1: a@x", "2: a@x"), parse("3: a@x")}, want: []string{"a@x: ambiguous 0/1 0/2"},
			lost: []string{"a@x: 1/3, 0/1: ambiguous"},
		},
		"a later source does not decide, and something is left": {
			sources: []listOf{parse("1: b@x", "2: b@x"), parse("3: a@x, b@x")}, want: []string{"a@x: ambiguous 1/3", "b@x: ambiguous 0/1 0/2"},
			lost: []string{"b@x: 1/3, 0/1: ambiguous"},
		},
		"an entry of two people": {
			sources: []listOf{parse("1: a@x", "2: b@x"), parse("3: a@x, b@x")}, want: []string{"a@x: 0/1", "b@x: 0/2"},
			lost: []string{"a@x: 1/3, 0/1: spans", "b@x: 1/3, 0/2: spans"},
		},
		"an entry of two people owns one more": {
			sources: []listOf{parse("1: a@x", "2: b@x"), parse("3: a@x, b@x, c@x"), parse("4: c@x")},
			want:    []string{"a@x: 0/1", "b@x: 0/2", "c@x: ambiguous 1/3"},
			lost:    []string{"a@x: 1/3, 0/1: spans", "b@x: 1/3, 0/2: spans", "c@x: 2/4, 1/3: ambiguous"},
		},
		"two entries of one person": {
			sources: []listOf{parse("1: a@x, b@x"), parse("2: a@x", "3: b@x")}, want: []string{"a@x, b@x: 0/1"},
			lost: []string{"a@x: 1/2, 0/1: both", "b@x: 1/3, 0/1: both"},
		},
		"three sources": {
			sources: []listOf{parse("1: a@x"), parse("2: a@x, b@x"), parse("3: b@x, c@x")}, want: []string{"a@x, b@x, c@x: 0/1 1/2 2/3"},
		},

		// Rule 6.
		"an alias of two sources": {
			sources: []listOf{parse("1: a@x (s@x)"), parse("2: b@x (s@x)", "3: c@x (s@x)")}, want: []string{"a@x (s@x): 0/1", "b@x: 1/2", "c@x: 1/3"},
			lost: []string{"s@x: 1/2, 0/1: earlier", "s@x: 1/3, 0/1: earlier"},
		},
		"an alias of two people of one source": {
			sources: []listOf{parse("1: a@x (s@x)", "2: b@x (s@x)"), parse("3: c@x (s@x)")}, want: []string{"a@x: 0/1", "b@x: 0/2", "c@x: 1/3"},
			lost: []string{"s@x: 0/1, 0/2: shared", "s@x: 0/2, 0/1: shared", "s@x: 1/3, 0/1: shared"},
		},
		"an alias of an ambiguous person": {
			sources: []listOf{parse("1: a@x (s@x)", "2: a@x (s@x)"), parse("3: c@x (s@x)")}, want: []string{"a@x (s@x): ambiguous 0/1 0/2", "c@x: 1/3"},
			lost: []string{"s@x: 1/3, 0/1: earlier"},
		},
		"an alias without a photo": {
			sources: []listOf{parse("1: a@x (s@x) absent"), parse("2: b@x (s@x)")}, want: []string{"a@x (s@x): 0/1", "b@x: 1/2"},
			lost: []string{"s@x: 1/2, 0/1: earlier"},
		},
		"an alias of an entry that is nobody": {
			sources: []listOf{parse("1: a@x (s@x) absent", "2: a@x", "3: b@x (s@x)")}, want: []string{"a@x: 0/2", "b@x (s@x): 0/3"},
			lost: []string{"a@x: 0/1, 0/2: no photo"},
		},
	} {
		srcs := named(c.sources...)
		srcs[0].Source = reserving{c.sources[0], c.reserved}
		people, _, err := Join(t.Context(), srcs)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, texts(people)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		var lost []string
		for _, l := range people.Lost {
			lost = append(lost, fmt.Sprintf("%s: %s, %s: %s", l.Address, place(l.Loser), place(l.Holder), short[l.Why]))
		}
		if d := cmp.Diff(c.lost, lost); d != "" {
			t.Errorf("%s: lost claims (-want +got):\n%s", name, d)
		}
	}
}

func place(c Claimant) string {
	if c == (Claimant{}) {
		return "none"
	}
	return c.Source + "/" + c.Ref
}

// short are the rules as the tests write them.
var short = map[Why]string{
	WhyReserved: "reserved", WhyExcluded: "excluded", WhyOwn: "own", WhyNoPhoto: "no photo", WhyOnly: "only", WhyRewritten: "rewritten", WhyEarlier: "earlier",
	WhyAmbiguous: "ambiguous", WhySpans: "spans", WhyBoth: "both", WhyShared: "shared",
}

func TestLostClaimInWords(t *testing.T) {
	people, _, err := Join(t.Context(), []Named{
		{Name: "hr", Source: reserving{parse("ann.jpg: a@x", "boss.jpg: boss@x"), []string{"boss@x"}}}, {Name: "ad", Source: parse("CN=Bob: b@x (a@x)")},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range people.Lost {
		got = append(got, l.String())
	}
	want := []string{
		`a@x counts for "ann.jpg" of source "hr", not for "CN=Bob" of source "ad": an own address goes before an alias`,
		`boss@x does not count for "boss.jpg" of source "hr": exclude_filter leaves this person out, by another entry`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestHolder(t *testing.T) {
	srcs := named(parse("1: a@x (s@x, boss@x)", "2: b@x", "3: b@x", "4: boss@x", "6: d@x (shared@x)", "7: e@x (shared@x)"), parse("5: c@x (s@x)"))
	srcs[0].Source = reserving{srcs[0].Source.(listOf), []string{"boss@x"}}
	people, _, err := Join(t.Context(), srcs)
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"a@x": "a@x (s@x): 0/1", "s@x": "a@x (s@x): 0/1", "b@x": "b@x: ambiguous 0/2 0/3", "c@x": "c@x: 1/5", "boss@x": "", "shared@x": "", "none@x": "", "": "",
	} {
		got := ""
		if j, ok := people.Holder(address); ok {
			got = text(j)
		}
		if got != want || people.Reserved[address] != (address == "boss@x") {
			t.Errorf("Holder(%q) = %q, want %q; reserved: %v", address, got, want, people.Reserved[address])
		}
	}
}

// Rule 1: an address outside the domains of a source is not claimed.
func TestDomains(t *testing.T) {
	people, ls, err := Join(t.Context(), []Named{
		{Name: "hr", Source: parse("1: a@x")},
		{Name: "contractors", Domains: []string{"c.x"}, Source: parse("2: a@x, z@c.x (b@x, y@c.x)", "3: a@x (w@c.x)", "4: b@x", "5: v@sub.c.x")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a@x: 0/1", "z@c.x (y@c.x): 1/2"}, texts(people)); d != "" {
		t.Error(d)
	}
	want := `3 left out: no own address in c.x (first: "3")`
	if l := ls[1]; !slices.Equal(l.Unnamed, []string{"3", "4", "5"}) || !slices.Equal(l.Warnings, []string{want}) || len(people.Lost) != 0 {
		t.Errorf("listing %+v, lost %v", l, people.Lost)
	}
}

// moving is a place that changes under its first listings.
type moving struct {
	listOf
	times *int
}

func (m moving) List(ctx context.Context, each func(Person) error) (Listing, error) {
	if *m.times--; *m.times >= 0 {
		err := each(Person{Own: []string{"old@x"}, Ref: Ref{Name: "old"}})
		return Listing{Entries: 1}, fmt.Errorf("folder %q: %w", "old", errors.Join(err, ErrMoved))
	}
	return m.listOf.List(ctx, each)
}

func TestPlaceThatChangesIsListedAgainOnce(t *testing.T) {
	for times, ok := range map[int]bool{1: true, 2: false} {
		people, ls, err := Join(t.Context(), append(named(parse("0: a@x")), Named{Name: "b", Source: moving{parse("1: b@x"), &times}}))
		if (err == nil) != ok || len(ls) != 2 || ls[1].Complete != ok {
			t.Fatalf("listings %+v, error %v", ls, err)
		}
		if ok && !slices.Equal(texts(people), []string{"a@x: 0/0", "b@x: 1/1"}) {
			t.Errorf("people %q", texts(people))
		}
		if _, is := errors.AsType[*ListError](err); !ok && (!is || !errors.Is(err, ErrMoved)) {
			t.Errorf("error %v", err)
		}
	}
}

type partly struct{ listOf }

func (p partly) List(ctx context.Context, each func(Person) error) (Listing, error) {
	l, err := p.listOf.List(ctx, each)
	l.Complete = false
	return l, err
}

func TestJoinOfAnIncompleteListing(t *testing.T) {
	people, ls, err := Join(t.Context(), []Named{{Name: "a", Source: parse("1: a@x")}, {Name: "b", Source: partly{}}})
	if e, ok := errors.AsType[*ListError](err); !ok || e.Source != "b" || people != nil || len(ls) != 2 || ls[1].Complete {
		t.Errorf("people %v, listings %v, error %v", people, ls, err)
	}
}

func TestDomainsAreRewritten(t *testing.T) {
	src := Named{
		Rewrite: map[string]string{"Corp.Local": "example.com"}, Domains: []string{"Example.COM", "other.test", "zürich.test"},
		Source: reserving{parse("1: a@corp.local, a@example.com, b@other.test (c@corp.local, b@other.test)", "2: e@xn--zrich-kva.test"), []string{"d@corp.local"}},
	}
	people, ls, err := Join(t.Context(), []Named{src})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a@example.com, b@other.test (c@example.com): 0/1", "e@xn--zrich-kva.test: 0/2"}, texts(people)); d != "" || !slices.Equal(ls[0].Reserved, []string{"d@example.com"}) {
		t.Errorf("reserved %q\n%s", ls[0].Reserved, d)
	}
	src.Source = addressed{[]string{"a@corp.local", "a@sub.corp.local"}}
	err = src.Photos(t.Context(), nil, func(p Photo) error {
		if !slices.Equal(p.Emails, []string{"a@example.com", "a@sub.corp.local"}) {
			t.Errorf("photo with the addresses %q", p.Emails)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Two companies become one: match.domains gives people of the one the addresses of people of the
// other, who have the same names. Whoever is listed with an address keeps it, also without a photo.
func TestRewrittenAddressGivesWay(t *testing.T) {
	for name, c := range map[string]struct {
		entries []string
		people  []string
		lost    []string
	}{
		"two faces":            {[]string{"n: ann@new", "o: ann@old"}, []string{"ann@new: 0/n"}, []string{"ann@new: a/o, a/n: rewritten"}},
		"one without a photo":  {[]string{"n: ann@new absent", "o: ann@old"}, []string{"ann@new: 0/n"}, []string{"ann@new: a/o, a/n: rewritten"}},
		"one with another own": {[]string{"n: ann@new, a.smith@new", "o: ann@old"}, []string{"a.smith@new, ann@new: 0/n"}, []string{"ann@new: a/o, a/n: rewritten"}},
		"the other keeps one":  {[]string{"n: ann@new", "o: ann@old, ann.old@old"}, []string{"ann.old@new: 0/o", "ann@new: 0/n"}, []string{"ann@new: a/o, a/n: rewritten"}},
		"listed with both":     {[]string{"n: ann@new", "o: ann@old, ann@new"}, []string{"ann@new: ambiguous 0/n 0/o"}, nil},
		"two rewritten":        {[]string{"o: ann@old", "p: ann@old absent"}, []string{"ann@new: 0/o"}, []string{"ann@new: a/p, a/o: no photo"}},
	} {
		people, _, err := Join(t.Context(), []Named{{Name: "a", Rewrite: map[string]string{"old": "new"}, Source: parse(c.entries...)}})
		if err != nil {
			t.Fatal(err)
		}
		var lost []string
		for _, l := range people.Lost {
			lost = append(lost, fmt.Sprintf("%s: %s, %s: %s", l.Address, place(l.Loser), place(l.Holder), short[l.Why]))
		}
		if d := cmp.Diff(c.people, texts(people)) + cmp.Diff(c.lost, lost); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// addressed is a source with a photo that has these addresses.
type addressed struct{ addresses []string }

func (addressed) List(context.Context, func(Person) error) (Listing, error) { return Listing{}, nil }

func (a addressed) Photos(_ context.Context, _ []Ref, each func(Photo) error) error {
	return each(Photo{Emails: a.addresses})
}
