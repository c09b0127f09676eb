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
	"photosync/sync/photo"
	"photosync/sync/report"
)

func (k *checkup) sources(ctx context.Context) {
	srcs, closeAll, err := k.Sources(k.Config)
	if err != nil {
		k.fail("sources", err, "correct the source's tls, filter or base_dn")
		return
	}
	defer closeAll()
	for i, s := range srcs {
		k.source(ctx, s, k.servers(ctx, k.Config.Sources[i]))
	}
}

// servers tries each address of a source that has several: a run would only find
// that one is down when it needs it. It returns what is wrong with them.
func (k *checkup) servers(ctx context.Context, s config.Source) (told []string) {
	if len(s.URLs) < 2 {
		return nil
	}
	for _, u := range s.URLs {
		one, alone := *k.Config, s
		alone.URLs = []string{u}
		one.Sources = []config.Source{alone}
		if err := k.firstEntry(ctx, &one); err != nil {
			k.add(console.Warning, "source "+s.Name, err.Error(), "a run would go on with the next of its urls: mend or remove this one")
			told = append(told, err.Error())
		}
	}
	return told
}

// firstEntry connects to the only source of c, binds, and reads an entry.
func (k *checkup) firstEntry(ctx context.Context, c *config.Config) error {
	srcs, closeAll, err := k.Sources(c)
	if err != nil {
		return err
	}
	defer closeAll()
	_, err = srcs[0].List(ctx, func(sources.Person) error { return errSeen })
	if errors.Is(err, errSeen) {
		return nil
	}
	return err
}

// errSeen ends a listing that has shown enough.
var errSeen = errors.New("seen")

// sampled is how many photos of a source are read at most.
const sampled = 100

// source lists s to its end and reads a few photos. Warnings that begin with what is
// told already are left out.
func (k *checkup) source(ctx context.Context, s sources.Named, told []string) {
	what := "source " + s.Name
	people, began := 0, time.Now()
	var refs []sources.Ref
	emails := map[sources.Ref]string{}
	listing, err := s.List(ctx, func(p sources.Person) error {
		people++
		if p.HasPhoto != sources.Absent && len(refs) < sampled {
			refs = append(refs, p.Ref)
			emails[p.Ref] = p.Own[0]
		}
		return nil
	})
	if err != nil {
		k.fail(what, err, "a run needs the whole list: check that the source can be reached and read")
		return
	}
	for _, w := range listing.Warnings {
		if slices.ContainsFunc(told, func(t string) bool { return strings.HasPrefix(w, t) }) {
			continue
		}
		k.add(console.Warning, what, w, "nothing to do, if that is meant")
	}
	if people == 0 {
		k.add(console.Problem, what, fmt.Sprintf("%d entries, none of them a person", listing.Entries),
			"check path and file names, or base_dn, filter and email_attributes")
		return
	}
	detail := report.Count(people, "person", "people")
	if listing.Pages > 0 {
		detail += " in " + report.Count(listing.Pages, "page", "pages")
	}
	detail += fmt.Sprintf(", listed in %s", time.Since(began).Round(100*time.Microsecond))
	k.photos(ctx, s, what, detail, refs, emails)
}

// sampledPhotos is what a few photos of a source are like.
type sampledPhotos struct {
	photos, fine        int
	examples            []string // of those that are fine, three at most
	unreadable, refused error    // the last one each
}

// photos reads refs, and says what is found.
func (k *checkup) photos(ctx context.Context, s sources.Named, what, detail string, refs []sources.Ref, emails map[sources.Ref]string) {
	var got sampledPhotos
	err := s.Photos(ctx, refs, func(p sources.Photo) error {
		switch {
		case p.Err == nil:
			got.photos++
			if _, err := photo.Prepare(ctx, p.Data, k.Photos); err != nil {
				got.refused = fmt.Errorf("%s: %w", emails[p.Ref], err)
			} else if got.fine++; got.fine <= 3 {
				k.examples[emails[p.Ref]] = false
				got.examples = append(got.examples, fmt.Sprintf("%s (%s)", emails[p.Ref], report.Size(len(p.Data))))
			}
		case !errors.Is(p.Err, sources.ErrNoPhoto) && !errors.Is(p.Err, sources.ErrGone):
			got.unreadable = p.Err
		}
		return nil
	})
	if err != nil {
		got.unreadable = err
	}
	slices.Sort(got.examples)
	detail += fmt.Sprintf("; of the first %d, %d have a photo", len(refs), got.photos)
	switch {
	case got.unreadable != nil:
		k.fail(what, fmt.Errorf("%s; %w", detail, got.unreadable), "check the right to read photos")
	case got.photos == 0:
		k.add(console.Warning, what, detail, "check photo_attributes and the right to read them")
	case got.refused != nil:
		k.add(console.Warning, what, fmt.Sprintf("%s, but %d cannot be sent, like that of %v", detail, got.photos-got.fine, got.refused),
			"mend these photos at their source: a run reports each once, and sends the others")
	default:
		k.add(console.OK, what, detail+", like "+strings.Join(got.examples, ", "), "")
	}
}
