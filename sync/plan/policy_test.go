package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
)

// person is user 100+n, who shows the picture h1 that we uploaded. change makes another case of it.
func person(n int, change func(*Work)) *Work {
	email, id := fmt.Sprintf("p%02d@x", n), int64(100+n)
	return ann(func(w *Work) {
		w.Own, w.Candidates[0].Own, w.Candidates[0].Ref.Name = []string{email}, []string{email}, email+".jpg"
		w.Row.Email, w.Row.UserID = email, id
		w.Users[0].ID, w.Users[0].Email, w.Users[0].Via = id, email, email
		w.Current = sent(func(u *state.User) { u.ID, u.Email, u.Sent.Email = id, email, email })
		w.Former = w.Current
		if change != nil {
			change(w)
		}
	})
}

// Changes of a person.
var (
	changed  = func(w *Work) { w.Photo.SHA256 = "h2" }
	repeated = func(w *Work) { w.Current.Failure = &state.Failure{Hash: "h1", Rendering: rendering} }
	first    = func(w *Work) { w.Current, w.Former, w.Row, w.Users[0].ImageID = nil, nil, nil, "" }
	missing  = func(w *Work) { w.Candidates, w.Photo, w.Removal = nil, nil, &Removal{} }
	kept     = func(w *Work) { missing(w); w.Removal.Stays = "the same picture is listed" }
	doubtful = func(w *Work) { kept(w); w.Removal.Doubtful = true }
)

