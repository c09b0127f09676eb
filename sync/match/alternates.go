package match

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"photosync/state"
	"photosync/sync/plan"
	"photosync/sync/smartsheet"
)

// Smartsheet shows alternate addresses for one user at a time. So the calls are bounded and their answers
// remembered: a search asks at most maxAsked users, and only those whose own address nobody in the sources has.
// A run searches if somebody's user is not found and is new to the state, or the last search is searchAge ago.
const (
	maxAsked   = 1000
	maxSilent  = 5  // failed calls one after the other: the search goes on in the next run
	maxRefused = 50 // refusals one after the other
	searchAge  = 7 * 24 * time.Hour
	askAgain   = 30 * 24 * time.Hour // how long a user's answer is remembered
)

// alternatesKey names the fact that holds the users who were asked.
const alternatesKey = "alternate_emails"

// remembered is that fact.
type remembered struct {
	Searched time.Time           `json:"searched,omitzero"` // when a search last asked everybody it had to
	Users    map[int64]askedUser `json:"users"`             // by id
	Silent   []int64             `json:"silent,omitempty"`  // gave no answer the last time: they are asked last
}

type askedUser struct {
	Email      string    `json:"email,omitempty"`      // canonical; only with Alternates
	Alternates []string  `json:"alternates,omitempty"` // confirmed, canonical
	Asked      time.Time `json:"asked"`
}

// alternates are the alternate addresses that are known.
type alternates struct {
	remembered
	now      time.Time           // when the run began
	asked    map[int64]time.Time // in this run
	listed   func(email string) bool
	progress func(done, all int)
	mu       sync.Mutex
	changed  bool
	searched bool // in this run

	unanswered bool // somebody could not be asked: the next run searches again
}

// UseAlternates makes alternate addresses count, and reads what earlier runs remembered. A user
// whose own address is listed in the sources is matched to nobody else. progress may be nil.
func (us *Users) UseAlternates(st *state.Store, now time.Time, listed func(email string) bool, progress func(done, all int)) error {
	a := &alternates{remembered: remembered{Users: map[int64]askedUser{}}, now: now, asked: map[int64]time.Time{}, listed: listed, progress: progress}
	us.alternates = a
	_, err := st.Meta(alternatesKey, &a.remembered)
	known := len(a.Users)
	maps.DeleteFunc(a.Users, func(_ int64, k askedUser) bool { return k.Asked.After(now) })
	if a.Searched.After(now) || len(a.Users) < known { // the clock was ahead
		a.Searched = time.Time{}
	}
	return err
}

// SaveAlternates remembers who was asked.
func (us *Users) SaveAlternates(st *state.Store) error {
	a := us.alternates
	if a == nil || !a.changed {
		return nil
	}
	a.changed = false
	return st.SetMeta(alternatesKey, a.remembered)
}

// forget drops what was remembered of a user whose alternate addresses changed.
func (a *alternates) forget(id int64) {
	a.mu.Lock() // uploads are under way
	defer a.mu.Unlock()
	delete(a.Users, id)
	a.changed, a.Searched = true, time.Time{} // the next run searches: somebody else may have the address now
}

// ForgetAlternates forgets the users who were asked and have one of the addresses, and
// reports whether there are any. A search that finds them again asks them again.
func ForgetAlternates(st *state.Store, write bool, emails ...string) (forgotten bool, err error) {
	var mem remembered
	if _, err := st.Meta(alternatesKey, &mem); err != nil {
		return false, err
	}
	before := len(mem.Users)
	maps.DeleteFunc(mem.Users, func(_ int64, k askedUser) bool {
		return slices.ContainsFunc(emails, func(e string) bool { return e == k.Email || slices.Contains(k.Alternates, e) })
	})
	if len(mem.Users) < before && write {
		err = st.SetMeta(alternatesKey, mem)
	}
	return len(mem.Users) < before, err
}

// Asked is how many users this and earlier runs asked, if alternate addresses count.
func (us *Users) Asked() int { return len(us.alternates.Users) }

// byAlternates finds users for work without an address that is a user's own.
func (us *Users) byAlternates(ctx context.Context, ws []*plan.Work) (err error) {
	a := us.alternates
	if err := us.lookUp(ctx, a.owners(ws)); err != nil {
		return err
	}
	left := slices.DeleteFunc(us.assign(ws), (*plan.Work).Gone)
	if len(left) > 0 && !a.searched && (slices.ContainsFunc(left, (*plan.Work).Unsearched) || a.now.Sub(a.Searched) > searchAge) {
		if err := us.search(ctx); err != nil {
			return fmt.Errorf("search for alternate email addresses: %w", err)
		}
		us.assign(left)
	}
	var again []int64 // users whose conflict may have been resolved since
	for _, w := range ws {
		for _, u := range w.Users {
			if w.Tied && a.asked[u.ID].IsZero() && !slices.Contains(again, u.ID) {
				again = append(again, u.ID)
			}
		}
	}
	if len(again) > 0 {
		err = us.ask(ctx, again)
		us.assign(ws)
	}
	return err
}

