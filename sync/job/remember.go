package job

import (
	"context"
	"iter"
	"slices"
	"strings"

	"photosync/sources"
	"photosync/state"
	"photosync/sync/plan"
)

// quiet counts the people for whom there is nothing to do. On most nights that is
// nearly everyone: they are dropped as soon as they are counted, and the rest of
// the run takes memory and time for those who are left.
type quiet struct {
	people    int
	withPhoto []int    // by source
	records   []uint64 // a bit for each record of the state, in its order
}

func (q *quiet) add(source, record int) {
	q.people++
	q.withPhoto[source]++
	for record/64 >= len(q.records) {
		q.records = append(q.records, 0)
	}
	q.records[record/64] |= 1 << (record % 64)
}

func (q *quiet) has(record int) bool {
	return record/64 < len(q.records) && q.records[record/64]&(1<<(record%64)) != 0
}

// remember looks everyone up in the state. Both come in the order of the emails, so
// that one pass over each is enough.
func (r *run) remember(context.Context) error {
	people := r.people
	r.people = nil
	if r.o.AlternateEmails {
		r.claims.claim(people)
	}
	r.generation = r.o.State.Generation()
	r.quiet.withPhoto = make([]int, len(r.o.Sources))
	if _, err := r.o.State.Meta(listedKey, &r.past.Listed); err != nil {
		return err
	}
	return r.o.State.View(func(v *state.Snapshot) error {
		m := merge{r: r, o: r.planOptions()}
		next, stop := iter.Pull2(v.Entries())
		defer stop()
		m.next = next
		m.step()
		for j := range people.All() {
			if m.person(j); m.err != nil {
				return m.err
			}
		}
		for m.more && m.err == nil {
			m.unlisted()
		}
		return m.err
	})
}

// merge is the pass over people and state.
type merge struct {
	r    *run
	o    *plan.Options
	next func() (*state.Entry, error, bool)

	entry *state.Entry // the one at hand
	at    int          // its place in the state
	more  bool         // there is one
	err   error        // of the state: nothing counts any more
}

func (m *merge) step() {
	m.entry, m.err, m.more = m.next()
	m.more = m.more && m.err == nil
	if m.more && m.entry.Uploaded {
		m.r.past.People++
	}
}

func (m *merge) pass() {
	m.step()
	m.at++
}

// unlisted is the entry at hand, of someone in no source.
func (m *merge) unlisted() {
	if m.r.asked([]string{m.entry.Email}) && m.entry.Uploaded && m.r.o.Shard.Has(m.entry.Email) {
		var rec state.Record
		if rec, m.err = m.entry.Record(); m.err != nil {
			return
		}
		if plan.Misses(&rec, m.o) {
			m.r.subjects = append(m.r.subjects, &plan.Subject{Emails: []string{rec.Email}, Remembered: &rec})
		}
	}
	m.pass()
}

// person is a person in the sources, who comes before or at the entry at hand once
// those in between are passed.
func (m *merge) person(j sources.Joined) {
	for m.more && m.entry.Email < j.Emails[0] {
		m.unlisted()
	}
	known := m.more && m.entry.Email == j.Emails[0]
	switch asked := m.r.asked(j.Emails); {
	case m.err != nil, !asked:
	case m.r.o.Shard.Has(j.Emails[0]):
		m.subject(j, known)
	default:
		m.r.elsewhere++
	}
	if m.err == nil && known {
		m.pass()
	}
}

func (m *merge) subject(j sources.Joined, known bool) {
	if known {
		if source, quiet := plan.Quiet(j, m.entry, m.o); quiet {
			m.r.quiet.add(source, m.at)
			return
		}
	}
	s := plan.About(j)
	if known {
		var rec state.Record
		if rec, m.err = m.entry.Record(); m.err != nil {
			return
		}
		s.Remembered = &rec
	}
	m.r.subjects = append(m.r.subjects, s)
}

// asked tells whether the run was asked for the person with these addresses, in
// whichever shard.
func (r *run) asked(emails []string) bool {
	return r.o.Only == nil || slices.ContainsFunc(emails, r.o.Only)
}

// countQuiet adds to counts, by hash, the people with that picture among those who
// were dropped.
func (r *run) countQuiet(counts map[string]int) error {
	if len(counts) == 0 || r.quiet.people == 0 {
		return nil
	}
	return r.o.State.View(func(v *state.Snapshot) error {
		at := 0
		for e, err := range v.Entries() {
			if err != nil {
				return err
			}
			if _, ok := counts[e.Sum]; ok && r.quiet.has(at) {
				counts[strings.Clone(e.Sum)]++
			}
			at++
		}
		return nil
	})
}
