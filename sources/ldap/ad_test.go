package ldap

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"pgregory.net/rapid"

	"photosync/sources"
	"photosync/sources/sourcetest"
)

func adOptions(ds ...*controller) Options {
	o := Options{BaseDN: domain, Filter: "(objectClass=user)", EmailAttributes: []string{"mail"}, PhotoAttributes: []string{"thumbnailPhoto"}, PageSize: 2}
	for _, d := range ds {
		o.URLs = append(o.URLs, d.url())
	}
	return o
}

// newDomain is a domain of five people; e has no photo.
func newDomain(t *testing.T) *controller {
	d := newController(t, 1)
	for i, name := range []string{"a", "b", "c", "d"} {
		d.set(name, sourcetest.Picture(i, 200), true)
	}
	d.set("e", nil, false)
	return d
}

// On Active Directory only a change of the photo moves the mark, and a person who
// never had one is known to have none.
func TestActiveDirectory(t *testing.T) {
	d := newDomain(t)
	s := open(t, adOptions(d))
	before := sourcetest.List(t, s)
	if e := before["e@ad.test"]; len(before) != 5 || e.HasPhoto != sources.Absent || before["a@ad.test"].HasPhoto == sources.Absent {
		t.Errorf("listed %v", before)
	}
	d.set("a", nil, false) // a telephone number
	d.set("b", sourcetest.Picture(9, 200), true)
	d.set("c", nil, true) // removed
	after := sourcetest.List(t, s)
	for email, want := range map[string]bool{"a@ad.test": false, "b@ad.test": true, "c@ad.test": true, "d@ad.test": false} {
		if moved := before[email].Stamp != after[email].Stamp; moved != want || before[email].Stamp == "" {
			t.Errorf("mark of %s moved: %v, want %v", email, moved, want)
		}
	}
	if p := sourcetest.Read(t, s, after["b@ad.test"].Ref); p.Err != nil || p.Moved || !bytes.Equal(p.Data, sourcetest.Picture(9, 200)) {
		t.Errorf("photo %d bytes, moved %v, error %v", len(p.Data), p.Moved, p.Err)
	}
	if p := sourcetest.Read(t, s, after["c@ad.test"].Ref); !errors.Is(p.Err, sources.ErrNoPhoto) {
		t.Errorf("a photo that was removed: %v", p.Err)
	}
	if p := sourcetest.Read(t, s, before["b@ad.test"].Ref); !p.Moved {
		t.Error("a photo that changed after it was listed has not moved")
	}
}

// Two controllers give the photo's own record the same mark, and their change
// counters different ones.
func TestMarksOfTwoControllers(t *testing.T) {
	for _, hidden := range []bool{false, true} {
		one, two := newDomain(t), newController(t, 2)
		one.replicate(two)
		one.noMetaData, two.noMetaData = hidden, hidden
		a, b := sourcetest.List(t, open(t, adOptions(one))), sourcetest.List(t, open(t, adOptions(two)))
		for email := range a {
			if a[email].Stamp == "" || (a[email].Stamp == b[email].Stamp) == hidden {
				t.Errorf("replPropertyMetaData hidden %v: %s has the marks %q and %q", hidden, email, a[email].Stamp, b[email].Stamp)
			}
		}
	}
}

// A controller whose database was restored from a backup counts changes anew: its
// counter is not the one of before.
func TestMarksOfRestoredController(t *testing.T) {
	d := newDomain(t)
	d.noMetaData = true
	before := sourcetest.List(t, open(t, adOptions(d)))
	d.invocation = 9
	for email, p := range sourcetest.List(t, open(t, adOptions(d))) {
		if p.Stamp == "" || p.Stamp == before[email].Stamp {
			t.Errorf("%s had the mark %q and has %q", email, before[email].Stamp, p.Stamp)
		}
	}
}

// A photo that comes from a controller that is behind is not remembered under the
// mark that another one gave.
func TestPhotoFromControllerBehind(t *testing.T) {
	one, two := newDomain(t), newController(t, 2)
	one.replicate(two)
	one.set("a", sourcetest.Picture(9, 200), true)
	s := open(t, adOptions(one, two))
	people := sourcetest.List(t, s)
	one.stop()
	for email, moved := range map[string]bool{"a@ad.test": true, "b@ad.test": false} {
		if p := sourcetest.Read(t, s, people[email].Ref); p.Err != nil || p.Moved != moved {
			t.Errorf("photo of %s: moved %v, want %v; error %v", email, p.Moved, moved, p.Err)
		}
	}
}

