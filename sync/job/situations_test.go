package job

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"photosync/state"
	"photosync/sync/plan"
)

// The addresses of the table of situations. Ann and Bob have photos 10 and 20, are users
// 1001 and 1002, and were uploaded yesterday.
const (
	ann, bob, cyd, dan = "ann@example.com", "bob@example.com", "cyd@example.com", "dan@example.com"
	old                = "ann.old@example.com"
)

// situation is what happens after yesterday's run.
type situation struct {
	name    string
	change  func(w *world)
	night   night  // of today; the run after it is an ordinary one
	sources int    // 0: one
	exclude string // match.exclude
	keyed   bool   // only for a source with keys and aliases
}

func (w *world) of(address string) *entry { return w.c.ownerIn(0, address) }

func (w *world) moveBoth(from, to string) {
	w.c.renameUser(w.c.userAt(from), to)
	w.c.rename(w.of(from), to)
}

func (w *world) alias(e *entry, address string) {
	e.alias = address
	w.c.put(e)
}

func (w *world) photo(address string, photo int) {
	e := w.of(address)
	e.photo = photo
	w.c.put(e)
}

// newPhoto is a change that a run has to send.
func newPhoto(w *world) { w.photo(bob, 21) }

var situations = []situation{
	{name: "nothing", change: func(*world) {}},
	{name: "address reused", change: func(w *world) {
		w.c.fire(w.of(ann))
		w.c.renameUser(w.c.userAt(ann), old)
		w.c.hire(0, ann, 30, true)
	}},
	{name: "address reused before the new user exists", change: func(w *world) {
		w.c.fire(w.of(ann))
		w.c.renameUser(w.c.userAt(ann), old)
		w.c.hire(0, ann, 30, false)
	}},
	{name: "swapped in the directory only", change: func(w *world) { w.c.swapEntries(w.of(ann), w.of(bob)) }},
	{name: "swapped in Smartsheet only", change: func(w *world) { w.c.swapUsers(w.c.userAt(ann), w.c.userAt(bob)) }},
	{name: "swapped in both", change: func(w *world) {
		w.c.swapUsers(w.c.userAt(ann), w.c.userAt(bob))
		w.c.swapEntries(w.of(ann), w.of(bob))
	}},
	{name: "swapped in both between listing and look-up", change: newPhoto, keyed: true,
		night: night{During: []moment{{On: "is listed", Edit: edit{"swap both", 0, 1, 0}}}}},
	{name: "swapped in both between look-up and reading", change: newPhoto, keyed: true,
		night: night{During: []moment{{On: "photos of source 0 are read", Edit: edit{"swap both", 0, 1, 0}}}}},
	{name: "moved on", change: func(w *world) {
		w.moveBoth(ann, cyd)
		w.c.hire(0, ann, 30, true)
	}},
	{name: "renamed in the directory first", change: func(w *world) { w.c.rename(w.of(ann), cyd) }},
	{name: "renamed in Smartsheet first", change: func(w *world) { w.c.renameUser(w.c.userAt(ann), cyd) }},
	{name: "renamed in both", change: func(w *world) { w.moveBoth(ann, cyd) }},
	{name: "renamed in both, with the old address as alias", keyed: true, change: func(w *world) {
		w.moveBoth(ann, cyd)
		w.alias(w.of(cyd), ann)
	}},
	{name: "renamed in the directory first, with the old address as alias", keyed: true, change: func(w *world) {
		w.c.rename(w.of(ann), cyd)
		w.alias(w.of(cyd), ann)
	}},
	{name: "renamed in both, and a new photo", change: func(w *world) {
		w.moveBoth(ann, cyd)
		w.photo(cyd, 11)
	}},
	{name: "user deleted and created again", change: func(w *world) {
		w.c.removeUser(w.c.userAt(ann))
		w.c.addUser(ann)
	}},
	{name: "account handed to somebody else", change: func(w *world) {
		w.c.renameUser(w.c.userAt(ann), cyd)
		w.c.hire(0, cyd, 30, false)
	}},
	{name: "entry created again", change: func(w *world) {
		w.c.fire(w.of(ann))
		w.c.hire(0, ann, 10, false)
	}},
	{name: "left and returned", change: func(w *world) {
		w.c.fire(w.of(ann))
		w.c.removeUser(w.c.userAt(ann))
		w.today(&night{})
		w.c.hire(0, ann, 10, true)
	}},
	{name: "photo removed", change: func(w *world) { w.photo(ann, 0) }},
	{name: "entry removed", change: func(w *world) { w.c.fire(w.of(ann)) }},
	{name: "two users, one deactivated", keyed: true, change: func(w *world) {
		w.alias(w.of(ann), cyd)
		w.c.addUser(cyd)
		w.c.apply(edit{"user status", 0, 0, 0})
	}},
	{name: "alias equal to somebody's own address", keyed: true, change: func(w *world) {
		w.c.removeUser(w.c.userAt(ann))
		w.alias(w.of(ann), bob)
	}},
	{name: "alias equal to an excluded address", keyed: true, exclude: dan, change: func(w *world) {
		w.c.removeUser(w.c.userAt(ann))
		w.c.addUser(dan)
		w.alias(w.of(ann), dan)
	}},
	{name: "alias equal to a filtered-out person's", keyed: true, change: func(w *world) {
		w.c.removeUser(w.c.userAt(ann))
		w.c.addUser(dan)
		w.c.mems[0].Reserved = []string{dan}
		w.alias(w.of(ann), dan)
	}},
	{name: "claim from a source of lower precedence", keyed: true, sources: 2, change: func(w *world) {
		w.c.hire(1, ann, 30, false)
		w.c.hire(1, cyd, 40, false)
		w.alias(w.c.ownerIn(1, cyd), bob)
	}},
	{name: "killed on the wire before arrival", change: newPhoto, night: night{KillOn: "upload 1002  begins"}},
	{name: "killed on the wire after arrival", change: newPhoto, night: night{KillOn: "upload 1002  is there"}},
	{name: "killed before the answer is recorded", change: newPhoto, night: night{KillOn: "upload 1002  is answered"}},
	{name: "killed on the wire after the first picture of a user arrived", night: night{KillOn: "upload 1003  is there"}, change: func(w *world) {
		w.c.hire(0, cyd, 30, true)
	}},
	{name: "killed twice", night: night{KillOn: "upload 1002  is there"}, change: func(w *world) {
		newPhoto(w)
		w.today(&night{KillOn: "upload 1002  is there"})
	}},
	{name: "killed after arrival, and the photo goes back", night: night{KillOn: "upload 1002  is there"}, change: func(w *world) {
		newPhoto(w)
		w.today(&night{KillOn: "upload 1002  is there"})
		w.photo(bob, 20)
	}},
	{name: "answer lost", change: newPhoto, night: night{Faults: []string{"lost,count=1"}}},
	{name: "every answer lost", change: newPhoto, night: night{Faults: []string{"lost"}}},
	{name: "partial success", change: newPhoto, night: night{Faults: []string{"partial,as=null"}}},
	{name: "partial success twice", night: night{Faults: []string{"partial,as=null"}}, change: func(w *world) {
		newPhoto(w)
		w.today(&night{Faults: []string{"partial,as=null"}})
	}},
	{name: "partial success that names the user's own picture, and the photo is removed", change: func(w *world) {
		w.c.hire(0, cyd, 30, true)
		w.c.choose(w.c.userAt(cyd), 1)
		w.today(&night{Faults: []string{"partial,as=null"}})
		w.photo(cyd, 0)
	}},
	{name: "own picture", change: func(w *world) { w.c.choose(w.c.userAt(ann), 1) }},
	{name: "own picture, and a new photo", change: func(w *world) {
		w.c.choose(w.c.userAt(bob), 1)
		newPhoto(w)
	}},
	{name: "backup put back", change: func(w *world) {
		newPhoto(w)
		w.putBack(func() { w.today(&night{}) })
	}},
	{name: "limited to one source", keyed: true, sources: 2, night: night{Source: "source1"}, change: func(w *world) {
		newPhoto(w)
		w.c.hire(1, bob, 30, false)
	}},
}

