package job

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"photosync/sources"
	"photosync/sync/smartsheet"
)

var errDead = errors.New("the process is dead")

// watched is a source that the oracle watches.
type watched struct {
	sources.Source
	w      *world
	source int
}

func (s watched) List(ctx context.Context, each func(sources.Person) error) (sources.Listing, error) {
	got := listed{source: s.source}
	n := s.w.o.night
	l, err := s.Source.List(ctx, func(p sources.Person) error {
		q, told := 0, p
		for _, e := range s.w.c.entries {
			if e.source == s.source && (s.w.c.folder == "" && e.ref() == p.Ref.Name || s.w.c.folder != "" && e.own == p.Own[0]) {
				q = e.photo
			}
		}
		if p.Own, p.Aliases = n.spell(p.Own), n.spell(p.Aliases); !n.Rewrite {
			told = p
		}
		if told.HasPhoto == sources.Unknown { // the oracle knows
			told.HasPhoto = map[bool]sources.Presence{true: sources.Present, false: sources.Absent}[q != 0]
		}
		got.people, got.photos = append(got.people, told), append(got.photos, q)
		return each(p)
	})
	if n.Broken == s.source+1 {
		if l.Complete = false; !n.Quietly {
			err = errors.New("the connection was cut")
		}
	}
	got.complete, got.reserved = l.Complete && err == nil, l.Reserved
	if l.Reserved = n.spell(l.Reserved); !n.Rewrite {
		got.reserved = l.Reserved
	}
	got.contest()
	s.w.o.listings = append(s.w.o.listings, got)
	s.w.step(fmt.Sprintf("source %d is listed", s.source))
	if s.w.dead.Load() {
		return l, errDead
	}
	return l, err
}

func (s watched) Photos(ctx context.Context, refs []sources.Ref, each func(sources.Photo) error) error {
	s.w.step(fmt.Sprintf("%d photos of source %d are read", len(refs), s.source))
	if s.w.dead.Load() {
		return errDead
	}
	return s.Source.Photos(ctx, refs, func(p sources.Photo) error {
		r, n := reading{emails: p.Emails}, s.w.o.night
		if p.Emails = n.spell(p.Emails); !n.Rewrite {
			r.emails = p.Emails
		}
		if p.Err == nil {
			r.photo = photoOf(p.Data)
		}
		s.w.mu.Lock()
		id := entryID(s.source, p.Ref)
		s.w.o.reads[id] = append(s.w.o.reads[id], r)
		s.w.o.readings++
		s.w.mu.Unlock()
		return each(p)
	})
}

// wire is the way to Smartsheet and back. Each half of a call takes some time of its
// own, so that calls that were begun together go on one after the other.
type wire struct {
	w     *world
	inner http.RoundTripper
}

func (t wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w := t.w
	op, id := operation(r)
	call := fmt.Sprint(op, " ", id, " ", r.URL.Query().Get("email"))
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body.Close()
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	upload := op == "upload"
	w.mu.Lock()
	dead := w.dead.Load()
	w.o.requests[op]++
	if upload && !dead {
		w.note("  picture %d goes to user %d", photoOf(body), id)
		w.o.sending(id, body)
		w.memory(id).doubted = w.memory(id).doubt
		w.o.doubt(id)
		w.lost[id] = time.Now()
		w.uploads++
	}
	nth, sent := w.uploads, body
	w.mu.Unlock()
	if dead || !w.pass(r.Context(), call+" begins") {
		return nil, errDead
	}
	u := w.c.user(id)
	resp, err := t.inner.RoundTrip(r)
	asked := time.Now()
	if err == nil {
		err = w.answerAs(resp, call, u)
	}
	if upload && u != nil {
		if img, ok := w.c.sim.Image(u.email); ok && img.ID != u.image {
			w.o.arrived(u, img.ID, sent)
		}
	}
	if !w.pass(r.Context(), call+" is there") {
		return nil, errDead
	}
	if upload && slices.Contains(w.o.night.Lost, nth) && err == nil {
		resp.Body.Close()
		resp, err = nil, errors.New("connection reset by peer")
	}
	status := 0
	if err == nil {
		status = resp.StatusCode
		data, readErr := io.ReadAll(resp.Body)
		resp.Body = io.NopCloser(bytes.NewReader(data))
		if readErr != nil {
			return nil, readErr
		}
		body = data
	}
	w.step(call + fmt.Sprintf(" is answered: %d %v", status, err))
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case upload:
		w.o.answer(id, photoOf(sent), status, body)
	case status == http.StatusOK && op != "me" && r.Context().Err() == nil: // else nobody reads the answer
		w.o.saw(r, body, asked)
	}
	return resp, err
}

