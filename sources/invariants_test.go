package sources

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// anyWorld draws up to three sources whose entries share addresses often, and
// reserved addresses.
func anyWorld(t *rapid.T) (lists []listOf, reserved []string) {
	addresses := rapid.StringMatching(rapid.SampledFrom([]string{`[a-d]@x`, `[a-h]@[xy]`, `[a-z][a-z]@[xy]`}).Draw(t, "addresses"))
	several := rapid.IntRange(1, 3).Draw(t, "own addresses")
	lists = make([]listOf, rapid.IntRange(1, 3).Draw(t, "sources"))
	for i := range lists {
		for n := range rapid.IntRange(0, 10).Draw(t, "entries") {
			p := Person{Ref: Ref{Name: fmt.Sprint(n)}, HasPhoto: rapid.SampledFrom([]Presence{Unknown, Present, Present, Absent, Hidden}).Draw(t, "photo")}
			p.Own = rapid.SliceOfNDistinct(addresses, 1, several, rapid.ID[string]).Draw(t, "own")
			p.Aliases = rapid.SliceOfN(addresses, 0, 2).Draw(t, "aliases")
			p.Ref.Key = rapid.SampledFrom([]string{"", "k"}).Draw(t, "key")
			p.DisplayName = rapid.SampledFrom([]string{"", "A", "B"}).Draw(t, "name")
			lists[i] = append(lists[i], p)
		}
	}
	if rapid.IntRange(0, 2).Draw(t, "reserve") == 0 {
		reserved = rapid.SliceOfN(addresses, 1, 3).Draw(t, "reserved")
	}
	return lists, reserved
}

func join(t interface{ Fatal(...any) }, lists []listOf, reserved []string) *People {
	srcs := named(lists...)
	srcs[0].Source = reserving{lists[0], reserved}
	people, _, err := Join(context.Background(), srcs)
	if err != nil {
		t.Fatal(err)
	}
	return people
}

// The order in which sources list entries, and entries their addresses, decides
// nothing; nor does an entry that is listed twice.
func TestOrderDecidesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lists, reserved := anyWorld(t)
		want := join(t, lists, reserved)
		shuffled := make([]listOf, len(lists))
		for i, l := range lists {
			l = slices.Clone(l)
			for k, p := range l {
				l[k].Own, l[k].Aliases = rapid.Permutation(p.Own).Draw(t, "own"), rapid.Permutation(p.Aliases).Draw(t, "aliases")
			}
			if len(l) > 0 && rapid.Bool().Draw(t, "twice") {
				l = append(l, l[rapid.IntRange(0, len(l)-1).Draw(t, "which")])
			}
			shuffled[i] = rapid.Permutation(l).Draw(t, "order")
		}
		got := join(t, shuffled, reserved)
		if d := cmp.Diff(slices.Collect(want.All()), slices.Collect(got.All())); d != "" {
			t.Fatal(d)
		}
		if d := cmp.Diff(want.Lost, got.Lost); d != "" {
			t.Fatal(d)
		}
	})
}

