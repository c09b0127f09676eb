package job

import (
	"slices"
	"time"

	"photosync/sources"
	"photosync/sync/plan"
)

// sending is called when an upload goes on the wire.
func (o *watch) sending(id int64, data []byte) {
	q, m := photoOf(data), o.w.memory(id)
	l, seen := o.sightings[id]
	n := o.night
	row, _, err := o.w.st.User(id)
	if err == nil && row.Email == o.renamed[id].email && time.Since(o.renamed[id].at) <= 5*time.Minute {
		l = o.renamed[id] // only a look-up of somebody else shows the new address
	}
	switch {
	case !seen || l.email == "":
		o.fail(pWhose, "picture %d went to user %d, whom no look-up of this run shows", q, id)
		return
	case time.Since(l.at) > 5*time.Minute:
		o.fail(pFresh, "picture %d went to user %d, seen %v before", q, id, time.Since(l.at))
	case !l.active:
		o.fail(pFresh, "picture %d went to user %d, who is not active", q, id)
	case n.Mode == Plan:
		o.fail(pScope, "a plan sent picture %d to user %d", q, id)
	}
	for i, l := range o.listings {
		if !l.complete {
			o.fail(pComplete, "picture %d went to user %d, source %d is incomplete", q, id, i)
		}
	}
	if len(o.listings) < len(n.sources(o.w.h.Sources)) {
		o.fail(pComplete, "picture %d went to user %d before everything was listed", q, id)
	}
	if sum := hash(data); err != nil || row.Intent == nil || row.Intent.UploadSHA256 != sum {
		o.fail(pIntent, "picture %d went to user %d with the row %+v, %v", q, id, row, err)
	}
	if q == initials {
		o.removal(id, l, m)
	} else {
		o.whose(id, q, l, m)
	}
	o.chosen(id, q, l, m)
	o.limits(id, q, m)
	if !o.sentTo[id] {
		m.before, m.doubtful = l.image, m.doubt
	}
	o.sentTo[id], o.to[id], m.unanswered = true, l.email, true
}

// whose checks that q is the photo of the person who has the user's address.
func (o *watch) whose(id int64, q int, l sighting, m *memory) {
	n := o.night
	found, from, alias := o.personOf(id, l)
	if len(found) == 0 {
		o.fail(pWhose, "picture %d went to user %d, %+v, an address that nobody or nobody alone has", q, id, l)
		return
	}
	via := []string{l.email, found[0].Own[0]}
	if own, _, _ := o.person(l.email); len(own) == 0 {
		played.alternates.Add(1)
		via = append(via, l.alternates...)
		switch {
		case time.Since(l.alone) > 5*time.Minute:
			o.fail(pFresh, "picture %d went to user %d by an alternate address, seen %v before", q, id, time.Since(l.alone))
		case l.email == o.w.excluded:
			o.fail(pExcluded, "picture %d went to user %d, %s", q, id, l.email)
		}
	}
	byOwn := slices.ContainsFunc(found, func(p sources.Person) bool { return slices.Contains(p.Own, l.email) })
	arrived := !m.unanswered && !m.doubt || l.image != "" // an upload without an answer, of which nothing shows, did not
	if !byOwn && arrived && m.anothers(found, from) {
		o.fail(pWhose, "picture %d went to user %d, %s, by an alias; the user had a photo of %+v", q, id, l.email, m.origin)
	}
	ok, moved := false, false
	for i, p := range found {
		rs := o.reads[entryID(from[i], p.Ref)]
		if len(rs) > 0 && slices.ContainsFunc(rs, func(r reading) bool { return r.photo == q }) {
			last := rs[len(rs)-1]
			if last.emails == nil || slices.ContainsFunc(via, func(e string) bool { return slices.Contains(last.emails, e) }) || !o.claims(from[i], p.Ref, via) {
				ok, moved = true, o.listedPhoto(from[i], p.Ref) != q
				if !o.sentTo[id] {
					m.former = m.origin
				}
				m.origin = origin{from[i], p.Ref.Key, p.Own[0], q}
			}
		}
		if ok || p.HasPhoto == sources.Present && (len(rs) == 0 || rs[len(rs)-1].photo != 0) {
			break // the first source that has a photo decides
		}
	}
	if !ok {
		o.fail(pWhose, "picture %d went to user %d, %s, whose person %v has another", q, id, l.email, found[0].Own)
	}
	if alias && o.alsoFound(found[0], id) {
		o.fail(pWhose, "picture %d went to user %d by an alias, and another user has another one of %v", q, id, found[0].Own)
	}
	if o.reserved(found) {
		o.fail(pExcluded, "picture %d went to user %d, person %v, who objects", q, id, found[0].Own)
	}
	for _, p := range found {
		if o.excluded(p) {
			o.fail(pExcluded, "picture %d went to user %d, person %v", q, id, p.Own)
		}
		for other, x := range o.sightings {
			if other != id && x.active && slices.Contains(p.Own, x.email) {
				o.fail(pWhose, "picture %d went to user %d by %s, and user %d has the own address", q, id, l.email, other)
			}
		}
	}
	same := m.confirmed == q && !m.doubt && !m.partial && !n.Force && !moved // since it was listed
	switch {
	case same && l.image == m.image:
		o.fail(pNeedless, "picture %d went to user %d again, who shows it", q, id)
	case same && (n.Existing == plan.OnSourceChange || n.Existing == plan.RespectUser):
		o.fail(pReason, "picture %d went to user %d again", q, id)
	}
	if u := o.w.c.user(id); u != nil && u.ours && u.photo == q && !n.Force && !o.sentTo[id] && m.unanswered {
		o.repeats[id] = true
	}
	if !o.w.h.Shard.Has(found[0].Own[0]) {
		o.fail(pScope, "picture %d went to user %d, who is not in the shard", q, id)
	}
	if n.Only != "" && !slices.ContainsFunc(found, func(p sources.Person) bool {
		return slices.Contains(p.Own, n.Only) || slices.Contains(p.Aliases, n.Only)
	}) {
		o.fail(pScope, "picture %d went to user %d in a run only for %s", q, id, n.Only)
	}
}

