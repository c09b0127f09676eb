package job

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"photosync/sources"
	"photosync/sync/outcome"
	"photosync/sync/plan"
	"photosync/sync/report"
	"photosync/sync/smartsheet"
)

// afterwards is what must be true once nothing changes and nothing fails any more.
func (w *world) afterwards() {
	quiet := func(pause time.Duration) (*report.Report, bool) {
		time.Sleep(pause)
		w.note("a quiet night")
		r, err := w.night(&night{Existing: w.h.Existing, RemovedAfter: w.h.RemovedAfter, Mode: Sync})
		if err != nil {
			w.fail(pSecond, fmt.Sprintf("a quiet run failed: %v", err))
		}
		return r, len(w.faults) == 0
	}
	exchanged := 0 // in Smartsheet alone: each run puts one more of them right
	for _, n := range w.h.Nights {
		for _, e := range n.Edits {
			if e.What == "swap users" {
				exchanged++
			}
		}
	}
	for range 2*w.h.RemovedAfter + 2 + exchanged { // until initials have come due, after an exchange of addresses too
		if _, ok := quiet(time.Hour); !ok {
			return
		}
	}
	if _, ok := quiet(time.Minute); !ok {
		return
	}
	if len(w.o.sentTo) > 0 {
		w.fail(pSecond, fmt.Sprintf("it sent to %v", slices.Collect(maps.Keys(w.o.sentTo))))
		return
	}
	refreshes := []time.Duration{8 * 24 * time.Hour}
	if w.h.Alternates { // what Smartsheet said of these is remembered for 30 days, and counts from the next refresh on
		refreshes = append(refreshes, 31*24*time.Hour, 8*24*time.Hour)
	}
	for _, pause := range refreshes {
		if _, ok := quiet(pause); !ok {
			return
		}
	}
	for range w.h.RemovedAfter + 1 {
		if _, ok := quiet(time.Hour); !ok {
			return
		}
	}
	w.covered()
	w.foundByAlternates()
	for range 2 {
		if _, ok := quiet(time.Hour); !ok {
			return
		}
		if len(w.o.sentTo) > 0 {
			w.fail(pSecond, fmt.Sprintf("it sent to %v", slices.Collect(maps.Keys(w.o.sentTo))))
		}
		if calls := maps.Clone(w.o.requests); w.everybodyIsThere() && (w.o.readings > 0 || w.h.Existing == plan.OnSourceChange && (len(calls) != 1 || calls["me"] != 1)) {
			w.fail(pQuiet, fmt.Sprintf("calls %v, %d photos were read", calls, w.o.readings))
		}
	}
	if len(w.faults) == 0 && w.h.Seed%4 == 0 {
		w.silhouettes()
	}
}

// silhouettes lets some people get one picture: it is held, and reported once.
func (w *world) silhouettes() {
	if len(w.c.entries) <= guardShared {
		return
	}
	for _, e := range w.c.entries[:guardShared+1] {
		e.photo = 900_000
		w.c.put(e)
	}
	for again := range 2 {
		time.Sleep(time.Hour)
		w.note("a night with a silhouette")
		r, err := w.night(&night{Existing: w.h.Existing, RemovedAfter: w.h.RemovedAfter, Mode: Sync, Shared: true})
		news := slices.ContainsFunc(r.Items, func(it report.Item) bool { return it.Reason == outcome.SharedImage && !it.AlreadyReported })
		if other := r.Urgent() || w.h.Alternates; err != nil || again == 1 && (news || r.NeedsSomebody() && !other) { // new conflicts
			w.fail(pAlarm, fmt.Sprintf("%v; %v", err, summary(r)))
		}
	}
}

// everybodyIsThere reports whether everybody with a photo has an active user.
func (w *world) everybodyIsThere() bool {
	if w.excluded != "" {
		return false
	}
	for _, e := range w.c.entries {
		if u := w.c.userAt(e.own); (e.photo != 0 || w.h.Unknown) && (u == nil || !u.active || w.memory(u.id).refused[e.photo]) || e.alias != "" || e.second != "" || e.other != "" || e.objects || e.twin > 0 {
			return false
		}
	}
	for _, m := range w.users { // a picture that was not taken stays owed
		missing := m.confirmed != 0 && m.confirmed != initials && m.absent > 0
		if m.partial || m.doubt || missing && w.h.RemovedAfter > 0 { // it may have to stay for somebody else's sake
			return false
		}
	}
	return true
}