// Nobody's address is another one's, nothing disappears without a word, and
// precedence is kept.
func TestClaimsInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lists, reserved := anyWorld(t)
		people := join(t, lists, reserved)
		holders, keys := map[string]string{}, []string{}
		candidate := map[string]string{} // entry -> key of its person
		excluded := map[string]bool{}    // keys with the reserved addresses of their people
		for j := range people.All() {
			keys = append(keys, j.Own[0])
			checkJoined(t, j, reserved)
			for _, a := range slices.Concat(j.Own, j.Aliases) {
				if j.Reserved && slices.Contains(reserved, a) {
					excluded[j.Own[0]+" "+a] = true
					continue
				}
				if other, taken := holders[a]; taken {
					t.Fatalf("%s is held by %s and by %s", a, other, j.Own[0])
				}
				holders[a] = j.Own[0]
			}
			for _, c := range j.Candidates {
				candidate[fmt.Sprint(c.Source, c.Ref)] = j.Own[0]
			}
		}
		if !slices.IsSorted(keys) || len(slices.Compact(slices.Clone(keys))) != len(keys) {
			t.Fatalf("keys %q", keys)
		}
		lost := map[string]bool{} // by address and entry
		for _, l := range people.Lost {
			k := l.Address + " " + place(l.Loser)
			if lost[k] {
				t.Fatalf("reported twice: %v", l)
			}
			lost[k] = true
		}
		for i, l := range lists {
			for _, p := range l {
				for _, a := range slices.Concat(p.Own, p.Aliases) {
					h, held := people.Holder(a)
					key, is := candidate[fmt.Sprint(i, p.Ref)]
					own := slices.Contains(p.Own, a)
					switch {
					case held != (holders[a] != "") || held && h.Own[0] != holders[a]:
						t.Fatalf("Holder(%q) = %v, %v; want %q", a, h, held, holders[a])
					case !is && !own: // the entry is nobody: it claims nothing
					case !own && excluded[key+" "+a]:
					case held && is && key == h.Own[0] && !lost[a+" "+fmt.Sprint(i)+"/"+p.Ref.Name]:
					case !lost[a+" "+fmt.Sprint(i)+"/"+p.Ref.Name]:
						t.Fatalf("%s of %d/%s is not held by its person, and no lost claim says so", a, i, p.Ref.Name)
					}
				}
			}
		}
	})
}

func checkJoined(t *rapid.T, j Joined, reserved []string) {
	var refs []string
	for i, c := range j.Candidates {
		refs = append(refs, fmt.Sprint(c.Source, " ", c.Ref.Name))
		if i > 0 && !j.Reserved && (c.Source == j.Candidates[i-1].Source) != j.Ambiguous {
			t.Fatalf("%s: the candidates %q", text(j), refs)
		}
		if !j.Reserved && slices.ContainsFunc(c.Own, func(a string) bool { return slices.Contains(reserved, a) }) {
			t.Fatalf("%s: candidate %q has a reserved address", text(j), c.Own)
		}
		if !slices.ContainsFunc(c.Own, func(a string) bool { return slices.Contains(j.Own, a) }) {
			t.Fatalf("%s: candidate %q owns nothing of it", text(j), c.Own)
		}
	}
	if len(refs) == 0 || !slices.IsSorted(refs) || !slices.IsSorted(j.Own) || !slices.IsSorted(j.Aliases) {
		t.Fatalf("%s: candidates %q", text(j), refs)
	}
	for _, a := range slices.Concat(j.Own, j.Aliases) {
		if slices.Contains(reserved, a) && !(j.Reserved && slices.Contains(j.Own, a)) {
			t.Fatalf("%s: reserved are %q", text(j), reserved)
		}
	}
}

// Whatever a source lists comes back, but for the stamp, which is as good as the
// source's.
func TestEntryKeepsEverything(t *testing.T) {
	stamps := map[string]string{}
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.OneOf(rapid.Just(""), rapid.String(), rapid.StringMatching(`CN=[A-C] [ab]@x,DC=x`))
		p := Person{
			Own:         rapid.SliceOfNDistinct(rapid.StringMatching(`[a-c]@x`), 1, 2, rapid.ID[string]).Draw(t, "own"),
			Aliases:     rapid.SliceOfNDistinct(rapid.StringMatching(`[d-f]@x`), 0, 3, rapid.ID[string]).Draw(t, "aliases"),
			DisplayName: texts.Draw(t, "name"),
			Ref:         Ref{texts.Draw(t, "ref"), texts.Draw(t, "key"), texts.Draw(t, "mark")},
			Stamp:       texts.Draw(t, "stamp"), HasPhoto: Presence(rapid.IntRange(0, 3).Draw(t, "photo")),
		}
		p.Own, p.Aliases = Addresses(p.Own, p.Aliases)
		c := new(People).newEntry(3, &p, nil).candidate(nil, nil)
		stamp := c.Stamp
		if (stamp == "") != (p.Stamp == "") {
			t.Fatalf("stamp %q became %q", p.Stamp, stamp)
		}
		if was, known := stamps[stamp]; known && was != p.Stamp {
			t.Fatalf("stamps %q and %q are both %q", was, p.Stamp, stamp)
		}
		stamps[stamp] = p.Stamp
		c.Stamp = p.Stamp
		if d := cmp.Diff(Candidate{3, p, nil}, c, cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
	})
}

