package plan

import (
	"fmt"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"photosync/sources"
	"photosync/state"
)

// There is one of these for everybody in the company: on a first run they are most of
// the memory.
func TestSizes(t *testing.T) {
	for name, size := range map[string][2]uintptr{
		"Action": {unsafe.Sizeof(Action{}), 88}, "Subject": {unsafe.Sizeof(Subject{}), 112},
		"Candidate": {unsafe.Sizeof(Candidate{}), 64}, "User": {unsafe.Sizeof(User{}), 80},
	} {
		if unsafe.Sizeof(uintptr(0)) == 8 && size[0] > size[1] {
			t.Errorf("%s takes %d bytes, and took %d", name, size[0], size[1])
		}
	}
}

// A limit leaves the most urgent uploads, and everything that is no upload; who is left
// out is told.
func TestLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var subjects []*Subject
		for i := range rapid.IntRange(0, 12).Draw(t, "people") {
			s := &Subject{
				Emails: []string{fmt.Sprintf("p%02d@x", i)}, Candidates: []Candidate{{Ref: sources.Ref{Name: fmt.Sprint(i)}}},
				Users: []User{{ID: int64(i + 1), Email: fmt.Sprintf("p%02d@x", i), Active: rapid.IntRange(0, 3).Draw(t, "active") > 0}},
				Look:  &Look{Sum: "new"},
			}
			if rapid.Bool().Draw(t, "known") {
				s.Remembered = &state.Record{
					Email: s.Key(), UserID: int64(i + 1), SourceSHA256: "old", UploadSHA256: "up",
					UploadedAt: time.Unix(int64(rapid.IntRange(1, 5).Draw(t, "uploaded")), 0),
				}
			}
			subjects = append(subjects, s)
		}
		o := &Options{Sources: []string{"s"}}
		all, p := Build(subjects, o), Build(subjects, o)
		n := rapid.IntRange(0, 13).Draw(t, "limit")
		p.Limit(n)
		up := all.Uploads()
		if n == 0 {
			n = len(up)
		}
		n = min(n, len(up))
		got := p.Uploads()
		if len(got) != n || len(p.Left) != len(up)-n || len(p.Actions)+len(p.Left) != len(all.Actions) {
			t.Fatalf("%d uploads and %d left of %d, limit %d", len(got), len(p.Left), len(up), n)
		}
		for i, a := range got {
			if a.Key() != up[i].Key() {
				t.Fatalf("upload %d is for %s, want %s", i, a.Key(), up[i].Key())
			}
		}
		left := map[string]Left{}
		for i, l := range p.Left {
			left[l.Email] = l
			if i > 0 && p.Left[i-1].Email >= l.Email {
				t.Fatal("out of order")
			}
		}
		for _, a := range up[n:] {
			if l := left[a.Key()]; l != (Left{a.Key(), a.Source(), a.Candidate().Ref.Name, a.User().ID, a.Reason}) {
				t.Fatalf("left %+v for %s", l, a.Key())
			}
		}
	})
}
