package checkup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"photosync/cmd/internal/config"
	"photosync/cmd/internal/console"
	"photosync/sources"
	"photosync/sync/outcome"
	"photosync/sync/photo"
	"photosync/sync/plan"
	"photosync/sync/report"
)

// sampleSize is the most people of a source whose photos are read, and whose users are looked up.
const sampleSize = 100

// errSeen ends a listing that is no longer needed.
var errSeen = errors.New("seen")

// servers tries each address of a source that has several: a run notices a dead one when it needs it.
func (k *checkup) servers(ctx context.Context, s config.Source) {
	if len(s.URLs) < 2 {
		return
	}
	one := *k.Config
	for _, url := range s.URLs {
		s.URLs = []string{url}
		one.Sources = []config.Source{s}
		j, closeAll, err := k.Open(&one)
		if err == nil {
			_, err = j.Sources[0].List(ctx, func(sources.Person) error { return errSeen }) // connects, binds, and reads an entry
			closeAll()
		}
		if err != nil && !errors.Is(err, errSeen) {
			k.add(console.Warning, "source "+s.Name, err.Error(), "a run would use the next of its urls: repair or remove this one")
		}
	}
}

// sample is a few of a source's people.
type sample struct {
	plan.SourceFacts
	source  int // index
	persons map[sources.Ref]*plan.Work

	fine, refused []string // people whose photos can be sent, and cannot, with details
	unreadable    error    // of the last photo that could not be read
}

// source lists a source completely, as a run does, and reads a few photos.
func (k *checkup) source(ctx context.Context, i int) {
	s := k.job.Sources[i]
	what, began := "source "+s.Name, time.Now()
	people, listings, err := sources.Join(ctx, []sources.Named{s})
	if !k.works(what, err, "a run needs the whole list: check that the source can be reached and read") {
		return
	}
	l := listings[0]
	sm := &sample{SourceFacts: plan.SourceFacts{Named: s, Listing: l}, source: i, persons: map[sources.Ref]*plan.Work{}}
	ambiguous := k.choose(sm, people)
	if len(ambiguous) > 0 {
		k.add(console.Warning, what, fmt.Sprintf("%s with more than one entry, such as %s", report.Count(len(ambiguous), "address", "addresses"), ambiguous[0]),
			outcome.Ambiguous.Words().Meaning+" Until then a run leaves them alone.")
	}
	for _, w := range l.Warnings {
		if !slices.ContainsFunc(k.checks, func(c console.Check) bool { return c.What == what && strings.HasPrefix(w, c.Detail) }) { // see servers
			k.add(console.Warning, what, w, "")
		}
	}
	detail := report.Count(sm.People, "person", "people")
	if l.Pages > 0 {
		detail += " in " + report.Count(l.Pages, "page", "pages")
	}
	detail += ", listed in " + report.Duration(time.Since(began))
	refs := slices.SortedFunc(maps.Keys(sm.persons), sources.Ref.Compare)
	if err := s.Photos(ctx, refs, func(p sources.Photo) error { k.photo(ctx, sm, p); return nil }); err != nil {
		sm.unreadable = err
	}
	k.judge(what, sm, detail)
}

// choose counts everybody whom a source lists, and takes a sample of those who may have a
// photo. It returns the first addresses of ambiguous people.
func (k *checkup) choose(sm *sample, people *sources.People) (ambiguous []string) {
	var have []sources.Joined
	for j := range people.All() {
		for i := range j.Candidates {
			j.Candidates[i].Source = sm.source
			sm.Add(j.Candidates[i].HasPhoto, false, true)
		}
		if j.Ambiguous {
			ambiguous = append(ambiguous, j.Own[0])
		}
		switch listed := plan.Presence(&j); {
		case listed == sources.Absent || listed == sources.Hidden:
		case j.Reserved || k.job.Policy.Excludes(&j):
			k.excluded++
		default:
			have = append(have, j)
		}
	}
	if len(have) > sampleSize {
		k.sampled = true
		dice := rand.New(rand.NewPCG(1, 1)) // the same sample each time
		dice.Shuffle(len(have), func(a, b int) { have[a], have[b] = have[b], have[a] })
		have = have[:sampleSize]
	}
	for _, j := range have {
		w := k.sample[j.Own[0]]
		if w == nil {
			w = &plan.Work{Joined: j}
			k.sample[j.Own[0]] = w
		} else { // another source lists the person, too
			w.Candidates = append(w.Candidates, j.Candidates...)
		}
		for _, c := range j.Candidates {
			sm.persons[c.Ref] = w
		}
	}
	return ambiguous
}

// photo records what reading a photo showed. Of a person's photos the first one counts.
func (k *checkup) photo(ctx context.Context, sm *sample, p sources.Photo) {
	defer p.Done()
	w, ph := sm.persons[p.Ref], &plan.Photo{Err: p.Err}
	ph.Candidate = slices.IndexFunc(w.Candidates, func(c sources.Candidate) bool { return c.Source == sm.source && c.Ref == p.Ref })
	none := errors.Is(p.Err, sources.ErrNoPhoto) || errors.Is(p.Err, sources.ErrGone)
	if w.Candidates[ph.Candidate].HasPhoto == sources.Unknown { // now it is known
		sm.Unknown--
		if !none {
			sm.WithPhoto++
		}
	}
	if none {
		return
	}
	switch {
	case errors.Is(p.Err, sources.ErrUnstable):
		sm.fine = append(sm.fine, w.Key()+" (too young to be read, or being written)")
	case p.Err != nil:
		sm.unreadable = p.Err
	default:
		ph.SHA256 = plan.Sum(p.Data)
		if _, err := photo.Prepare(ctx, p.Data, k.job.Photos); err != nil {
			k.refused[w.Key()] = true
			sm.refused = append(sm.refused, fmt.Sprintf("%s: %v", w.Key(), err))
		} else {
			sm.fine = append(sm.fine, fmt.Sprintf("%s (%s)", w.Key(), report.Size(len(p.Data))))
		}
	}
	if w.Photo == nil || slices.Contains(k.job.Policy.Ignored, w.SHA256()) {
		w.Photo = ph
	}
}

// judge adds the line of a source, and its findings.
func (k *checkup) judge(what string, sm *sample, detail string) {
	slices.Sort(sm.fine)
	findings := sm.Findings()
	for _, f := range findings {
		k.find(what, f, "")
	}
	photos := len(sm.fine) + len(sm.refused)
	if len(sm.persons) > 0 {
		detail += fmt.Sprintf("; of %d checked, %d have a photo", len(sm.persons), photos)
	}
	switch {
	case sm.unreadable != nil:
		k.works(what, fmt.Errorf("%s; %w", detail, sm.unreadable), "check the right to read photos")
	case photos == 0 && len(findings) == 0 && len(sm.persons) > 0:
		k.add(console.Warning, what, detail, "check photo_attributes and the right to read them")
	case photos == 0:
		k.add(console.Note, what, detail, "")
	case len(sm.refused) > 0:
		k.add(console.Warning, what, fmt.Sprintf("%s, but %d cannot be sent, such as that of %s", detail, len(sm.refused), sm.refused[0]),
			"replace these photos at their source: a run reports each once, and sends the others")
	default:
		k.add(console.OK, what, detail+", such as "+strings.Join(sm.fine[:min(3, photos)], ", "), "")
	}
}