// A controller is lost after each number of answers: everyone is listed once all
// the same, and every photo given once.
func TestControllerIsLost(t *testing.T) {
	for lose := 1; lose <= 4; lose++ {
		one, two := newDomain(t), newController(t, 2)
		one.replicate(two)
		one.lose = lose
		s := open(t, adOptions(one, two))
		people := sourcetest.List(t, s)
		var refs []sources.Ref
		for _, p := range people {
			refs = append(refs, p.Ref)
		}
		two.lose = 1
		n := 0
		if err := s.Photos(t.Context(), refs, func(sources.Photo) error { n++; return nil }); err != nil || n != 5 || len(people) != 5 {
			t.Errorf("lost after %d: %d people, %d photos, error %v", lose, len(people), n, err)
		}
	}
}

// A photo that may not be read is not a photo that is not there.
func TestHiddenPhotos(t *testing.T) {
	d := newDomain(t)
	d.hidden["CN=b,CN=Users,"+domain] = true
	s := open(t, adOptions(d))
	people := sourcetest.List(t, s)
	for email, want := range map[string]error{"a@ad.test": nil, "b@ad.test": sources.ErrDenied, "e@ad.test": sources.ErrNoPhoto} {
		if p := sourcetest.Read(t, s, people[email].Ref); !errors.Is(p.Err, want) {
			t.Errorf("photo of %s: %v, want %v", email, p.Err, want)
		}
	}
	for _, p := range d.people {
		d.hidden[p.dn] = true
	}
	l, err := s.List(t.Context(), func(sources.Person) error { return nil })
	e, ok := errors.AsType[*Error](err)
	if l.Complete || !ok || !strings.Contains(err.Error(), "nobody's photo (thumbnailPhoto)") || !strings.Contains(e.Hint(), "right to read") {
		t.Errorf("nobody's photo may be read: %+v, %v", l, err)
	}
}

func TestNobodyHasPhoto(t *testing.T) {
	d := newController(t, 1)
	d.set("e", nil, false)
	l, err := open(t, adOptions(d)).List(t.Context(), func(sources.Person) error { return nil })
	if err != nil || !l.Complete || !strings.Contains(fmt.Sprint(l.Warnings), "nobody has a photo in thumbnailPhoto") {
		t.Errorf("listing %+v, %v", l, err)
	}
}

func TestNestedGroupOnActiveDirectory(t *testing.T) {
	d := newDomain(t)
	d.groups["CN=a,CN=Users,"+domain] = "CN=inner," + domain
	d.groups["CN=inner,"+domain] = "CN=group," + domain
	d.groups["CN=b,CN=Users,"+domain] = "CN=other," + domain
	o := adOptions(d)
	o.MemberOf = "CN=group," + domain
	if people := sourcetest.List(t, open(t, o)); len(people) != 1 || people["a@ad.test"].Ref.Name == "" {
		t.Errorf("listed %v", people)
	}
	d.numbers["CN=group,"+domain], d.numbers["CN=inner,"+domain], d.numbers["CN=other,"+domain] = 1105, 1106, 513
	for i, primary := range []uint32{513, 1105, 1106, 513} { // of a to d: nobody is listed as a member of it
		d.people[i].primary = primary
	}
	if people := sourcetest.List(t, open(t, o)); len(people) != 3 || people["a@ad.test"].Ref.Name == "" || people["d@ad.test"].Ref.Name != "" {
		t.Errorf("with primary groups listed %v", people)
	}
	o.MemberOf = "CN=group-of-nobody," + domain
	l, err := open(t, o).List(t.Context(), func(sources.Person) error { return nil })
	if err != nil || !strings.Contains(fmt.Sprint(l.Warnings), `nobody is listed: no member of "CN=group-of-nobody,DC=ad,DC=test"`) {
		t.Errorf("a group without members: %+v, %v", l, err)
	}
	o.MemberOf = "CN=nowhere," + domain
	if _, err := open(t, o).List(t.Context(), func(sources.Person) error { return nil }); err == nil || !strings.Contains(err.Error(), "there is no group") {
		t.Errorf("a group that is not there: %v", err)
	}
}

// A person with more addresses than a server gives at once is left out, and named; the
// others are listed.
func TestRanges(t *testing.T) {
	d := newDomain(t)
	d.people[1].proxies = []string{"SMTP:b2@ad.test"}
	o := adOptions(d)
	o.EmailAttributes = []string{"mail", "proxyAddresses"}
	s := open(t, o)
	people := sourcetest.List(t, s)
	for i := range 4000 {
		d.people[0].proxies = append(d.people[0].proxies, fmt.Sprintf("smtp:a%d@ad.test", i))
	}
	n := 0
	l, err := s.List(t.Context(), func(sources.Person) error { n++; return nil })
	if want := `1 entry left out: the server gives only a part of the addresses (first: "CN=a,`; err != nil || n != 4 || !l.Complete || !strings.Contains(fmt.Sprint(l.Warnings), want) {
		t.Errorf("%d people, listing %+v, error %v", n, l, err)
	}
	if p := sourcetest.Read(t, s, people["a@ad.test"].Ref); p.Err != nil || p.Emails != nil {
		t.Errorf("photo with %d addresses, error %v; want none, as they are not known", len(p.Emails), p.Err)
	}
}

