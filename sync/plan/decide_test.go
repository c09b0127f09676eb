package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
)

const rendering = "v1"

// ann is a listed person with a photo of hash h1, who is user 101 and was looked up and
// read in this run. change makes another case of it.
func ann(change func(*Work)) *Work {
	w := &Work{
		Joined: sources.Joined{Own: []string{"ann@x"}, Candidates: []sources.Candidate{{Person: sources.Person{
			Own: []string{"ann@x"}, Ref: sources.Ref{Name: "ann.jpg"}, Stamp: "s2", HasPhoto: sources.Present,
		}}}},
		Row:   &state.Person{Email: "ann@x", UserID: 101, Stamp: "other", SourceSHA256: "h0"},
		Users: []User{{ID: 101, Email: "ann@x", Via: "ann@x", Active: true, ImageID: "i1", Seen: time.Unix(1, 0)}},
		Photo: &Photo{SHA256: "h1"},
	}
	w.Current = sent(func(*state.User) {})
	w.Former = w.Current
	if change != nil {
		change(w)
	}
	return w
}

// sent is what we put on user 101: the photo h1, image i1.
func sent(change func(*state.User)) *state.User {
	u := &state.User{ID: 101, Email: "ann@x", Sent: &state.Sent{
		Origin:       state.Origin{Source: "hr", Email: "ann@x"},
		SourceSHA256: "h1", UploadSHA256: "u1", Rendering: rendering, ImageID: "i1", At: time.Unix(1, 0),
	}}
	change(u)
	return u
}

func build(p *Policy, s *Scope, ws ...*Work) *Plan {
	srcs := []sources.Named{{Name: "hr"}, {Name: "ad"}}
	p.Rendering = rendering
	return Build(NewRules(srcs, p, s), ws, NewFacts(srcs, nil), 0)
}

// step is what the plan does about the only person in it: "reason outcome".
func step(t *testing.T, p *Plan) (string, *Step) {
	t.Helper()
	switch {
	case len(p.Steps) == 1:
		return fmt.Sprint(p.Steps[0].Reason, " ", p.Steps[0].Outcome), p.Steps[0]
	case len(p.Steps)+len(p.FinalRows().ForgetPeople) == 0:
		return "unchanged", nil
	}
	t.Fatalf("%d steps, forgets %v", len(p.Steps), p.FinalRows().ForgetPeople)
	return "", nil
}

func setSent(change func(*state.User)) func(*Work) {
	return func(w *Work) { w.Current = sent(change); w.Former = w.Current }
}

