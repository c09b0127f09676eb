package job

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/match"
)

// deeds are what an administrator does between the runs, and what happens to the clock
// of the machine, with how often. Their numbers are taken modulo what there is.
var deeds = map[string]int{
	"forget": 3, "move": 2, "export": 3, "import": 2, "lose": 1, "lose and adopt": 3, "adopt": 2, "restore": 4, "compact": 1, "clock": 8,
}

// jumps of clocks.
var jumps = []time.Duration{-400 * 24 * time.Hour, -40 * 24 * time.Hour, -time.Hour, 2 * time.Minute, time.Hour, 400 * 24 * time.Hour}

// saved is a state as it once was, and what the oracle knew then.
type saved struct {
	export   []byte
	users    map[int64]*memory
	known    map[string]int
	lost     map[int64]time.Time
	reports  int
	unbacked int

	mayRepeat int
}

func (w *world) remember() saved {
	s := saved{users: map[int64]*memory{}, known: map[string]int{}, lost: map[int64]time.Time{}, reports: len(w.reports), unbacked: w.unbacked, mayRepeat: w.mayRepeat}
	maps.Copy(s.known, w.known)
	maps.Copy(s.lost, w.lost)
	for id, m := range w.users {
		s.users[id] = m.clone()
	}
	return s
}

func (m *memory) clone() *memory {
	c := *m
	c.images, c.hashes, c.refused, c.codes = maps.Clone(m.images), maps.Clone(m.hashes), maps.Clone(m.refused), maps.Clone(m.codes)
	return &c
}

// recall makes the oracle know what it knew then. Pictures that came since are nobody's.
func (w *world) recall(s saved) {
	old := s.clone()
	w.users, w.known, w.lost, w.unsaved, w.unbacked = old.users, old.known, old.lost, true, s.unbacked
	w.mayRepeat = s.mayRepeat
	w.disown()
}

// disown makes pictures that the state does not know the users' own.
func (w *world) disown() {
	for _, u := range w.c.users {
		if _, known := w.memory(u.id).images[u.image]; !known {
			u.ours = false
		}
	}
}

func (s saved) clone() saved {
	return (&world{users: s.users, known: s.known, lost: s.lost}).remember()
}

// administer does what an administrator does by hand.
func (w *world) administer(x edit) {
	var err error
	switch x.What {
	case "forget":
		err = w.forget(w.c.address(x.A))
	case "move", "export":
		var out bytes.Buffer
		if err = w.st.Export(&out); err == nil {
			w.exported = w.remember()
			w.exported.export = out.Bytes()
		}
		if err == nil && x.What == "move" {
			err = w.importAgain()
			w.moved(out.String())
		}
	case "import": // of a state that has grown old
		if err = w.importAgain(); w.exported.export != nil {
			w.recall(w.exported)
		}
	case "lose", "lose and adopt":
		w.st.Close()
		err = errors.Join(os.RemoveAll(w.path()), os.RemoveAll(w.path()+".backup"))
		w.reopen()
		w.recall(saved{})
		w.exported, w.saved = saved{}, saved{}
		if x.What == "lose and adopt" {
			w.adopt()
		}
	case "adopt":
		w.adopt()
	case "restore":
		if !w.unsaved && w.saved.users != nil && !w.turnedBack {
			err = w.restore()
		}
	case "compact":
		_, _, err = w.st.Compact()
		w.reopen()
	case "clock":
		if d := jumps[x.B%len(jumps)]; d > 0 {
			time.Sleep(d)
		} else {
			err = w.setBack(-d)
		}
	default:
		panic(x.What)
	}
	if err != nil {
		w.fail(pLost, fmt.Sprintf("%v: %v", x, err))
	}
}

// moved checks that nothing was lost on the way: all rows are those of the export.
func (w *world) moved(before string) {
	var after strings.Builder
	err := w.st.Export(&after)
	_, was, _ := strings.Cut(before, "\n")
	if _, is, _ := strings.Cut(after.String(), "\n"); err != nil || is != was {
		w.fail(pLost, fmt.Sprintf("the import: %v\n%s\n%s", err, was, is))
	}
}

// importAgain imports what was exported.
func (w *world) importAgain() error {
	if w.exported.export == nil {
		return nil
	}
	w.st.Close()
	_, err := state.Import(w.path(), bytes.NewReader(w.exported.export), true)
	w.reopen()
	w.unsaved = true // the state before is the backup
	return err
}

// forget is state forget: the next run takes the person for new.
func (w *world) forget(email string) error {
	c := state.Change{ForgetPeople: []string{email}}
	err := w.st.View(func(v *state.Snapshot) error {
		p, found, err := v.Person(email)
		if found {
			c.ForgetUsers = append(c.ForgetUsers, p.UserID)
			return err
		}
		for u, err := range v.Users() {
			if err != nil {
				return err
			}
			if u.Email == email {
				c.ForgetUsers = append(c.ForgetUsers, u.ID)
			}
		}
		return nil
	})
	if err == nil {
		_, err = match.ForgetAlternates(w.st, true, email)
	}
	if err == nil {
		err = w.st.Write(c)
	}
	for _, id := range c.ForgetUsers {
		delete(w.users, id)
		if u := w.c.user(id); u != nil {
			u.ours = false
		}
	}
	w.unsaved = true
	return err
}