// A server's limit makes the listing incomplete, though entries came before it.
func TestServersLimit(t *testing.T) {
	for code, hint := range map[int64]string{
		ldap.LDAPResultTimeLimitExceeded: "narrow the filter", ldap.LDAPResultAdminLimitExceeded: "lookthroughlimit", ldap.LDAPResultSizeLimitExceeded: "size.prtotal",
	} {
		d := newDomain(t)
		d.code = code
		l, err := open(t, adOptions(d)).List(t.Context(), func(sources.Person) error { return nil })
		if e, ok := errors.AsType[*Error](err); !ok || l.Complete || !strings.Contains(e.Hint(), hint) {
			t.Errorf("code %d: listing %+v, error %v", code, l, err)
		}
	}
}

// A server that is there and does not answer is given up.
func TestSilentServer(t *testing.T) {
	d := newDomain(t)
	d.silent = true
	o := adOptions(d)
	o.IdleTimeout = 20_000_000 // 20 ms
	_, err := open(t, o).List(t.Context(), func(sources.Person) error { return nil })
	e, ok := errors.AsType[*Error](err)
	if !ok || !strings.Contains(err.Error(), "no answer for 20ms") || !strings.Contains(e.Hint(), "idle_timeout") {
		t.Errorf("error %v", err)
	}
	o.IdleTimeout, o.ListTimeout = 0, 20_000_000
	l, err := open(t, o).List(t.Context(), func(sources.Person) error { return nil })
	if e, ok = errors.AsType[*Error](err); !ok || l.Complete || !strings.Contains(err.Error(), "took longer than 20ms") || !strings.Contains(e.Hint(), "list_timeout") {
		t.Errorf("error %v", err)
	}
}

// Active Directory gives no more than MaxPageSize a page, and may drop a cookie when others
// list at the same time: another connection begins anew, and nobody is listed twice.
func TestPagesOfActiveDirectory(t *testing.T) {
	for forgets, complete := range map[int]bool{0: true, 1: true, restarts: true, restarts + 1: false} {
		d := newDomain(t)
		d.maxPage, d.forgets = 2, forgets
		o := adOptions(d)
		o.PageSize = 0
		n := 0
		l, err := open(t, o).List(t.Context(), func(sources.Person) error { n++; return nil })
		if (err == nil) != complete || l.Complete != complete || complete && (n != 5 || l.Pages != 3 || l.Entries != 5) {
			t.Errorf("%d cookies forgotten: %d people, listing %+v, error %v", forgets, n, l, err)
		}
		if e, ok := errors.AsType[*Error](err); ok != !complete || ok && !strings.Contains(err.Error(), "how far the listing has come") {
			t.Errorf("%d cookies forgotten: %v", forgets, e)
		}
	}
}

// A second page that comes without the control has not said that it is the last one (RFC 2696, section 3).
func TestPageWithoutTheControl(t *testing.T) {
	d := newDomain(t)
	d.maxPage, d.loses = 2, true
	l, err := open(t, adOptions(d)).List(t.Context(), func(sources.Person) error { return nil })
	if err == nil || l.Complete || !strings.Contains(err.Error(), "whether more follow") {
		t.Errorf("listing %+v, error %v", l, err)
	}
}

// Whatever a server sends instead of an answer, the listing ends: nothing is waited for
// forever, and nothing panics.
func TestGarbage(t *testing.T) {
	d := newDomain(t)
	rapid.Check(t, func(rt *rapid.T) {
		left := rapid.IntRange(0, 6).Draw(rt, "answers before it")
		at, with, cut := rapid.Float64Range(0, 1).Draw(rt, "at"), rapid.Byte().Draw(rt, "with"), rapid.Bool().Draw(rt, "cut")
		garble := func(b []byte) []byte {
			if left--; left >= 0 {
				return b
			}
			i := min(int(at*float64(len(b))), len(b)-1)
			if b[i] = with; cut {
				b = b[:i+1]
			}
			return b
		}
		d.mu.Lock()
		d.garble = garble
		d.mu.Unlock()
		o := adOptions(d)
		o.IdleTimeout = 5 * time.Millisecond
		s := open(t, o)
		defer s.Close()
		s.pause = time.Microsecond
		l, err := s.List(t.Context(), func(sources.Person) error { return nil })
		if l.Complete != (err == nil) {
			rt.Fatalf("listing %+v, error %v", l, err)
		}
	})
}