// covered checks that everybody has the picture that they are to have.
func (w *world) covered() {
	for _, u := range w.c.users {
		found, from, alias := w.o.person(u.email)
		if !u.active || len(found) == 0 || !w.h.Shard.Has(found[0].Own[0]) || w.c.active(found[0].Own) > 1 || alias && w.c.anybodyAt(found[0].Own) {
			continue
		}
		want := 0
		for i, p := range found {
			for _, e := range w.c.entries {
				if want == 0 && e.source == from[i] && slices.Contains(p.Own, e.own) && (w.c.folder != "" || e.ref() == p.Ref.Name) {
					want = e.photo
				}
			}
		}
		m := w.memory(u.id)
		excluded := slices.ContainsFunc(found, func(p sources.Person) bool {
			return slices.Contains(p.Own, w.excluded) || slices.Contains(p.Aliases, w.excluded)
		})
		if want == 0 || u.photo == want || excluded || w.o.reserved(found) || m.refused[want] || m.partial || alias && m.anothers(found, from) {
			continue
		}
		if alias && w.aliases(found[0].Own) > 1 { // several users, found by aliases: ambiguous
			continue
		}
		mayStay := m.images[u.image] == unsure
		switch w.h.Existing {
		case plan.FillEmpty:
			mayStay = mayStay || u.image != "" && (u.photo != initials || !u.ours)
		case plan.RespectUser:
			mayStay = mayStay || u.image != "" && !u.ours
		case plan.OnSourceChange:
			// In doubt, the photo may have been there before the user chose a picture.
			mayStay = mayStay || u.image != "" && !u.ours && (m.confirmed == want || m.doubt && m.hashes[hash(picture(want))])
		case plan.Enforce:
			mayStay = mayStay || u.chosen > 2 || m.adopted && u.image == m.image
		}
		if !mayStay {
			w.fail(pCovered, fmt.Sprintf("user %d, %s, has picture %d of image %q (ours: %v), and the photo is %d", u.id, u.email, u.photo, u.image, u.ours, want))
		}
	}
}

// foundByAlternates checks that nobody is without a picture whose only user has the address
// as an alternate one, unless such an address passed from one user to another.
func (w *world) foundByAlternates() {
	for _, n := range w.h.Nights {
		edits := slices.Clone(n.Edits)
		for _, m := range n.During {
			edits = append(edits, m.Edit)
		}
		if slices.ContainsFunc(edits, func(e edit) bool { return e.What == "alternate moves" || e.What == "no alternates" }) {
			return
		}
	}
	for _, u := range w.c.users {
		all := confirmed(u.alternates)
		found, from, _ := w.o.byAlternates(u.email, all)
		if !w.h.Alternates || w.excluded != "" || w.h.Shard.Count > 0 || !u.active || u.image != "" || len(all) != 1 || len(found) != 1 {
			continue
		}
		p, e, m := found[0], all[0], w.memory(u.id)
		others := slices.ContainsFunc(w.c.users, func(x *account) bool {
			return x != u && (x.email == e || slices.ContainsFunc(x.alternates, func(a smartsheet.AlternateEmail) bool { return a.Email == e }))
		})
		if others || p.Own[0] != e || len(p.Own) > 1 || len(p.Aliases) > 0 || p.HasPhoto != sources.Present || m.partial || len(m.refused) > 0 || m.anothers(found, from) {
			continue
		}
		w.fail(pCovered, fmt.Sprintf("user %d, %s, has the alternate address %s, and no picture", u.id, u.email, e))
	}
}

// confirmed are the alternate addresses that were confirmed.
func confirmed(all []smartsheet.AlternateEmail) (emails []string) {
	for _, a := range all {
		if a.Confirmed && !slices.Contains(emails, a.Email) {
			emails = append(emails, a.Email)
		}
	}
	return emails
}

// aliases counts the users that a person has by aliases.
func (w *world) aliases(own []string) (n int) {
	for _, e := range w.c.entries {
		for _, a := range []string{e.alias, e.second} {
			if slices.Contains(own, e.own) && a != "" && w.c.userAt(a) != nil {
				n++
			}
		}
	}
	return n
}