// What is done about one person, by what the user shows and what we know of it. The
// four columns are the policies.
func TestDecide(t *testing.T) {
	policies := []Existing{OnSourceChange, Enforce, RespectUser, FillEmpty}
	all := func(want string) [4]string { return [4]string{want, want, want, want} }
	image := func(id string) func(*Work) { return func(w *Work) { w.Users[0].ImageID = id } }
	both := func(fs ...func(*Work)) func(*Work) {
		return func(w *Work) {
			for _, f := range fs {
				f(w)
			}
		}
	}
	never := func(w *Work) { w.Current, w.Former, w.Row = nil, nil, nil }
	open := func(u *state.User) {
		u.Intent = &state.Intent{SourceSHA256: "h1", Foreign: "theirs"}
	}
	const kept = "user_changed skipped"
	for name, c := range map[string]struct {
		change func(*Work)
		want   [4]string
	}{
		"the user has the photo":              {nil, all("unchanged")},
		"another picture is shown":            {image("i9"), [4]string{"unchanged", "drifted planned", "unchanged", "unchanged"}},
		"ours was taken away":                 {image(""), [4]string{"unchanged", "drifted planned", "unchanged", "drifted planned"}},
		"another photo":                       {func(w *Work) { w.Photo.SHA256 = "h2" }, [4]string{"changed planned", "changed planned", "changed planned", kept}},
		"another photo, another picture":      {both(image("i9"), func(w *Work) { w.Photo.SHA256 = "h2" }), [4]string{"changed planned", "changed planned", kept, kept}},
		"never uploaded, no picture":          {both(never, image("")), all("new planned")},
		"never uploaded, the user's picture":  {never, [4]string{"new planned", "new planned", kept, kept}},
		"other settings":                      {setSent(func(u *state.User) { u.Sent.Rendering = "v0" }), [4]string{"rendering_changed planned", "rendering_changed planned", "rendering_changed planned", kept}},
		"other settings, another picture":     {both(setSent(func(u *state.User) { u.Sent.Rendering = "v0" }), image("i9")), [4]string{"unchanged", "drifted planned", "unchanged", "unchanged"}},
		"other settings, ours was taken away": {both(setSent(func(u *state.User) { u.Sent.Rendering = "v0" }), image("")), [4]string{"unchanged", "drifted planned", "unchanged", "drifted planned"}},
		"other settings, adopted":             {setSent(func(u *state.User) { u.Sent.Rendering, u.Sent.Adopted = "v0", true }), all("unchanged")},
		"our placeholder":                     {setSent(func(u *state.User) { u.Sent.Placeholder, u.Sent.SourceSHA256 = true, "" }), all("changed planned")},
		"adopted, and another photo":          {both(setSent(func(u *state.User) { u.Sent.Adopted = true }), func(w *Work) { w.Photo.SHA256 = "h2" }), [4]string{"changed planned", "changed planned", kept, kept}},
		"open, and ours by that":              {both(setSent(open), image("i9")), all("changed planned")},
		"open, and theirs as before":          {both(setSent(open), image("theirs")), [4]string{"changed planned", "changed planned", kept, kept}},
		"open, never answered, nothing shown": {both(setSent(func(u *state.User) { open(u); u.Sent = nil }), image("")), all("new planned")},
		"refused for good":                    {setSent(func(u *state.User) { u.Failure = &state.Failure{Hash: "h1", Rendering: rendering, Final: true} }), all("known_bad skipped")},
		"refused, but with other settings":    {setSent(func(u *state.User) { u.Failure = &state.Failure{Hash: "h1", Rendering: "v0", Final: true} }), all("unchanged")},
		"failed, not for good":                {setSent(func(u *state.User) { u.Failure = &state.Failure{Hash: "h1"} }), [4]string{"changed planned", "changed planned", "changed planned", kept}},
		"drifted twice":                       {both(setSent(func(u *state.User) { u.Drifts = 2 }), image("i9")), [4]string{"unchanged", kept, "unchanged", "unchanged"}},
		"not active":                          {func(w *Work) { w.Users[0].Active = false }, all("inactive_user skipped")},
		"nobody has the address":              {func(w *Work) { w.Users = nil }, all("not_in_smartsheet skipped")},
		"an entry that makes no sense":        {func(w *Work) { w.Users, w.Unusable = nil, "id is a text" }, all("new failed")},
		"two users":                           {func(w *Work) { w.Users, w.Tied = append(w.Users, User{ID: 102, Active: true}), true }, all("ambiguous skipped")},
		"two entries":                         {func(w *Work) { w.Ambiguous = true }, all("ambiguous skipped")},
		"left out by exclude_filter":          {func(w *Work) { w.Reserved = true }, all("excluded skipped")},
		"excluded by an alias":                {func(w *Work) { w.Aliases = []string{"ceo@x"} }, all("excluded skipped")},
		"the user's own address is excluded":  {func(w *Work) { w.Users[0].Email = "ceo@x" }, all("excluded skipped")},
		"the photo is hidden":                 {func(w *Work) { w.Photo = nil; w.Candidates[0].HasPhoto = sources.Hidden }, all("photo_hidden skipped")},
		"the photo may not be read":           {func(w *Work) { w.Photo = &Photo{Err: sources.ErrDenied} }, all("photo_hidden skipped")},
		"being written":                       {func(w *Work) { w.Photo = &Photo{Err: sources.ErrUnstable} }, all("being_written skipped")},
		"the entry's address moved":           {func(w *Work) { w.Photo.Readdressed = true }, all("changed unfinished")},
		"none when last read": {func(w *Work) {
			w.Photo, w.Candidates[0].HasPhoto, w.Row.SourceSHA256 = nil, sources.Unknown, ""
			w.stamp = NewRules([]sources.Named{{Name: "hr"}}, &Policy{}, &Scope{}).stamp(&w.Joined, 0)
			w.Row.Stamp = w.stamp
		}, all("no_photo skipped")},
		"a picture to be ignored": {func(w *Work) { w.Photo.SHA256 = "silhouette" }, all("no_photo skipped")},
	} {
		for i, existing := range policies {
			t.Run(name+", "+string(existing), func(t *testing.T) {
				p := &Policy{Existing: existing, Ignored: []string{"silhouette"}, Excluded: func(e string) bool { return e == "ceo@x" }}
				got, _ := step(t, build(p, &Scope{}, ann(c.change)))
				if got != c.want[i] {
					t.Errorf("%q, want %q", got, c.want[i])
				}
			})
		}
	}
}

