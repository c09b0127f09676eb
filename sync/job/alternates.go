package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"hash/maphash"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/plan"
	"photosync/sync/smartsheet"
)

// The list of users shows one address of each. The alternate ones are shown for one
// user at a time, so that the calls have to be bounded, and their answers remembered:
// a search lists all users once more and asks at most maxAlternatesAsked of those
// whom no person in the sources has the address of. It takes place for people new to
// the state, or when the last one is alternatesAge old, or goes on where the last one
// reached that bound; and only while somebody's user is not found.
const (
	maxAlternatesAsked = 1000
	alternatesAge      = 7 * 24 * time.Hour
	// alternatesAgain is after what time a user is asked once more.
	alternatesAgain = 30 * 24 * time.Hour
)

// alternatesKey is the state's fact about the users who were asked.
const alternatesKey = "alternate_emails"

// alternates are the users who were asked so far.
type alternates struct {
	Searched time.Time       `json:"searched,omitzero"` // when nobody was left to be asked
	Users    []alternateUser `json:"users"`             // by id
	// Missed are the people for whom it was searched in vain, as hashes.
	Missed []uint64 `json:"missed,omitempty"`
}

type alternateUser struct {
	ID         int64     `json:"id"`
	Email      string    `json:"email,omitempty"`      // canonical; only of those with Alternates
	Alternates []string  `json:"alternates,omitempty"` // confirmed, canonical
	Asked      time.Time `json:"asked"`
}

// is tells whether k was asked, and has no other address since.
func (k *alternateUser) is(u plan.User) bool {
	return k != nil && (k.Email == "" || k.Email == u.Email)
}

// has tells whether one of the addresses of k is among emails.
func (k *alternateUser) has(emails []string) bool {
	return slices.Contains(emails, k.Email) || slices.ContainsFunc(k.Alternates, func(e string) bool { return slices.Contains(emails, e) })
}

// Forget forgets people, and the users who have one of their addresses. A search that
// meets these users again asks them again.
func Forget(st *state.Store, emails ...string) error {
	var mem alternates
	known, err := st.Meta(alternatesKey, &mem)
	if err != nil {
		return err
	}
	if known {
		mem.Users = slices.DeleteFunc(mem.Users, func(k alternateUser) bool { return k.has(emails) })
		mem.Missed = slices.DeleteFunc(mem.Missed, func(h uint64) bool {
			return slices.ContainsFunc(emails, func(e string) bool { return hash(e) == h })
		})
		if err := st.SetMeta(alternatesKey, mem); err != nil {
			return err
		}
	}
	return st.Delete(emails...)
}

// Asked tells whether users were asked who have the address.
func Asked(st *state.Store, email string) (bool, error) {
	var mem alternates
	_, err := st.Meta(alternatesKey, &mem)
	return slices.ContainsFunc(mem.Users, func(k alternateUser) bool { return k.has([]string{email}) }), err
}

// matcher finds the users of people by alternate addresses.
type matcher struct {
	run     *run
	last    time.Time // search
	known   map[int64]*alternateUser
	seen    map[int64]plan.User // users of known, as Smartsheet shows them now
	missed  map[uint64]bool
	changed bool
	done    bool // a search took place in this run
}

// matcher reads what is remembered; it is nil if alternate addresses do not count.
func (r *run) matcher() (*matcher, error) {
	if !r.o.AlternateEmails {
		return nil, nil
	}
	var mem alternates
	if _, err := r.o.State.Meta(alternatesKey, &mem); err != nil {
		return nil, err
	}
	m := &matcher{run: r, last: mem.Searched, known: map[int64]*alternateUser{}, seen: map[int64]plan.User{}, missed: map[uint64]bool{}}
	for _, h := range mem.Missed {
		m.missed[h] = true
	}
	for i := range mem.Users {
		m.known[mem.Users[i].ID] = &mem.Users[i]
	}
	return m, nil
}

// own returns the addresses under which Smartsheet lists the users who have one of
// emails as an alternate one.
func (m *matcher) own(emails []string) (own []string) {
	if m == nil {
		return nil
	}
	wanted := make(map[string]bool, len(emails))
	for _, e := range emails {
		wanted[e] = true
	}
	for _, u := range m.known {
		if slices.ContainsFunc(u.Alternates, func(e string) bool { return wanted[e] }) {
			own = append(own, u.Email)
		}
	}
	slices.Sort(own)
	return own
}

// see takes note of how Smartsheet shows a user now.
func (m *matcher) see(u plan.User) {
	if m != nil && m.known[u.ID] != nil {
		m.seen[u.ID] = u
	}
}

// match finds users for those subjects whose addresses are none's own.
func (m *matcher) match(ctx context.Context, subjects []*plan.Subject) error {
	if m == nil {
		return nil
	}
	left := m.assign(subjects)
	if !m.due(left) {
		return nil
	}
	if err := m.search(ctx, left); err != nil {
		return fmt.Errorf("search for alternate email addresses: %w", err)
	}
	for _, s := range m.assign(left) {
		m.missed[hash(s.Key())] = true
	}
	return nil
}

// hash is the same in every run.
func hash(email string) uint64 {
	h := fnv.New64a()
	io.WriteString(h, email)
	return h.Sum64()
}

// due tells whether a search may find the user of somebody who is left.
func (m *matcher) due(left []*plan.Subject) bool {
	isNew := func(s *plan.Subject) bool { return !m.missed[hash(s.Key())] }
	return len(left) > 0 && !m.done && (m.run.report.StartedAt.Sub(m.last) > alternatesAge || slices.ContainsFunc(left, isNew))
}