// byAlternate returns the ids of the users known to have an alternate address, by that address.
func (a *alternates) byAlternate() map[string][]int64 {
	ids := map[string][]int64{}
	for id, k := range a.Users {
		for _, e := range k.Alternates {
			ids[e] = append(ids[e], id)
		}
	}
	return ids
}

// owners returns the own addresses of users known to have an alternate address of somebody in ws.
func (a *alternates) owners(ws []*plan.Work) (emails []string) {
	byAlternate := a.byAlternate()
	for _, w := range ws {
		for _, e := range slices.Concat(w.Own, w.Aliases) {
			for _, id := range byAlternate[e] {
				emails = append(emails, a.Users[id].Email)
			}
		}
	}
	slices.Sort(emails)
	return slices.Compact(emails)
}

// assign gives people the users known to have their addresses as alternate ones, and returns the
// rest. If somebody else in the sources has another address of the user, that is a conflict.
func (us *Users) assign(ws []*plan.Work) (left []*plan.Work) {
	a := us.alternates
	byAlternate := a.byAlternate()
	for _, w := range ws {
		w.Overlap = nil
		choose(w, w.Own, func(e string) (found []plan.User) {
			for _, id := range byAlternate[e] {
				u, seen := us.Seen[id]
				if !seen || a.listed(u.Email) {
					continue
				}
				u.Alternate = true
				u.Seen = a.asked[id] // with this address; zero: the user is looked up again before an upload
				found = append(found, u)
				w.Overlap = append(w.Overlap, a.overlap(w, a.Users[id].Alternates)...)
			}
			return found
		})
		slices.Sort(w.Overlap) // the report says the same every night
		w.Overlap = slices.Compact(w.Overlap)
		w.Tied = w.Tied || len(w.Overlap) > 0
		if len(w.Users) == 0 {
			left = append(left, w)
		}
	}
	return left
}

// overlap returns those of a user's addresses that somebody in the sources other than w has.
func (a *alternates) overlap(w *plan.Work, all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(e string) bool {
		return !a.listed(e) || slices.Contains(w.Own, e) || slices.Contains(w.Aliases, e)
	})
}

// search asks the users who were not asked yet, or too long ago.
func (us *Users) search(ctx context.Context) error {
	a := us.alternates
	a.searched = true
	if err := us.List(ctx); err != nil {
		return err
	}
	maps.DeleteFunc(a.Users, func(id int64, k askedUser) bool {
		u, there := us.Seen[id]
		return !there || k.Email != "" && k.Email != u.Email || a.now.Sub(k.Asked) >= askAgain
	})
	var open []int64
	for id, u := range us.Seen {
		if _, asked := a.Users[id]; u.Active && !asked && !a.listed(u.Email) {
			open = append(open, id)
		}
	}
	slices.SortFunc(open, func(x, y int64) int {
		last := func(id int64) int { return slices.Index(a.Silent, id) }
		return cmp.Or(cmp.Compare(last(x), last(y)), cmp.Compare(x, y))
	})
	a.Silent = nil
	err := us.ask(ctx, open)
	if err == nil && len(open) <= maxAsked && !a.unanswered {
		a.Searched = a.now.Truncate(time.Second)
	}
	return err
}

// ask asks users for their alternate addresses, the first maxAsked of ids.
func (us *Users) ask(ctx context.Context, ids []int64) error {
	a := us.alternates
	ids = ids[:min(len(ids), maxAsked)]
	refused, silent := 0, 0
	for i, id := range ids {
		if silent == maxSilent || refused == maxRefused {
			break
		}
		if a.progress != nil {
			a.progress(i, len(ids))
		}
		now := time.Now()
		see := us.see(now)
		w, err := us.api.User(ctx, id)
		denied := err != nil && oneUser(ctx, err) && smartsheet.Classify(err) < smartsheet.Retryable
		switch {
		case err == nil:
			refused, silent, _ = 0, 0, see(w) // newer than the list
		case denied && us.Seen[id].External: // a guest shows no alternate addresses
		case oneUser(ctx, err):
			a.unanswered, a.Searched, a.Silent = true, time.Time{}, append(a.Silent, id)
			if denied {
				refused++
			} else {
				silent++
			}
			continue
		default:
			return err
		}
		k, own := askedUser{Asked: a.now.Truncate(time.Second)}, us.Seen[id].Email
		k.Alternates = slices.DeleteFunc(confirmed(w), func(e string) bool { return e == own })
		if len(k.Alternates) > 0 {
			k.Email = own
		}
		a.Users[id], a.asked[id] = k, now // whoever did not answer is looked up again before an upload
	}
	a.changed = true
	return nil
}