// putBack saves the backup, lets later happen, and puts the saved backup back, as
// state restore does.
func (w *world) putBack(later func()) {
	var data []byte
	err := w.st.Backup() // as the program does after each good run
	if err == nil {
		data, err = os.ReadFile(w.path() + ".backup")
	}
	if err == nil {
		reports := len(w.reports)
		later()
		w.st.Close()
		if err = os.Remove(w.path()); err == nil {
			err = os.WriteFile(w.path()+".backup", data, 0o600)
		}
		if err == nil {
			_, err = state.Restore(w.path())
		}
		if err == nil {
			w.st, err = state.Open(w.path(), state.Options{})
		}
		if err == nil {
			_, err = Replay(w.st, w.reports[reports:])
		}
	}
	if err != nil {
		w.fail(pLost, fmt.Sprint("the backup: ", err))
	}
}

// today runs once by the situation's rules, and says what came of it.
func (w *world) today(n *night) string {
	time.Sleep(time.Hour)
	n.Mode, n.Existing, n.RemovedAfter = Sync, w.h.Existing, w.h.RemovedAfter
	r, err := w.night(n)
	if n.KillOn != "" {
		return "killed"
	}
	code := 0
	switch {
	case Held(err):
		code = 4
	case Stopped(err):
		code = 6
	case err != nil:
		code = 1
	case r.NeedsSomebody():
		code = 3
	}
	lines := []string{}
	for _, it := range r.Items {
		name, _, _ := strings.Cut(it.Email, "@")
		line := fmt.Sprintf("%s %s", name, it.Reason)
		if it.Outcome != "skipped" {
			line = fmt.Sprintf("%s to %d %s", line, it.UserID, it.Outcome)
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		lines = append(lines, "nothing")
	}
	return fmt.Sprintf("%s (exit %d)", strings.Join(lines, ", "), code)
}

// pictures says what the users show.
func (w *world) pictures() string {
	var all []string
	for _, u := range w.c.users {
		photo := fmt.Sprint(u.photo)
		switch {
		case u.photo == initials:
			photo = "initials"
		case u.photo >= ownPhoto:
			photo = "own"
		case u.photo == 0:
			photo = "none"
		}
		all = append(all, fmt.Sprintf("%d=%s", u.id, photo))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// playSituation returns what today's run did, what the users show, and what the run
// after it does.
func playSituation(t *testing.T, s situation, existing plan.Existing, removedAfter int, inFolder bool) (got string) {
	var faults, log []string
	synctest.Test(t, func(t *testing.T) {
		dir := memoryDir(t)
		w := newWorld(history{Sources: max(s.sources, 1), Keyed: !inFolder, Existing: existing, RemovedAfter: removedAfter, Concurrency: 1, RPM: 100_000}, dir)
		w.h.Excluded = s.exclude
		if inFolder {
			w.c.folder = filepath.Join(dir, "photos")
			if err := os.Mkdir(w.c.folder, 0o700); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(w.c.folder)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Until(info.ModTime()) + 24*time.Hour) // files must not seem to be written just now
		}
		w.c.hire(0, ann, 10, true)
		w.c.hire(0, bob, 20, true)
		var err error
		if w.st, err = state.Open(w.path(), state.Options{}); err != nil {
			t.Fatal(err)
		}
		defer func() { w.st.Close() }()
		w.today(&night{})
		s.change(w)
		n := s.night
		got = w.today(&n)
		got += "; " + w.pictures()
		got += "; then " + w.today(&night{}) + "; " + w.pictures()
		faults, log = w.faults, w.log
	})
	if len(faults) > 0 {
		t.Errorf("%s, %s, removed after %d, folder %v:\n%s\n%s", s.name, existing, removedAfter, inFolder, strings.Join(faults, "\n"), strings.Join(log, "\n"))
	}
	return got
}

// TestSituations plays every situation under each policy, over both kinds of sources,
// with and without placeholders. testdata/situations.txt says what must come of it:
// today's run, which user shows what, and the run after it. The oracle watches, too.
func TestSituations(t *testing.T) {
	var b strings.Builder
	for i, s := range situations {
		if testing.Short() && i%fewer != 0 {
			continue
		}
		fmt.Fprintf(&b, "%s\n", s.name)
		cases := map[string][]string{}
		var order []string
		n := 0
		for _, existing := range []plan.Existing{plan.OnSourceChange, plan.Enforce, plan.RespectUser, plan.FillEmpty} {
			for _, removed := range []string{"report", "placeholder"} {
				for _, adapter := range []string{"keys", "folder"} {
					if s.keyed && adapter == "folder" {
						continue
					}
					got := playSituation(t, s, existing, map[string]int{"placeholder": 1}[removed], adapter == "folder")
					if cases[got] == nil {
						order = append(order, got)
					}
					cases[got] = append(cases[got], fmt.Sprintf("%s/%s/%s", existing, removed, adapter))
					n++
				}
			}
		}
		for _, got := range order {
			fmt.Fprintf(&b, "    %s\n        %s\n", whichCases(cases[got], n), strings.ReplaceAll(got, "; ", "\n        "))
		}
	}
	const file = "testdata/situations.txt"
	if os.Getenv("UPDATE") != "" && !testing.Short() {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := chosen(string(want)); want != b.String() {
		t.Errorf("not as %s says:\n%s", file, difference(want, b.String()))
	}
}

// With -short, as under the race detector, one situation of so many is played.
const fewer = 5

// chosen returns what the table says of the situations that are played.
func chosen(table string) string {
	if !testing.Short() {
		return table
	}
	var b strings.Builder
	n := -1
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, " ") {
			n++
		}
		if n%fewer == 0 {
			b.WriteString(line)
		}
	}
	return b.String()
}

// whichCases names cases, of all there are, shortly: "any" stands for every policy, for
// report and placeholder, or for both kinds of sources.
func whichCases(cases []string, all int) string {
	if len(cases) == all {
		return "always"
	}
	var parts [3][]string
	for _, c := range cases {
		for i, p := range strings.Split(c, "/") {
			if !slices.Contains(parts[i], p) {
				parts[i] = append(parts[i], p)
			}
		}
	}
	if len(parts[0])*len(parts[1])*len(parts[2]) != len(cases) {
		return strings.Join(cases, " ")
	}
	var names []string
	for i, most := range []int{4, 2, 2} {
		if len(parts[i]) == most {
			parts[i] = []string{"any"}
		}
		names = append(names, strings.Join(parts[i], " or "))
	}
	return strings.Join(names, " / ")
}

// difference are the lines that only one of two texts has.
func difference(want, got string) string {
	lines := map[string]int{}
	for _, l := range strings.Split(want, "\n") {
		lines[l]--
	}
	for _, l := range strings.Split(got, "\n") {
		lines[l]++
	}
	var out []string
	for _, l := range slices.Sorted(maps.Keys(lines)) {
		if n := lines[l]; n != 0 {
			out = append(out, fmt.Sprintf("%+d %s", n, l))
		}
	}
	return strings.Join(out, "\n")
}