// chosen checks that the picture that the user shows may be replaced.
func (o *watch) chosen(id int64, q int, l sighting, m *memory) {
	if l.image == "" || m.doubt && l.image != m.foreign {
		return
	}
	_, ours := m.images[l.image]
	switch {
	case q == initials && !ours:
		o.fail(pRemoval, "initials took the place of %s at user %d, which is not ours", l.image, id)
	case ours:
	case o.night.Existing == plan.RespectUser, o.night.Existing == plan.FillEmpty:
		o.fail(pChosen, "picture %d took the place of %s at user %d", q, l.image, id)
	}
}

// listedPhoto is the photo with which this run listed an entry.
func (o *watch) listedPhoto(source int, r sources.Ref) int {
	l := o.of(source)
	i := slices.IndexFunc(l.people, func(p sources.Person) bool { return p.Ref == r })
	return l.photos[i]
}

// claims reports whether this run listed an entry with one of the addresses.
func (o *watch) claims(source int, r sources.Ref, addresses []string) bool {
	return slices.ContainsFunc(o.of(source).people, func(p sources.Person) bool {
		return p.Ref == r && slices.ContainsFunc(slices.Concat(p.Own, p.Aliases), func(e string) bool { return slices.Contains(addresses, e) })
	})
}

// wentAway reports whether this run read another photo of an entry than it listed.
func (o *watch) wentAway(source int, r sources.Ref, photo int) bool {
	rs := o.reads[entryID(source, r)]
	return len(rs) > 0 && rs[len(rs)-1].photo != photo
}

// alsoFound reports whether this run saw another active user with an alias of the entry.
func (o *watch) alsoFound(p sources.Person, id int64) bool {
	for other, x := range o.sightings {
		if other == id || !x.active || !slices.Contains(p.Aliases, x.email) {
			continue
		}
		if found, _, alias := o.person(x.email); alias && len(found) > 0 && found[0].Own[0] == p.Own[0] {
			return true
		}
	}
	return false
}

// excluded reports whether an entry has the excluded address, and nobody has a better
// claim to it.
func (o *watch) excluded(p sources.Person) bool {
	if len(p.Own) == 0 {
		return false
	}
	owner, _, alias := o.person(o.w.excluded)
	if !slices.Contains(slices.Concat(p.Own, p.Aliases), o.w.excluded) {
		return false
	}
	if len(owner) == 0 { // an alias of two entries is nobody's, and one that others own is not the person's
		return !alias && slices.Contains(p.Own, o.w.excluded)
	}
	return slices.Contains(owner[0].Own, p.Own[0]) // the earliest source's
}

