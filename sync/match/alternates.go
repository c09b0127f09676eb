package match

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"photosync/state"
	"photosync/sync/plan"
	"photosync/sync/smartsheet"
)

// The list of users shows one address of each. The alternate ones are shown for one
// user at a time, so the calls have to be bounded and their answers remembered: a
// search lists all users and asks at most maxAsked of those whose address nobody in
// the sources has. It takes place for people new to the state, or when the last one is
// searchAge old, or goes on where the last one reached that bound; and only while
// somebody's user is not found.
const (
	maxAsked  = 1000
	searchAge = 7 * 24 * time.Hour
	askAgain  = 30 * 24 * time.Hour // after which a user is asked once more
)

// AlternatesKey is the state's fact about the users who were asked.
const AlternatesKey = "alternate_emails"

// remembered is that fact.
type remembered struct {
	Searched time.Time   `json:"searched,omitzero"` // when nobody was left to be asked
	Users    []askedUser `json:"users"`             // by id
	// Missed are the people for whom it was searched in vain, as hashes.
	Missed []uint64 `json:"missed,omitempty"`
}

type askedUser struct {
	ID         int64     `json:"id"`
	Email      string    `json:"email,omitempty"`      // canonical; only with Alternates
	Alternates []string  `json:"alternates,omitempty"` // confirmed, canonical
	Asked      time.Time `json:"asked"`
}

// has reports whether one of the user's addresses is among emails.
func (k *askedUser) has(emails ...string) bool {
	return slices.Contains(emails, k.Email) || slices.ContainsFunc(k.Alternates, func(e string) bool { return slices.Contains(emails, e) })
}

// Facts keeps facts about the whole state.
type Facts interface {
	Meta(name string, v any) (found bool, err error)
	SetMeta(name string, v any) error
}

// ForgetAlternates forgets the users who were asked and have one of the addresses. A
// search that finds them again asks them again.
func ForgetAlternates(facts Facts, emails ...string) error {
	var mem remembered
	if known, err := facts.Meta(AlternatesKey, &mem); err != nil || !known {
		return err
	}
	mem.Users = slices.DeleteFunc(mem.Users, func(k askedUser) bool { return k.has(emails...) })
	mem.Missed = slices.DeleteFunc(mem.Missed, func(h uint64) bool {
		return slices.ContainsFunc(emails, func(e string) bool { return hash(e) == h })
	})
	return facts.SetMeta(AlternatesKey, mem)
}

// Asked reports whether a user was asked who has the address.
func Asked(facts Facts, email string) (bool, error) {
	var mem remembered
	_, err := facts.Meta(AlternatesKey, &mem)
	return slices.ContainsFunc(mem.Users, func(k askedUser) bool { return k.has(email) }), err
}

// alternates are the alternate addresses that are known.
type alternates struct {
	now      time.Time // when the run began
	listed   func(email string) bool
	progress func(done, all int)

	last    time.Time // search
	known   map[int64]*askedUser
	missed  map[uint64]bool
	changed bool
	done    bool // a search took place in this run
}

// UseAlternates makes alternate addresses count, from what earlier runs remembered.
// listed reports whether somebody in the sources has an address: its user is matched
// to nobody else. progress may be nil.
func (us *Users) UseAlternates(facts Facts, now time.Time, listed func(email string) bool, progress func(done, all int)) error {
	var mem remembered
	if _, err := facts.Meta(AlternatesKey, &mem); err != nil {
		return err
	}
	a := &alternates{now: now, listed: listed, progress: progress, last: mem.Searched, known: map[int64]*askedUser{}, missed: map[uint64]bool{}}
	for _, h := range mem.Missed {
		a.missed[h] = true
	}
	for i := range mem.Users {
		a.known[mem.Users[i].ID] = &mem.Users[i]
	}
	us.alternates = a
	return nil
}

// Searched says when all users had been asked for their alternate addresses, and how
// many were; zero: never.
func (us *Users) Searched() (last time.Time, asked int) {
	if us.alternates == nil {
		return time.Time{}, 0
	}
	return us.alternates.last, len(us.alternates.known)
}

// SaveAlternates remembers who was asked.
func (us *Users) SaveAlternates(facts Facts) error {
	a := us.alternates
	if a == nil || !a.changed {
		return nil
	}
	mem := remembered{Searched: a.last, Missed: slices.Sorted(maps.Keys(a.missed))}
	for _, id := range slices.Sorted(maps.Keys(a.known)) {
		mem.Users = append(mem.Users, *a.known[id])
	}
	return facts.SetMeta(AlternatesKey, mem)
}

// byAlternates finds users for work of which no address is a user's own.
func (us *Users) byAlternates(ctx context.Context, ws []*plan.Work) error {
	a := us.alternates
	ws = slices.DeleteFunc(slices.Clone(ws), (*plan.Work).Gone)
	if !us.all {
		if err := us.LookUp(ctx, us.knownOwners(ws)); err != nil {
			return err
		}
	}
	left := us.assign(ws)
	isNew := func(w *plan.Work) bool { return !a.missed[hash(w.Key())] }
	if len(left) == 0 || a.done || a.now.Sub(a.last) <= searchAge && !slices.ContainsFunc(left, isNew) {
		return nil
	}
	if err := us.search(ctx, left); err != nil {
		return fmt.Errorf("search for alternate email addresses: %w", err)
	}
	for _, w := range us.assign(left) {
		a.missed[hash(w.Key())] = true
	}
	return nil
}