// What the guards count, and where their limits are.
func TestCheck(t *testing.T) {
	share := Guards{MaxReplaced: Limit{20, true}, MaxRemoved: Limit{5, true}, MinListed: Limit{80, true}, MinPeople: 3}
	fixed := Guards{MaxReplaced: Limit{N: 5}, MaxRemoved: Limit{N: 1}, MinListed: Limit{N: 50}, MinPeople: 3}
	for name, c := range map[string]struct {
		guards       Guards
		n            int // people
		change       func(*Work)
		known        int
		before, now  int // entries of the source
		removedAfter int
		mayBeEmpty   bool
		want         string
	}{
		"as many replaced as allowed":        {guards: share, n: 20, change: changed, known: 100},
		"one more":                           {guards: share, n: 21, change: changed, known: 100, want: "max_replaced"},
		"fewer than min_people":              {guards: share, n: 2, change: changed, known: 2},
		"a number knows no min_people":       {guards: Guards{MinPeople: 10, MaxRemoved: Limit{N: 9}}, n: 2, change: changed, known: 9, want: "max_replaced"},
		"as many as the number":              {guards: fixed, n: 5, change: changed, known: 5},
		"more than the number":               {guards: fixed, n: 6, change: changed, known: 1000, want: "max_replaced"},
		"first uploads":                      {guards: share, n: 50, change: first, known: 0},
		"the same picture once more":         {guards: share, n: 50, change: repeated, known: 100},
		"as many missing as allowed":         {guards: share, n: 5, change: missing, known: 100},
		"one more is missing":                {guards: share, n: 6, change: missing, known: 100, want: "max_removed"},
		"placeholders count, too":            {guards: share, n: 6, change: missing, known: 100, removedAfter: 1, want: "max_removed"},
		"missing, and kept":                  {guards: share, n: 50, change: kept, known: 100},
		"missing, kept, and doubtful":        {guards: share, n: 50, change: doubtful, known: 100, want: "max_removed"},
		"nobody is left where nobody may be": {guards: share, before: 3, now: 0, mayBeEmpty: true, want: "min_listed"},
		"one is left where nobody may be":    {guards: share, before: 100, now: 1, mayBeEmpty: true, want: "min_listed"},
		"as many listed as allowed":          {guards: share, before: 100, now: 80},
		"one fewer":                          {guards: share, before: 100, now: 79, want: "min_listed"},
		"few are gone of a small source":     {guards: share, before: 3, now: 1},
		"nobody is left of a small source":   {guards: share, before: 3, now: 0, want: "min_listed"},
		"nobody was listed before":           {guards: share, before: 0, now: 0},
		"fewer than the number":              {guards: fixed, before: 100, now: 49, want: "min_listed"},
		"a source smaller than the number":   {guards: fixed, before: 40, now: 30},
		"nobody is left, below the number":   {guards: fixed, before: 40, now: 0, want: "min_listed"},
		"two guards":                         {guards: share, n: 21, change: changed, known: 100, before: 100, now: 1, want: "max_replaced min_listed"},
		"a shared picture counts, too":       {guards: Guards{MaxReplaced: Limit{N: 2}, MaxShared: 2}, n: 3, change: changed, known: 9, want: "max_replaced"},
		"nothing to do":                      {guards: Guards{}, n: 5, change: nil, known: 5},
		"guards of zero hold a replacement":  {guards: Guards{}, n: 1, change: changed, known: 5, want: "max_replaced"},
	} {
		var ws []*Work
		for n := range c.n {
			ws = append(ws, person(n, c.change))
		}
		p := build(&Policy{RemovedAfter: c.removedAfter}, &Scope{}, ws...)
		for i := range p.Sources {
			p.Sources[i].MayBeEmpty = c.mayBeEmpty
		}
		if c.guards.MaxShared > 0 {
			p.HoldShared(Listed{"h2": c.n}, c.guards.MaxShared)
		}
		var guards []string
		for _, b := range p.Check(c.guards, func() int { return c.known }, map[string]int{"hr": c.before}, map[string]int{"hr": c.now}) {
			guards = append(guards, b.Guard)
			if b.Message == "" {
				t.Errorf("%s: %s says nothing", name, b.Guard)
			}
		}
		if got := strings.Join(guards, " "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// One picture for more people than guard.max_shared is held; an empty file is no picture.
func TestHoldShared(t *testing.T) {
	empty := func(w *Work) { w.Photo.SHA256 = Sum(nil) }
	for name, c := range map[string]struct {
		change func(*Work)
		listed int
		want   string
	}{
		"as many as allowed": {changed, 2, "changed planned"},
		"one more":           {changed, 3, "shared_image held"},
		"empty files":        {empty, 3, "changed planned"},
	} {
		p := build(&Policy{}, &Scope{}, person(1, c.change))
		p.HoldShared(Listed{"h2": c.listed, Sum(nil): c.listed}, 2)
		got, s := step(t, p)
		if got != c.want || (s.Shared > 0) != (s.Outcome == outcome.Held) || p.Facts.Waiting[outcome.SharedImage] != s.Shared/3 {
			t.Errorf("%s: %q, shared by %d, waiting %v; want %q", name, got, s.Shared, p.Facts.Waiting, c.want)
		}
	}
}

// Who gets a picture first, and whom a limit leaves for later: users without a picture of ours, changed
// photos, initials, what failed before. Among equals, the one who was tried longest ago comes first.
func TestUploadsAndLimit(t *testing.T) {
	at := func(seconds int64, change func(*Work)) func(*Work) {
		return func(w *Work) { change(w); w.Current.Sent.At = time.Unix(seconds, 0) }
	}
	works := []*Work{
		person(1, func(w *Work) { changed(w); w.Current.Failure = &state.Failure{Hash: "h2", At: time.Unix(5, 0)} }),
		person(2, missing),
		person(3, at(9, changed)),
		person(4, at(7, changed)),
		person(5, first),
		person(6, func(w *Work) { changed(w); w.Row.Reported = "one picture for many people" }),
		person(7, nil),
	}
	for limit, want := range map[int]string{
		0: "p05 p04 p03 p02 p06 p01; ",
		2: "p05 p04; p01 p02 p03 p06",
		6: "p05 p04 p03 p02 p06 p01; ",
	} {
		p := build(&Policy{RemovedAfter: 1}, &Scope{}, works...)
		p.Limit(limit)
		var up, later []string
		for _, s := range p.Uploads() {
			up = append(up, strings.TrimSuffix(s.Key(), "@x"))
		}
		for _, s := range p.Steps {
			if s.Outcome == outcome.Unfinished {
				later = append(later, strings.TrimSuffix(s.Key(), "@x"))
			}
		}
		if got := strings.Join(up, " ") + "; " + strings.Join(later, " "); got != want {
			t.Errorf("limit %d: %q, want %q", limit, got, want)
		}
	}
}

// What apply does about a person of the file, by what changed since.
func TestRestrict(t *testing.T) {
	file := build(&Policy{}, &Scope{}, person(1, changed)).File()
	for name, c := range map[string]struct {
		file   *File
		change func(*Work)
		moved  int
		want   string // reason, outcome, and a part of why
	}{
		"nothing":                    {file, changed, 0, "changed planned"},
		"a new change mark":          {file, func(w *Work) { changed(w); w.Candidates[0].Stamp = "s3" }, 0, "changed planned"},
		"another photo":              {file, func(w *Work) { w.Photo.SHA256 = "h3" }, 1, "held held: the photo changed"},
		"another file":               {file, func(w *Work) { changed(w); w.Candidates[0].Ref.Name = "other.jpg" }, 1, "held held: the photo changed"},
		"another picture is shown":   {file, func(w *Work) { changed(w); w.Users[0].ImageID = "i9" }, 1, "held held: the picture in Smartsheet changed"},
		"another run was here":       {file, func(w *Work) { changed(w); w.Current.Sent.RunID = "r9" }, 1, "held held: another run was here"},
		"the user has a new address": {file, func(w *Work) { changed(w); w.Users[0].Email = "new@x" }, 1, "held held: the Smartsheet user was 101"},
		"the user is not active":     {file, func(w *Work) { changed(w); w.Users[0].Active = false }, 1, "held held: it was changed"},
		"the user has it by now":     {file, nil, 1, "unchanged skipped: it was changed"},
		"not in the file":            {&File{}, changed, 0, "held skipped: not in the plan"},
		"announced by a run of this file": {file, func(w *Work) {
			changed(w)
			w.Users[0].ImageID = "i9"
			w.Current.Intent = &state.Intent{RunID: "applied", SourceSHA256: "h2"}
		}, 0, "changed planned"},
		"announced by another run": {file, func(w *Work) {
			changed(w)
			w.Current.Intent = &state.Intent{RunID: "another", SourceSHA256: "h2"}
		}, 1, "held held: another run was here"},
	} {
		p := build(&Policy{}, &Scope{}, person(1, c.change))
		moved := p.Restrict(c.file, []string{"applied"})
		got, s := step(t, p)
		if s.Why != "" {
			got += ": " + s.Why
		}
		if moved != c.moved || !strings.HasPrefix(got, c.want) || s.Outcome == outcome.Planned && s.Applied == nil {
			t.Errorf("%s: %d moved, %q; want %d, %q", name, moved, got, c.moved, c.want)
		}
	}
}

// A run counts as one without the photo only for people for whom the file counts it.
func TestRestrictCountsMissing(t *testing.T) {
	twice := func(w *Work) { missing(w); w.Former.Missing = 1 }
	for name, c := range map[string]struct {
		file *File
		want int
	}{
		"in the file":     {build(&Policy{RemovedAfter: 9}, &Scope{}, person(1, missing)).File(), 1},
		"not in the file": {&File{}, 0},
	} {
		p := build(&Policy{RemovedAfter: 9}, &Scope{}, person(1, missing))
		p.Restrict(c.file, nil)
		if _, s := step(t, p); s.Missing != c.want || s.NewlyMissing != (c.want > 0) {
			t.Errorf("%s: missing for %d runs, newly %v", name, s.Missing, s.NewlyMissing)
		}
	}
	p := build(&Policy{RemovedAfter: 9}, &Scope{}, person(1, twice))
	p.Restrict(build(&Policy{RemovedAfter: 9}, &Scope{}, person(1, missing)).File(), nil)
	if _, s := step(t, p); s.Missing != 1 {
		t.Errorf("another record: missing for %d runs", s.Missing)
	}
}

// When there is nothing to do for a person, by the row alone: the quiet night asks nothing else.
func TestUnchanged(t *testing.T) {
	listed := func() *sources.Joined { j := person(1, nil).Joined.Clone(); return &j }
	note := func(r outcome.Reason) uint8 { return uint8(slices.Index(notes, r)) }
	for name, c := range map[string]struct {
		policy Policy
		scope  Scope
		person func(*sources.Joined)
		row    func(*state.Row)
		want   bool
	}{
		"as before":              {want: true},
		"no photo, as before":    {row: func(r *state.Row) { r.Note = note(outcome.NoPhoto) }, want: true},
		"refused before":         {row: func(r *state.Row) { r.Note = note(outcome.KnownBad) }},
		"without a mark":         {row: func(r *state.Row) { r.Fingerprint = state.Fingerprint{} }},
		"another change mark":    {person: func(j *sources.Joined) { j.Candidates[0].Stamp = "s3" }},
		"no change mark":         {person: func(j *sources.Joined) { j.Candidates[0].Stamp = "" }},
		"another alias":          {person: func(j *sources.Joined) { j.Aliases = []string{"a@x"} }},
		"ambiguous":              {person: func(j *sources.Joined) { j.Ambiguous = true }},
		"left out by the source": {person: func(j *sources.Joined) { j.Reserved = true }},
		"excluded":               {policy: Policy{Excluded: func(string) bool { return true }}},
		"another policy":         {policy: Policy{Existing: FillEmpty}},
		"other image settings":   {policy: Policy{Rendering: "v0"}},
		"the policy enforce":     {policy: Policy{Existing: Enforce}},
		"--force":                {scope: Scope{Force: true}},
		"--checksum":             {scope: Scope{Checksum: true}},
		"--only":                 {scope: Scope{Only: func(string) bool { return true }}},
		"--source":               {scope: Scope{Source: "hr"}},
	} {
		srcs := []sources.Named{{Name: "hr"}, {Name: "ad"}}
		before := NewRules(srcs, &Policy{}, &Scope{})
		row := state.Row{Email: "p01@x", Fingerprint: before.fingerprint(listed(), 0)}
		if c.row != nil {
			c.row(&row)
		}
		now := listed()
		if c.person != nil {
			c.person(now)
		}
		if got := NewRules(srcs, &c.policy, &c.scope).Unchanged(now, &row); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