// Bob left, and his address is an alias of Ann's entry now. His user may still be his.
func TestAliasOfSomebodyWhoLeft(t *testing.T) {
	const another = "ambiguous skipped"
	for name, c := range map[string]struct {
		change func(w *Work, o *state.Origin)
		want   string
	}{
		"the picture of another entry": {func(*Work, *state.Origin) {}, another},
		"also one without an answer": {func(w *Work, o *state.Origin) {
			w.Current.Intent, *o = &state.Intent{Origin: *o, SourceSHA256: "h0"}, state.Origin{}
		}, another},
		"also of initials":        {func(w *Work, _ *state.Origin) { w.Current.Sent.Placeholder = true }, another},
		"by an alternate address": {func(w *Work, _ *state.Origin) { w.Users[0].Via, w.Users[0].Alternate = "ann@x", true }, another},
		"the same picture":        {func(w *Work, _ *state.Origin) { w.Photo.SHA256 = w.Current.Sent.SourceSHA256 }, another},
		"the same, of a source that is gone": {func(w *Work, o *state.Origin) {
			w.Photo.SHA256, o.Source = w.Current.Sent.SourceSHA256, "old" // it may be a silhouette
		}, another},
		"another picture, of a source that is gone": {func(_ *Work, o *state.Origin) { o.Source = "old" }, another},
		"the same one without an answer": {func(w *Work, o *state.Origin) {
			w.Photo.SHA256, w.Current.Intent = w.Current.Sent.SourceSHA256, &state.Intent{Origin: *o, SourceSHA256: "h1"}
		}, another},
		"by the own address":            {func(w *Work, _ *state.Origin) { w.Own = []string{"ann@x", "bob@x"} }, "changed planned"},
		"the same entry, renamed":       {func(_ *Work, o *state.Origin) { o.Key = "uuid of ann" }, "changed planned"},
		"a new directory":               {func(_ *Work, o *state.Origin) { o.Email = "ann@x" }, "changed planned"},
		"another source":                {func(_ *Work, o *state.Origin) { o.Source = "ad" }, another},
		"another source without keys":   {func(_ *Work, o *state.Origin) { o.Source, o.Key = "ad", "" }, another},
		"a source without keys, before": {func(_ *Work, o *state.Origin) { o.Key = "" }, "changed planned"},
		"a source without keys, now":    {func(w *Work, _ *state.Origin) { w.Candidates[0].Ref.Key = "" }, "changed planned"},
		"no picture of ours":            {func(w *Work, _ *state.Origin) { w.Current = nil }, "new planned"},
		"by an address that match.domains made": {func(w *Work, _ *state.Origin) {
			w.Own, w.Candidates[0].Rewritten = []string{"bob@x"}, []string{"bob@x"}
		}, another},
		"and made for the other entry, too": {func(w *Work, o *state.Origin) {
			w.Own, w.Candidates[0].Rewritten, o.Rewritten = []string{"bob@x"}, []string{"bob@x"}, true
		}, "changed planned"},
		"and the other entry of another source": {func(w *Work, o *state.Origin) {
			w.Own, w.Candidates[0].Rewritten, o.Source = []string{"bob@x"}, []string{"bob@x"}, "ad"
		}, "changed planned"},
	} {
		w := ann(func(w *Work) {
			w.Candidates[0].Ref.Key, w.Aliases = "uuid of ann", []string{"bob@x"}
			w.Users[0].Email, w.Users[0].Via, w.Row = "bob@x", "bob@x", nil
			w.Photo.SHA256, w.Former = "h2", nil
			w.Current.Sent.Origin = state.Origin{Source: "hr", Key: "uuid of bob", Email: "bob@x"}
			c.change(w, &w.Current.Sent.Origin)
		})
		got, s := step(t, build(&Policy{}, &Scope{}, w))
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if want := []string{"hr: ann.jpg", "smartsheet: user 101 bob@x, who has the picture of another entry, bob@x"}; got == another && !slices.Equal(s.Conflict, want) {
			t.Errorf("%s: candidates %q", name, s.Conflict)
		}
	}
}

