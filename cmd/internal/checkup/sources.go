package checkup

import (
	"context"
	"errors"
	"fmt"
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

// sampled is how many photos of a source are read at most, and how many people are
// looked up in Smartsheet.
const sampled = 100

// errSeen ends a listing that has shown enough.
var errSeen = errors.New("seen")

// servers tries each address of a source that has several: a run would only find
// that one is down when it needs it. It returns what is wrong with them.
func (k *checkup) servers(ctx context.Context, s config.Source) (faults []string) {
	urls, one := s.URLs, *k.Config
	for i := 0; len(urls) > 1 && i < len(urls); i++ {
		s.URLs = urls[i : i+1]
		one.Sources = []config.Source{s}
		j, closeAll, err := k.Open(&one)
		if err == nil {
			_, err = j.Sources[0].List(ctx, func(sources.Person) error { return errSeen }) // connects, binds, and reads an entry
			closeAll()
		}
		if err != nil && !errors.Is(err, errSeen) {
			k.add(console.Warning, "source "+s.Name, err.Error(), "a run would go on with the next of its urls: repair or remove this one")
			faults = append(faults, err.Error())
		}
	}
	return faults
}

// sample is a few of a source's people.
type sample struct {
	*plan.Facts
	refs    []sources.Ref
	persons map[sources.Ref]sources.Person

	fine, refused []string // photos that can be sent, and that cannot, and whose they are
	unreadable    error    // the last one
}

// source lists s to its end, as a run does, and reads a few photos. Warnings that begin
// with what is known already are left out.
func (k *checkup) source(ctx context.Context, s sources.Named, known []string) {
	what, began := "source "+s.Name, time.Now()
	people, listings, err := sources.Join(ctx, []sources.Named{s})
	if !k.works(what, err, "a run needs the whole list: check that the source can be reached and read") {
		return
	}
	l := listings[0]
	sm := &sample{Facts: plan.NewFacts([]sources.Named{s}, listings), persons: map[sources.Ref]sources.Person{}}
	ambiguous := k.choose(sm, people)
	if len(ambiguous) > 0 {
		k.add(console.Warning, what, fmt.Sprintf("%s with more than one entry, such as %s", report.Count(len(ambiguous), "address", "addresses"), ambiguous[0]),
			outcome.Ambiguous.Words().Meaning+" Until then a run leaves them alone.")
	}
	for _, w := range l.Warnings {
		if !slices.ContainsFunc(known, func(t string) bool { return strings.HasPrefix(w, t) }) {
			k.add(console.Warning, what, w, "")
		}
	}
	detail := report.Count(sm.Sources[0].People+len(ambiguous), "person", "people")
	if l.Pages > 0 {
		detail += " in " + report.Count(l.Pages, "page", "pages")
	}
	detail += fmt.Sprintf(", listed in %s", time.Since(began).Round(100*time.Microsecond))
	if err := s.Photos(ctx, sm.refs, func(p sources.Photo) error { k.photo(ctx, sm, p); return nil }); err != nil {
		sm.unreadable = err
	}
	k.judge(what, sm, detail)
}

// choose counts everybody whom a source lists, and takes the first few with a photo for
// the sample. It returns the addresses that several entries have.
func (k *checkup) choose(sm *sample, people *sources.People) (ambiguous []string) {
	for j := range people.All() {
		if j.Ambiguous {
			ambiguous = append(ambiguous, j.Own[0])
			continue
		}
		for _, c := range j.Candidates {
			sm.Sources[0].Add(c.HasPhoto, false, true)
			switch {
			case c.HasPhoto != sources.Present && c.HasPhoto != sources.Unknown:
			case j.Reserved || k.job.Policy.Excludes(&j):
				k.excluded++
			default:
				k.mayHave++
				if len(sm.refs) < sampled {
					sm.refs = append(sm.refs, c.Ref)
					sm.persons[c.Ref] = c.Person
				}
			}
		}
	}
	return ambiguous
}

func (k *checkup) photo(ctx context.Context, sm *sample, p sources.Photo) {
	defer p.Done()
	person := sm.persons[p.Ref]
	none := errors.Is(p.Err, sources.ErrNoPhoto) || errors.Is(p.Err, sources.ErrGone)
	if person.HasPhoto == sources.Unknown { // now it is known
		sm.Sources[0].Unknown--
		if !none {
			sm.Sources[0].WithPhoto++
		}
	}
	switch {
	case none:
	case p.Err != nil:
		sm.unreadable = p.Err
	default:
		k.withPhoto = append(k.withPhoto, person)
		if _, err := photo.Prepare(ctx, p.Data, k.job.Photos); err != nil {
			sm.refused = append(sm.refused, fmt.Sprintf("%s: %v", person.Own[0], err))
		} else {
			sm.fine = append(sm.fine, fmt.Sprintf("%s (%s)", person.Own[0], report.Size(len(p.Data))))
		}
	}
}

// judge adds the line of a source, and its findings.
func (k *checkup) judge(what string, sm *sample, detail string) {
	slices.Sort(sm.fine)
	findings := plan.Findings(*sm.Facts)
	for _, f := range findings {
		k.find(what, f, "")
	}
	photos := len(sm.fine) + len(sm.refused)
	if len(sm.refs) > 0 {
		detail += fmt.Sprintf("; of the first %d, %d have a photo", len(sm.refs), photos)
	}
	switch {
	case sm.unreadable != nil:
		k.works(what, fmt.Errorf("%s; %w", detail, sm.unreadable), "check the right to read photos")
	case photos == 0 && len(findings) == 0 && len(sm.refs) > 0:
		k.add(console.Warning, what, detail, "check photo_attributes and the right to read them")
	case photos == 0:
		k.add(console.Note, what, detail, "")
	case len(sm.refused) > 0:
		k.add(console.Warning, what, fmt.Sprintf("%s, but %d cannot be sent, like that of %s", detail, len(sm.refused), sm.refused[0]),
			"replace these photos at their source: a run reports each once, and sends the others")
	default:
		k.add(console.OK, what, detail+", like "+strings.Join(sm.fine[:min(3, photos)], ", "), "")
	}
}
