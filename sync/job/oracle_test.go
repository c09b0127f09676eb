package job

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/plan"
	"photosync/sync/report"
)

// The promises, as the issue and the contract word them. The oracle watches what goes
// over the wire and what the sources were asked; it does not know how the program
// decides.
const (
	pWhose      = "a picture goes only to a user whose address is the person's, by this run's listing and the last look"
	pFresh      = "that look is at most five minutes old, and shows an active user"
	pComplete   = "nothing is sent after an incomplete listing"
	pNeedless   = "no run sends what the user already shows of us, as far as an answer told us"
	pReason     = "by on_source_change and respect_user an unchanged photo is not sent again"
	pChosen     = "a picture that the user chose stays under respect_user and fill_empty"
	pIntent     = "before a picture goes on the wire the user's row durably says so"
	pConfirmed  = "nothing is recorded that was not confirmed"
	pLost       = "what was confirmed is recorded and reported"
	pRemoval    = "no initials while the entry, its address or its picture is listed, and not early"
	pExcluded   = "one excluded address excludes the upload"
	pScope      = "a run does not act beyond what it was asked for"
	pGuard      = "a run within its guards changes no more pictures than they allow"
	pRepeats    = "after a kill at most concurrency pictures are sent again"
	pRefID      = "every refId that Smartsheet gave for an upload is in the report"
	pCode       = "a failed or partial upload raises the exit code"
	pSecond     = "a second run right after a good one sends nothing"
	pQuiet      = "a quiet night makes no call beside /users/me and reads no photo"
	pCovered    = "after the refresh nobody with a photo and an active user is without it, where the policy allows it"
	pOneAtATime = "one request in flight for each user"
	pLocked     = "a second process does not get the state"
	pDisk       = "a run that cannot write its state fails, and loses nothing that was recorded before"
	pBackup     = "a backup that cannot be written is said, and after three runs somebody is needed"
	pAdopted    = "state adopt records what the sources and Smartsheet show, of users without an upload on record"
	pThere      = "nobody is called not_in_smartsheet whose user was there all the time"
	pAlarm      = "a picture that many people have raises the exit code once"
	pWait       = "a wrong clock in an answer does not stop a run for hours"
)

// look is what a run saw of a user.
type look struct {
	email, image string
	active       bool
	at           time.Time
	alternates   []string  // confirmed ones
	alone        time.Time // when they were seen
}

// reading is what a run read for an entry.
type reading struct {
	photo  int
	emails []string
}

// listed is what a source listed in a run.
type listed struct {
	people   []sources.Person
	photos   []int // of the people
	complete bool
}

// memory is what the oracle knows of a user from all runs so far.
type memory struct {
	confirmed  int    // the picture that an answer confirmed last; 0: none
	image      string // its id
	doubt      bool   // an upload was begun and nothing said how it ended
	doubted    bool   // doubt, before the upload at hand
	partial    bool   // the last answer was PARTIAL_SUCCESS
	adopted    bool   // confirmed and image are by state adopt
	before     string // the picture that the last look before an upload showed
	foreign    string // the picture before the upload in doubt, if it was not ours
	unanswered bool   // the process died before it had an answer to the last upload
	images     map[string]int
	hashes     map[string]bool // of bytes that arrived
	refused    map[int]bool    // pictures that an answer refused
	origin     origin          // of the last photo that was sent
	former     origin          // of the one before
	absent     int             // runs in a row that did not list it
}

type origin struct {
	source  int
	key     string
	address string
	photo   int
}

// watch is the oracle's account of one run.
type watch struct {
	w        *world
	night    *night
	listings []listed
	looks    map[int64]look
	reads    map[string][]reading // by source and entry
	answered map[int64]string     // the last answer to an upload: SUCCESS, PARTIAL_SUCCESS, refused, unknown
	images   map[int64]string     // that SUCCESS named
	sentTo   map[int64]bool
	to       map[int64]string // their addresses then
	replaced map[int64]bool
	drawn    int
	shared   map[int]map[int64]bool
	repeats  map[int64]bool // users who got what they showed of us already
	refIDs   []string
	requests map[string]int
	readings int
	broken   int           // writes of the state that failed
	refused  map[int64]int // pictures that were refused in this run, and not before
	began    time.Time
}