// Flags and limits of a run.
func TestDecideInScope(t *testing.T) {
	bad := setSent(func(u *state.User) { u.Failure = &state.Failure{Hash: "h1", Rendering: rendering, Final: true} })
	for name, c := range map[string]struct {
		scope  Scope
		change func(*Work)
		want   string
	}{
		"force":                     {Scope{Force: true}, nil, "forced planned"},
		"force what was refused":    {Scope{Force: true}, bad, "forced planned"},
		"retry failed":              {Scope{RetryFailed: true}, bad, "changed planned"},
		"another source":            {Scope{Source: "ad"}, nil, "excluded skipped"},
		"this source":               {Scope{Source: "hr"}, nil, "unchanged"},
		"removed, and one source":   {Scope{Source: "hr"}, func(w *Work) { w.Candidates[0].HasPhoto, w.Photo = sources.Absent, nil }, "no_photo skipped"},
		"a photo that is too large": {Scope{}, func(w *Work) { w.Photo.Err, w.Current = sources.ErrTooLarge, nil }, "new planned"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, _ := step(t, build(&Policy{}, &c.scope, ann(c.change))); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// What keeps the picture: first the entry for which it was sent, and the one that had the
// photo in the last run, if it was created anew since; then an entry without an address; and,
// where initials would replace it, a source that is gone, and the same picture elsewhere.
func TestRemovalOf(t *testing.T) {
	sent := state.Sent{Origin: state.Origin{Email: "ann@x", Source: "ad", Key: "first"}, SourceSHA256: "h1", ImageID: "i1"}
	entry := func(key string) func(*Rules, Listed) {
		return func(r *Rules, l Listed) {
			r.Count(l, &sources.Joined{Own: []string{"cy@x"}, Candidates: []sources.Candidate{{Person: sources.Person{Ref: sources.Ref{Key: key}}}}}, "")
		}
	}
	notRemoved := func(_ *Rules, l Listed) { l.CountNotRemoved("ad", []string{"second"}) }
	picture := func(r *Rules, l Listed) { r.Count(l, &sources.Joined{Own: []string{"bob@x"}}, "h1") }
	gone := func(r *Rules, _ Listed) { r.Sources = nil }
	// another is somebody else whose photo is missing in the source, at the same time.
	another := func(r *Rules, l Listed) {
		w := &Work{Row: &state.Person{Email: "bob@x", Source: "ad"}, Former: &state.User{ID: 102, Sent: &state.Sent{}}}
		maps.Copy(l, r.NewListed([]*Work{w, w}, false))
	}
	has := func(source int, p sources.Presence) func(*Rules, Listed) {
		return func(r *Rules, l Listed) {
			r.Count(l, &sources.Joined{Own: []string{"cy@x"}, Candidates: []sources.Candidate{{Source: source, Person: sources.Person{HasPhoto: p}}}}, "")
		}
	}
	without, hidden, elsewhere := has(0, sources.Absent), has(0, sources.Hidden), has(1, sources.Present)
	mayBeEmpty := func(r *Rules, _ Listed) { r.Sources[0].MayBeEmpty = true }
	files := func(name string) func(*Rules, Listed) {
		return func(_ *Rules, l Listed) { l.CountNotRemoved("ad", []string{name}) }
	}
	for name, c := range map[string]struct {
		after         int
		counts        []func(*Rules, Listed)
		listed, stays string
	}{
		"the first entry":           {1, []func(*Rules, Listed){entry("first"), notRemoved}, "its entry", ""},
		"the second entry":          {0, []func(*Rules, Listed){entry("second"), picture}, "its entry", ""},
		"another entry":             {1, []func(*Rules, Listed){entry("third")}, "", ""},
		"an entry without address":  {0, []func(*Rules, Listed){notRemoved, gone}, "", "names nobody"},
		"its file":                  {1, []func(*Rules, Listed){files("sales/ann.jpg")}, "", "names nobody"},
		"a folder above its file":   {1, []func(*Rules, Listed){files("sales")}, "", "names nobody"},
		"another file":              {1, []func(*Rules, Listed){files("sales/bob.jpg")}, "", ""},
		"no source":                 {1, []func(*Rules, Listed){picture, gone}, "", `source "ad"`},
		"no source, reported only":  {0, []func(*Rules, Listed){gone}, "", ""},
		"the picture":               {1, []func(*Rules, Listed){picture}, "", "the same picture"},
		"the picture, and reported": {0, []func(*Rules, Listed){picture}, "", ""},

		"all photos of the source":               {1, []func(*Rules, Listed){another}, "", "than are left"},
		"all photos, reported only":              {0, []func(*Rules, Listed){another}, "", ""},
		"all photos, and it may be empty":        {1, []func(*Rules, Listed){another, mayBeEmpty}, "", ""},
		"two photos, and one is left":            {1, []func(*Rules, Listed){another, entry("third")}, "", ""},
		"all photos, and an entry without one":   {1, []func(*Rules, Listed){another, without}, "", "than are left"},
		"all photos, and one in another source":  {1, []func(*Rules, Listed){another, elsewhere}, "", "than are left"},
		"all photos, one of them cannot be seen": {1, []func(*Rules, Listed){another, hidden}, "", ""},
	} {
		w := &Work{
			Row:    &state.Person{Email: "ann@x", Source: "ad", Ref: "sales/ann.jpg", Key: "second", UserID: 101},
			Former: &state.User{ID: 101, Sent: &sent},
		}
		rules := NewRules([]sources.Named{{Name: "ad"}, {Name: "hr"}}, &Policy{RemovedAfter: c.after}, &Scope{})
		listed := rules.NewListed([]*Work{w}, false)
		for _, count := range c.counts {
			count(rules, listed)
		}
		r := rules.RemovalOf(w, listed, false)
		for _, x := range [][2]string{{r.Listed, c.listed}, {r.Stays, c.stays}} {
			if got, want := x[0], x[1]; !strings.Contains(got, want) || (got == "") != (want == "") {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
}

// Two people of one user: counting a run without the photo of one never touches the
// row of the user, in which the upload for the other is recorded meanwhile.
func TestEndedLeavesUploads(t *testing.T) {
	gone := ann(func(w *Work) { w.Candidates, w.Photo, w.Users, w.Removal = nil, nil, nil, &Removal{} })
	bob := ann(func(w *Work) {
		w.Own, w.Row = []string{"bob@x"}, nil
		w.Photo = &Photo{SHA256: "h2"}
	})
	p := build(&Policy{}, &Scope{}, gone, bob)
	if up := p.Uploads(); len(up) != 1 || up[0].Key() != "bob@x" || up[0].To.ID != 101 {
		t.Fatalf("uploads %+v", up)
	}
	if c := p.FinalRows(); len(c.Users) != 0 || len(c.People) != 1 {
		t.Errorf("%+v", c)
	}
}

// What becomes of a picture whose photo is missing.
func TestRemoved(t *testing.T) {
	gone := func(change func(*Work)) *Work {
		return ann(func(w *Work) {
			w.Candidates, w.Photo, w.Removal = nil, nil, &Removal{}
			if change != nil {
				change(w)
			}
		})
	}
	for name, c := range map[string]struct {
		after   int
		change  func(*Work)
		want    string
		missing int
	}{
		"reported":                     {0, nil, "no_photo skipped", 1},
		"the first of two runs":        {2, nil, "no_photo skipped", 1},
		"the second of two runs":       {2, func(w *Work) { w.Former.Missing = 1 }, "placeholder planned", 2},
		"at once":                      {1, nil, "placeholder planned", 1},
		"the user shows another":       {1, func(w *Work) { w.Users[0].ImageID = "i9" }, "user_changed skipped", 0},
		"the user shows none":          {1, func(w *Work) { w.Users[0].ImageID = "" }, "user_changed skipped", 0},
		"adopted":                      {1, func(w *Work) { w.Former.Sent.Adopted = true }, "user_changed skipped", 0},
		"another user has the address": {1, func(w *Work) { w.Users[0].ID = 102 }, "not_in_smartsheet skipped", 0},
		"not active":                   {1, func(w *Work) { w.Users[0].Active = false }, "inactive_user skipped", 1},
		"the entry is listed":          {1, func(w *Work) { w.Removal.Listed = "its entry is listed" }, "", 0},
		"the picture is listed":        {1, func(w *Work) { w.Removal.Stays = "the same picture is listed" }, "no_photo skipped", 0},
		"an upload without an answer":  {1, func(w *Work) { w.Former.Intent = &state.Intent{}; w.Users[0].ImageID = "i9" }, "user_changed skipped", 0},
		"the picture before it":        {1, func(w *Work) { w.Former.Intent = &state.Intent{} }, "placeholder planned", 1},
		"our placeholder":              {1, func(w *Work) { w.Former.Sent.Placeholder = true }, "no_photo skipped", 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := build(&Policy{RemovedAfter: c.after}, &Scope{}, gone(c.change))
			if c.want == "" {
				if len(p.Steps) != 0 || !slices.Equal(p.FinalRows().ForgetPeople, []string{"ann@x"}) {
					t.Errorf("%+v", p.Steps)
				}
				return
			}
			got, s := step(t, p)
			if got != c.want || s.Missing != c.missing {
				t.Errorf("%q, counted %d; want %q, %d", got, s.Missing, c.want, c.missing)
			}
		})
	}
}

// A user who is looked up again after minutes may show another picture by then: what may
// replace only ours leaves it alone.
func TestRenew(t *testing.T) {
	other := setSent(func(u *state.User) { u.Sent.Rendering = "v0" })
	gone := func(open bool) func(*Work) {
		return func(w *Work) {
			w.Candidates, w.Photo, w.Removal = nil, nil, &Removal{}
			if open {
				w.Former.Intent = &state.Intent{}
			}
		}
	}
	for name, c := range map[string]struct {
		change func(*Work)
		image  string // at the second look-up; empty: nobody has the address
		want   string
	}{
		"new settings, ours":                   {other, "i1", "rendering_changed planned"},
		"new settings, another picture by now": {other, "i9", "user_changed skipped"},
		"new photo, another picture by now":    {func(w *Work) { w.Photo.SHA256 = "h2" }, "i9", "changed planned"},
		"initials, ours":                       {gone(false), "i1", "placeholder planned"},
		"initials, another picture by now":     {gone(false), "i9", "user_changed skipped"},
		"initials, the user is gone":           {gone(false), "", "placeholder unfinished"},
		"new photo, the user is gone":          {func(w *Work) { w.Photo.SHA256 = "h2" }, "", "changed unfinished"},
		"initials, no answer, ours":            {gone(true), "i1", "placeholder planned"},
		"initials, no answer, another by now":  {gone(true), "i9", "user_changed skipped"},
	} {
		p := build(&Policy{RemovedAfter: 1}, &Scope{}, ann(c.change))
		u := *p.Steps[0].To
		if u.ImageID = c.image; c.image == "" {
			u = User{}
		}
		p.Renew(p.Steps[0], u)
		if got := fmt.Sprint(p.Steps[0].Reason, " ", p.Steps[0].Outcome); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// A user who lost the alternate address is not one who could not be looked up, though Smartsheet's
// list had an entry for the person's own address that cannot be used.
func TestRenewAlternate(t *testing.T) {
	for answer, want := range map[string]string{"": "not_in_smartsheet skipped", "HTTP 500": "changed failed"} {
		p := build(&Policy{}, &Scope{}, ann(func(w *Work) {
			w.Photo.SHA256, w.Unusable, w.Users[0].Alternate = "h2", "no user id", true
		}))
		p.Renew(p.Steps[0], User{NoAnswer: answer})
		if got := fmt.Sprint(p.Steps[0].Reason, " ", p.Steps[0].Outcome); got != want {
			t.Errorf("%q: %q, want %q", answer, got, want)
		}
	}
}

// An entry that lost the address of its user gives no photo. A source that names no addresses with a
// photo says nothing, and neither does an entry that never listed the address.
func TestReaddressed(t *testing.T) {
	for name, c := range map[string]struct {
		own, aliases, read []string
		want               bool
	}{
		"still there":           {own: []string{"ann@x"}, read: []string{"a@x", "ann@x"}},
		"lost":                  {own: []string{"ann@x"}, read: []string{"a@x"}, want: true},
		"an alias that is lost": {own: []string{"a@x"}, aliases: []string{"ann@x"}, read: []string{"a@x"}, want: true},
		"none left":             {own: []string{"ann@x"}, read: []string{}, want: true},
		"the source names none": {own: []string{"ann@x"}},
		"of another entry":      {own: []string{"a@x"}, read: []string{"a@x"}},
	} {
		listed := sources.Candidate{Person: sources.Person{Own: c.own, Aliases: c.aliases}}
		if got := (&User{Via: "ann@x"}).Readdressed(listed, sources.Photo{Emails: c.read}); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// A photo that is listed ends the count of runs without it, also if nobody may read it.
func TestCountEnds(t *testing.T) {
	for name, change := range map[string]func(*Work){
		"hidden":        func(w *Work) { w.Photo = nil; w.Candidates[0].HasPhoto = sources.Hidden },
		"being written": func(w *Work) { w.Photo = &Photo{Err: sources.ErrUnstable} },
		"not active":    func(w *Work) { w.Users[0].Active = false },
		"nobody":        func(w *Work) { w.Users = nil },
		"two entries":   func(w *Work) { w.Ambiguous = true },
	} {
		p := build(&Policy{RemovedAfter: 3}, &Scope{}, ann(func(w *Work) { setSent(func(u *state.User) { u.Missing = 2 })(w); change(w) }))
		if c := p.FirstRows(p.Steps); len(c.Users) != 1 || c.Users[0].Missing != 0 {
			t.Errorf("%s: %+v", name, c.Users)
		}
	}
}

// Two people who lead to one user are a conflict; a placeholder only gives way.
func TestOneUserForTwo(t *testing.T) {
	bob := func() *Work {
		return ann(func(w *Work) {
			w.Own, w.Row, w.Photo.SHA256 = []string{"bob@x"}, nil, "h2"
			w.Candidates[0].Ref.Name = "bob.jpg"
		})
	}
	p := build(&Policy{}, &Scope{}, ann(func(w *Work) { w.Photo.SHA256 = "h3" }), bob())
	for _, s := range p.Steps {
		if s.Reason != outcome.Ambiguous || strings.Join(s.Conflict, "|") != "hr: ann.jpg|hr: bob.jpg" {
			t.Errorf("%s: %s %q", s.Key(), s.Reason, s.Conflict)
		}
	}
	again := []*Work{ann(func(w *Work) { w.Photo.SHA256 = "h3" }), bob()} // the next night
	rows := p.FinalRows().People
	again[0].Row, again[1].Row = &rows[0], &rows[1]
	for _, s := range build(&Policy{}, &Scope{}, again...).Steps {
		if s.Reason != outcome.Ambiguous || !s.Reported() {
			t.Errorf("%s: %s raises the exit code again", s.Key(), s.Reason)
		}
	}
	p = build(&Policy{RemovedAfter: 1}, &Scope{}, ann(func(w *Work) { w.Candidates, w.Photo, w.Removal = nil, nil, &Removal{} }), bob())
	if a, b := p.Steps[0], p.Steps[1]; a.Reason != outcome.UserChanged || !a.Released || b.Reason != outcome.Changed {
		t.Errorf("%s %v and %s", a.Reason, a.Released, b.Reason)
	}
}

// The fingerprint of a row moves with everything that a decision rests on, and with
// nothing else.
func TestFingerprint(t *testing.T) {
	srcs := []sources.Named{{Name: "hr"}, {Name: "ad"}}
	of := func(p *Policy, change func(*sources.Joined)) state.Fingerprint {
		j := ann(nil).Joined
		j.Candidates = append(slices.Clone(j.Candidates), sources.Candidate{Source: 1, Person: sources.Person{Ref: sources.Ref{Name: "cn=ann", Key: "k"}, Stamp: "t"}})
		if change != nil {
			change(&j)
		}
		return NewRules(srcs, p, &Scope{}).fingerprint(&j, 1)
	}
	same := of(&Policy{}, nil)
	for name, change := range map[string]func(*sources.Joined){
		"own":     func(j *sources.Joined) { j.Own = []string{"ann@x", "ann@y"} },
		"alias":   func(j *sources.Joined) { j.Aliases = []string{"a@x"} },
		"stamp":   func(j *sources.Joined) { j.Candidates[1].Stamp = "u" },
		"key":     func(j *sources.Joined) { j.Candidates[1].Ref.Key = "l" },
		"photo":   func(j *sources.Joined) { j.Candidates[0].HasPhoto = sources.Absent },
		"source":  func(j *sources.Joined) { j.Candidates[1].Source = 0 },
		"no mark": func(j *sources.Joined) { j.Candidates[1].Stamp = "" },
	} {
		if of(&Policy{}, change) == same {
			t.Errorf("%s: the fingerprint stays", name)
		}
	}
	for name, p := range map[string]*Policy{
		"policy": {Existing: Enforce}, "removed": {RemovedAfter: 3}, "rendering": {Rendering: "v2"}, "ignored": {Ignored: []string{"x"}},
		"patterns": {Patterns: []string{"x"}}, "alternates": {AlternateEmails: true},
	} {
		if of(p, nil) == same {
			t.Errorf("%s: the fingerprint stays", name)
		}
	}
	if of(&Policy{}, func(j *sources.Joined) { j.Candidates[1].Ref.Name = "cn=ann,ou=moved" }) != same {
		t.Error("an entry with a key that moved changes the fingerprint")
	}
	if of(&Policy{Existing: OnSourceChange}, nil) != same {
		t.Error("the default policy by its name changes the fingerprint")
	}
}

// Initials were drawn for somebody of whom nothing else is remembered, and the photo that
// returns is one to be ignored.
func TestIgnoredAfterInitials(t *testing.T) {
	p := build(&Policy{RemovedAfter: 1, Ignored: []string{"silhouette"}}, &Scope{}, ann(func(w *Work) {
		w.Row, w.Former, w.Photo.SHA256 = nil, nil, "silhouette"
		w.Current = sent(func(u *state.User) { u.Sent.Placeholder, u.Sent.SourceSHA256, u.Missing = true, "", 1 })
	}))
	if got, _ := step(t, p); got != "no_photo skipped" {
		t.Errorf("%q", got)
	}
	c := p.FirstRows(p.Steps)
	if len(c.People) != 1 || len(c.Users) != 1 || c.Users[0].Missing != 0 {
		t.Errorf("remembers %+v", c)
	}
	if c := p.FinalRows(); len(c.People)+len(c.Users)+len(c.ForgetPeople) != 0 {
		t.Errorf("and at the end %+v", c)
	}
}

// Workers ask for rows at the same time.
func TestRowsAtOnce(t *testing.T) {
	var ws []*Work
	for i := range 200 {
		ws = append(ws, ann(func(w *Work) {
			w.Own, w.Row, w.Current, w.Former = []string{fmt.Sprintf("p%03d@x", i)}, nil, nil, nil
			w.Users[0].ID = int64(i + 1)
		}))
	}
	p := build(&Policy{}, &Scope{}, ws...)
	row := func(s *Step) state.Person {
		var c state.Change
		p.ResultRow(&c, s, outcome.Unchanged)
		return c.People[0]
	}
	want := map[string]state.Fingerprint{}
	for i := range p.Steps {
		want[p.Steps[i].Key()] = row(p.Steps[i]).Fingerprint
	}
	var g sync.WaitGroup
	for i := range p.Steps {
		g.Go(func() {
			if r := row(p.Steps[i]); r.Fingerprint != want[r.Email] {
				t.Errorf("%s has the fingerprint of somebody else", r.Email)
			}
		})
	}
	g.Wait()
}