// knownOwners are the own addresses of users who are known to have one of the
// addresses of ws as an alternate one.
func (us *Users) knownOwners(ws []*plan.Work) (emails []string) {
	wanted := map[string]bool{}
	for _, w := range ws {
		for _, e := range slices.Concat(w.Own, w.Aliases) {
			wanted[e] = true
		}
	}
	for _, k := range us.alternates.known {
		if slices.ContainsFunc(k.Alternates, func(e string) bool { return wanted[e] }) {
			emails = append(emails, k.Email)
		}
	}
	slices.Sort(emails)
	return emails
}

// assign gives people the users who are known to have their addresses, and returns
// who is left without one. A user that several people claim so is nobody's: both are
// a conflict.
func (us *Users) assign(ws []*plan.Work) (left []*plan.Work) {
	byAlternate := map[string][]int64{}
	for _, id := range slices.Sorted(maps.Keys(us.alternates.known)) {
		for _, e := range us.alternates.known[id].Alternates {
			byAlternate[e] = append(byAlternate[e], id)
		}
	}
	for _, w := range ws {
		if len(w.Users) > 0 {
			continue
		}
		for _, addresses := range [...][]string{w.Own, w.Aliases} {
			for _, e := range addresses {
				for _, id := range byAlternate[e] {
					if u, seen := us.byID[id]; seen && !us.alternates.listed(u.Email) {
						u.Via, u.Alternate = e, true
						w.Users = append(w.Users, u)
						w.Claims = append(w.Claims, us.claimed(w, id)...)
					}
				}
			}
			if len(w.Users) > 0 {
				break
			}
		}
		if len(w.Users) == 0 {
			left = append(left, w)
			continue
		}
		choose(w)
		w.Tied = w.Tied || len(w.Claims) > 0
	}
	return left
}

// claimed are the alternate addresses of a user that somebody else in the sources has:
// that person may be the one whose picture is there.
func (us *Users) claimed(w *plan.Work, id int64) (emails []string) {
	for _, e := range us.alternates.known[id].Alternates {
		if us.alternates.listed(e) && !slices.Contains(w.Own, e) && !slices.Contains(w.Aliases, e) {
			emails = append(emails, e)
		}
	}
	return emails
}

// search asks the users who were not asked yet, or long ago.
func (us *Users) search(ctx context.Context, left []*plan.Work) error {
	a := us.alternates
	us.all = false // the users are listed as they are now
	if err := us.List(ctx); err != nil {
		return err
	}
	for id := range a.known {
		if _, there := us.byID[id]; !there {
			delete(a.known, id)
			a.changed = true
		}
	}
	open := us.open(left)
	if a.done = true; a.now.Sub(a.last) > searchAge {
		clear(a.missed) // of people who may have left
	}
	ask := open[:min(len(open), maxAsked)]
	for i, u := range ask {
		if a.progress != nil {
			a.progress(i, len(ask))
		}
		w, err := us.api.User(ctx, u.ID)
		if smartsheet.NotFound(err) {
			continue // left since they were listed
		}
		if err != nil {
			return err
		}
		k := &askedUser{ID: u.ID, Asked: a.now.Truncate(time.Second)}
		if es := slices.DeleteFunc(confirmed(w), func(e string) bool { return e == u.Email }); len(es) > 0 {
			k.Email, k.Alternates = u.Email, es
		}
		a.known[u.ID], a.changed = k, true
	}
	if len(open) <= maxAsked {
		a.last, a.changed = a.now.Truncate(time.Second), true
	}
	return nil
}

// open are the users to be asked: first those who look like one of the people who are
// left, then those who were never asked.
func (us *Users) open(left []*plan.Work) (open []plan.User) {
	a := us.alternates
	alike := map[string]bool{}
	for _, w := range left {
		alike[strings.ToLower(w.DisplayName)] = true
		for _, e := range slices.Concat(w.Own, w.Aliases) {
			alike[localPart(e)] = true
		}
	}
	delete(alike, "")
	asked := func(u plan.User) bool { k := a.known[u.ID]; return k != nil && (k.Email == "" || k.Email == u.Email) }
	for _, u := range us.byID {
		if !u.Active || a.listed(u.Email) || asked(u) && a.now.Sub(a.known[u.ID].Asked) < askAgain {
			continue
		}
		open = append(open, u)
	}
	rank := func(u plan.User) int {
		switch {
		case asked(u):
			return 2
		case alike[strings.ToLower(u.Name)] || alike[localPart(u.Email)]:
			return 0
		}
		return 1
	}
	slices.SortFunc(open, func(x, y plan.User) int { return cmp.Or(cmp.Compare(rank(x), rank(y)), cmp.Compare(x.ID, y.ID)) })
	return open
}

func localPart(email string) string {
	local, _, _ := strings.Cut(email, "@")
	return local
}

// hash is the same in every run.
func hash(email string) uint64 {
	h := fnv.New64a()
	io.WriteString(h, email)
	return h.Sum64()
}

var _ Facts = (*state.Store)(nil)
