package sources

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
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

// anyPerson has every field that a Person has: one that comes later, too.
func anyPerson(emails *rapid.Generator[string]) *rapid.Generator[Person] {
	text := rapid.OneOf(rapid.Just(""), rapid.String(), rapid.StringMatching(`[0-9a-f]{1,70}(-[0-9a-f]{0,9}){0,5}`),
		rapid.StringMatching(`CN=[A-Z]{1,3},OU=(A|B),DC=x`), rapid.StringMatching(`(a|b)/[0-9]{1,3}\.(jpg|png)`))
	return rapid.Custom(func(t *rapid.T) Person {
		p := rapid.Make[Person]().Draw(t, "person")
		p.Emails = rapid.SliceOfNDistinct(emails, 1, 3, rapid.ID[string]).Draw(t, "emails")
		p.Stamp, p.Ref.Name, p.Ref.Key = text.Draw(t, "stamp"), text.Draw(t, "name"), text.Draw(t, "key")
		p.HasPhoto %= 3
		if rapid.Bool().Draw(t, "named after the address") {
			p.Ref.Name = text.Draw(t, "folder") + p.Emails[0] + text.Draw(t, "ending")
		}
		return p
	})
}

// Whatever a source lists comes back unchanged, sorted by address.
func TestRosterKeepsEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		emails := rapid.OneOf(rapid.StringMatching(`[a-c]{1,12}@[xy]`), rapid.String())
		people := rapid.SliceOfN(anyPerson(emails), 0, 40).Draw(t, "people")
		p := &People{rosters: []*roster{{}}}
		for i := range people {
			p.rosters[0].add(people[i])
			if rapid.IntRange(0, 5).Draw(t, "run") == 0 {
				p.rosters[0].flush()
			}
		}
		p.rosters[0].flush()
		byText := func(a, b Person) int {
			return strings.Compare(a.Emails[0]+fmt.Sprintf("\x00%q", a), b.Emails[0]+fmt.Sprintf("\x00%q", b))
		}
		var got []Person
		for c := range p.listed() {
			c.Emails = slices.Clone(c.Emails)
			if len(got) > 0 && got[len(got)-1].Emails[0] > c.Emails[0] {
				t.Fatalf("%q after %q", c.Emails[0], got[len(got)-1].Emails[0])
			}
			got = append(got, c.Person)
		}
		slices.SortFunc(people, byText)
		slices.SortFunc(got, byText)
		if d := cmp.Diff(people, got); d != "" && !(len(people) == 0 && len(got) == 0) {
			t.Fatal(d)
		}
	})
}

// Joining one by one gives what joining everybody in memory gives.
func TestJoinIsReconciliation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Few addresses meet often, many seldom: both happen.
		emails := rapid.StringMatching(rapid.SampledFrom([]string{`[ab]@x`, `[a-h]@x`, `[a-z][a-z]@[xy]`}).Draw(t, "addresses"))
		several := rapid.IntRange(1, 3).Draw(t, "addresses of one")
		var srcs []Named
		want := make([][]Person, rapid.IntRange(1, 3).Draw(t, "sources"))
		for i := range want {
			for n := range rapid.IntRange(0, 12).Draw(t, "people") {
				p := Person{Ref: Ref{Name: fmt.Sprint(n)}}
				p.Emails = rapid.SliceOfNDistinct(emails, 1, several, rapid.ID[string]).Draw(t, "emails")
				if rapid.Bool().Draw(t, "named") {
					p.DisplayName = fmt.Sprint("name ", i, n)
				}
				want[i] = append(want[i], p)
			}
			srcs = append(srcs, Named{Name: fmt.Sprint(i), Source: listOf(rapid.Permutation(want[i]).Draw(t, "order"))})
		}
		people, _, err := Join(t.Context(), srcs)
		if err != nil {
			t.Fatal(err)
		}
		var got []Joined
		for j := range people.All() {
			got = append(got, j.Clone())
		}
		if d := cmp.Diff(reconcile(clonePeople(want)), got); d != "" {
			t.Fatal(d)
		}
	})
}

func clonePeople(people [][]Person) (cs [][]Person) {
	for _, ps := range people {
		cs = append(cs, slices.Clone(ps))
	}
	return cs
}