// restore is state restore after the state was lost, with the reports since the backup.
// A run that was killed has left none.
func (w *world) restore() error {
	w.st.Close()
	if err := os.Remove(w.path()); err != nil {
		return err
	}
	if _, err := state.Restore(w.path()); err != nil {
		return err
	}
	w.reopen()
	w.unbacked = w.saved.unbacked
	since := w.reports[w.saved.reports:]
	if _, err := Replay(w.st, since); err != nil {
		return err
	}
	old := w.saved.clone()
	for id, m := range w.reported {
		old.users[id] = m.clone()
	}
	w.users, w.known, w.mayRepeat = old.users, old.known, w.saved.mayRepeat
	w.disown()
	return nil
}

// adopt is state adopt. What it records is what the sources and Smartsheet show, of
// users to whom no upload is on record.
func (w *world) adopt() {
	n := &night{Existing: w.h.Existing, RemovedAfter: w.h.RemovedAfter, Mode: Plan}
	j, ctx, end := w.job(n, "")
	defer end()
	a, err := Adoptable(ctx, j)
	if err == nil {
		_, err = Adopt(w.st, a)
	}
	if err != nil {
		w.fail(pAdopted, err.Error())
		return
	}
	w.unsaved = true
	adopted := map[int64]bool{}
	for _, u := range a.Users {
		adopted[u.ID] = true
		m, l := w.memory(u.ID), w.o.sightings[u.ID]
		found, from, _ := w.o.personOf(u.ID, l)
		if w.h.Alternates && l.alone.IsZero() && len(found) == 0 { // found by what is remembered
			found, from, _ = w.o.person(u.Sent.Email)
		}
		q, ok := 0, false
		for i, p := range found {
			if rs := w.o.reads[entryID(from[i], p.Ref)]; len(rs) > 0 && !ok {
				q = rs[len(rs)-1].photo
				ok = u.Sent.SourceSHA256 == hash(picture(q))
			}
		}
		// An upload of which nothing arrived is not on record once a run has seen that.
		if !ok || l.image == "" || u.Sent.ImageID != l.image || m.confirmed != 0 || m.doubt && len(m.hashes) > 0 || !l.active {
			w.fail(pAdopted, fmt.Sprintf("user %d, %+v, seen as %+v, of %v; %+v", u.ID, u.Sent, l, found, m))
		}
		m.confirmed, m.image, m.adopted, m.partial = q, l.image, true, false
	}
	for _, u := range w.c.users {
		found, from, alias := w.o.person(u.email)
		m := w.memory(u.id)
		if alias || len(found) != 1 || w.c.active(found[0].Own) > 1 || w.o.reserved(found) || m.refused[w.c.ownerIn(from[0], found[0].Own[0]).photo] || m.partial || !u.active || u.image == "" || m.confirmed != 0 || m.doubt || w.excluded != "" || !w.h.Shard.Has(found[0].Own[0]) || adopted[u.id] {
			continue
		}
		if _, known, err := w.st.Person(found[0].Own[0]); err != nil || known {
			continue // as the state was not lost
		}
		if found[0].HasPhoto == sources.Present {
			w.fail(pAdopted, fmt.Sprintf("user %d, %s, shows a picture, has a photo, and is not adopted", u.id, u.email))
		}
	}
}

// setBack sets the clock of the machine back: what was written before is of the future.
func (w *world) setBack(d time.Duration) error {
	var c state.Change
	err := w.st.View(func(v *state.Snapshot) error {
		for u, err := range v.Users() {
			if err != nil {
				return err
			}
			if s := u.Sent; s != nil {
				s.At = s.At.Add(d)
			}
			if i := u.Intent; i != nil {
				i.At = i.At.Add(d)
			}
			if f := u.Failure; f != nil {
				f.At = f.At.Add(d)
			}
			c.Users = append(c.Users, u)
		}
		return nil
	})
	if err == nil {
		err = w.st.Write(c)
	}
	var refreshed time.Time
	if found, merr := w.st.Meta(state.RefreshedKey, &refreshed); found && merr == nil && err == nil {
		err = w.st.SetMeta(state.RefreshedKey, refreshed.Add(d))
	}
	var asked struct {
		Searched time.Time `json:"searched,omitzero"`
		Users    map[int64]struct {
			Email      string    `json:"email,omitempty"`
			Alternates []string  `json:"alternates,omitempty"`
			Asked      time.Time `json:"asked"`
		} `json:"users"`
	}
	if found, merr := w.st.Meta("alternate_emails", &asked); found && merr == nil && err == nil {
		if !asked.Searched.IsZero() {
			asked.Searched = asked.Searched.Add(d)
		}
		for id, u := range asked.Users {
			u.Asked = u.Asked.Add(d)
			asked.Users[id] = u
		}
		err = w.st.SetMeta("alternate_emails", asked)
	}
	for _, r := range w.reports {
		r.StartedAt, r.FinishedAt = r.StartedAt.Add(d), r.FinishedAt.Add(d)
	}
	w.unsaved, w.turnedBack = true, true // runs sort by their names, which are times
	return err
}