// assign gives people the users who are known to have their addresses, and returns
// who is left without one.
func (m *matcher) assign(subjects []*plan.Subject) (left []*plan.Subject) {
	byAlternate := map[string][]*alternateUser{}
	for _, id := range slices.Sorted(maps.Keys(m.known)) {
		for _, e := range m.known[id].Alternates {
			byAlternate[e] = append(byAlternate[e], m.known[id])
		}
	}
	for _, s := range subjects {
		if len(s.Users) > 0 {
			continue
		}
		for _, e := range s.Emails {
			for _, k := range byAlternate[e] {
				if u, ok := m.seen[k.ID]; ok && !m.run.claims.has(u.Email) {
					u.Alternate = &plan.Alternate{Email: e, Claims: m.rivals(s, k)}
					s.Meet(u)
				}
			}
		}
		if len(s.Users) == 0 {
			left = append(left, s)
		}
	}
	return left
}

// rivals are the alternate addresses of a user that other people in the sources have:
// one of those may be the person whose picture is there. The person to whom the
// picture was uploaded before has none.
func (m *matcher) rivals(s *plan.Subject, k *alternateUser) (rivals []string) {
	if s.Record().UserID == k.ID {
		return nil
	}
	for _, e := range k.Alternates {
		if m.run.claims.has(e) && !slices.Contains(s.Emails, e) {
			rivals = append(rivals, e)
		}
	}
	return rivals
}

// search asks the users who were not asked yet, or long ago.
func (m *matcher) search(ctx context.Context, left []*plan.Subject) error {
	open, err := m.open(ctx, left)
	if err != nil {
		return err
	}
	if m.done = true; m.run.report.StartedAt.Sub(m.last) > alternatesAge {
		clear(m.missed) // of people who may have left
	}
	now := m.run.report.StartedAt.Truncate(time.Second)
	ask := open[:min(len(open), maxAlternatesAsked)]
	for i, u := range ask {
		if m.run.o.Asked != nil {
			m.run.o.Asked(i, len(ask))
		}
		all, err := m.run.o.Smartsheet.User(ctx, u.ID)
		if e, ok := errors.AsType[*smartsheet.Error](err); ok && e.Status == http.StatusNotFound {
			continue // left since they were listed
		}
		if err != nil {
			return err
		}
		k := &alternateUser{ID: u.ID, Asked: now}
		for _, a := range all.AlternateEmails {
			if e, err := sources.Email(a.Email); err == nil && a.Confirmed && e != u.Email && !slices.Contains(k.Alternates, e) {
				k.Email, k.Alternates = u.Email, append(k.Alternates, e)
			}
		}
		m.known[u.ID], m.changed = k, true
		m.see(u)
	}
	if len(open) <= maxAlternatesAsked {
		m.last, m.changed = now, true
	}
	return nil
}

// open lists the users and returns those to be asked: first those who look like one
// of the people who are left, then those who were never asked.
func (m *matcher) open(ctx context.Context, left []*plan.Subject) (open []plan.User, err error) {
	there := map[int64]bool{}
	alike := map[string]bool{}
	for _, s := range left {
		alike[strings.ToLower(s.DisplayName)] = true
		for _, e := range s.Emails {
			alike[localPart(e)] = true
		}
	}
	delete(alike, "")
	err = m.run.o.Smartsheet.Users(ctx, func(w smartsheet.User) error {
		u, ok := user(w)
		there[w.ID] = true
		if m.see(u); !ok || !u.Active || m.run.claims.has(u.Email) {
			return nil
		}
		if k := m.known[u.ID]; k.is(u) && m.run.report.StartedAt.Sub(k.Asked) < alternatesAgain {
			return nil
		}
		open = append(open, u)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for id := range m.known {
		if !there[id] {
			delete(m.known, id)
			m.changed = true
		}
	}
	rank := func(u plan.User) int {
		switch k := m.known[u.ID]; {
		case k.is(u):
			return 2
		case alike[strings.ToLower(u.Name)] || alike[localPart(u.Email)]:
			return 0
		}
		return 1
	}
	slices.SortStableFunc(open, func(a, b plan.User) int { return cmp.Compare(rank(a), rank(b)) })
	return open, nil
}

func localPart(email string) string {
	local, _, _ := strings.Cut(email, "@")
	return local
}

// save remembers who was asked.
func (m *matcher) save() error {
	if m == nil || !m.changed {
		return nil
	}
	mem := alternates{Searched: m.last, Missed: slices.Sorted(maps.Keys(m.missed))}
	for _, id := range slices.Sorted(maps.Keys(m.known)) {
		mem.Users = append(mem.Users, *m.known[id])
	}
	return m.run.o.State.SetMeta(alternatesKey, mem)
}

// claims are the addresses of all people in the sources, as hashes: who has one of
// them is not matched to anybody else.
type claims struct {
	seed   maphash.Seed
	hashes []uint64
}

// claim collects the addresses of the people, also those that several of them claim.
func (c *claims) claim(people *sources.People) {
	c.seed = maphash.MakeSeed()
	add := func(e string) { c.hashes = append(c.hashes, maphash.String(c.seed, e)) }
	for j := range people.All() {
		for _, e := range j.Emails {
			add(e)
		}
		for _, x := range j.Candidates {
			for _, e := range x.Emails {
				if !slices.Contains(j.Emails, e) {
					add(e)
				}
			}
		}
	}
	slices.Sort(c.hashes)
	c.hashes = slices.Compact(c.hashes)
}

func (c *claims) has(email string) bool {
	_, found := slices.BinarySearch(c.hashes, maphash.String(c.seed, email))
	return found
}