// answerAs gives an answer what the simulator does not know: alternate addresses that
// change, a list without its end, and another clock.
func (w *world) answerAs(resp *http.Response, call string, u *account) (err error) {
	n := w.o.night
	if n.Skew != 0 {
		at := time.Now().Add(n.Skew)
		resp.Header.Set("Date", at.UTC().Format(http.TimeFormat))
		if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
			resp.Header.Set("Retry-After", at.Add(20*time.Second).UTC().Format(http.TimeFormat))
		}
	}
	alternates := strings.HasPrefix(call, "user ") && u != nil && w.h.Alternates && !n.Without
	short := n.Short && call == "users 0 " // of everybody
	if resp.StatusCode != http.StatusOK || !alternates && !short {
		return nil
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var shown map[string]any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // ids
	if d.Decode(&shown) == nil {
		if all, ok := shown["data"].([]any); ok && short && len(all) > 0 {
			shown["data"] = all[:len(all)-1]
		}
		if alternates {
			all := []any{}
			for i, a := range u.alternates {
				all = append(all, map[string]any{"id": i + 1, "email": a.Email, "confirmed": a.Confirmed})
			}
			shown["alternateEmails"] = all
		}
		data, err = json.Marshal(shown)
	}
	resp.ContentLength = int64(len(data))
	resp.Header.Del("Content-Length")
	resp.Body = io.NopCloser(bytes.NewReader(data))
	return err
}

// pass takes a time that depends on the call and on nothing else, and reports whether
// the process still lives.
func (w *world) pass(ctx context.Context, what string) bool {
	w.mu.Lock()
	w.nth[what]++
	f := fnv.New64a()
	fmt.Fprint(f, w.h.Seed, what, w.nth[what])
	w.mu.Unlock()
	select {
	case <-time.After(50*time.Millisecond + time.Duration(f.Sum64()%uint64(2*time.Second))):
	case <-ctx.Done():
		return false
	}
	w.step(what)
	return !w.dead.Load()
}

func operation(r *http.Request) (op string, id int64) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/2.0/"), "/")
	switch {
	case len(parts) == 1:
		return parts[0], 0
	case parts[1] == "me":
		return "me", 0
	}
	id, _ = strconv.ParseInt(parts[1], 10, 64) // 0: nobody's
	if len(parts) == 3 {
		return "upload", id
	}
	return "user", id
}

// saw notes what an answer shows of users, and of addresses that nobody has.
func (o *watch) saw(r *http.Request, body []byte, at time.Time) {
	type user struct {
		ID           int64
		Email        string
		Status       string
		ProfileImage struct{ ImageID string }

		AlternateEmails []smartsheet.AlternateEmail
	}
	var list struct{ Data []user }
	var one user
	if json.Unmarshal(body, &list) != nil || json.Unmarshal(body, &one) != nil {
		return
	}
	if one.ID != 0 {
		list.Data = append(list.Data, one)
	}
	for _, a := range strings.Split(r.URL.Query().Get("email"), ",") {
		for id, l := range o.sightings {
			if a != "" && strings.EqualFold(l.email, a) {
				o.sightings[id] = sighting{}
			}
			if strings.EqualFold(o.renamed[id].email, a) {
				delete(o.renamed, id)
			}
		}
	}
	for _, u := range list.Data {
		l := o.sightings[u.ID]
		if l.email != u.Email && l.email != "" {
			o.renamed[u.ID] = l
		}
		l.email, l.image, l.active, l.at = u.Email, u.ProfileImage.ImageID, u.Status == "ACTIVE", at
		if one.ID != 0 { // lists do not show them
			l.alternates, l.alone = confirmed(u.AlternateEmails), at
		}
		o.sightings[u.ID] = l
	}
}