func (o *watch) fail(promise, format string, args ...any) {
	o.w.fail(promise, fmt.Sprintf(format, args...))
}

func entryID(source int, r sources.Ref) string {
	if r.Key != "" {
		return fmt.Sprint(source, "key", r.Key)
	}
	return fmt.Sprint(source, r.Name)
}

// person is the entries that are one person: those who own an address or, if nobody
// does, those who have it as an alias. There are none if it is contested.
func (o *watch) person(address string) (found []sources.Person, from []int, alias bool) {
	for _, alias = range []bool{false, true} {
		for s, l := range o.listings {
			var here []sources.Person
			for _, p := range l.people {
				if slices.Contains(p.Own, address) || alias && slices.Contains(p.Aliases, address) {
					here = append(here, p)
				}
			}
			if alias && len(here) > 0 && len(found) > 0 { // the source that comes first decides
				continue
			}
			if len(here) > 1 {
				return nil, nil, alias
			}
			if len(here) == 1 {
				found, from = append(found, here[0]), append(from, s)
			}
		}
		if len(found) > 0 {
			if alias { // the photo is the person's, from wherever it comes
				if own := found[0].Own[0]; !slices.Contains(found[0].Own, address) {
					found, from, _ = o.person(own)
					return found, from, true
				}
			}
			return found, from, alias
		}
	}
	return nil, nil, false
}

// personOf is the entries that are the person whose user this is: by the user's own
// address or, if it is nobody's, by alternate ones. There are none if two people are.
func (o *watch) personOf(id int64, l look) (found []sources.Person, from []int, alias bool) {
	found, from, alias = o.person(l.email)
	if len(found) > 0 || !o.w.h.Alternates {
		return found, from, alias
	}
	found, from, whose := o.byAlternates(l.email, l.alternates)
	if len(whose) != 1 {
		return nil, nil, false
	}
	for other, x := range o.looks {
		if theirs, _, _ := o.person(x.email); other != id && x.active && len(theirs) > 0 && theirs[0].Own[0] == found[0].Own[0] {
			o.fail(pWhose, "user %d was found by an alternate address of %s, and user %d has %s", id, whose[0], other, x.email)
		}
	}
	return found, from, false
}

// byAlternates is the entries of the person with alternate addresses, of a user whose
// own address is nobody's; whose are the own addresses of all people who have some.
func (o *watch) byAlternates(own string, alternates []string) (found []sources.Person, from []int, whose []string) {
	for _, l := range o.listings {
		for _, p := range l.people {
			if slices.Contains(p.Own, own) || slices.Contains(p.Aliases, own) {
				return nil, nil, nil
			}
		}
	}
	for _, e := range alternates {
		f, s, _ := o.person(e)
		if len(f) > 0 && !slices.Contains(whose, f[0].Own[0]) {
			found, from, whose = f, s, append(whose, f[0].Own[0])
		}
	}
	return found, from, whose
}

// sending is called when an upload goes on the wire.
func (o *watch) sending(id int64, data []byte) {
	q, m := photoOf(data), o.w.memory(id)
	l, seen := o.looks[id]
	n := o.night
	switch {
	case !seen || l.email == "":
		o.fail(pWhose, "picture %d went to user %d, whom no look of this run shows", q, id)
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
	if len(o.listings) < len(o.w.c.mems) {
		o.fail(pComplete, "picture %d went to user %d before everything was listed", q, id)
	}
	row, _, err := o.w.st.User(id)
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
		m.before = l.image
	}
	o.sentTo[id], o.to[id], m.unanswered = true, l.email, true
}

