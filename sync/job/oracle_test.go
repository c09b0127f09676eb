package job

import (
	"fmt"
	"slices"
	"time"

	"photosync/sources"
)

// The promises, as the issue and the contract word them. The oracle watches what goes
// over the wire and what the sources were asked; it does not know how the program
// decides.
const (
	pWhose      = "a picture goes only to a user whose address is the person's, by this run's listing and the last look-up"
	pFresh      = "that look-up is at most five minutes old, and shows an active user"
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

// sighting is what a run saw of a user.
type sighting struct {
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
	source   int
	people   []sources.Person
	photos   []int // of the people
	reserved []string
	complete bool
}

// memory is what the oracle knows of a user from all runs so far.
type memory struct {
	confirmed  int    // the picture that an answer confirmed last; 0: none
	image      string // its id
	doubt      bool   // an upload was begun and nothing said how it ended
	doubted    bool   // doubt, before the request at hand
	doubtful   bool   // doubt, before the first request of the last run that sent one
	partial    bool   // the last answer was PARTIAL_SUCCESS
	adopted    bool   // confirmed and image are by state adopt
	before     string // the picture that the last look-up before an upload showed
	foreign    string // the picture before the upload in doubt, if it was not ours
	unanswered bool   // the process died before it had an answer to the last upload
	images     map[string]int
	hashes     map[string]bool // of bytes that arrived
	refused    map[int]bool    // pictures that an answer refused
	codes      map[int][2]int  // and the last two errorCodes of each
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
	w         *world
	night     *night
	listings  []listed
	sightings map[int64]sighting
	renamed   map[int64]sighting   // the last sighting of a user who has another address by now
	reads     map[string][]reading // by source and entry
	answered  map[int64]string     // the last answer to an upload: SUCCESS, PARTIAL_SUCCESS, refused, unknown
	images    map[int64]string     // that SUCCESS named
	sentTo    map[int64]bool
	to        map[int64]string // their addresses then
	replaced  map[int64]bool
	drawn     int
	shared    map[int]map[int64]bool
	repeats   map[int64]bool // users who got what they showed of us already
	refIDs    []string
	requests  map[string]int
	readings  int
	broken    int           // writes of the state that failed
	refused   map[int64]int // pictures that were refused in this run, and not before
	began     time.Time
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

// contest takes addresses from entries that lose them to others of the same source: to those with a
// photo, or to the only one that has no other address.
func (l *listed) contest() {
	before := slices.Clone(l.people)
	only := func(all []int, is func(p sources.Person) bool) []int {
		return slices.DeleteFunc(slices.Clone(all), func(i int) bool { return !is(before[i]) })
	}
	for i, p := range before {
		l.people[i].Own = slices.DeleteFunc(slices.Clone(p.Own), func(a string) bool {
			var owners []int
			for k, q := range before {
				if slices.Contains(q.Own, a) {
					owners = append(owners, k)
				}
			}
			if may := only(owners, func(p sources.Person) bool { return p.HasPhoto != sources.Absent }); len(may) > 0 {
				owners = may
			}
			free := func(p sources.Person) bool {
				return len(slices.DeleteFunc(slices.Clone(p.Own), func(a string) bool { return slices.Contains(l.reserved, a) })) == 1
			}
			if one := only(owners, free); len(one) == 1 {
				owners = one
			}
			return !slices.Contains(owners, i)
		})
	}
}

// of is what a source listed.
func (o *watch) of(source int) listed {
	return o.listings[slices.IndexFunc(o.listings, func(l listed) bool { return l.source == source })]
}

// reserved reports whether one of the own addresses is that of an entry that is left out.
func (o *watch) reserved(people []sources.Person) bool {
	return slices.ContainsFunc(o.listings, func(l listed) bool {
		return slices.ContainsFunc(people, func(p sources.Person) bool {
			return slices.ContainsFunc(p.Own, func(a string) bool { return slices.Contains(l.reserved, a) })
		})
	})
}

// person is the entries that are one person: those who own an address or, if nobody
// does, those who have it as an alias. There are none if two entries conflict about it.
func (o *watch) person(address string) (found []sources.Person, from []int, alias bool) {
	if o.reserved([]sources.Person{{Own: []string{address}}}) {
		return nil, nil, false
	}
	for _, alias = range []bool{false, true} {
		for _, l := range o.listings {
			var here []sources.Person
			for _, p := range l.people {
				if len(p.Own) > 0 && (slices.Contains(p.Own, address) || alias && slices.Contains(p.Aliases, address)) {
					here = append(here, p)
				}
			}
			switch n := len(here); {
			case n > 0 && len(found) > 0 && (alias || n > 1): // the source that comes first decides
			case n > 1:
				return nil, nil, alias
			case n == 1:
				found = append(found, here[0])
			}
		}
		if len(found) > 0 {
			if alias && !slices.Contains(found[0].Own, address) { // the photo is the person's, from wherever it comes
				found, from, _ = o.person(found[0].Own[0])
				return found, from, true
			}
			found, from = o.united(found)
			if len(found) == 0 || !slices.Contains(found[0].Own, address) {
				return nil, nil, alias
			}
			return found, from, alias
		}
	}
	return nil, nil, false
}

// united adds the entries of other sources that share an own address with those found. All of them
// show the own addresses of all: they are one person. There are none if a source has two of them,
// unless an earlier one decides.
func (o *watch) united(found []sources.Person) (all []sources.Person, whence []int) {
	var own []string
	for _, p := range found {
		own = append(own, p.Own...)
	}
	for _, l := range o.listings {
		var here []sources.Person
		for _, p := range l.people {
			if slices.ContainsFunc(p.Own, func(a string) bool { return slices.Contains(own, a) }) {
				here = append(here, p)
			}
		}
		switch {
		case len(here) > 1 && len(all) == 0:
			return nil, nil
		case len(here) == 1:
			all, whence = append(all, here[0]), append(whence, l.source)
		}
	}
	own = nil
	for _, p := range all {
		own = append(own, p.Own...)
	}
	own, _ = sources.Addresses(own, nil)
	for i := range all {
		all[i].Own = own
	}
	return all, whence
}

// personOf is the entries that are the person whose user this is: by the user's own
// address or, if it is nobody's, by alternate ones. There are none if two people are.
func (o *watch) personOf(id int64, l sighting) (found []sources.Person, from []int, alias bool) {
	found, from, alias = o.person(l.email)
	if len(found) > 0 || !o.w.alternates() {
		return found, from, alias
	}
	found, from, whose := o.byAlternates(l.email, l.alternates)
	if len(whose) != 1 {
		return nil, nil, false
	}
	for other, x := range o.sightings {
		if theirs, _, _ := o.person(x.email); other != id && x.active && x.at.Before(l.alone) && len(theirs) > 0 && theirs[0].Own[0] == found[0].Own[0] {
			o.fail(pWhose, "user %d was found by an alternate address of %s, and user %d has %s", id, whose[0], other, x.email)
		}
	}
	return found, from, false
}

// anothers reports whether the user got its last photo for another entry, under an address that none
// of the person's entries owns. Then an alias must not lead to the user. Without a key, an entry of
// the same source may be the one that was renamed.
func (m *memory) anothers(found []sources.Person, from []int) bool {
	for i, p := range found {
		same := from[i] == m.origin.source && (p.Ref.Key == "" || m.origin.key == "" || p.Ref.Key == m.origin.key)
		if same || slices.Contains(p.Own, m.origin.address) {
			return false
		}
	}
	return m.origin.address != ""
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
