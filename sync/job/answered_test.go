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

	"photosync/state"
	"photosync/sync/outcome"
	"photosync/sync/report"
)

// Answers that a look-up of the user has to complete.
const (
	partialOfNone = "PARTIAL_SUCCESS without an image"
	unknown       = "unknown"
	refusedLate   = "refused, after an attempt without an answer"
)

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
		Message   string
		RefID     string
		ErrorCode int
		Data      []struct {
			Email        string
			ProfileImage struct{ ImageID string }
		}
	}
	m.unanswered = o.w.dead.Load()
	unreadable := json.Unmarshal(body, &a) != nil
	if a.RefID != "" {
		o.refIDs = append(o.refIDs, a.RefID)
	}
	switch {
	case status == 200 && len(a.Data) > 0 && a.Data[0].Email != o.to[id]: // the run stops
		o.answered[id], m.doubt = "another address", true
	case status == 200 && a.Message == "SUCCESS" && len(a.Data) > 0:
		o.answered[id], o.images[id] = a.Message, a.Data[0].ProfileImage.ImageID
		m.confirmed, m.image, m.doubt, m.partial, m.adopted = q, o.images[id], o.w.dead.Load(), false, false
		if q == initials && !o.w.dead.Load() {
			m.absent = 0
		}
	case status == 200 && a.Message == "PARTIAL_SUCCESS":
		o.answered[id] = a.Message
		if len(a.Data) == 0 || a.Data[0].ProfileImage.ImageID == "" {
			if o.answered[id] = partialOfNone; q != initials {
				m.origin = m.former
			}
		}
		m.partial, m.refused[q] = true, true
		m.doubt = o.w.dead.Load() || o.answered[id] == partialOfNone
	case status == 0 || status >= 500 || status == 200 || unreadable:
		o.answered[id] = unknown
		m.doubt = true
	case status == 429:
		m.doubt = m.doubted
	case o.answered[id] == unknown || o.answered[id] == refusedLate: // an earlier attempt may have arrived
		if m.refused[q] = true; a.ErrorCode != 0 {
			o.answered[id] = refusedLate
		}
	case status == 404 && !o.w.c.alone(id, o.to[id]): // it lost the address since it was looked up: the next run decides
		o.answered[id], m.doubt = "no such user", m.doubted || o.w.dead.Load()
	default:
		m.doubt = m.doubted || o.w.dead.Load() || m.confirmed == q // it was forced, or had drifted, and is still owed
		if o.answered[id] = "refused"; !m.refused[q] {
			o.refused[id] = q
		}
		m.refused[q], m.codes[q] = true, [2]int{m.codes[q][1], a.ErrorCode}
		if q != initials {
			m.origin, m.former = m.former, m.origin
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
		if it.Reason == outcome.SamePicture { // recorded for this entry
			o.same(it)
		}
		if it.Outcome == "uploaded" || it.Outcome == "partial_success" || it.Outcome == "failed" {
			items[it.UserID] = it
		}
		if it.Outcome == "uploaded" && !slices.Contains([]string{"SUCCESS", unknown, refusedLate}, o.answered[it.UserID]) {
			o.fail(pConfirmed, "%s is reported as uploaded to %d; the answer was %q", it.Email, it.UserID, o.answered[it.UserID])
		}
	}
	if Held(err) && len(o.sentTo) > 0 {
		o.fail(pGuard, "a held run sent %d pictures", len(o.sentTo))
	}
	if !slices.Contains(slices.Collect(maps.Values(o.answered)), "SUCCESS") {
		for id, q := range o.refused {
			m := o.w.memory(id)
			if c := m.codes[q]; c[0] != c[1] || c[1] == 0 || len(o.refused) >= 5 { // it is sent again
				delete(m.refused, q)
			}
		}
	}
	for _, it := range r.Items {
		u, e := o.w.c.userAt(it.Email), o.w.c.photoOf(it.Email)
		if it.Reason == outcome.NotInSmartsheet && u != nil && e && len(o.night.During) == 0 && (!o.night.Corp || o.night.Rewrite) {
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
		case a == "refused" && !o.w.c.alone(id, o.to[id]): // who left since, or lost the address
		case a == "PARTIAL_SUCCESS" || a == partialOfNone || a == "refused":
			bad++
		}
	}
	if o.broken > 0 && err == nil {
		o.fail(pDisk, "%d writes failed, and the run says nothing", o.broken)
	}
	if took := time.Since(o.began); took > time.Hour && len(o.night.Faults) > 0 && o.night.Skew != 0 && o.w.h.RPM > 1000 {
		o.fail(pWait, "it took %v", took)
	}
	if err == nil && bad > 0 && !r.NeedsSomebody() {
		o.fail(pCode, "%d uploads failed: %v", bad, o.answered)
	}
	for id, a := range o.answered {
		o.resolve(id, a)
	}
	if o.broken > 0 {
		o.died()
	}
	o.rows()
	if r.PlanID != "" { // a run that got no plan counts nobody, and ends no count
		o.count(err)
	}
}