// decides reports whether an entry is the first with a photo of the person whose it is.
func (o *watch) decides(p sources.Person) bool {
	if len(p.Own) == 0 {
		return false
	}
	found, _, _ := o.person(p.Own[0])
	i := slices.IndexFunc(found, func(f sources.Person) bool { return f.HasPhoto != sources.Absent })
	return len(found) == 0 || i >= 0 && found[i].Ref == p.Ref
}

// holds reports whether an entry is one of the person whose address this is.
func (o *watch) holds(p sources.Person, address string) bool {
	if len(p.Own) == 0 {
		return false
	}
	found, _, _ := o.person(address)
	return slices.ContainsFunc(found, func(f sources.Person) bool { return slices.Contains(f.Own, p.Own[0]) && f.Ref == p.Ref })
}

// has reports whether a listed entry has a photo, as far as the run could see.
func (o *watch) has(l listed, i int) bool {
	p := l.people[i]
	return p.HasPhoto != sources.Absent && !(o.w.h.Unknown && o.wentAway(l.source, p.Ref, l.photos[i]) && o.wentAway(l.source, p.Ref, 1))
}

// removal checks that a photo may be taken for removed.
func (o *watch) removal(id int64, l sighting, m *memory) {
	n, og := o.night, m.origin
	if l.image != "" && l.image == m.image { // a later one did not arrive
		og.photo = m.confirmed
	}
	if !slices.Contains(n.sources(o.w.h.Sources), og.source) {
		o.fail(pRemoval, "initials went to user %d, and source%d, which had the photo, is not configured", id, og.source)
	}
	if n.RemovedAfter == 0 || m.absent+1 < n.RemovedAfter {
		o.fail(pRemoval, "initials went to user %d after %d runs without the photo", id, m.absent+1)
	}
	for _, x := range o.listings {
		s := x.source
		for i, p := range x.people {
			has := o.has(x, i)
			switch {
			case has && s == og.source && og.key != "" && p.Ref.Key == og.key:
				o.fail(pRemoval, "initials went to user %d, and the entry %s is listed with a photo", id, p.Ref.Name)
			case has && og.key == "" && o.holds(p, og.address):
				o.fail(pRemoval, "initials went to user %d, and %s is listed with a photo", id, og.address)
			case has && (o.holds(p, l.email) || slices.Contains(p.Own, l.email)):
				o.fail(pRemoval, "initials went to user %d, and its address %s is listed with a photo", id, l.email)
			case og.photo != 0 && x.photos[i] == og.photo && o.w.known[entryID(s, p.Ref)] == og.photo && !o.wentAway(s, p.Ref, og.photo) && o.decides(p):
				o.fail(pRemoval, "initials went to user %d, and the same picture is listed for %v", id, p.Own)
			}
			if o.excluded(p) && o.holds(p, l.email) {
				o.fail(pExcluded, "initials went to user %d", id)
			}
		}
	}
	if !o.sentTo[id] {
		o.drawn++
	}
}

// limits checks what the run was asked for.
func (o *watch) limits(id int64, q int, m *memory) {
	n := o.night
	if m.confirmed != 0 && m.confirmed != q && !m.doubt && q != initials {
		o.replaced[id] = true
	}
	if o.shared[q] == nil {
		o.shared[q] = map[int64]bool{}
	}
	o.shared[q][id] = true
	if !o.sentTo[id] && n.Limit > 0 && len(o.sentTo) >= n.Limit {
		o.fail(pScope, "more than %d users got a picture", n.Limit)
	}
	shared := guardShared + len(n.During) // the guards see what was read before
	if n.Shared && q != initials && len(o.shared[q]) > shared {
		o.fail(pGuard, "%d people got picture %d", len(o.shared[q]), q)
	}
	if !n.Guards || o.w.approving || n.Mode == Apply { // a plan that is applied is approved
		return
	}
	switch {
	case len(o.replaced) > guardReplaced:
		o.fail(pGuard, "%d pictures were replaced", len(o.replaced))
	case o.drawn > guardRemoved:
		o.fail(pGuard, "%d initials were sent", o.drawn)
	case q != initials && len(o.shared[q]) > shared:
		o.fail(pGuard, "%d people got picture %d", len(o.shared[q]), q)
	}
}

const guardReplaced, guardRemoved, guardShared = 3, 1, 2