// Pull gives everybody as All does, whoever came before in the same memory, and a clone outlives
// what comes next.
func TestPullIsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lists, reserved := anyWorld(t)
		people := join(t, lists, reserved)
		var pulled []Joined
		next := people.Pull()
		for j, more := next(); more; j, more = next() {
			pulled = append(pulled, j.Clone())
		}
		if d := cmp.Diff(slices.Collect(people.All()), pulled, cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
	})
}

// One shared mailbox that everybody lists must not make the night long.
func TestManyClaimsToOneAddress(t *testing.T) {
	n := 20_000
	if testing.Short() {
		n = 4_000 // nothing runs at once here
	}
	var folder, directory listOf
	for i := range n {
		own := fmt.Sprintf("p%d@x", i)
		folder = append(folder, Person{Own: []string{own}, Ref: Ref{Name: own}, HasPhoto: Present})
		directory = append(directory, Person{Own: []string{"info@x", own}, Aliases: []string{"all@x"}, Ref: Ref{Name: own}, HasPhoto: Present})
	}
	for _, lists := range [][]listOf{{directory}, {folder, directory}} {
		people := join(t, lists, nil)
		ambiguous := 0
		for j := range people.All() {
			if j.Ambiguous {
				ambiguous += len(j.Candidates)
			}
		}
		if ambiguous != n {
			t.Errorf("%d ambiguous candidates", ambiguous)
		}
	}
	if got := len(texts(join(t, []listOf{directory}, []string{"info@x"}))); got != n {
		t.Errorf("%d people", got)
	}
}

// A later source decides nothing about the people of earlier ones: it adds
// candidates and own addresses to them, and takes away aliases that it owns.
func TestLaterSourcesDecideNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lists, reserved := anyWorld(t)
		all := join(t, lists, reserved)
		earlier := len(lists) - 1
		if earlier == 0 {
			return
		}
		for j := range join(t, lists[:earlier], reserved).All() {
			if j.Reserved {
				continue
			}
			for _, a := range j.Own {
				now, held := all.Holder(a)
				for len(now.Candidates) > 0 && now.Candidates[len(now.Candidates)-1].Source == earlier {
					now.Candidates = now.Candidates[:len(now.Candidates)-1]
				}
				if !held || now.Ambiguous != j.Ambiguous || !cmp.Equal(now.Candidates, j.Candidates) {
					t.Fatalf("%s of %s is held by %s after a later source", a, text(j), text(now))
				}
			}
			for _, a := range j.Aliases {
				now, held := all.Holder(a)
				if !held || now.Own[0] != j.Own[0] && !slices.Contains(j.Own, now.Own[0]) && !slices.Contains(now.Own, j.Own[0]) && !slices.Contains(now.Own, a) {
					t.Fatalf("alias %s of %s is held by %s after a later source", a, text(j), text(now))
				}
			}
		}
	})
}

// Entries share memory: each keeps its own texts, also a very long one, when it is used up.
func TestEntriesShareMemory(t *testing.T) {
	ps, seen := new(People), map[*entry]Person{}
	for i := range 3000 {
		a := fmt.Sprintf("p%d@example.com", i)
		p := Person{Own: []string{a}, Ref: Ref{Name: strings.Repeat("x", i*i%5000), Key: a}, DisplayName: fmt.Sprint(i), HasPhoto: Present}
		if i == 1500 {
			p.DisplayName = strings.Repeat("y", 200_000)
		}
		seen[ps.newEntry(0, &p, nil)] = p
	}
	for e, p := range seen {
		if c := e.candidate(nil, nil); c.Own[0] != p.Own[0] || c.Ref != p.Ref || c.DisplayName != p.DisplayName {
			t.Fatalf("%.50q became %.50q", p.Own, c.Own)
		}
	}
}