// whose checks that q is the photo of the person who has the user's address.
func (o *watch) whose(id int64, q int, l look, m *memory) {
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
	ok := false
	for i, p := range found {
		rs := o.reads[entryID(from[i], p.Ref)]
		if len(rs) > 0 && slices.ContainsFunc(rs, func(r reading) bool { return r.photo == q }) {
			last := rs[len(rs)-1]
			if last.emails == nil || slices.ContainsFunc(via, func(e string) bool { return slices.Contains(last.emails, e) }) {
				ok = true
				m.former = m.origin
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
	for _, p := range found {
		if o.excluded(p) {
			o.fail(pExcluded, "picture %d went to user %d, person %v", q, id, p.Own)
		}
		for other, x := range o.looks {
			if alias && other != id && x.active && slices.Contains(p.Own, x.email) {
				o.fail(pWhose, "picture %d went to user %d by the alias %s, and user %d has the own address", q, id, l.email, other)
			}
		}
	}
	same := m.confirmed == q && !m.doubt && !m.partial && !n.Force
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
func (o *watch) chosen(id int64, q int, l look, m *memory) {
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

// wentAway reports whether this run read another photo of an entry than it listed.
func (o *watch) wentAway(source int, r sources.Ref, photo int) bool {
	rs := o.reads[entryID(source, r)]
	return len(rs) > 0 && rs[len(rs)-1].photo != photo
}

// alsoFound reports whether this run saw another active user with an alias of the entry.
func (o *watch) alsoFound(p sources.Person, id int64) bool {
	for other, x := range o.looks {
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
	owner, _, alias := o.person(o.w.excluded)
	if !slices.Contains(slices.Concat(p.Own, p.Aliases), o.w.excluded) {
		return false
	}
	return len(owner) == 0 || !alias && owner[0].Own[0] == p.Own[0] || alias && slices.Contains(p.Aliases, o.w.excluded)
}

// decides reports whether an entry is the first with a photo of the person whose it is.
func (o *watch) decides(p sources.Person) bool {
	found, _, _ := o.person(p.Own[0])
	i := slices.IndexFunc(found, func(f sources.Person) bool { return f.HasPhoto != sources.Absent })
	return len(found) == 0 || i >= 0 && found[i].Ref == p.Ref
}

// holds reports whether an entry is one of the person whose address this is.
func (o *watch) holds(p sources.Person, address string) bool {
	found, _, _ := o.person(address)
	return slices.ContainsFunc(found, func(f sources.Person) bool { return f.Own[0] == p.Own[0] && f.Ref == p.Ref })
}

// removal checks that a photo may be taken for removed.
func (o *watch) removal(id int64, l look, m *memory) {
	n, og := o.night, m.origin
	if n.RemovedAfter == 0 || m.absent+1 < n.RemovedAfter {
		o.fail(pRemoval, "initials went to user %d after %d runs without the photo", id, m.absent+1)
	}
	for s, x := range o.listings {
		for i, p := range x.people {
			has := p.HasPhoto != sources.Absent
			switch {
			case has && s == og.source && og.key != "" && p.Ref.Key == og.key:
				o.fail(pRemoval, "initials went to user %d, and the entry %s is listed with a photo", id, p.Ref.Name)
			case has && og.key == "" && o.holds(p, og.address):
				o.fail(pRemoval, "initials went to user %d, and %s is listed with a photo", id, og.address)
			case has && o.holds(p, l.email):
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
	if n.Shared && q != initials && len(o.shared[q]) > guardShared {
		o.fail(pGuard, "%d people got picture %d", len(o.shared[q]), q)
	}
	if !n.Guards || o.w.approving {
		return
	}
	switch {
	case len(o.replaced) > guardReplaced:
		o.fail(pGuard, "%d pictures were replaced", len(o.replaced))
	case o.drawn > guardRemoved:
		o.fail(pGuard, "%d initials were sent", o.drawn)
	case q != initials && len(o.shared[q]) > guardShared:
		o.fail(pGuard, "%d people got picture %d", len(o.shared[q]), q)
	}
}

const partialOfNone = "PARTIAL_SUCCESS without an image"

const guardReplaced, guardRemoved, guardShared = 3, 1, 2

// arrived is called when Smartsheet took a picture.
func (o *watch) arrived(u *account, image string, data []byte) {
	m := o.w.memory(u.id)
	u.image, u.photo, u.ours = image, photoOf(data), true
	m.images[image] = u.photo
	m.hashes[hash(data)] = true
}

// answer is what a run was told about an upload; status 0: nothing.
func (o *watch) answer(id int64, q, status int, body []byte) {
	m := o.w.memory(id)
	var a struct {
		Message string
		RefID   string
		Data    []struct {
			Email        string
			ProfileImage struct{ ImageID string }
		}
	}
	m.unanswered = o.w.dead
	unreadable := json.Unmarshal(body, &a) != nil
	if a.RefID != "" {
		o.refIDs = append(o.refIDs, a.RefID)
	}
	switch {
	case status == 200 && len(a.Data) > 0 && a.Data[0].Email != o.looks[id].email: // the run stops
		o.answered[id], m.doubt = "another address", true
	case status == 200 && a.Message == "SUCCESS" && len(a.Data) > 0:
		o.answered[id], o.images[id] = a.Message, a.Data[0].ProfileImage.ImageID
		m.confirmed, m.image, m.doubt, m.partial, m.adopted = q, o.images[id], o.w.dead, false, false
		if q == initials && !o.w.dead {
			m.absent = 0
		}
	case status == 200 && a.Message == "PARTIAL_SUCCESS":
		o.answered[id] = a.Message
		if len(a.Data) == 0 || a.Data[0].ProfileImage.ImageID == "" {
			o.answered[id] = partialOfNone
		}
		m.partial, m.refused[q] = true, true
		m.doubt = o.w.dead || o.answered[id] == partialOfNone
	case status == 0 || status >= 500 || status == 200 || unreadable:
		o.answered[id] = "unknown"
		m.doubt = true
	case status == 429:
		m.doubt = m.doubted
	case o.answered[id] == "unknown": // of an earlier attempt, which may have arrived
		m.refused[q] = true
	default:
		m.doubt = m.doubted || o.w.dead
		if o.answered[id] = "refused"; !m.refused[q] {
			o.refused[id] = q
		}
		m.refused[q] = true
		if q != initials {
			m.origin = m.former
		}
	}
}

// ended is called when a run came to its end, in a process that lived.
func (o *watch) ended(r *report.Report, err error) {
	text, jsonErr := json.Marshal(r)
	if jsonErr != nil {
		o.fail(pLost, "the report: %v", jsonErr)
	}
	for _, id := range o.refIDs {
		if !strings.Contains(string(text), `"`+id+`"`) {
			o.fail(pRefID, "%s", id)
		}
	}
	if max := o.w.c.sim.Counts().MaxPerUser; max > 1 {
		o.fail(pOneAtATime, "%d at once", max)
	}
	items := map[int64]report.Item{}
	for _, it := range r.Items {
		if o.night.Force && it.Outcome == "failed" { // it is still owed
			o.doubt(it.UserID)
		}
		if it.Outcome == "uploaded" || it.Outcome == "partial_success" || it.Outcome == "failed" {
			items[it.UserID] = it
		}
		if it.Outcome == "uploaded" && o.answered[it.UserID] != "SUCCESS" && o.answered[it.UserID] != "unknown" {
			o.fail(pConfirmed, "%s is reported as uploaded to %d; the answer was %q", it.Email, it.UserID, o.answered[it.UserID])
		}
	}
	if Held(err) && len(o.sentTo) > 0 {
		o.fail(pGuard, "a held run sent %d pictures", len(o.sentTo))
	}
	if !slices.Contains(slices.Collect(maps.Values(o.answered)), "SUCCESS") {
		for id, q := range o.refused { // it is sent again
			delete(o.w.memory(id).refused, q)
		}
	}
	for _, it := range r.Items {
		u, e := o.w.c.userAt(it.Email), o.w.c.photoOf(it.Email)
		if it.Reason == outcome.NotInSmartsheet && u != nil && e && len(o.night.During) == 0 {
			o.fail(pThere, "%s, user %d: %+v", it.Email, u.id, it)
		}
	}
	bad := 0
	for id, a := range o.answered {
		it, ok := items[id]
		row, _, rowErr := o.w.st.User(id)
		switch {
		case rowErr != nil:
			o.fail(pLost, "user %d: %v", id, rowErr)
		case a == "SUCCESS" && (!ok || it.Outcome != "uploaded" || it.ImageID != o.images[id]):
			o.fail(pLost, "the answer for user %d is not reported: %+v", id, it)
		case o.broken > 0 && row.Intent != nil: // it could not be recorded
			bad++
		case a == "SUCCESS" && (row.Sent == nil || row.Sent.ImageID != o.images[id] || row.Intent != nil):
			o.fail(pLost, "the answer for user %d, image %s, is not recorded: %+v", id, o.images[id], row)
		case a == "PARTIAL_SUCCESS" || a == partialOfNone || a == "refused":
			bad++
		}
	}
	if o.broken > 0 {
		if err == nil {
			o.fail(pDisk, "%d writes failed, and the run says nothing", o.broken)
		}
		o.died()
	}
	if took := time.Since(o.began); took > time.Hour && len(o.night.Faults) > 0 && o.night.Skew != 0 && o.w.h.RPM > 1000 {
		o.fail(pWait, "it took %v", took)
	}
	if err == nil && bad > 0 && !r.NeedsSomebody() {
		o.fail(pCode, "%d uploads failed: %v", bad, o.answered)
	}
	o.looked()
	o.rows()
	o.count(err)
}

// died is called when the process died and the state is open again. What was announced
// may have arrived: it counts as ours then, but for the picture that was there before.
func (o *watch) died() {
	err := o.w.st.View(func(v *state.Snapshot) error {
		for row, err := range v.Users() {
			if err != nil {
				return err
			}
			if row.Intent != nil {
				o.doubt(row.ID)
				if o.answered[row.ID] == "SUCCESS" {
					o.w.memory(row.ID).unanswered = true
				}
			}
		}
		return nil
	})
	if err != nil {
		o.fail(pLost, "the state: %v", err)
	}
}

// doubt begins when an upload was announced: until a look afterwards nobody knows whose
// picture the user shows, unless it is the one from before.
func (o *watch) doubt(id int64) {
	m, shown := o.w.memory(id), o.looks[id].image
	if _, ours := m.images[shown]; !m.doubt {
		if m.foreign = ""; !ours {
			m.foreign = shown
		}
	}
	m.doubt = true
}

// looked ends the doubt about uploads that nobody answered: one look afterwards decides,
// in a process that lives. Whatever it shows then counts as ours.
func (o *watch) looked() {
	for id, a := range o.answered {
		m, l := o.w.memory(id), o.looks[id]
		if a != "unknown" && a != partialOfNone || !l.at.After(o.w.lost[id]) || l.email != o.to[id] || l.image != "" && l.image == m.before {
			continue
		}
		m.doubt = false
		if _, ours := m.images[l.image]; ours {
			m.confirmed, m.image = m.images[l.image], l.image
		} else if l.image != "" {
			m.images[l.image] = unsure
		}
	}
}

// rows checks what is recorded of the users.
func (o *watch) rows() {
	err := o.w.st.View(func(v *state.Snapshot) error {
		for row, err := range v.Users() {
			if err != nil {
				return err
			}
			m, s := o.w.memory(row.ID), row.Sent
			if s == nil || s.Adopted || m.partial { // which records the image that it names, whoever put it there
				continue
			}
			q, known := m.images[s.ImageID]
			switch {
			case q == unsure:
			case !known && s.ImageID != "":
				o.fail(pConfirmed, "the row of user %d names the image %s, which is not ours", row.ID, s.ImageID)
			case s.ImageID != "" && !m.hashes[s.UploadSHA256]:
				o.fail(pConfirmed, "the row of user %d names bytes that never arrived", row.ID)
			case s.ImageID != "" && q != initials && s.SourceSHA256 != hash(picture(q)):
				o.fail(pConfirmed, "the row of user %d names another photo than %d", row.ID, q)
			}
		}
		return nil
	})
	if err != nil {
		o.fail(pLost, "the state: %v", err)
	}
}

// count goes on counting the runs that did not list what was sent.
func (o *watch) count(err error) {
	n := o.night
	for _, m := range o.w.users {
		late := o.broken > 0 && n.Disk.How == "late" // its last words may have been written
		if m.confirmed == initials && !m.partial || n.Mode == Plan || err != nil && !Stopped(err) && !n.Verify && !late || len(o.listings) < len(o.w.c.mems) {
			continue
		}
		m.absent++
		for s, l := range o.listings {
			for _, p := range l.people {
				g := m.origin
				if p.HasPhoto != sources.Absent && (s == g.source && g.key != "" && p.Ref.Key == g.key || g.key == "" && slices.Contains(p.Own, g.address)) {
					m.absent = 0
				}
			}
		}
	}
	if err == nil {
		for id, rs := range o.reads {
			o.w.known[id] = rs[len(rs)-1].photo
		}
	}
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