// same notes that a user has the picture of an entry already.
func (o *watch) same(it report.Item) {
	found, from, _ := o.person(it.Email)
	for i, p := range found {
		if p.Ref.Name == it.Ref && fmt.Sprint("source", from[i]) == it.Source {
			m := o.w.memory(it.UserID)
			m.origin = origin{from[i], p.Ref.Key, p.Own[0], m.confirmed}
		}
	}
}

// died is called when the process died and the state is open again. What was announced
// may have arrived: it counts as ours then, but for the picture that was there before.
// What is not announced any more was resolved before.
func (o *watch) died() {
	err := o.w.st.View(func(v *state.Snapshot) error {
		for id, a := range o.answered {
			row, _, err := v.User(id)
			if err != nil {
				return err
			}
			if row.Intent == nil {
				o.resolve(id, a)
			}
		}
		for row, err := range v.Users() {
			if err != nil {
				return err
			}
			if row.Intent != nil {
				o.doubt(row.ID)
				switch m := o.w.memory(row.ID); {
				case o.answered[row.ID] == "SUCCESS":
					m.unanswered = true
				case o.answered[row.ID] == "refused" && !row.Intent.Placeholder:
					m.origin = m.former // the refusal is not recorded
				}
			}
		}
		return nil
	})
	if err != nil {
		o.fail(pLost, "the state: %v", err)
	}
}

// doubt begins when an upload was announced: until a look-up afterwards nobody knows whose
// picture the user shows, unless it is the one from before.
func (o *watch) doubt(id int64) {
	m, shown := o.w.memory(id), o.sightings[id].image
	if _, ours := m.images[shown]; !m.doubt {
		if m.foreign = ""; !ours {
			m.foreign = shown
		}
	}
	m.doubt = true
}

// resolve ends the doubt about an upload without a clear answer, if the run looked up the
// user afterwards. A new picture counts as ours then. If there is none, a partial success
// and a refusal are believed. If nothing answered, the doubt stays.
func (o *watch) resolve(id int64, answer string) {
	m, l := o.w.memory(id), o.sightings[id]
	switch _, ours := m.images[l.image]; {
	case answer != unknown && answer != partialOfNone && answer != refusedLate, !l.at.After(o.w.lost[id]), l.email != o.to[id]:
	case l.image == "" || l.image == m.before:
		m.doubt = m.doubt && (answer == unknown || answer == refusedLate && (o.night.Force || l.image != "" && m.doubtful)) // with --force it is still owed
	case ours:
		m.doubt, m.confirmed, m.image = false, m.images[l.image], l.image
	default:
		m.doubt, m.images[l.image] = false, unsure
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
		late := o.broken > 0 && (n.Disk.How == "late" || n.Disk.How == "in part") // its last words may have been written
		if m.confirmed == initials && !m.partial || n.Mode == Plan || err != nil && !Stopped(err) && !n.Verify && !late || len(o.listings) < len(n.sources(o.w.h.Sources)) {
			continue
		}
		m.absent++
		for _, l := range o.listings {
			for i, p := range l.people {
				g := m.origin
				about := n.Only == "" || slices.Contains(p.Own, n.Only) || slices.Contains(p.Aliases, n.Only)
				if about && o.has(l, i) && (l.source == g.source && g.key != "" && p.Ref.Key == g.key || g.key == "" && slices.Contains(p.Own, g.address)) {
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
